/** What a developer does with applications of theirs, in the portal. Somebody else's application is none: nobody learns that it exists. */
import { type Account, isUsable } from "../accounts/account.ts";
import { ADMIN_ROLE } from "../accounts/roles.ts";
import { ClientError } from "../clients/client-error.ts";
import type { ClientOwner, ClientOwners, OwnedClients } from "../clients/client-owners.ts";
import { type ClientRecord, isClientId } from "../clients/client-record.ts";
import type { ClientStore } from "../clients/client-store.ts";
import type { Config } from "../config.ts";

/** Why an account may register no further application; it looks after those that it has all the same. */
export type MayNotRegister = "nobody_may" | "not_a_developer" | "unconfirmed_address" | "too_many";

export interface AppOperations {
  /** @returns why not; undefined: it may */
  refusalFor(account: Account): Promise<MayNotRegister | undefined>;
  /** The newest first. @param after `next` of the page before */
  list(accountId: string, after?: string): Promise<OwnedClients>;
  /** @throws {ClientError} `not_found`, also when it is somebody else's */
  owned(accountId: string, clientId: string): Promise<ClientRecord>;
  /** The first one first. @throws {ClientError} as `owned` */
  owners(accountId: string, clientId: string): Promise<ClientOwner[]>;
}

export interface AppOperationsOptions extends Pick<Config, "developers" | "appsPerPerson"> {
  clients: Pick<ClientStore, "find">;
  owners: ClientOwners;
}

export function createAppOperations({ clients: store, owners, developers, appsPerPerson }: AppOperationsOptions): AppOperations {
  const isDeveloper = ({ roles }: Account): boolean =>
    developers === "everyone" || roles.includes(ADMIN_ROLE) || (typeof developers === "object" && roles.includes(developers.role));

  async function owned(accountId: string, clientId: string): Promise<ClientRecord> {
    const mine = isClientId(clientId) && (await owners.has(clientId, accountId));
    const client = mine ? await store.find(clientId) : undefined;
    if (client === undefined) throw new ClientError("not_found", "there is no such application among yours");
    return client;
  }

  return {
    owned,

    async refusalFor(account) {
      if (developers === "nobody") return "nobody_may";
      if (!isDeveloper(account) || !isUsable(account)) return "not_a_developer";
      if (!account.emailVerified) return "unconfirmed_address";
      return (await owners.count(account.id)) < appsPerPerson ? undefined : "too_many";
    },

    list: (accountId, after) => owners.clientsOf(accountId, after),

    async owners(accountId, clientId) {
      return owners.of((await owned(accountId, clientId)).clientId);
    },
  };
}
