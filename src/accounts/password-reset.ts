/** A new password for whoever has forgotten theirs, by a link to the address of the account. */
import { firstSpoken, type Language } from "../i18n/languages.ts";
import { text } from "../i18n/messages.ts";
import type { Letterhead } from "../mail/letter.ts";
import type { Mailer } from "../mail/mailer.ts";
import type { PrismaClient } from "../storage/generated/client.ts";
import type { Account } from "./account.ts";
import { AccountError, refuseFaults } from "./account-error.ts";
import { lockAccount } from "./account-lock.ts";
import { passwordResetMail } from "./account-mails.ts";
import type { AccountPasswords } from "./account-passwords.ts";
import type { AccountStore } from "./account-store.ts";
import { checkEmail, normalizeEmail } from "./email-address.ts";
import { verifyFirst } from "./first-verification.ts";
import type { KnownDevices } from "./known-devices.ts";
import { hashToken, makeToken, type OneTimeTokens } from "./one-time-tokens.ts";
import type { Origin, SecurityNotices } from "./security-notices.ts";
import type { Throttle } from "./throttle.ts";

const LINK_MINUTES = 30;
const LINK_SECONDS = LINK_MINUTES * 60;
const RETRY_SECONDS = 5;

export interface ResetRequest {
  readonly email: string;
  /** The client's network address. */
  readonly address: string;
  /** The known-device cookie, as it came. */
  readonly device?: string | undefined;
  /** The uid of the interaction from which the person came, taken from signed state. */
  readonly interaction?: string | undefined;
  /** A secret of this browser's: the sign-in that waits is in the browser that holds it. */
  readonly browser: string;
  readonly language?: Language | undefined;
}

/** What a link remembers. */
interface Asked {
  readonly interaction?: string;
  /** The hash of the secret that the browser which asked holds. */
  readonly browser?: string;
}

export interface PasswordReset {
  /**
   * Asks for a link. Whatever becomes of it, the answer is "check your mail", after the same work: the mail is sent behind it. A new
   * link voids the older ones. Whoever may not use the account, by an operator's order, gets none.
   * @returns the normalised address
   * @throws AccountError `invalid_input`, `too_many_attempts`, `unavailable`
   */
  request(request: ResetRequest): Promise<{ email: string }>;
  /** The same by an operator's order, who knows whose account it is: at once, and as often as they order it. @throws AccountError `invalid_input` */
  send(account: Account): Promise<void>;
  /** Whose password a live link sets, and the characters that it must have; the link stays live. */
  describe(token: string): Promise<{ email: string; minimumLength: number } | undefined>;
  /**
   * Uses a link up, once however many try: the account has the new password, every session, grant and token of it has ended, and so have its
   * other links. Nobody is signed in, and second factors stay. An address that was never verified is by this, with what follows from it
   * (first-verification.ts). The owner is told by mail.
   * @returns `interaction` is the sign-in that waits for the person in this browser
   * @throws AccountError `link_invalid`; `invalid_input`, `too_many_attempts`, `busy` (which leave the link live); `unavailable`
   */
  reset(
    token: string,
    password: string,
    from: { readonly origin: Origin; readonly browser?: string | undefined },
  ): Promise<{ account: Account; interaction: string | undefined }>;
}

