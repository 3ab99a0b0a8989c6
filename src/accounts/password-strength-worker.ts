/** The thread of password-strength.ts: loads the word lists, which takes a while and much memory, and answers one question at a time. */
import { parentPort } from "node:worker_threads";
import { ZxcvbnFactory } from "@zxcvbn-ts/core";
import { adjacencyGraphs } from "@zxcvbn-ts/language-common";
import type { Strength, StrengthQuestion } from "./password-strength.ts";
import { COMMON_PASSWORDS, passwordWords } from "./password-words.ts";

/** Characters of one end that are estimated: the time grows with them, to a second and more for 256. */
const ESTIMATED = 64;
/** Of letters written as digits and signs, how many readings are tried: the time grows with them too. */
const READINGS = 4;

/** Letters and digits that have to be left of a password without what is known about the person. */
const UNKNOWN = 6;

const estimator = new ZxcvbnFactory({
  dictionary: passwordWords(),
  graphs: adjacencyGraphs,
  l33tMaxSubstitutions: READINGS,
  maxLength: ESTIMATED,
});
const commonPasswords = new Set(COMMON_PASSWORDS);

parentPort?.on("message", ({ id, password, about }: StrengthQuestion & { id: number }) => {
  parentPort?.postMessage({ id, strength: strengthOf(password, about) });
});

/** A long password is as strong as the stronger of its ends. */
function strengthOf(password: string, about: readonly string[]): Strength {
  const inputs = about.flatMap((words) => [words, ...words.split(/[^\p{L}\p{N}]+/u)]).filter((word) => word.length > 2);
  if (isKnown(password, inputs)) return { score: 0, common: false, why: "userInputs", advice: [] };
  const ends = password.length > ESTIMATED ? [password.slice(0, ESTIMATED), password.slice(-ESTIMATED)] : [password];
  const [best] = ends.map((end) => estimator.check(end, inputs)).sort((one, other) => other.score - one.score);
  return {
    score: best?.score ?? 0,
    common: isCommon(password),
    why: best?.feedback.warning ?? undefined,
    advice: best?.feedback.suggestions ?? [],
  };
}

/** Whether there is next to nothing in it but what is known about the person. */
function isKnown(password: string, inputs: readonly string[]): boolean {
  let rest = password.toLowerCase();
  for (const input of inputs) rest = rest.replaceAll(input.toLowerCase(), " ");
  return rest.replace(/[^\p{L}\p{N}]+/gu, "").length < UNKNOWN && rest !== password.toLowerCase();
}

/** Whether it is on the list, by itself or several times over, whatever digits and signs are around it or between. */
function isCommon(password: string): boolean {
  const word = password.toLowerCase();
  const joined = word.replace(/[^\p{L}\p{N}]+/gu, "");
  return [word, joined]
    .flatMap((each) => [each, trimmed(each)])
    .some((each) => commonPasswords.has(each) || commonPasswords.has(once(each)));
}

const trimmed = (word: string): string => word.replace(/^[^\p{L}]+|[^\p{L}]+$/gu, "");

/** What it repeats from its first character to its last, or all of it. */
const once = (word: string): string => /^(.+?)\1*$/su.exec(word)?.[1] ?? word;
