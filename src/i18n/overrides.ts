/** An operator's own texts: `locales/<language>/<namespace>.json` in VIEWS_DIR, each with as many or as few texts as are to sound different. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { isLanguage, LANGUAGES } from "./languages.ts";
import { NAMESPACES, replaceTexts, textsOf } from "./messages.ts";

/** What a text needs of whoever says it: the names of its values, and of its markup. */
export function needsOf(said: string): { values: string[]; tags: string[] } {
  const names = (pattern: RegExp) => [...new Set([...said.matchAll(pattern)].map(([, name]) => name as string))].toSorted();
  return { values: names(/\{\{\s*(\w+)\s*\}\}/g), tags: names(/<\/?([a-z]\w*)>/g) };
}

/** The key without the plural category at its end. */
export const withoutPlural = (key: string): string => key.replace(/_(?:zero|one|two|few|many|other)$/, "");

/**
 * Puts an operator's texts in the places of ours, for everything that this process says from then on.
 * @throws {Error} naming the file that is no JSON, or says what nobody asks for or with values that there are not
 */
export function overrideTexts(viewsDirectory: string): void {
  const locales = join(viewsDirectory, "locales");
  for (const language of namesIn(locales)) {
    if (!isLanguage(language)) throw new Error(`VIEWS_DIR: ${join(locales, language)} is none of the languages ${LANGUAGES.join(", ")}`);
    for (const name of namesIn(join(locales, language))) {
      const namespace = name.replace(/\.json$/, "");
      const file = join(locales, language, name);
      if (!NAMESPACES.includes(namespace))
        throw new Error(`VIEWS_DIR: ${file} is named like no file of ours: there are ${NAMESPACES.join(", ")}`);
      replaceTexts(language, namespace, read(file, namespace));
    }
  }
}

const namesIn = (directory: string): string[] =>
  existsSync(directory) ? readdirSync(directory).filter((name) => !name.startsWith(".")) : [];

function read(file: string, namespace: string): object {
  let texts: unknown;
  try {
    texts = JSON.parse(readFileSync(file, "utf8"));
  } catch (cause) {
    throw new Error(`VIEWS_DIR: ${file} is no JSON: ${(cause as Error).message}`, { cause });
  }
  if (typeof texts !== "object" || texts === null || Array.isArray(texts)) throw new Error(`VIEWS_DIR: ${file} holds no object`);
  const ours = new Map([...flatten(textsOf("en", namespace))].map(([key, said]) => [withoutPlural(key), needsOf(said)]));
  for (const [key, said] of flatten(texts)) {
    const known = ours.get(withoutPlural(key));
    if (known === undefined) throw new Error(`VIEWS_DIR: ${file} has "${key}", which no page and no mail says`);
    if (typeof said !== "string") throw new Error(`VIEWS_DIR: "${key}" in ${file} is no text`);
    const needs = needsOf(said);
    const strange = [
      ...needs.values.filter((name) => !known.values.includes(name)),
      ...needs.tags.filter((name) => !known.tags.includes(name)),
    ];
    if (strange.length > 0) throw new Error(`VIEWS_DIR: "${key}" in ${file} names ${strange.join(", ")}, which there is not here`);
  }
  return texts;
}

/** `[key, text]` with the keys of nested objects joined by dots. */
export function* flatten(texts: object, prefix = ""): Generator<[key: string, said: string]> {
  for (const [name, value] of Object.entries(texts)) {
    if (typeof value === "object" && value !== null) yield* flatten(value, `${prefix}${name}.`);
    else yield [`${prefix}${name}`, value as string];
  }
}
