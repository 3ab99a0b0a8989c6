/** What a program gives us: a slip in it is a TypeError, and never a check that does not happen. */

/** @throws TypeError when it has a member that is none of these */
export function onlyKnown(what: string, given: object, names: readonly string[]): void {
  const others = Object.keys(given).filter((name) => !names.includes(name));
  if (others.length > 0) throw new TypeError(`there is no ${what} named ${others.join(", ")}: only ${names.join(", ")}`);
}

/**
 * Numbers, 0 or more. A string, as the environment has them, would not be added but appended to what it is compared with.
 * @throws TypeError
 */
export function amounts(given: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(given)) {
    if (value !== undefined && !(typeof value === "number" && value >= 0)) throw new TypeError(`${name}: a number, 0 or more`);
  }
}

/** Characters of a scope or another protocol value (RFC 6749 §3.3). */
const NQCHAR = /^[\x21\x23-\x5b\x5d-\x7e]+$/;

/**
 * The values of a requirement: one, several in a list, or several separated by spaces.
 * @throws TypeError when one could not stand in a token or a challenge
 */
export function values(name: string, given: string | readonly string[] | undefined): readonly string[] {
  const all = typeof given === "string" ? given.split(" ") : texts(name, given);
  for (const value of all) {
    if (!NQCHAR.test(value)) throw new TypeError(`${name}: ${JSON.stringify(value)} has characters that RFC 6749 §3.3 does not allow`);
  }
  return all;
}

/** One, or several in a list. @throws TypeError when it is neither */
export function texts(name: string, given: string | readonly string[] = []): readonly string[] {
  const all: unknown = typeof given === "string" ? [given] : given;
  if (!Array.isArray(all) || all.some((one) => typeof one !== "string")) throw new TypeError(`${name}: a string, or a list of them`);
  return all as string[];
}
