/** Those who look after an application hear by mail of what one of them did with it. */
import { type Account, isUsable } from "../accounts/account.ts";
import type { AccountStore } from "../accounts/account-store.ts";
import type { ApplicationChange, ApplicationNotices } from "../accounts/application-mails.ts";
import type { Origin } from "../accounts/security-notices.ts";
import type { ClientOwners } from "../clients/client-owners.ts";
import type { ClientRecord } from "../clients/client-record.ts";
import type { Operator } from "./operator.ts";

/** An owner who gives an order, and from where. */
export interface Developer {
  readonly account: Account;
  readonly by: Operator;
  readonly origin: Origin;
}

export interface OwnerNotices {
  accountsOf(clientId: string): Promise<Account[]>;
  /** Everybody hears of it, whoever did it too: it may not have been them. @param whom to whom it was done */
  tell(all: readonly Account[], change: ApplicationChange, client: ClientRecord, developer: Developer, whom?: Account): void;
}

export interface OwnerNoticesOptions {
  owners: Pick<ClientOwners, "of">;
  accounts: Pick<AccountStore, "find">;
  notices: ApplicationNotices;
}

export function createOwnerNotices({ owners, accounts, notices }: OwnerNoticesOptions): OwnerNotices {
  return {
    async accountsOf(clientId) {
      const found = await Promise.all((await owners.of(clientId)).map(({ accountId }) => accounts.find(accountId)));
      return found.filter((account) => account !== undefined);
    },

    tell(all, change, { clientId, metadata }, { account, origin }, whom) {
      const about = { name: metadata.client_name ?? clientId, by: account.email, ...(whom && { whom: whom.email }) };
      for (const each of all.filter(isUsable)) notices.tell(each, change, about, each.id === account.id ? origin : {});
    },
  };
}
