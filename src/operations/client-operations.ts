/** What an operator does with applications, beyond what an application may say of itself. */
import { ClientError } from "../clients/client-error.ts";
import { type ClientType, DEVICE_CODE_GRANT, TYPE_DEFAULTS } from "../clients/client-metadata.ts";
import type { ClientRecord } from "../clients/client-record.ts";
import type { ClientStore, ClientWithSecret } from "../clients/client-store.ts";
import type { OperatorSettings } from "../clients/operator-settings.ts";
import { isManagementScope, isOpenIdScope, joinScope, splitScope } from "../clients/scopes.ts";
import type { RotatedSecret, SecretRotation } from "../clients/secret-rotation.ts";
import type { TokenExchangePolicy } from "../clients/token-exchange-policy.ts";
import type { AuditLog } from "../observability/audit-log.ts";
import type { Expectation } from "../storage/expectation.ts";
import { checkManagementScopes } from "./management-scopes.ts";
import { finishing, type Operator } from "./operator.ts";

/** What is absent comes from the type, or stays. */
export interface ClientOrder {
  type?: ClientType;
  /** Further RFC 7591 members; what is said beside them wins. `null` removes. */
  metadata?: Readonly<Record<string, unknown>>;
  name?: string;
  redirectUris?: readonly string[];
  postLogoutRedirectUris?: readonly string[];
  /** Space-separated; scopes of the issuer, of resources and of the management API alike. */
  scope?: string;
  authMethod?: string;
  /** `device_code` stands for its URN. */
  grantTypes?: readonly string[];
  /** Bound to a key by DPoP, and no other tokens (RFC 9449 §5.2). */
  dpopBound?: boolean;
  requirePkce?: boolean;
  firstParty?: boolean;
  verified?: boolean;
  /** `#rrggbb`; `null`: the operator's own. */
  brandColor?: string | null;
  /** Whoever signs in for it does so with two factors, or with a passkey. */
  requiresSecondFactor?: boolean;
  /** Seconds; `null`: what its resource or the setting says. */
  accessTokenTtl?: number | null;
  /** Seconds without use; `null`: the setting. */
  refreshTokenTtl?: number | null;
  /** Seconds in all; `null`: the setting. */
  refreshTokenMaxAge?: number | null;
  /** What is absent stays; `null`: it exchanges nothing. */
  tokenExchange?: Partial<TokenExchangePolicy> | null;
}

export interface ClientOperations {
  /** @param clientId made beforehand @throws {ClientError} naming every fault, or `conflict` when there is one with that id */
  create(by: Operator, order: ClientOrder, clientId?: string): Promise<ClientWithSecret>;
  /** @returns a secret when the client came to need one @throws {ClientError} `not_found`, or naming every fault */
  update(by: Operator, clientId: string, order: ClientOrder, expect?: Expectation<ClientRecord>): Promise<ClientWithSecret>;
  /** @throws {ClientError} `not_found` */
  get(clientId: string): Promise<ClientRecord>;
  /** Its grants and tokens end, and until it is resumed it is as good as not registered. @throws {ClientError} `not_found` */
  suspend(by: Operator, clientId: string): Promise<ClientRecord>;
  /** What it had before stays ended. @throws {ClientError} `not_found` */
  resume(by: Operator, clientId: string): Promise<ClientRecord>;
  /** With its consents, grants and tokens. @throws {ClientError} `not_found` */
  delete(by: Operator, clientId: string, expect?: Expectation<ClientRecord>): Promise<void>;
  /**
   * The old secret counts for `overlap` seconds more; without them it stops working at once.
   * @throws {ClientError} `not_found`, the client has no secret, or `overlap` is out of bounds; and what `expect` throws
   */
  rotateSecret(by: Operator, clientId: string, rotation?: SecretRotation): Promise<RotatedSecret>;
  /** The secret before the current one stops working at once. @throws {ClientError} `not_found`, and what `expect` throws */
  endPreviousSecret(by: Operator, clientId: string, expect?: Expectation<ClientRecord>): Promise<ClientRecord>;
  /** Those of its scopes that nothing knows: they open nothing until a resource has them. */
  scopesWithoutResource(client: ClientRecord): Promise<string[]>;
}

export interface ClientOperationsOptions {
  clients: ClientStore;
  /** Those of the issuer and of all resources. */
  knownScopes(): Promise<ReadonlySet<string>>;
  audit: Pick<AuditLog, "record">;
}

