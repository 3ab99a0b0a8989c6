import type { Language } from "../i18n/languages.ts";
import { text } from "../i18n/messages.ts";
import type { Letterhead } from "../mail/letter.ts";
import type { Mailer } from "../mail/mailer.ts";
import type { PrismaClient } from "../storage/generated/client.ts";
import { AccountError, refuseFaults } from "./account-error.ts";
import { lockAccount } from "./account-lock.ts";
import { alreadyRegisteredMail, verificationMail } from "./account-mails.ts";
import { passwordLink } from "./account-rows.ts";
import { type Account, type AccountStore, checkDetails, newAccountId, tidyName } from "./account-store.ts";
import { verifyFirst } from "./first-verification.ts";
import { hashToken, makeToken, type OneTimeTokens } from "./one-time-tokens.ts";
import type { PasswordPolicy } from "./password-policy.ts";
import type { Passwords } from "./passwords.ts";
import type { Throttle } from "./throttle.ts";

const LINK_HOURS = 24;
const LINK_SECONDS = LINK_HOURS * 3600;
/** Concurrent sign-ups with one new address: one makes the row, the others see it on their next try. */
const RECORD_TRIES = 3;

/**
 * What a sign-up leaves in its link. The password is nobody's until the link is used, and counts only where it was chosen: whoever owns the
 * address cannot tell their own mail from that of somebody who signed up with it.
 */
export interface Pending {
  /** argon2id PHC string; absent when nobody signed up: an operator made the account, or its address no longer counted as verified. */
  readonly passwordHash?: string;
  readonly name?: string;
  /** The hash of the secret that the browser which signed up holds. */
  readonly browser?: string;
  /** The sign-in from which the person came: the uid of an interaction. */
  readonly interaction?: string;
  /** The hash of the invitation that is used up with the link. */
  readonly invitation?: string;
  /** Of whoever signed up, for the mails. */
  readonly language?: Language;
}

/** What whoever opened a link brings along. */
export interface Confirmation {
  /** The secret of this browser, if it signed up lately. */
  readonly browser?: string | undefined;
  /** Both are asked for where `describe` says so, and count for nothing elsewhere. */
  readonly password?: string | undefined;
  readonly name?: string | undefined;
  /** The network address from which it was opened. */
  readonly address?: string | undefined;
}

/** Proof that an address belongs to whoever signed up with it. */
export interface Verification {
  /**
   * Opens a place for a sign-up and mails its link; a known address gets a notice instead. Both do the same work. An address that got too much
   * mail lately gets none, and nothing is recorded; a link that it has already opens the account all the same.
   * @param email normalised and checked  @param address the network address of whoever signs up
   */
  begin(email: string, pending: Pending, address: string): Promise<void>;
  /**
   * Mails a fresh link for the newest sign-up with the account's address, or for the account as an operator made it.
   * @param address the network address of whoever causes it; none for an operator
   */
  resend(accountId: string, address?: string): Promise<void>;
  /** What a live link would confirm, and whether a password must be chosen for it; it stays live. */
  describe(token: string, browser?: string): Promise<{ email: string; choosesPassword: boolean } | undefined>;
  /**
   * Uses a link up: the address is verified, and what was added to the account before is void (first-verification.ts). The password and name
   * of the sign-up count in the browser that made it alone; in any other, and without a sign-up, those given here.
   * @returns `interaction` is the sign-in that waits for the person, in this browser or (`here` is false) in the other
   * @throws AccountError `link_invalid`; `invalid_input`, `too_many_attempts`, `busy`, which leave the link live
   */
  confirm(token: string, given?: Confirmation): Promise<{ account: Account; interaction: string | undefined; here: boolean }>;
  /**
   * For whoever has seen another proof of it, such as a provider that has verified the address: as `confirm`, without a password.
   * @returns whether it was the first time: then what the account had is gone
   */
  verified(accountId: string): Promise<boolean>;
}