/** @param now milliseconds since the epoch */
export function createPasswordReset(options: {
  prisma: PrismaClient;
  accounts: AccountStore;
  tokens: OneTimeTokens;
  passwords: Pick<AccountPasswords, "minimumLength" | "choose" | "set">;
  /** Ends every session, grant and token of an account. */
  endAccount(accountId: string): Promise<void>;
  throttle: Pick<Throttle, "allows" | "require">;
  devices: Pick<KnownDevices, "recognize">;
  notices: Pick<SecurityNotices, "tell">;
  mailer: Pick<Mailer, "send">;
  letterhead: Letterhead;
  now?: () => number;
}): PasswordReset {
  const { prisma, accounts, tokens, passwords, endAccount, throttle, devices, notices, mailer, letterhead, now = Date.now } = options;

  /** One statement and one row written, whoever has the address: its time tells nothing. @returns undefined when the link opens nothing */
  async function record(email: string, hash: string, asked: Asked): Promise<{ locale: string | null } | undefined> {
    const at = new Date(now());
    const [row] = await prisma.$queryRaw<{ account_id: string | null; locale: string | null }[]>`
      WITH known AS (
        SELECT id, claims->>'locale' AS locale FROM account WHERE email = ${email} AND disabled_at IS NULL FOR KEY SHARE
      ), older AS (
        UPDATE one_time_token SET used_at = ${at}
        WHERE purpose = 'reset-password' AND used_at IS NULL AND account_id IN (SELECT id FROM known)
      )
      INSERT INTO one_time_token (hash, purpose, account_id, data, created_at, expires_at)
      SELECT ${hash}, 'reset-password', (SELECT id FROM known), ${JSON.stringify(asked)}::jsonb, ${at}::timestamptz,
        ${at}::timestamptz + ${LINK_SECONDS} * interval '1 second'
      RETURNING account_id, (SELECT locale FROM known) AS locale`;
    return row === undefined || row.account_id === null ? undefined : row;
  }

  async function mayMail(email: string, address: string, device: string | undefined): Promise<boolean> {
    if (devices.recognize(email, device) !== undefined && (await throttle.allows("own-mail", { email }))) return true;
    return (await throttle.allows("mail", { email, address })) && throttle.allows("mailbox", { email });
  }

  async function find(token: string): Promise<{ account: Account; asked: Asked } | undefined> {
    const live = await tokens.peek("reset-password", token);
    const account = live?.accountId === undefined ? undefined : await accounts.find(live.accountId);
    return live === undefined || account === undefined || account.disabledAt !== undefined ? undefined : { account, asked: live.data };
  }

  return {
    async request({ email: typed, address, device, interaction, browser, language }) {
      const email = normalizeEmail(typed);
      refuseFaults(checkEmail(email));
      await throttle.require("reset", { address });
      if (!(await mayMail(email, address, device))) return { email };
      const { token, hash } = makeToken();
      const known = await record(email, hash, { browser: hashToken(browser), ...(interaction === undefined ? {} : { interaction }) });
      const spoken = known?.locale ? firstSpoken([known.locale]) : undefined;
      const letter = passwordResetMail(letterhead, email, spoken ?? language, token, LINK_MINUTES); // written in any case
      if (known !== undefined) mailer.send(letter);
      return { email };
    },
    async send({ email }) {
      const { token, hash } = makeToken();
      const known = await record(email, hash, {});
      if (known === undefined) throw new AccountError("invalid_input", "Nobody may sign in to this account: it is disabled.");
      const spoken = known.locale === null ? undefined : firstSpoken([known.locale]);
      mailer.send(passwordResetMail(letterhead, email, spoken, token, LINK_MINUTES));
    },
    async describe(token) {
      const found = await find(token);
      return found && { email: found.account.email, minimumLength: await passwords.minimumLength(found.account) };
    },
    async reset(token, password, { origin, browser }) {
      const found = await find(token);
      if (found === undefined) throw invalid();
      const { id } = found.account;
      const chosen = await passwords.choose(found.account, password, origin.address);
      await prisma.$transaction(async (tx) => {
        await lockAccount(tx, id);
        if ((await tokens.take("reset-password", token, tx)) === undefined) throw invalid();
        await verifyFirst(tx, id, new Date(now()));
        await passwords.set(id, chosen, tx);
        // Read under its lock: an account that was disabled meanwhile keeps its password.
        if ((await tx.account.count({ where: { id, disabledAt: null, emailVerified: true } })) === 0) throw invalid();
        await tx.oneTimeToken.updateMany({ where: { accountId: id, usedAt: null }, data: { usedAt: new Date(now()) } });
      });
      await accounts.changed(id);
      const account = await accounts.get(id);
      notices.tell(account, "password_reset", origin);
      await endAccount(id).catch((cause: unknown) => {
        throw new AccountError("unavailable", text("reset:not_ended"), { cause, retryAfter: RETRY_SECONDS });
      });
      const { interaction, browser: askedIn } = found.asked;
      const here = browser !== undefined && askedIn === hashToken(browser);
      return { account, interaction: here ? interaction : undefined };
    },
  };
}

function invalid(): AccountError {
  return new AccountError("link_invalid", text("reset:link_dead"));
}
