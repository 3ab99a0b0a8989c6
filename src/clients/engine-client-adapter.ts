/**
 * Clients and registration tokens as the engine (oidc-provider 9.13.3) wants them, on public hooks alone: the Adapter, `extraClientMetadata`
 * and three methods of its Client model that it awaits or calls where they can be replaced: `compareClientSecret`, `redirectUriAllowed` and
 * `metadata`.
 *
 * What differs between its world and ours, and is translated here alone:
 * - it holds client secrets in the clear; we hold a hash, so it gets a random placeholder that never leaves this process;
 * - its `scope` takes static scopes only; the scopes of a client's resources travel in `grantor_scopes`;
 * - it stores its registration tokens under their value; we store their hash.
 */
import { randomBytes } from "node:crypto";
import { LRUCache } from "lru-cache";
import { type Adapter, type AdapterPayload, errors, type Provider } from "oidc-provider";
import { ClientError } from "./client-error.ts";
import { type ClientMetadata, METADATA_MEMBERS, needsSecret } from "./client-metadata.ts";
import type { ClientRecord } from "./client-record.ts";
import type { ClientStore } from "./client-store.ts";
import { STRANGER } from "./own-changes.ts";
import type { RegistrationTokenKind, RegistrationTokens } from "./registration-tokens.ts";
import { isOpenIdScope, joinScope, splitScope } from "./scopes.ts";
import { TOKEN_EXCHANGE_GRANT, type TokenExchangePolicy } from "./token-exchange-policy.ts";

export type ClientModel = "Client" | RegistrationTokenKind;

export const isClientModel = (name: string): name is ClientModel =>
  name === "Client" || name === "RegistrationAccessToken" || name === "InitialAccessToken";

/** Members of our own on the engine's Client, where policies read them: `client.require_pkce`. */
export interface ClientExtras {
  /** Every registered scope, of the issuer and of resources; undefined: none was registered, which means the OpenID ones. */
  readonly grantor_scopes?: readonly string[] | undefined;
  readonly require_pkce: boolean;
  readonly first_party: boolean;
  readonly verified: boolean;
  /** `#rrggbb`; undefined: the operator's own. */
  readonly brand_color?: string | undefined;
  /** Whoever signs in for it does so with two factors. */
  readonly require_second_factor: boolean;
  readonly management_scopes: readonly string[];
  /** Undefined: it exchanges nothing. */
  readonly token_exchange?: TokenExchangePolicy | undefined;
  /** Seconds; undefined: the setting's. */
  readonly access_token_ttl?: number | undefined;
  readonly refresh_token_ttl?: number | undefined;
  readonly refresh_token_max_age?: number | undefined;
  /** It registered itself, and nobody vouched for it. */
  readonly stranger: boolean;
}

/** What an operator alone says, under the names that the engine's Client has for it. */
export const OPERATOR_MEMBERS = [
  "require_pkce",
  "first_party",
  "verified",
  "brand_color",
  "require_second_factor",
  "management_scopes",
  "token_exchange",
  "access_token_ttl",
  "refresh_token_ttl",
  "refresh_token_max_age",
  "stranger",
] as const satisfies (keyof ClientExtras)[];
const EXTRA_MEMBERS = ["grantor_scopes", ...OPERATOR_MEMBERS] as const;
/** For `extraClientMetadata.properties`. */
export const ENGINE_EXTRA_MEMBERS: readonly string[] = [
  ...EXTRA_MEMBERS,
  "access_token_max_ttl",
  "refresh_token_max_ttl",
  "software_id",
  "software_version",
  "software_statement",
];

/** Our members of a client that the engine found. */
export const clientExtras = (client: object): ClientExtras => client as ClientExtras;

/**
 * Stands for a secret of which we have the hash alone. Random, because the engine also derives symmetric keys from it: with a known value
 * anybody could sign in the client's name.
 */
const SECRET_PLACEHOLDER = randomBytes(32).toString("base64url");

/**
 * A client without any static scope must not get them all, which is what the engine makes of an absent `scope`. This one opens nothing
 * without `openid`, and its name is cut out of access tokens with the other scopes that the client is not registered for.
 */
const INERT_SCOPE = "phone";

/** What a registration that is being checked leaves for the moment at which it is stored. */
interface Pending {
  update: boolean;
  initialAccessToken?: string | undefined;
}

