/**
 * The files of the quick starts, read once, and filled in with an application's values. In a file a value is a whole string literal,
 * `"{{issuer}}"`; it is replaced by the literal of its language that means the value, whatever is in it. So no value can become code.
 */
import { readFileSync } from "node:fs";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { QuickStart } from "./quick-start-catalogue.ts";

/** What stands in a file's place-holders. */
export const VALUE_NAMES = [
  "issuer",
  "client_id",
  "redirect_uri",
  "post_logout_redirect_uri",
  "scope",
  "resource",
  "api_url",
  "api_scope",
  "api_scopes",
] as const;
export type Values = Readonly<Record<(typeof VALUE_NAMES)[number], string>>;

const DIRECTORY = fileURLToPath(new URL("../../examples/quick-starts/", import.meta.url));
const PLACE_HOLDER = /"\{\{(\w+)\}\}"/g;

const hex = (code: number, digits: number): string => code.toString(16).padStart(digits, "0");
/** Characters above U+FFFF as two UTF-16 units. */
const inUnits = (character: string): string =>
  [...Array(character.length).keys()].map((at) => `\\u${hex(character.charCodeAt(at), 4)}`).join("");
const inCodePoints = (character: string): string => {
  const code = character.codePointAt(0) ?? 0;
  return code > 0xffff ? `\\U${hex(code, 8)}` : `\\u${hex(code, 4)}`;
};
/** Java reads \uXXXX before it reads strings, so that an escaped line break would be one: in octal it is not. */
const javaEscape = (character: string): string => {
  const code = character.charCodeAt(0);
  return code < 0x80 ? `\\${code.toString(8).padStart(3, "0")}` : inUnits(character);
};

/** A literal in double quotes, of printable ASCII; everything else is escaped. */
const quoted =
  (escaped: (character: string) => string) =>
  (value: string): string =>
    `"${value.replace(/["\\]|[^\x20-\x7e]/gu, (character) => (character === '"' || character === "\\" ? `\\${character}` : escaped(character)))}"`;

/** By the end of the file's name. A shell takes everything within single quotes as it is. */
const LITERALS: Readonly<Record<string, (value: string) => string>> = {
  ".js": quoted(inUnits),
  ".py": quoted(inCodePoints),
  ".go": quoted(inCodePoints),
  ".cs": quoted(inCodePoints),
  ".java": quoted(javaEscape),
  ".sh": (value) => `'${value.replaceAll("'", "'\\''")}'`,
};

/** @throws {Error} for a language that has no literals here, and for a place-holder that has no value */
export function fillIn(file: string, template: string, values: Values): string {
  return template.replace(PLACE_HOLDER, (_, name: keyof Values) => {
    const literal = LITERALS[extname(file)];
    if (literal === undefined || values[name] === undefined) throw new Error(`${file}: nothing is filled in for ${name}`);
    return literal(values[name]);
  });
}

/**
 * @returns gives a file by its quick start and its name
 * @throws {Error} naming the file that cannot be read
 */
export function loadQuickStartFiles(quickStarts: readonly QuickStart[]): (quickStart: QuickStart, file: string) => string {
  const templates = new Map(
    quickStarts.flatMap(({ name, files }) =>
      files.map((file) => [`${name}/${file}`, readFileSync(join(DIRECTORY, name, file), "utf8")] as const),
    ),
  );
  return ({ name }, file) => templates.get(`${name}/${file}`) ?? "";
}
