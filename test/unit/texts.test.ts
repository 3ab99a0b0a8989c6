/** The texts are whole: what is said exists, what exists is said, in every language that is complete, and nothing is said without one. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { LANGUAGES, type Language } from "../../src/i18n/languages.ts";
import { NAMESPACES, textsOf } from "../../src/i18n/messages.ts";
import { flatten, needsOf, withoutPlural } from "../../src/i18n/overrides.ts";

/** Languages with all texts. The others say in English what they have not got yet. */
const COMPLETE: readonly Language[] = ["en", "fr", "de", "ar", "ja", "es"];

const ROOT = new URL("../../", import.meta.url).pathname;

interface Source {
  readonly file: string;
  readonly source: string;
}

const filesIn = (directory: string, ending: string): Source[] =>
  readdirSync(join(ROOT, directory), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(ending) && !file.includes("generated"))
    .map((file) => ({ file: join(directory, file), source: readFileSync(join(ROOT, directory, file), "utf8") }));

const code = filesIn("src", ".ts").map(({ file, source }) => ({ file, source: withoutComments(source) }));
const views = filesIn("views", ".ejs");
/** They run in browsers, and some of them here as well. */
const scripts = filesIn("views/assets", ".js").map(({ file, source }) => ({ file, source: withoutComments(source) }));

/** `namespace:key` → text, of one language. */
const all = (language: Language): Map<string, string> =>
  new Map(NAMESPACES.flatMap((name) => [...flatten(textsOf(language, name))].map(([key, said]) => [`${name}:${key}`, said] as const)));

const english = all("en");
const isPlural = (base: string): boolean => english.has(`${base}_one`) && english.has(`${base}_other`);
/** As logic names them: without the category of a plural. */
const keys = new Set([...english.keys()].map((key) => (isPlural(withoutPlural(key)) ? withoutPlural(key) : key)));

/** Every string of code that names a text, and every pattern, with a value in its middle, that names several. */
const named: { file: string; key: string }[] = [];
const patterns: { file: string; pattern: RegExp }[] = [];
for (const { file, source } of [...code, ...views, ...scripts]) {
  for (const [, key = ""] of source.matchAll(/["'`]([a-z][a-z-]*:[\w.-]+)["'`]/g)) {
    if (NAMESPACES.includes(key.split(":", 1)[0] as string)) named.push({ file, key });
  }
  for (const [, key = ""] of source.matchAll(/`([a-z][a-z-]*:[\w.-]*\$\{[^`]*)`/g)) {
    if (!NAMESPACES.includes(key.split(":", 1)[0] as string)) continue;
    const pattern = key.split(/\$\{[^}]*\}/).map((part) => part.replace(/[.]/g, "\\."));
    patterns.push({ file, pattern: new RegExp(`^${pattern.join("[\\w-]+")}$`) });
  }
}

test("every text that is named exists", () => {
  expect(named.filter(({ key }) => !keys.has(key))).toEqual([]);
  expect(patterns.filter(({ pattern }) => ![...keys].some((key) => pattern.test(key)))).toEqual([]);
  const calls = [...code, ...views, ...scripts].flatMap(({ file, source }) =>
    [...source.matchAll(/(?:\bpage\.(?:t|rich)|\btext)\(\s*"([^"]+)"/g)].map(([, key = ""]) => ({ file, key })),
  );
  expect(calls.length).toBeGreaterThan(100);
  expect(calls.filter(({ key }) => !keys.has(key))).toEqual([]);
});

test("no text is left over", () => {
  const used = new Set(named.map(({ key }) => key));
  expect([...keys].filter((key) => !used.has(key) && !patterns.some(({ pattern }) => pattern.test(key)))).toEqual([]);
});

describe.each([...LANGUAGES])("%s", (language) => {
  const texts = all(language);
  const categories = new Intl.PluralRules(language).resolvedOptions().pluralCategories;
  /** i18next asks for `zero` in every language, where there is one. */
  const categoriesOf = (key: string) => (english.has(`${key}_zero`) ? new Set([...categories, "zero"]) : categories);
  const wanted = [...keys].flatMap((key) => (isPlural(key) ? [...categoriesOf(key)].map((category) => `${key}_${category}`) : [key]));

  test("says what English says, and nothing else", () => {
    const known = new Set(wanted);
    expect([...texts.keys()].filter((key) => !known.has(key))).toEqual([]);
    if (COMPLETE.includes(language)) expect(wanted.filter((key) => !texts.has(key))).toEqual([]);
  });

  test("with the same values and the same markup", () => {
    for (const [key, said] of texts) {
      const base = isPlural(withoutPlural(key)) ? withoutPlural(key) : key;
      const original = needsOf(english.get(base) ?? english.get(`${base}_other`) ?? "");
      const { values, tags } = needsOf(said);
      // "An hour" needs no number.
      const ofPlural = (names: string[]) => (base === key ? names : names.filter((name) => name !== "count"));
      expect({ key, values: ofPlural(values), tags }).toEqual({ key, values: ofPlural(original.values), tags: original.tags });
      for (const tag of tags) expect(said.split(`<${tag}>`).length, `${key}: <${tag}> and its end`).toBe(said.split(`</${tag}>`).length);
      expect(said.trim(), key).toBe(said);
      expect(said, key).not.toBe("");
    }
  });
});

describe("nothing is said without a text", () => {
  /** Commands and the names of HTML. */
  const SAME_EVERYWHERE = /^(?:npm run -s grantor\b.*|username webauthn)$/;
  const speaks = (words: string): boolean => /^\p{Lu}\p{Ll}+\b|\p{L}\s+\p{L}/u.test(words) && !SAME_EVERYWHERE.test(words);
  const strings = (source: string): string[] =>
    [...source.replace(/\$\{(?:[^{}]|\{[^}]*\})*\}/g, "").matchAll(/"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|`((?:[^`\\]|\\.)*)`/g)]
      .map(([, double, single, template]) => double ?? single ?? template ?? "")
      .map((literal) => literal.replace(/<[^>]*>/g, ""));

  test.each(views)("in $file", ({ source }) => {
    const html = source.replace(/<%[\s\S]*?%>/g, "");
    expect(html.replace(/<[^>]*>/g, " ").replace(/&\w+;/g, "")).not.toMatch(/\p{L}/u);
    for (const [, name, words = ""] of html.matchAll(/\s(alt|title|placeholder|label|aria-label|aria-description)="([^"]*)"/g))
      expect(words, name).not.toMatch(/\p{L}/u);
    const scripts = [...source.matchAll(/<%[\s\S]*?%>/g)].flatMap(([script]) => strings(script));
    expect(scripts.filter(speaks)).toEqual([]);
  });

  /** What a mistake of ours says goes to the log alone, or to a browser's console. */
  const withoutErrors = (source: string): string => source.replace(/new (?:Type)?Error\((?:[^()]|\([^()]*\))*\)/g, "");

  test.each(scripts)("in $file", ({ source }) => {
    expect(strings(withoutErrors(source)).filter(speaks)).toEqual([]);
  });

  const SEEN = /^src\/(?:http|interactions|account-pages|app-pages)\/|-(?:routes|pages|middleware)\.ts$/;
  const pages = code.filter(({ file }) => SEEN.test(file));
  test.each(pages)("in $file", ({ source }) => {
    expect(strings(withoutErrors(source)).filter((words) => /^\p{Lu}.*\p{L} .*[.!?]$/u.test(words))).toEqual([]);
  });
});

function withoutComments(source: string): string {
  return source.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(^|\s)\/\/.*$/gm, "$1");
}
