/** The mails to those who look after an application: who of them did what, after the fact and behind the answer; and the invitation to join them. */
import { clockOf } from "../i18n/clock.ts";
import { LANGUAGES, type Language } from "../i18n/languages.ts";
import { text } from "../i18n/messages.ts";
import { compose, hostOf, type Letterhead, type Message } from "../mail/letter.ts";
import type { Mailer } from "../mail/mailer.ts";
import type { Account } from "./account.ts";
import { timeZoneOf } from "./profile.ts";
import { languageOfAccount, type Origin } from "./security-notices.ts";

export type ApplicationChange =
  | "changed"
  | "secret_rotated"
  | "previous_secret_ended"
  | "owner_joined"
  | "owner_left"
  | "owner_removed"
  | "removed_you"
  | "deleted";

export interface ApplicationNotices {
  /**
   * @param to one of those who look after it, or did until now
   * @param about `name`: the application's; `by`: the address of whoever did it; `whom`: the address of whom it was done to
   */
  tell(to: Account, change: ApplicationChange, about: { name: string; by: string; whom?: string }, origin: Origin): void;
}

/** @param now milliseconds since the epoch */
export function createApplicationNotices(mailer: Mailer, head: Letterhead, now: () => number = Date.now): ApplicationNotices {
  return {
    tell(account, change, { name, by, whom = "" }, { address, language: asked }) {
      const language = languageOfAccount(account) ?? asked ?? LANGUAGES[0];
      const when = clockOf(language, timeZoneOf(account)).inLetter(new Date(now()));
      mailer.send(
        compose(head, {
          to: account.email,
          language,
          subject: text(`app-care:mail.${change}.subject`),
          parts: [
            text(`app-care:mail.${change}.happened`, { name, by, whom, brand: head.brand, host: hostOf(head) }),
            address === undefined ? text("mail:notices.when", when) : text("mail:notices.when_and_where", { ...when, address }),
            text("app-care:mail.known"),
            text("app-care:mail.unknown", { page: `${head.issuer}/apps` }),
          ],
        }),
      );
    },
  };
}

/**
 * Says who invites, and not to what: the name of an application is whatever somebody typed, and this goes to an address of their choice.
 * @param days that the link lives
 */
export function ownerInvitationMail(
  head: Letterhead,
  to: string,
  language: Language | undefined,
  { by, token, days }: { by: string; token: string; days: number },
): Message {
  return compose(head, {
    to,
    language,
    subject: text("app-care:mail.invitation.subject"),
    parts: [
      text("app-care:mail.invitation.invited", { by, brand: head.brand, host: hostOf(head) }),
      { link: `${head.issuer}/apps/invitation?token=${token}`, label: text("app-care:mail.invitation.look") },
      text("app-care:mail.invitation.once", { count: days }),
      text("app-care:mail.invitation.unknown"),
    ],
  });
}
