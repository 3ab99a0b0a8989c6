/** `WWW-Authenticate` (RFC 9110 §11.6.1). */

/**
 * One challenge, such as `Bearer realm="orders", error="invalid_token"`.
 * @param parameters without the undefined ones, in this order
 */
export function challenge(scheme: "Bearer" | "DPoP", parameters: Record<string, string | undefined>): string {
  const list = Object.entries(parameters).flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${quoted(value)}`]));
  return `${scheme} ${list.join(", ")}`;
}

/** A quoted-string (RFC 9110 §5.6.4) of visible ASCII and spaces. RFC 6750 §3 allows no quote and no backslash, even escaped. */
const quoted = (text: string): string => `"${text.replace(/["\\]/g, "'").replace(/[^\x20-\x7e]/g, "?")}"`;

/** Characters of a scope or another protocol value (RFC 6749 §3.3). */
const NQCHAR = /^[\x21\x23-\x5b\x5d-\x7e]+$/;

/**
 * The values of a requirement: one, several in a list, or several separated by spaces.
 * @throws TypeError when one could not stand in a token or a challenge
 */
export function values(name: string, given: string | readonly string[] | undefined): readonly string[] {
  const all = typeof given === "string" ? given.split(" ") : (given ?? []);
  for (const value of all) {
    if (!NQCHAR.test(value)) throw new TypeError(`${name}: ${JSON.stringify(value)} has characters that RFC 6749 §3.3 does not allow`);
  }
  return all;
}
