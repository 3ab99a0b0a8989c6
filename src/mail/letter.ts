/**
 * The form of every mail: a text part and a plain HTML one. No mail holds anything that a stranger typed, except the address that it goes to: a
 * sign-up form is no way to send somebody else one's own words.
 */
import { directionOf, LANGUAGES, type Language } from "../i18n/languages.ts";
import { say, type Text, type Words } from "../i18n/messages.ts";

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

/** A paragraph, a link on a line of its own, or something to be read off exactly. */
export type Part = Words | { readonly link: string; readonly label: Text };

export interface Letter {
  /** Normalised address. */
  readonly to: string;
  /** In which the reader reads, and which the pages that it leads to go on in; undefined: nobody has said. */
  readonly language: Language | undefined;
  readonly subject: Text;
  readonly parts: readonly Part[];
}

/** Writes a letter in its language, and in English where nobody has said one. */
export function compose(head: Letterhead, letter: Letter): Message {
  const { to, language = LANGUAGES[0] } = letter;
  const subject = say(language, letter.subject);
  const parts = letter.parts.map((part) =>
    typeof part === "object" && "link" in part
      ? { link: inLanguage(part.link, letter.language), label: say(language, part.label) }
      : say(language, part),
  );
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
    html: `<!doctype html>\n<html lang="${language}" dir="${directionOf(language)}"><head><meta charset="utf-8"><title>${escapeHtml(subject)}</title></head><body>\n${html}\n<hr><p>${escapeHtml(head.brand)}<br>${escapeHtml(head.issuer)}</p>\n</body></html>\n`,
  };
}

function inLanguage(link: string, language: Language | undefined): string {
  if (language === undefined) return link;
  const url = new URL(link);
  url.searchParams.set("ui_locales", language);
  return url.href;
}

/** RFC 5322 §2.1.1: lines of at most 78 characters. */
function wrap(paragraph: string): string {
  return paragraph.replace(/(.{1,76})(?: |$)/g, "$1\n").trimEnd();
}

/** The issuer as people read it. */
export const hostOf = (head: Letterhead): string => new URL(head.issuer).host;

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
