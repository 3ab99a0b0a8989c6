/** What a developer does with applications of theirs, in the portal. Somebody else's application is none: nobody learns that it exists. */
import { isDeepStrictEqual } from "node:util";
import { type Account, isUsable } from "../accounts/account.ts";
import { ADMIN_ROLE } from "../accounts/roles.ts";
import { ClientError, refuseFaults } from "../clients/client-error.ts";
import { type ClientMetadata, type ClientType, clientType, parseClientMetadata, TYPE_DEFAULTS } from "../clients/client-metadata.ts";
import { type ClientOwner, type ClientOwners, noRoom, type OwnedClients } from "../clients/client-owners.ts";
import { type ClientRecord, isClientId } from "../clients/client-record.ts";
import type { ClientStore, ClientWithSecret } from "../clients/client-store.ts";
import { outgrowsVerification, refuseOwnersChanges } from "../clients/own-changes.ts";
import { refuseBeyondLimits } from "../clients/registration-limits.ts";
import type { Resource } from "../clients/resource.ts";
import { isOpenIdScope, joinScope, OPENID_SCOPES, splitScope } from "../clients/scopes.ts";
import type { Config } from "../config.ts";
import type { AuditLog } from "../observability/audit-log.ts";
import type { Developer, OwnerNotices } from "./owner-notices.ts";

/** Why an account may register no further application; it looks after those that it has all the same. */
export type MayNotRegister = "nobody_may" | "not_a_developer" | "unconfirmed_address" | "too_many";

/** RFC 7591 members that an owner says of an application. Its kind stays: another kind is another application. */
const OWNERS_MEMBERS = [
  "client_name",
  "client_uri",
  "logo_uri",
  "policy_uri",
  "tos_uri",
  "contacts",
  "redirect_uris",
  "post_logout_redirect_uris",
  "backchannel_logout_uri",
  "scope",
  "token_endpoint_auth_method",
  "jwks",
  "jwks_uri",
  "require_pushed_authorization_requests",
  "dpop_bound_access_tokens",
  "access_token_max_ttl",
  "refresh_token_max_ttl",
] as const satisfies (keyof ClientMetadata)[];
export type OwnersMember = (typeof OWNERS_MEMBERS)[number];

/** Where people and messages are sent, and how it proves itself: all owners hear of a change. */
const PROTECTING: ReadonlySet<OwnersMember> = new Set([
  "redirect_uris",
  "post_logout_redirect_uris",
  "backchannel_logout_uri",
  "token_endpoint_auth_method",
  "jwks",
  "jwks_uri",
  "require_pushed_authorization_requests",
  "dpop_bound_access_tokens",
]);

/** What is absent stays; `null` removes. The store checks the values. */
export type OwnersChange = Readonly<Partial<Record<OwnersMember, unknown>>>;

export interface NewApp {
  readonly type: ClientType;
  readonly metadata: OwnersChange;
  /** Made beforehand, so that a form that is sent twice makes one application. */
  readonly clientId: string;
  /** Made beforehand as well, for where it needs one; absent: it is made here. */
  readonly secret?: string;
}

export interface ChangedApp extends ClientWithSecret {
  /** It had been verified, and is not any more. */
  readonly unverified: boolean;
}

/** The scopes that one person can give to one kind of application. */
export interface OfferedScopes {
  /** Of the person's own data. */
  readonly openid: readonly string[];
  readonly resources: readonly { readonly resource: Resource; readonly scopes: readonly string[] }[];
}

export interface AppOperations {
  /** @returns why not; undefined: it may */
  refusalFor(account: Account): Promise<MayNotRegister | undefined>;
  /** Whether the portal is of use to it: it may register applications, or looks after some. */
  isWelcome(account: Account): Promise<boolean>;
  /** The newest first. @param after `next` of the page before @throws {ClientError} when it is none */
  list(accountId: string, after?: string): Promise<OwnedClients>;
  /** @throws {ClientError} `not_found`, also when it is somebody else's */
  owned(accountId: string, clientId: string): Promise<ClientRecord>;
  /** The longest first. @throws {ClientError} as `owned` */
  owners(accountId: string, clientId: string): Promise<ClientOwner[]>;
  /** What the account can give to an application of that kind. */
  offeredScopes(account: Account, type: ClientType): OfferedScopes;
  /** @throws {ClientError} `not_allowed`, `too_many`, `conflict` when there is one with that id, or naming every fault */
  create(developer: Developer, app: NewApp): Promise<ClientWithSecret>;
  /**
   * With another name, or where it sends people to another place, it is not the application any more that an operator has verified.
   * @returns a secret when the application came to need one
   * @throws {ClientError} as `owned`, `suspended`, or naming every fault
   */
  update(developer: Developer, clientId: string, change: OwnersChange): Promise<ChangedApp>;
}

export interface AppOperationsOptions extends Pick<Config, "developers" | "appsPerPerson" | "loopback"> {
  clients: Pick<ClientStore, "find" | "create" | "update">;
  owners: ClientOwners;
  /** Every resource there is. */
  resources(): readonly Resource[];
  told: OwnerNotices;
  audit: Pick<AuditLog, "record">;
}

