/**
 * What people read, in their language: `locales/<language>/<namespace>.json`, read once. A text is named by its key and carries its values, so
 * that logic can say something without knowing who will read it; whoever shows it says in which language.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createInstance, type Resource } from "i18next";
import { LANGUAGES, type Language } from "./languages.ts";

const LOCALES = fileURLToPath(new URL("../../locales/", import.meta.url));

/** A value is put in as it is, unless it is a text itself; numbers are also what a plural goes by, under the name `count`. */
export type Values = Readonly<Record<string, string | number | Text>>;

/** Something to be said: `namespace:key`. */
export interface Text {
  readonly key: string;
  readonly values?: Values | undefined;
}

/** A text, or words that have no translation: a name, or something that the protocol says in English. */
export type Words = string | Text;

export const text = (key: string, values?: Values): Text => (values === undefined ? { key } : { key, values });

const own = Object.fromEntries(LANGUAGES.map((language) => [language, namespacesOf(language)])) as Record<Language, Record<string, object>>;

const catalogue = createInstance();
await catalogue.init({
  lng: "en",
  fallbackLng: "en",
  initAsync: false,
  interpolation: { escapeValue: false }, // templates escape
  resources: structuredClone(own) as Resource, // which changes with `replaceTexts`
  ns: Object.keys(own.en),
  returnNull: false,
  missingInterpolationHandler(said: string, [, name]: RegExpExecArray) {
    throw new TypeError(`the text "${said}" needs a value "${name}"`);
  },
  parseMissingKeyHandler(key: string) {
    throw new TypeError(`no text "${key}" in locales/en`);
  },
});
const inLanguage = Object.fromEntries(LANGUAGES.map((language) => [language, catalogue.getFixedT(language)])) as Record<
  Language,
  (key: string, values: Record<string, unknown>) => string
>;

/** @throws {TypeError} when there is no such text: a mistake of ours, like a variable that does not exist */
export function say(language: Language, words: Words): string {
  if (typeof words === "string") return words;
  const values: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(words.values ?? {})) values[name] = typeof value === "object" ? say(language, value) : value;
  return inLanguage[language](words.key, values);
}

/** For programs, logs and the command line. */
export const english = (words: Words): string => say("en", words);

/** The names of the files of texts. */
export const NAMESPACES: readonly string[] = Object.keys(own.en);

/** Our texts of a file, nested as they stand there; none where the language has no such file. */
export const textsOf = (language: Language, namespace: string): object => own[language][namespace] ?? {};

/** The texts of a file as they are said now, nested, with an operator's in the places of ours: for a script that says them in a browser. */
export const textsToSay = (language: Language, namespace: string): object => catalogue.getResourceBundle(language, namespace) as object;

/** Others for some of them, in this process and from now on. */
export function replaceTexts(language: Language, namespace: string, texts: object): void {
  catalogue.addResourceBundle(language, namespace, texts, true, true);
}

function namespacesOf(language: Language): Record<string, object> {
  const directory = join(LOCALES, language);
  const files = readdirSync(directory).filter((file) => file.endsWith(".json"));
  return Object.fromEntries(
    files.map((file) => [file.slice(0, -".json".length), JSON.parse(readFileSync(join(directory, file), "utf8")) as object]),
  );
}