/** @param now milliseconds since the epoch */
export function createVerification(options: {
  prisma: PrismaClient;
  accounts: AccountStore;
  tokens: OneTimeTokens;
  passwords: Pick<Passwords, "hash">;
  passwordPolicy: Pick<PasswordPolicy, "check">;
  /** Ends every session, grant and token of an account. */
  endAccount(accountId: string): Promise<void>;
  throttle: Pick<Throttle, "allows">;
  mailer: Mailer;
  letterhead: Letterhead;
  now?: () => number;
}): Verification {
  const { prisma, accounts, tokens, passwords, passwordPolicy, endAccount, throttle, mailer, letterhead, now = Date.now } = options;

  /** One statement whoever has the address, and one row written: its time tells nothing. @returns whether the link opens anything */
  async function record(email: string, hash: string, pending: Pending): Promise<boolean> {
    const at = new Date(now());
    for (let tries = 0; tries < RECORD_TRIES; tries += 1) {
      const [row] = await prisma.$queryRaw<{ purpose: string }[]>`
        WITH made AS (
          INSERT INTO account (id, email, created_at, updated_at) VALUES (${newAccountId()}, ${email}, ${at}, ${at})
          ON CONFLICT (email) DO NOTHING RETURNING id, false AS taken
        ), known AS (
          SELECT id, (email_verified OR disabled_at IS NOT NULL) AS taken FROM account WHERE email = ${email} FOR KEY SHARE
        ), found AS (
          SELECT id, taken FROM known UNION ALL SELECT id, taken FROM made
        )
        INSERT INTO one_time_token (hash, purpose, account_id, data, created_at, expires_at)
        SELECT ${hash}, CASE WHEN taken THEN 'sign-up-notice' ELSE 'verify-email' END, id,
          CASE WHEN taken THEN '{}'::jsonb ELSE ${JSON.stringify(pending)}::jsonb END, ${at}::timestamptz,
          ${at}::timestamptz + CASE WHEN taken THEN interval '0' ELSE ${LINK_SECONDS} * interval '1 second' END
        FROM found RETURNING purpose`;
      if (row !== undefined) return row.purpose === "verify-email";
    }
    throw new AccountError("unavailable", text("errors:try_again"), { retryAfter: 2 });
  }

  async function choose(
    email: string,
    { password = "", name: typed, address }: Confirmation,
  ): Promise<Pick<Pending, "passwordHash" | "name">> {
    const name = tidyName(typed);
    const faults = await passwordPolicy.check(password, { standsAlone: true, about: [email, name], address });
    refuseFaults([...faults, ...checkDetails({ name })]);
    return { passwordHash: await passwords.hash(password), ...(name === undefined ? {} : { name }) };
  }

  async function newestPending(accountId: string): Promise<Pending> {
    const newest = await prisma.oneTimeToken.findFirst({
      where: { accountId, purpose: "verify-email", usedAt: null, expiresAt: { gt: new Date(now()) } },
      orderBy: { createdAt: "desc" },
    });
    return (newest?.data ?? {}) as Pending;
  }

  const mayMail = async (email: string, address: string | undefined): Promise<boolean> =>
    (address === undefined || (await throttle.allows("mail", { email, address }))) && throttle.allows("mailbox", { email });

  return {
    async begin(email, pending, address) {
      if (!(await mayMail(email, address))) return;
      const { token, hash } = makeToken();
      const opens = await record(email, hash, pending);
      const { language } = pending;
      mailer.send(
        opens ? verificationMail(letterhead, email, language, token, LINK_HOURS) : alreadyRegisteredMail(letterhead, email, language),
      );
    },
    async resend(accountId, address) {
      const account = await accounts.find(accountId);
      if (account === undefined || account.emailVerified || account.disabledAt !== undefined) return;
      if (!(await mayMail(account.email, address))) return;
      const data = { ...(await newestPending(accountId)) };
      const token = await tokens.issue("verify-email", { ttl: LINK_SECONDS, accountId, data });
      mailer.send(verificationMail(letterhead, account.email, data.language, token, LINK_HOURS));
    },
    async describe(token, browser) {
      const live = await tokens.peek("verify-email", token);
      if (live?.accountId === undefined) return undefined;
      const account = await accounts.find(live.accountId);
      if (account === undefined || account.disabledAt !== undefined) return undefined;
      return { email: account.email, choosesPassword: choosesPassword(live.data, browser) };
    },
    async confirm(token, given = {}) {
      const { browser } = given;
      const live = await tokens.peek("verify-email", token);
      const before = live?.accountId === undefined ? undefined : await accounts.find(live.accountId);
      if (live === undefined || before === undefined) throw invalid();
      const { passwordHash, name } = choosesPassword(live.data, browser) ? await choose(before.email, given) : (live.data as Pending);
      await endAccount(before.id);
      const { id, interaction } = await prisma.$transaction(async (tx) => {
        await lockAccount(tx, before.id);
        const taken = await tokens.take("verify-email", token, tx);
        if (taken?.accountId === undefined || !(await verifyFirst(tx, taken.accountId, new Date(now())))) throw invalid();
        const pending = taken.data as Pending;
        await tx.account.update({
          where: { id: taken.accountId },
          data: {
            ...(name === undefined ? {} : { name }),
            ...(passwordHash === undefined ? {} : { credentials: passwordLink(taken.accountId, passwordHash) }),
          },
        });
        if (pending.invitation !== undefined) {
          await tx.oneTimeToken.updateMany({ where: { hash: pending.invitation, usedAt: null }, data: { usedAt: new Date(now()) } });
        }
        return { id: taken.accountId, interaction: pending.interaction };
      });
      await accounts.changed(id);
      return { account: await accounts.get(id), interaction, here: isFrom(live.data, browser) };
    },
    async verified(accountId) {
      const account = await accounts.find(accountId);
      if (account === undefined || account.emailVerified) return false;
      await endAccount(accountId);
      const first = await prisma.$transaction((tx) => verifyFirst(tx, accountId, new Date(now())));
      await accounts.changed(accountId);
      return first;
    },
  };
}

const isFrom = (pending: Pending, browser: string | undefined): boolean => browser !== undefined && pending.browser === hashToken(browser);

const choosesPassword = (pending: Pending, browser: string | undefined): boolean =>
  pending.passwordHash === undefined || !isFrom(pending, browser);

function invalid(): AccountError {
  return new AccountError("link_invalid", text("verification:link_dead"));
}
