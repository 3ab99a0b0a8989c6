import { type Text, text } from "../i18n/messages.ts";
import type { Logger } from "../observability/logger.ts";
import type { Account, AccountStore } from "./account-store.ts";
import { checkEmail, normalizeEmail } from "./email-address.ts";
import type { KnownDevices } from "./known-devices.ts";
import type { Passwords } from "./passwords.ts";
import type { Throttle } from "./throttle.ts";
import type { Verification } from "./verification.ts";

/** The one thing that a stranger hears, whatever the reason. */
const REFUSAL = text("sign-in:refused");

export interface PasswordSignIn {
  readonly email: string;
  readonly password: string;
  /** The client's network address. */
  readonly address: string;
  /** The known-device cookie, as it came. */
  readonly device?: string | undefined;
}

export type SignInResult =
  | {
      readonly ok: true;
      readonly account: Account;
      /** RFC 8176. */
      readonly amr: readonly ["pwd"];
      /** When the password was chosen that was right, in milliseconds since the epoch. */
      readonly passwordOf: number | undefined;
    }
  | {
      readonly ok: false;
      /** Safe to show: the same for every reason. */
      readonly message: Text;
      /** For the log and the audit alone. */
      readonly reason: "unknown_account" | "wrong_password" | "unverified" | "disabled";
      /** For the log and the audit alone. */
      readonly accountId?: string;
    };

export interface Authentication {
  /**
   * Signs a person in by address and password. Unknown, wrong, unverified and disabled look the same and take the same: one query, one argon2
   * verification. Whoever knows the password of an unverified address gets a fresh link by mail, after the answer.
   * @throws AccountError `too_many_attempts` (429), `busy` or `unavailable` (503), each with `retryAfter`
   */
  signInWithPassword(attempt: PasswordSignIn): Promise<SignInResult>;
}

export function createAuthentication(options: {
  accounts: AccountStore;
  passwords: Passwords;
  throttle: Pick<Throttle, "beginSignIn">;
  devices: Pick<KnownDevices, "recognize">;
  verification: Verification;
  log: Logger;
}): Authentication {
  const { accounts, passwords, throttle, devices, verification, log } = options;

  /** What must not show in the time of the answer is done after it. */
  function afterwards(what: string, work: () => Promise<unknown>): void {
    setImmediate(() => {
      work().catch((err: unknown) => log.error({ err }, what));
    });
  }

  return {
    async signInWithPassword({ email: typed, password, address, device: cookie }) {
      const email = normalizeEmail(typed);
      const attempt = await throttle.beginSignIn({ email, address, device: devices.recognize(email, cookie) });
      const record = await accounts.findForSignIn(checkEmail(email).length === 0 ? email : "");
      const { ok, outdated } = await passwords.verify(record?.passwordHash, password);

      const refuse = (reason: "unknown_account" | "wrong_password" | "unverified" | "disabled"): SignInResult => ({
        ok: false,
        message: REFUSAL,
        reason,
        ...(record === undefined ? {} : { accountId: record.accountId }),
      });
      if (record === undefined) return refuse("unknown_account");
      if (!ok) return refuse("wrong_password");
      if (record.disabled) return refuse("disabled");
      if (!record.emailVerified) {
        afterwards("a verification mail could not be sent again", () => verification.resend(record.accountId, address));
        return refuse("unverified");
      }
      const account = await accounts.find(record.accountId);
      if (account === undefined) return refuse("unknown_account"); // deleted this very moment
      await attempt.succeeded();
      if (outdated) {
        afterwards("a password could not be hashed anew", async () =>
          accounts.replacePasswordHash(account.id, record.passwordHash as string, await passwords.hash(password)),
        );
      }
      return { ok: true, account, amr: ["pwd"], passwordOf: record.passwordChosenAt?.getTime() };
    },
  };
}