export function createAppOperations(options: AppOperationsOptions): AppOperations {
  const { clients, owners, resources, told, audit, developers, appsPerPerson, loopback } = options;

  function isDeveloper(account: Account): boolean {
    if (developers === "nobody" || !isUsable(account)) return false;
    return developers === "everyone" || account.roles.includes(ADMIN_ROLE) || account.roles.includes(developers.role);
  }

  async function owned(accountId: string, clientId: string): Promise<ClientRecord> {
    const mine = isClientId(clientId) && (await owners.has(clientId, accountId));
    const client = mine ? await clients.find(clientId) : undefined;
    if (client === undefined) throw new ClientError("not_found", "there is no such application among yours");
    return client;
  }

  async function refusalFor(account: Account): Promise<MayNotRegister | undefined> {
    if (developers === "nobody") return "nobody_may";
    if (!isDeveloper(account)) return "not_a_developer";
    if (!account.emailVerified) return "unconfirmed_address";
    return (await owners.count(account.id)) < appsPerPerson ? undefined : "too_many";
  }

  /**
   * A person stands between most applications and a resource, and consents or not. Nobody stands before one that goes alone: where everybody
   * may register applications, an operator gives it its scopes; and nobody gives it what their own roles do not permit them.
   */
  function offeredScopes(account: Account, type: ClientType): OfferedScopes {
    const isAdmin = account.roles.includes(ADMIN_ROLE);
    const goesAlone = type === "service";
    const trusted = isAdmin || loopback || developers !== "everyone";
    return {
      openid: goesAlone ? [] : OPENID_SCOPES,
      resources: resources()
        .map((resource) => {
          const names = resource.scopes.map(({ name }) => name);
          if (!goesAlone || isAdmin) return { resource, scopes: names };
          if (!trusted) return { resource, scopes: [] };
          return { resource, scopes: resource.scopesByRole ? names.filter((name) => account.permissions.includes(name)) : names };
        })
        .filter(({ scopes }) => scopes.length > 0),
    };
  }

  function refuseScopes(account: Account, metadata: ClientMetadata, held: readonly string[]): void {
    const { openid, resources: apis } = offeredScopes(account, clientType(metadata));
    const offered = new Set([...openid, ...apis.flatMap(({ scopes }) => scopes), ...held]);
    const beyond = splitScope(metadata.scope).filter((scope) => !offered.has(scope) && !isOpenIdScope(scope));
    if (beyond.length === 0) return;
    refuseFaults([{ member: "scope", message: `names what is not yours to give: ${joinScope(beyond)}`, reason: "not_offered" }]);
  }

  return {
    owned,
    refusalFor,
    offeredScopes,
    isWelcome: async (account) => isDeveloper(account) || (await owners.count(account.id)) > 0,
    list: (accountId, after) => owners.clientsOf(accountId, after),

    async owners(accountId, clientId) {
      return owners.of((await owned(accountId, clientId)).clientId);
    },

    async create({ account, by }, { type, metadata: given, clientId, secret }) {
      const refusal = await refusalFor(account);
      if (refusal === "too_many") throw noRoom(appsPerPerson);
      if (refusal !== undefined) throw new ClientError("not_allowed", `this account may not register applications: ${refusal}`);
      const metadata = ownersMembers({ client_name: "", ...given });
      refuseScopes(account, parseClientMetadata({ ...TYPE_DEFAULTS[type], ...metadata }), []);
      const made = await clients.create({
        type,
        clientId,
        ...(secret !== undefined && { secret }),
        metadata,
        createdBy: account.id,
        owner: account.id,
        mostOwned: appsPerPerson,
      });
      audit.record({ event: "client.created", outcome: "success", ...by, accountId: account.id, clientId, detail: { type } });
      return made;
    },

    async update(developer, clientId, given) {
      const { account, by } = developer;
      await owned(account.id, clientId);
      let unverified = false as boolean;
      let changed: OwnersMember[] = [];
      const metadata = ownersMembers(given);
      const updated = await clients.update(clientId, { metadata }, (before, after) => {
        if (before.suspendedAt !== undefined)
          throw new ClientError("suspended", "the application is suspended: nothing of it can be changed");
        refuseOwnersChanges(before, after);
        if (clientType(before.metadata) !== clientType(after))
          refuseFaults([{ member: "token_endpoint_auth_method", message: "would make an application of another kind" }]);
        refuseBeyondLimits(after, before.registrationLimits, before.metadata);
        refuseScopes(account, after, splitScope(before.metadata.scope));
        changed = OWNERS_MEMBERS.filter((member) => !isDeepStrictEqual(before.metadata[member], after[member]));
        unverified = before.verified && outgrowsVerification(before.metadata, after);
        return unverified ? { verified: false } : {};
      });
      if (changed.length > 0) {
        const detail = { changed: changed.join(" "), ...(unverified && { verified: false }) };
        audit.record({ event: "client.updated", outcome: "success", ...by, accountId: account.id, clientId, detail });
      }
      if (changed.some((member) => PROTECTING.has(member)))
        told.tell(await told.accountsOf(clientId), "changed", updated.client, developer);
      return { ...updated, unverified };
    },
  };
}

/** @throws {ClientError} where its name is taken away: people decide by it */
function ownersMembers(given: OwnersChange): Record<string, unknown> {
  const { client_name: name } = given;
  if (name !== undefined && (typeof name !== "string" || name.trim() === ""))
    refuseFaults([{ member: "client_name", message: "is needed" }]);
  return Object.fromEntries(OWNERS_MEMBERS.filter((member) => given[member] !== undefined).map((member) => [member, given[member]]));
}
