// The words of every mail. None of them holds anything that a stranger typed, except the address that it goes to: a sign-up form is no way
// to send somebody else one's own words.

export interface Message {
  /** Normalised address. */
  readonly to: string;
  readonly subject: string;
  readonly text: string;
  /** A complete document without images, styles or scripts from anywhere. */
  readonly html: string;
}

/** Where links lead and who writes. Links are made from the issuer alone, whatever host a request named. */
export interface Letterhead {
  readonly issuer: string;
  /** The operator's name. */
  readonly brand: string;
}

export function verificationMail(head: Letterhead, to: string, token: string, hours: number): Message {
  return compose(head, to, "Confirm your e-mail address", [
    `An account at ${head.brand} (${host(head)}) was asked for with this address. If it was you, confirm it here:`,
    { link: `${head.issuer}/verify-email?token=${token}`, label: "Confirm my address" },
    `The link works once, for ${hours} hours. In the browser in which the account was asked for it opens the account with the password that was chosen there; in any other you choose the password.`,
    "If it was not you, do nothing: without you, no account is opened.",
  ]);
}

export function alreadyRegisteredMail(head: Letterhead, to: string): Message {
  return compose(head, to, "You already have an account", [
    `Somebody tried to sign up at ${head.brand} (${host(head)}) with this address, which has an account already. Nothing was changed.`,
    "If it was you, sign in with the password that you have:",
    { link: `${head.issuer}/sign-in`, label: "Sign in" },
    "If it was not you, you need not do anything.",
  ]);
}

export function invitationMail(head: Letterhead, to: string, link: string, days: number): Message {
  return compose(head, to, "You are invited", [
    `You are invited to open an account at ${head.brand} (${host(head)}):`,
    { link, label: "Accept the invitation" },
    `The link works once, for ${days} days.`,
  ]);
}

type Part = string | { link: string; label: string };

function compose(head: Letterhead, to: string, subject: string, parts: readonly Part[]): Message {
  const text = parts.map((part) => (typeof part === "string" ? wrap(part) : part.link)).join("\n\n");
  const html = parts
    .map((part) =>
      typeof part === "string"
        ? escapeHtml(part)
        : `<a href="${escapeHtml(part.link)}">${escapeHtml(part.label)}</a><br>${escapeHtml(part.link)}`,
    )
    .map((paragraph) => `<p>${paragraph}</p>`)
    .join("\n");
  return {
    to,
    subject: `${head.brand}: ${subject}`,
    text: `${text}\n\n-- \n${head.brand}\n${head.issuer}\n`,
    html: `<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>${escapeHtml(subject)}</title></head><body>\n${html}\n<hr><p>${escapeHtml(head.brand)}<br>${escapeHtml(head.issuer)}</p>\n</body></html>\n`,
  };
}

/** RFC 5322 §2.1.1: lines of at most 78 characters. */
function wrap(paragraph: string): string {
  return paragraph.replace(/(.{1,76})(?: |$)/g, "$1\n").trimEnd();
}

function host(head: Letterhead): string {
  return new URL(head.issuer).host;
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
