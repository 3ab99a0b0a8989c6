/** The password of an account that there is: what it must be like beside what else protects the account, and putting another in its place. */
import { text } from "../i18n/messages.ts";
import type { Prisma, PrismaClient } from "../storage/generated/client.ts";
import type { Account } from "./account.ts";
import { refuseFaults } from "./account-error.ts";
import { lockAccount } from "./account-lock.ts";
import { passwordLink } from "./account-rows.ts";
import type { PasswordPolicy } from "./password-policy.ts";
import type { Passwords } from "./passwords.ts";

/** Checked and hashed. */
export interface ChosenPassword {
  /** argon2id PHC string. */
  readonly hash: string;
  /** Long enough to be the only factor. */
  readonly standsAlone: boolean;
}

export interface CurrentPassword {
  readonly standsAlone: boolean;
  /** When it was chosen: another has another. */
  readonly changedAt: Date;
}

export interface AccountPasswords {
  /** The one that there is. `standsAlone`: long enough to be the only factor. */
  current(accountId: string): Promise<CurrentPassword | undefined>;
  /** Characters that a new one must have at least, for the hint in the form. */
  minimumLength(account: Account): Promise<number>;
  /** Whether it is the account's. Does the same work for an account without one. @throws AccountError `busy` (503) */
  isRight(accountId: string, password: string): Promise<boolean>;
  /**
   * Checks a new one and hashes it. An address that is not verified has no second factor that counts.
   * @param address the network address of whoever chooses
   * @throws AccountError `invalid_input`, `too_many_attempts`, `busy`, `unavailable`
   */
  choose(account: Account, password: string, address?: string): Promise<ChosenPassword>;
  /**
   * Puts a chosen one in place. Ending sessions, telling the owner and recording it are the caller's.
   * @param replaces what `current` said, for whoever may replace that one alone: another that came meanwhile stays
   * @throws AccountError `invalid_input` when it is short and the second factor beside which it was chosen has gone meanwhile, or when there is
   *   another than `replaces`
   */
  set(
    accountId: string,
    chosen: ChosenPassword,
    within: Prisma.TransactionClient,
    replaces?: { readonly password: CurrentPassword | undefined },
  ): Promise<void>;
}

export function createAccountPasswords(options: {
  prisma: PrismaClient;
  passwords: Passwords;
  policy: PasswordPolicy;
  /** Whether signing in with the password asks for more. */
  hasSecondFactor(accountId: string): Promise<boolean>;
}): AccountPasswords {
  const { prisma, passwords, policy, hasSecondFactor } = options;

  const find = (accountId: string, tx: Prisma.TransactionClient = prisma) =>
    tx.credential.findUnique({ where: { accountId_kind: { accountId, kind: "password" } } });
  const mustStandAlone = async ({ id, emailVerified }: Account) => !emailVerified || !(await hasSecondFactor(id));

  return {
    async current(accountId) {
      const found = await find(accountId);
      return found === null ? undefined : { standsAlone: found.standsAlone, changedAt: found.updatedAt };
    },
    minimumLength: async (account) => policy.minimumLength(await mustStandAlone(account)),
    isRight: async (accountId, password) => (await passwords.verify((await find(accountId))?.secret, password)).ok,
    async choose(account, password, address) {
      const standsAlone = await mustStandAlone(account);
      const about = [account.email, account.name];
      refuseFaults(await policy.check(password, { standsAlone, about, address }));
      return { hash: await passwords.hash(password), standsAlone: policy.standsAlone(password) };
    },
    async set(accountId, { hash, standsAlone }, within, replaces) {
      // The last second factor cannot leave while a password comes that needs it.
      await lockAccount(within, accountId);
      if (replaces !== undefined && (await find(accountId, within))?.updatedAt.getTime() !== replaces.password?.changedAt.getTime()) {
        refuseFaults([{ field: "current", message: text("profile:password.wrong") }]);
      }
      if (!standsAlone && !(await hasSecondFactor(accountId))) {
        refuseFaults([{ field: "password", message: text("faults:password_short", { count: policy.minimumLength(true) }) }]);
      }
      await within.account.update({ where: { id: accountId }, data: { credentials: passwordLink(accountId, hash, standsAlone) } });
    },
  };
}
