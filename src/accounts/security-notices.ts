/**
 * Every change of what protects an account is mailed to its owner, after the fact and behind the answer: who did not do it hears of it. The
 * mail names what happened, when, and from where; it holds no link that changes anything.
 */
import { clockOf } from "../i18n/clock.ts";
import { firstSpoken, LANGUAGES, type Language } from "../i18n/languages.ts";
import { text } from "../i18n/messages.ts";
import { compose, hostOf, type Letterhead } from "../mail/letter.ts";
import type { Mailer } from "../mail/mailer.ts";
import type { Account } from "./account.ts";
import { timeZoneOf } from "./profile.ts";

export type SecurityChange =
  | "password_changed"
  | "password_reset"
  | "email_changed"
  | "second_factor_added"
  | "second_factor_removed"
  | "recovery_codes_made"
  | "recovery_code_used"
  | "passkey_added"
  | "passkey_removed"
  | "provider_linked"
  | "provider_unlinked"
  | "deletion_requested"
  | "deletion_undone";

/** From where it was done. */
export interface Origin {
  /** The client's network address; none for what an operator did. */
  readonly address?: string | undefined;
  /** Of the request that did it; counts where the account has no language of its own. */
  readonly language?: Language | undefined;
}

export interface SecurityNotices {
  /** @param to another address than the account's own: the one that it had before  @param count what the text counts: codes that are left */
  tell(account: Account, change: SecurityChange, origin: Origin, more?: { to?: string; count?: number }): void;
}

/** The language that a person has chosen, in their profile (`locale`, OIDC Core §5.1). */
export const languageOfAccount = (account: Account): Language | undefined =>
  typeof account.claims.locale === "string" ? firstSpoken([account.claims.locale]) : undefined;

/** @param now milliseconds since the epoch */
export function createSecurityNotices(mailer: Mailer, head: Letterhead, now: () => number = Date.now): SecurityNotices {
  return {
    tell(account, change, { address, language: asked }, { to = account.email, count } = {}) {
      const language = languageOfAccount(account) ?? asked ?? LANGUAGES[0];
      const clock = clockOf(language, timeZoneOf(account));
      const when = clock.inLetter(new Date(now()));
      const about = {
        brand: head.brand,
        host: hostOf(head),
        email: account.email,
        ...(count !== undefined && { count }),
        ...(account.deleteAt && clock.inLetter(account.deleteAt)),
      };
      mailer.send(
        compose(head, {
          to,
          language,
          subject: text(`mail:notices.${change}.subject`),
          parts: [
            text(`mail:notices.${change}.happened`, about),
            address === undefined ? text("mail:notices.when", when) : text("mail:notices.when_and_where", { ...when, address }),
            text("mail:notices.you"),
            // To the address before, no link to a new password goes any more.
            change === "email_changed"
              ? text("mail:notices.not_you_address", { brand: head.brand })
              : text("mail:notices.not_you", { page: `${head.issuer}/account` }),
          ],
        }),
      );
    },
  };
}
