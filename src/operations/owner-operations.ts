/** Who looks after an application, by an operator's order. */
import type { AccountStore } from "../accounts/account-store.ts";
import type { ClientOwners } from "../clients/client-owners.ts";
import type { AuditLog } from "../observability/audit-log.ts";
import type { Operator } from "./operator.ts";

export interface OwnerOperations {
  /**
   * Puts these in place of all who look after it, each by address or id; none leaves it to operators.
   * @returns their addresses @throws AccountError `not_found` before anything is changed @throws {ClientError} `not_found`
   */
  replace(by: Operator, clientId: string, accounts: readonly string[]): Promise<string[]>;
  /** The addresses of those who look after it, the longest first. */
  of(clientId: string): Promise<string[]>;
}

export function createOwnerOperations(options: {
  owners: Pick<ClientOwners, "of" | "replace">;
  accounts: Pick<AccountStore, "get" | "find">;
  audit: Pick<AuditLog, "record">;
}): OwnerOperations {
  const { owners, accounts, audit } = options;
  return {
    async replace(by, clientId, given) {
      const found = await Promise.all(given.map((each) => accounts.get(each)));
      const ids = [...new Set(found.map(({ id }) => id))];
      await owners.replace(clientId, ids);
      audit.record({ event: "client.owners_replaced", outcome: "success", ...by, clientId, detail: { owners: ids.join(" ") } });
      return [...new Set(found.map(({ email }) => email))];
    },
    async of(clientId) {
      const found = await Promise.all((await owners.of(clientId)).map(({ accountId }) => accounts.find(accountId)));
      return found.flatMap((account) => (account === undefined ? [] : [account.email]));
    },
  };
}
