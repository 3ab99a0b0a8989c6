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