export interface ClientAdapters {
  /** For the engine's `adapter` option. */
  adapter(model: ClientModel): Adapter;
  /** Call after `new Provider`. */
  extend(provider: Provider): void;
  /** Called while the engine checks a registration, before it stores it. */
  expect(clientId: string, pending: Pending): void;
  /** Between `expect` and when it is stored. */
  isExpected(clientId: string): boolean;
}

/** What the engine asks about "Try it" in the portal, while it answers a request (docs/decisions/try-it.md). */
export interface Trials {
  /** Whether the request is one that this server makes in that client's name: no credential comes with it. */
  vouchesFor(clientId: string): boolean;
  /** Whether the request is to come back to this server's own callback, for a run that an owner of that client has begun. */
  comesBack(clientId: string, redirectUri: unknown): boolean;
}

const NO_TRIALS: Trials = { vouchesFor: () => false, comesBack: () => false };

/** Seconds are enough between checking and storing, even with a `sector_identifier_uri` to fetch. */
const PENDING_TTL = 30_000;

export function createClientAdapters(clients: ClientStore, tokens: RegistrationTokens, trials: Trials = NO_TRIALS): ClientAdapters {
  const pending = new LRUCache<string, Pending>({ max: 1000, ttl: PENDING_TTL });
  const engineMetadata = new WeakMap<ClientRecord, AdapterPayload>();

  const tokensOfAll = tokenAdapter("RegistrationAccessToken", tokens);
  const registrationAccessTokens: Adapter = {
    ...tokensOfAll,
    /** That of a suspended client opens nothing, and stays for when it is resumed: the engine would destroy it for want of a client. */
    async find(token) {
      const found = await tokensOfAll.find(token);
      const client = found?.clientId === undefined ? undefined : await clients.find(found.clientId);
      return client?.suspendedAt === undefined ? found : undefined;
    },
  };

  const adapters: Record<ClientModel, Adapter> = {
    Client: {
      ...UNUSED,
      async find(id) {
        const client = await clients.find(id);
        if (client === undefined || client.suspendedAt !== undefined) return undefined;
        // For such a client's own key nobody can stand in: its request is vouched for in the other way.
        if (client.metadata.token_endpoint_auth_method === "private_key_jwt" && trials.vouchesFor(id)) return toEngine(withSecret(client));
        const known = engineMetadata.get(client);
        if (known !== undefined) return known;
        const made = toEngine(client);
        engineMetadata.set(client, made);
        return made;
      },
      async upsert(clientId, payload) {
        const { update, initialAccessToken } = pending.get(clientId) ?? { update: (await clients.find(clientId)) !== undefined };
        pending.delete(clientId);
        const metadata = pick(payload);
        const secret = needsSecret(metadata) && typeof payload.client_secret === "string" ? payload.client_secret : undefined;
        const { software_statement: statement, client_id_issued_at: issuedAt } = payload as {
          software_statement?: string;
          client_id_issued_at?: number;
        };
        const registration = {
          clientId,
          ...(issuedAt !== undefined && { issuedAt }),
          metadata,
          ...(secret !== undefined && { secret }),
          ...(statement !== undefined && { softwareStatement: statement }),
        };
        await asEngineError(() =>
          update
            ? clients.replace(registration)
            : clients.register({ ...registration, ...(initialAccessToken !== undefined && { initialAccessToken }) }),
        );
      },
      destroy: async (clientId) => void (await clients.delete(clientId)),
    },
    RegistrationAccessToken: registrationAccessTokens,
    InitialAccessToken: tokenAdapter("InitialAccessToken", tokens),
  };

  return {
    adapter: (model) => adapters[model],

    extend(provider) {
      const model = (provider.Client as unknown as { prototype: EngineClient }).prototype;
      const { metadata, redirectUriAllowed } = model;
      model.compareClientSecret = function compareClientSecret(actual) {
        return trials.vouchesFor(this.clientId) || clients.checkSecret(this.clientId, actual);
      };
      model.redirectUriAllowed = function isRegistered(uri) {
        return redirectUriAllowed.call(this, uri) || trials.comesBack(this.clientId, uri);
      };
      model.metadata = function registeredMetadata() {
        return fromEngine(metadata.call(this));
      };
    },

    expect: (clientId, registration) => void pending.set(clientId, registration),
    isExpected: (clientId) => pending.has(clientId),
  };
}

interface EngineClient {
  readonly clientId: string;
  metadata(): Record<string, unknown>;
  compareClientSecret(actual: string): Promise<boolean> | boolean;
  redirectUriAllowed(uri: string): boolean;
}

const withSecret = (client: ClientRecord): ClientRecord => ({
  ...client,
  metadata: { ...client.metadata, token_endpoint_auth_method: "client_secret_basic" },
});

