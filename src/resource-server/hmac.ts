/** Bytes that a key for HMAC-SHA-256 has at least (RFC 7518 §3.2). */
const LEAST = 32;

/**
 * A key for HMAC with SHA-256.
 * @param name of the option, for the error
 * @throws TypeError at once when the secret is too short
 */
export function hmacKey(name: string, secret: string | Uint8Array, use: "sign" | "verify") {
  const bytes = typeof secret === "string" ? new TextEncoder().encode(secret) : secret;
  if (bytes.length < LEAST) throw new TypeError(`${name}: ${LEAST} bytes or more`);
  return crypto.subtle.importKey("raw", bytes as Uint8Array<ArrayBuffer>, { name: "HMAC", hash: "SHA-256" }, false, [use]);
}
