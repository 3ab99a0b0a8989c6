/** What templates say words with: texts in the reader's language, escaped, with names set apart and markup that the template chooses. */
import { type Clock, clockOf } from "../i18n/clock.ts";
import { directionOf, type Language } from "../i18n/languages.ts";
import { say, text, textsToSay, type Values, type Words } from "../i18n/messages.ts";

/** HTML before and after what a text has between `<name>` and `</name>`. */
export type Tags = Readonly<Record<string, readonly [before: string, after: string]>>;

export interface Wording extends Pick<Clock, "day" | "moment"> {
  readonly lang: Language;
  readonly dir: "ltr" | "rtl";
  /** Plain text, for titles, labels and attributes: print it with `<%= %>`. */
  t(key: string, values?: Values): string;
  /** Plain text of something that logic wanted said: print it with `<%= %>`. */
  say(words: Words): string;
  /** Plain text of several such things, as one enumerates them: `a, b and c`. */
  list(several: readonly Words[]): string;
  /**
   * HTML, for `<%- %>`: the text is escaped, each value is escaped and isolated from its surroundings' direction (`<bdi>`), and what the text
   * has between `<link>` and `</link>` gets the markup of that name; `<strong>` and `<code>` mean what they do in HTML.
   */
  rich(key: string, values?: Values, tags?: Tags): string;
  /** HTML, for `<%- %>`, of something that logic wanted said whose values must be read exactly: each is escaped and isolated, as `rich` does. */
  sayExactly(words: Words): string;
  /** All texts of a file, nested, for a script of the page. */
  texts(namespace: string): object;
}

const PLAIN_TAGS: Tags = { strong: ["<strong>", "</strong>"], code: ["<code>", "</code>"] };

/** Stand for a value in a text that has been said and is not escaped yet; no message and no name holds them. */
const [OPEN, CLOSE] = ["\u{F0000}", "\u{F0001}"];
const MARKS = new RegExp(`[${OPEN}${CLOSE}]`, "gu");
/** A value, or a tag of the message's own; one that is typed into a value is inside it and stays text. */
const PLACE_OR_TAG = new RegExp(`${OPEN}(.*?)${CLOSE}|&#60;(/?)([a-z]\\w*)&#62;`, "gsu");

/** @param zone of the reader, where it is known; else UTC */
export const wordingFor = (language: Language, zone?: string): Wording => ({ ...sayingFor(language), ...clockOf(language, zone) });

/** All but times, which have a zone. */
type Saying = Omit<Wording, "day" | "moment">;

function sayingFor(language: Language): Saying {
  const known = sayings.get(language);
  if (known !== undefined) return known;
  const lists = new Intl.ListFormat(language, { type: "conjunction" });
  const made: Saying = {
    lang: language,
    dir: directionOf(language),
    t: (key, values) => say(language, text(key, values)),
    say: (words) => say(language, words),
    list: (several) => lists.format(several.map((words) => say(language, words))),
    rich(key, values = {}, tags = {}) {
      const marked: Record<string, string | number> = {};
      for (const [name, value] of Object.entries(values)) {
        marked[name] = typeof value === "number" ? value : `${OPEN}${say(language, value).replace(MARKS, "")}${CLOSE}`;
      }
      const html = escapeHtml(say(language, text(key, marked)));
      return html.replace(PLACE_OR_TAG, (_match, value: string | undefined, closing: string, name: string) => {
        if (value !== undefined) return `<bdi>${value}</bdi>`;
        const pair = tags[name] ?? PLAIN_TAGS[name];
        if (pair === undefined) throw new TypeError(`the text "${key}" has <${name}>, for which the template gives no markup`);
        return closing === "" ? pair[0] : pair[1];
      });
    },
    sayExactly: (words) => (typeof words === "string" ? escapeHtml(words) : made.rich(words.key, words.values)),
    texts: (namespace) => textsToSay(language, namespace),
  };
  sayings.set(language, made);
  return made;
}

const sayings = new Map<Language, Saying>();

/**
 * Escapes for HTML text and quoted attributes. `undefined` is a mistake in a template or its model, never an empty string.
 * @throws {TypeError} on undefined and null
 */
export function escapeHtml(value: unknown): string {
  if (value === undefined || value === null) throw new TypeError("a template prints a value that its model does not have");
  return String(value).replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