export function createClientOperations(options: ClientOperationsOptions): ClientOperations {
  const { clients, knownScopes, audit } = options;

  const record = (by: Operator, what: string, clientId: string, detail?: Record<string, string | number>): void =>
    audit.record({ event: `client.${what}`, outcome: "success", ...by, clientId, ...(detail && { detail }) });

  async function get(clientId: string): Promise<ClientRecord> {
    const client = await clients.find(clientId);
    if (client === undefined) throw notFound(clientId);
    return client;
  }

  return {
    get,

    async create(by, order, clientId) {
      const { type } = order;
      const made = await clients.create({
        ...(clientId !== undefined && { clientId }),
        metadata: metadataOf(order),
        ...settingsOf(order),
        ...exchangeOf(order),
        ...(type !== undefined && { type }),
      });
      record(by, "created", made.client.clientId, type && { type });
      return made;
    },

    async update(by, clientId, order, expect) {
      const before = await get(clientId);
      const metadata = { ...(order.type !== undefined && { response_types: null, ...TYPE_DEFAULTS[order.type] }), ...metadataOf(order) };
      const changes = { metadata, ...settingsOf(order), ...exchangeOf(order, before.tokenExchange) };
      const updated = await clients.update(clientId, changes, (current) => {
        expect?.(current);
        return {};
      });
      record(by, "updated", clientId, { changed: Object.keys(order).join(" ") });
      return updated;
    },

    async suspend(by, clientId) {
      await get(clientId);
      const client = await finishing("The application is suspended", "grants and tokens", () => clients.suspend(clientId));
      record(by, "suspended", clientId);
      return client;
    },

    async resume(by, clientId) {
      await get(clientId);
      const client = await clients.resume(clientId);
      record(by, "resumed", clientId);
      return client;
    },

    async delete(by, clientId, expect) {
      await get(clientId);
      if (!(await clients.delete(clientId, expect))) throw notFound(clientId);
      record(by, "deleted", clientId);
    },

    async rotateSecret(by, clientId, rotation = {}) {
      await get(clientId);
      const rotated = await clients.rotateSecret(clientId, rotation);
      if (!rotated.repeated) record(by, "secret_rotated", clientId, { overlap: rotation.overlap ?? 0 });
      return rotated;
    },

    async endPreviousSecret(by, clientId, expect) {
      await get(clientId);
      const client = await clients.endPreviousSecret(clientId, expect);
      record(by, "previous_secret_ended", clientId);
      return client;
    },

    async scopesWithoutResource({ metadata }) {
      const ofResources = splitScope(metadata.scope).filter((scope) => !isOpenIdScope(scope));
      if (ofResources.length === 0) return [];
      const known = await knownScopes();
      return ofResources.filter((scope) => !known.has(scope));
    },
  };
}

function metadataOf(order: ClientOrder): Record<string, unknown> {
  const { metadata, name, redirectUris, postLogoutRedirectUris, scope, authMethod, grantTypes, dpopBound } = order;
  return {
    ...metadata,
    ...(name !== undefined && { client_name: name }),
    ...(redirectUris !== undefined && { redirect_uris: redirectUris }),
    ...(postLogoutRedirectUris !== undefined && { post_logout_redirect_uris: postLogoutRedirectUris }),
    ...(scope !== undefined && { scope: joinScope(splitScope(scope).filter((name) => !isManagementScope(name))) }),
    ...(authMethod !== undefined && { token_endpoint_auth_method: authMethod }),
    ...(dpopBound !== undefined && { dpop_bound_access_tokens: dpopBound }),
    // RFC 7591 §2.1: the response types follow from the grant types.
    ...(grantTypes !== undefined && { grant_types: grantTypes.map(grantType), response_types: null }),
  };
}

function settingsOf({ scope, requirePkce, firstParty, verified, ...others }: ClientOrder): OperatorSettings {
  const { brandColor, requiresSecondFactor, accessTokenTtl, refreshTokenTtl, refreshTokenMaxAge } = others;
  const managementScopes = scope === undefined ? undefined : splitScope(scope).filter(isManagementScope);
  checkManagementScopes(managementScopes ?? []);
  return {
    ...(managementScopes !== undefined && { managementScopes }),
    ...(requirePkce !== undefined && { requirePkce }),
    ...(firstParty !== undefined && { firstParty }),
    ...(verified !== undefined && { verified }),
    ...(brandColor !== undefined && { brandColor }),
    ...(requiresSecondFactor !== undefined && { requiresSecondFactor }),
    ...(accessTokenTtl !== undefined && { accessTokenTtl }),
    ...(refreshTokenTtl !== undefined && { refreshTokenTtl }),
    ...(refreshTokenMaxAge !== undefined && { refreshTokenMaxAge }),
  };
}

const NO_EXCHANGE: TokenExchangePolicy = { audiences: [], scopes: {}, impersonation: false };

function exchangeOf({ tokenExchange }: ClientOrder, before = NO_EXCHANGE): OperatorSettings {
  if (tokenExchange === undefined || tokenExchange === null) return tokenExchange === null ? { tokenExchange } : {};
  return { tokenExchange: { ...before, ...tokenExchange } };
}

const grantType = (name: string): string => (name === "device_code" ? DEVICE_CODE_GRANT : name);

const notFound = (clientId: string): ClientError => new ClientError("not_found", `there is no client "${clientId.slice(0, 200)}"`);
