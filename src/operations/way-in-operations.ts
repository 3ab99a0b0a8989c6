/** What an operator sees of how people sign in, and does for those who have lost their way in. */
import type { Account } from "../accounts/account.ts";
import type { AccountStore } from "../accounts/account-store.ts";
import type { PasswordReset } from "../accounts/password-reset.ts";
import type { SecurityChange } from "../accounts/security-notices.ts";
import type { AccountFactors, Factors } from "../factors/factors.ts";
import type { LinkedIdentity, Linking } from "../federation/linking.ts";
import type { AuditLog } from "../observability/audit-log.ts";
import type { Operator } from "./operator.ts";

/** An account, with everything that it can be signed in to with. */
export interface WaysIn {
  readonly account: Account;
  readonly factors: AccountFactors;
  /** At other providers. */
  readonly identities: readonly LinkedIdentity[];
}

export interface WayInOperations {
  /** @throws {AccountError} `not_found` */
  show(idOrEmail: string): Promise<WaysIn>;
  /** Mails its owner a link with which they choose another password; the old one works until then. @throws {AccountError} `not_found`, `invalid_input` */
  resetPassword(by: Operator, idOrEmail: string): Promise<Account>;
  /**
   * Takes authenticator app, passkeys and recovery codes away, for whoever has lost them; they hear of it by mail. What is left is what signs in.
   * @returns `removed` false: there was none @throws {AccountError} `not_found`
   */
  removeSecondFactor(by: Operator, idOrEmail: string): Promise<WaysIn & { removed: boolean }>;
}

export interface WayInOperationsOptions {
  accounts: Pick<AccountStore, "get">;
  factors: Pick<Factors, "of" | "removeAll">;
  linking: Pick<Linking, "list">;
  passwordReset: Pick<PasswordReset, "send">;
  /** By mail. */
  tellOwner(account: Account, change: SecurityChange): Promise<void>;
  audit: Pick<AuditLog, "record">;
}

export function createWayInOperations({
  accounts,
  factors,
  linking,
  passwordReset,
  tellOwner,
  audit,
}: WayInOperationsOptions): WayInOperations {
  async function show(idOrEmail: string): Promise<WaysIn> {
    const account = await accounts.get(idOrEmail);
    const [left, identities] = await Promise.all([factors.of(account.id), linking.list(account.id)]);
    return { account, factors: left, identities };
  }

  return {
    show,

    async resetPassword(by, idOrEmail) {
      const account = await accounts.get(idOrEmail);
      await passwordReset.send(account);
      audit.record({ event: "password_reset.sent", outcome: "success", ...by, accountId: account.id });
      return account;
    },

    async removeSecondFactor(by, idOrEmail) {
      const account = await accounts.get(idOrEmail);
      const removed = await factors.removeAll(account.id);
      if (removed) {
        audit.record({ event: "second_factor.removed", outcome: "success", ...by, accountId: account.id });
        await tellOwner(account, "second_factor_removed");
      }
      return { ...(await show(account.id)), removed };
    },
  };
}