/** Of these kinds the engine asks nothing else. */
const UNUSED = {
  findByUserCode: async () => undefined,
  findByUid: async () => undefined,
  consume: async () => undefined,
  revokeByGrantId: async () => undefined,
};

function tokenAdapter(kind: RegistrationTokenKind, tokens: RegistrationTokens): Adapter {
  return {
    ...UNUSED,
    async find(token) {
      const stored = await tokens.find(kind, token);
      if (stored === undefined) return undefined;
      const { payload, clientId, expiresAt } = stored;
      return {
        ...payload,
        kind,
        jti: token,
        ...(clientId !== undefined && { clientId }),
        ...(expiresAt !== undefined && { exp: Math.floor(expiresAt.getTime() / 1000) }),
      };
    },
    async upsert(token, { jti: _jti, clientId, exp, ...payload }) {
      await tokens.save(kind, token, {
        payload,
        ...(clientId !== undefined && { clientId }),
        ...(exp !== undefined && { expiresAt: new Date(exp * 1000) }),
      });
    },
    destroy: (token) => tokens.destroy(kind, token),
  };
}

/** @returns what the engine builds its Client from; the same object as long as the record is the same, so that its own cache holds */
export function toEngine({ clientId, metadata, createdAt, ...operator }: ClientRecord): AdapterPayload {
  return {
    client_id: clientId,
    client_id_issued_at: Math.floor(createdAt.getTime() / 1000),
    ...metadata,
    ...(needsSecret(metadata) && { client_secret: SECRET_PLACEHOLDER, client_secret_expires_at: 0 }),
    ...engineScopes(metadata.scope),
    ...(operator.softwareStatement !== undefined && { software_statement: operator.softwareStatement }),
    require_pkce: operator.requirePkce,
    first_party: operator.firstParty,
    verified: operator.verified,
    brand_color: operator.brandColor,
    require_second_factor: operator.requiresSecondFactor,
    management_scopes: operator.managementScopes,
    ...(operator.tokenExchange && {
      token_exchange: operator.tokenExchange,
      grant_types: [...metadata.grant_types, TOKEN_EXCHANGE_GRANT],
    }),
    access_token_ttl: operator.accessTokenTtl,
    refresh_token_ttl: operator.refreshTokenTtl,
    refresh_token_max_age: operator.refreshTokenMaxAge,
    stranger: operator.createdBy === STRANGER,
  } as unknown as AdapterPayload;
}

/** The static part for the engine, and the whole for us. */
export function engineScopes(scope: string | undefined): { scope?: string; grantor_scopes?: string[] } {
  const all = splitScope(scope);
  if (all.length === 0) return {};
  return { scope: joinScope(all.filter(isOpenIdScope)) || INERT_SCOPE, grantor_scopes: all };
}

/** What a registration answers with, and what is stored of it: registered members, and a secret only when it was made just now. */
function fromEngine(engine: Record<string, unknown>): Record<string, unknown> {
  const { client_secret, client_secret_expires_at, grantor_scopes, ...rest } = engine;
  for (const member of EXTRA_MEMBERS) delete rest[member];
  delete rest.scope;
  // It follows from what an operator said, and is no part of a registration.
  if (Array.isArray(rest.grant_types)) rest.grant_types = rest.grant_types.filter((grant) => grant !== TOKEN_EXCHANGE_GRANT);
  const secretIsNew = client_secret !== undefined && client_secret !== SECRET_PLACEHOLDER;
  return {
    ...rest,
    ...(Array.isArray(grantor_scopes) && { scope: joinScope(grantor_scopes as string[]) }),
    ...(needsSecret(rest as unknown as ClientMetadata) && { ...(secretIsNew && { client_secret }), client_secret_expires_at }),
  };
}

const pick = (payload: object): ClientMetadata =>
  Object.fromEntries(
    Object.entries(payload).filter(([name]) => (METADATA_MEMBERS as readonly string[]).includes(name)),
  ) as unknown as ClientMetadata;

async function asEngineError(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    throw error instanceof ClientError ? engineError(error) : error;
  }
}

/** The same with the protocol's code, as the engine throws it. */
export function engineError({ code, message }: ClientError): Error {
  if (code === "invalid_token" || code === "not_found") return new errors.InvalidToken(message);
  if (code === "invalid_software_statement" || code === "unapproved_software_statement")
    return new errors.CustomOIDCProviderError(code, message);
  return new errors.InvalidClientMetadata(message);
}
