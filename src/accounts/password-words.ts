/**
 * What people make passwords of, in the languages of our pages: the words that they speak and their names, the most frequent first. For Japanese as
 * it is typed in Latin letters; for Arabic there are names alone.
 *
 * The time of an estimate grows with the number of lists, and its memory with their words. So of the languages beside English the names are in one list
 * for all, and what changes no estimate to speak of is left out: rows of months and the like, and the words of encyclopedias where there are enough of
 * those that are spoken.
 */
import { dictionary as arabic } from "@zxcvbn-ts/language-ar";
import { dictionary as common } from "@zxcvbn-ts/language-common";
import { dictionary as german } from "@zxcvbn-ts/language-de";
import { dictionary as english } from "@zxcvbn-ts/language-en";
import { dictionary as spanish } from "@zxcvbn-ts/language-es-es";
import { dictionary as french } from "@zxcvbn-ts/language-fr";
import { dictionary as japanese } from "@zxcvbn-ts/language-ja";
import { PHRASES } from "./password-phrases.ts";

/** Passwords themselves, in lower case. */
export const COMMON_PASSWORDS: readonly string[] = common["passwords-common"];

/** By names of zxcvbn's form, `<list>-<language>`, after which it gives its advice. */
export function passwordWords(): Record<string, string[]> {
  return {
    ...common,
    ...english,
    "commonWords-de": spelled(german.commonWords),
    "commonWords-fr": spelled(french["commonWords-fr"]),
    "commonWords-es": spelled(spanish["commonWords-es-es"]),
    "commonWords-ja": [...new Set([...japanese.commonWords, ...japanese.wikipedia])],
    "passwords-phrases": byTurns(...Object.values(PHRASES).map((phrases) => phrases.flatMap((each) => [each, each.replaceAll(" ", "")]))),
    "firstnames-others": byTurns(
      german.firstnames,
      french["firstnames-fr"],
      spanish["firstnames-es-es"],
      japanese.firstnames,
      arabic.firstnames,
    ),
    "lastnames-others": byTurns(german.lastnames, french["lastnames-fr"], spanish["lastnames-es-es"], japanese.lastnames, arabic.lastnames),
  };
}

/** The first of each list, then the second of each, and so on: as frequent as they are where they come from. */
function byTurns(...lists: readonly (readonly string[])[]): string[] {
  const longest = Math.max(...lists.map(({ length }) => length));
  const turns = Array.from({ length: longest }, (_, turn) => lists.flatMap((list) => list[turn] ?? []));
  return spelled(turns.flat());
}

const DIGRAPHS: Readonly<Record<string, string>> = { ä: "ae", ö: "oe", ü: "ue", ß: "ss" };

/** As they are written, and as people type them without accents: `für`, `fur` and `fuer`. Each once. */
const spelled = (words: readonly string[]): string[] => [
  ...new Set(
    words.flatMap((word) => {
      if (/^[ -~]*$/.test(word)) return [word];
      const plain = word
        .replaceAll("ß", "ss")
        .normalize("NFD")
        .replace(/\p{Mn}/gu, "");
      return [word, plain, word.replace(/[äöüß]/g, (letter) => DIGRAPHS[letter] ?? letter)];
    }),
  ),
];
