/** Another password, by whoever is signed in and knows the one that there is. */
import { text } from "../i18n/messages.ts";
import type { PrismaClient } from "../storage/generated/client.ts";
import type { Account } from "./account.ts";
import { refuseFaults } from "./account-error.ts";
import type { AccountPasswords } from "./account-passwords.ts";
import type { AccountStore } from "./account-store.ts";
import type { KnownDevices } from "./known-devices.ts";
import type { OneTimeTokens } from "./one-time-tokens.ts";
import type { Throttle } from "./throttle.ts";

export interface NewPassword {
  /** The one that there is; counts for nothing in an account that has none. */
  readonly current: string;
  readonly password: string;
  /** The client's network address. */
  readonly address: string;
  /** The known-device cookie, as it came. */
  readonly device: string | undefined;
}

export interface PasswordChange {
  /**
   * Puts a password in place of another, or where there was none; links that were mailed to set one are void. Ending sessions and telling the
   * owner are the caller's.
   * @throws AccountError `invalid_input` (`current` or `password`), `too_many_attempts`, `busy`, `unavailable`
   */
  change(account: Account, order: NewPassword): Promise<void>;
}

export function createPasswordChange(options: {
  prisma: PrismaClient;
  accounts: Pick<AccountStore, "changed">;
  tokens: Pick<OneTimeTokens, "spendAll">;
  passwords: Pick<AccountPasswords, "current" | "isRight" | "choose" | "set">;
  throttle: Pick<Throttle, "beginSignIn">;
  devices: Pick<KnownDevices, "recognize">;
}): PasswordChange {
  const { prisma, accounts, tokens, passwords, throttle, devices } = options;

  /** Guesses count as those of a sign-in do: an open browser is no way around the limits. */
  async function requireCurrent({ id, email }: Account, { current, address, device }: NewPassword): Promise<void> {
    if (current === "") refuseFaults([{ field: "current", message: text("profile:password.missing") }]);
    const attempt = await throttle.beginSignIn({ email, address, device: devices.recognize(email, device) });
    if (!(await passwords.isRight(id, current))) refuseFaults([{ field: "current", message: text("profile:password.wrong") }]);
    await attempt.succeeded();
  }

  return {
    async change(account, order) {
      const replaces = { password: await passwords.current(account.id) };
      if (replaces.password !== undefined) {
        await requireCurrent(account, order);
        if (order.current === order.password) refuseFaults([{ field: "password", message: text("profile:password.same") }]);
      }
      const chosen = await passwords.choose(account, order.password, order.address);
      await prisma.$transaction(async (tx) => {
        // Whoever is locked out by a reset meanwhile, with the password of before, does not undo it.
        await passwords.set(account.id, chosen, tx, replaces);
        await tokens.spendAll("reset-password", account.id, tx);
      });
      await accounts.changed(account.id);
    },
  };
}
