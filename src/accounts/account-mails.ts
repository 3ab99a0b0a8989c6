/** The mails of joining: each in the language of whoever caused it. */
import type { Language } from "../i18n/languages.ts";
import { text } from "../i18n/messages.ts";
import { compose, hostOf, type Letterhead, type Message } from "../mail/letter.ts";

/** @param hours that the link lives */
export function verificationMail(head: Letterhead, to: string, language: Language | undefined, token: string, hours: number): Message {
  return compose(head, {
    to,
    language,
    subject: text("mail:verification.subject"),
    parts: [
      text("mail:verification.asked", { brand: head.brand, host: hostOf(head) }),
      { link: `${head.issuer}/verify-email?token=${token}`, label: text("mail:verification.confirm") },
      text("mail:verification.once", { count: hours }),
      text("mail:verification.not_you"),
    ],
  });
}

export function alreadyRegisteredMail(head: Letterhead, to: string, language: Language | undefined): Message {
  return compose(head, {
    to,
    language,
    subject: text("mail:registered.subject"),
    parts: [
      text("mail:registered.tried", { brand: head.brand, host: hostOf(head) }),
      text("mail:registered.you"),
      { link: `${head.issuer}/sign-in`, label: text("mail:registered.sign_in") },
      text("mail:registered.not_you"),
    ],
  });
}

/** @param minutes that the link lives */
export function passwordResetMail(head: Letterhead, to: string, language: Language | undefined, token: string, minutes: number): Message {
  return compose(head, {
    to,
    language,
    subject: text("reset:mail.subject"),
    parts: [
      text("reset:mail.asked", { brand: head.brand, host: hostOf(head) }),
      { link: `${head.issuer}/reset-password?token=${token}`, label: text("reset:mail.choose") },
      text("reset:mail.once", { count: minutes }),
      text("reset:mail.not_you"),
    ],
  });
}

/** @param days that the link lives */
export function invitationMail(head: Letterhead, to: string, language: Language | undefined, link: string, days: number): Message {
  return compose(head, {
    to,
    language,
    subject: text("mail:invitation.subject"),
    parts: [
      text("mail:invitation.invited", { brand: head.brand, host: hostOf(head) }),
      { link, label: text("mail:invitation.accept") },
      text("mail:invitation.once", { count: days }),
    ],
  });
}

/** @param minutes that the link lives */
export function addressChangeMail(head: Letterhead, to: string, language: Language | undefined, token: string, minutes: number): Message {
  return compose(head, {
    to,
    language,
    subject: text("mail:address_change.subject"),
    parts: [
      text("mail:address_change.asked", { brand: head.brand, host: hostOf(head) }),
      { link: `${head.issuer}/account/email/confirm?token=${token}`, label: text("mail:address_change.confirm") },
      text("mail:address_change.once", { count: minutes }),
      text("mail:address_change.not_you"),
    ],
  });
}

export function deletedMail(head: Letterhead, to: string, language: Language | undefined): Message {
  return compose(head, {
    to,
    language,
    subject: text("mail:deleted.subject"),
    parts: [text("mail:deleted.happened", { brand: head.brand, host: hostOf(head), email: to }), text("mail:deleted.after")],
  });
}
