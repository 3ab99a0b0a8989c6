/** Another address for an account: proved by a link that is mailed to it, and only then in place of the one that there was. */
import { text } from "../i18n/messages.ts";
import type { Letterhead } from "../mail/letter.ts";
import type { Mailer } from "../mail/mailer.ts";
import { Prisma, type PrismaClient } from "../storage/generated/client.ts";
import type { Account } from "./account.ts";
import { AccountError, refuseFaults } from "./account-error.ts";
import { lockAccount } from "./account-lock.ts";
import { addressChangeMail } from "./account-mails.ts";
import type { AccountStore } from "./account-store.ts";
import { checkEmail, normalizeEmail } from "./email-address.ts";
import { type OneTimeTokens, voidMailedLinks } from "./one-time-tokens.ts";
import { languageOfAccount, type Origin, type SecurityNotices } from "./security-notices.ts";
import { removeUnconfirmedSignUp } from "./sweep.ts";
import type { Throttle } from "./throttle.ts";

const LINK_SECONDS = 3600;

export interface EmailChange {
  /**
   * Mails a link to the new address; nothing else changes. Whether somebody has the address already does not show: it is told at the link.
   * An earlier link does not work any more.
   * @returns the normalised address
   * @throws AccountError `invalid_input`, `too_many_attempts`, `unavailable`
   */
  request(account: Account, email: string, origin: Origin): Promise<{ email: string }>;
  /** The address that a live link of this account would bring; it stays live. */
  describe(token: string, account: Account): Promise<{ email: string } | undefined>;
  /**
   * Uses a link up: its address is the account's and verified, every other link of the account is void, and the address before is told.
   * @throws AccountError `link_invalid`, also for a link of another account; `email_taken`, which leaves the link live
   */
  confirm(token: string, account: Account, origin: Origin): Promise<Account>;
}

interface Pending {
  readonly email: string;
  /** The address that it is to replace: a link from before another change is void. */
  readonly from: string;
}

export function createEmailChange(options: {
  prisma: PrismaClient;
  accounts: AccountStore;
  tokens: OneTimeTokens;
  throttle: Pick<Throttle, "require">;
  mailer: Mailer;
  letterhead: Letterhead;
  notices: SecurityNotices;
  /** Milliseconds since the epoch. */
  now: () => number;
}): EmailChange {
  const { prisma, accounts, tokens, throttle, mailer, letterhead, notices, now } = options;

  return {
    async request(account, typed, { address, language: asked }) {
      const email = normalizeEmail(typed);
      refuseFaults(checkEmail(email));
      if (email === account.email) refuseFaults([{ field: "email", message: text("profile:email.same") }]);
      await throttle.require("email-change", { email: account.email });
      await throttle.require("mail", { email, ...(address === undefined ? {} : { address }) });
      await throttle.require("mailbox", { email });
      await tokens.spendAll("change-email", account.id);
      const data = { email, from: account.email } satisfies Pending;
      const token = await tokens.issue("change-email", { ttl: LINK_SECONDS, accountId: account.id, data });
      const language = languageOfAccount(account) ?? asked;
      mailer.send(addressChangeMail(letterhead, email, language, token, LINK_SECONDS / 60));
      return { email };
    },

    async describe(token, account) {
      const live = await tokens.peek("change-email", token);
      const pending = live?.data as Pending | undefined;
      return live?.accountId === account.id && pending?.from === account.email ? { email: pending.email } : undefined;
    },

    async confirm(token, before, origin) {
      const removed = await prisma
        .$transaction(async (tx) => {
          await lockAccount(tx, before.id);
          const taken = await tokens.take("change-email", token, tx);
          if (taken?.accountId !== before.id) throw invalid(); // and what was taken is there again
          const { email, from } = taken.data as unknown as Pending;
          const unconfirmed = await removeUnconfirmedSignUp(tx, email);
          const { count } = await tx.account.updateMany({
            where: { id: before.id, email: from, disabledAt: null, deleteAt: null },
            data: { email, emailVerified: true },
          });
          if (count === 0) throw invalid();
          await voidMailedLinks(tx, [before.id], new Date(now()));
          return unconfirmed;
        })
        .catch((error: unknown) => {
          if (!(error instanceof Prisma.PrismaClientKnownRequestError) || error.code !== "P2002") throw error;
          throw new AccountError("email_taken", text("profile:confirm.taken"), { cause: error });
        });
      await accounts.changed(before.id);
      if (removed !== undefined) await accounts.changed(removed);
      const account = await accounts.get(before.id);
      notices.tell(account, "email_changed", origin, { to: before.email });
      return account;
    },
  };
}

const invalid = (): AccountError => new AccountError("link_invalid", text("profile:confirm.dead"));
