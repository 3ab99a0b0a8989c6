import { createPublicKey } from "node:crypto";

const PRIVATE_MEMBERS = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"];
const CURVES: Record<string, readonly string[]> = { EC: ["P-256", "P-384", "P-521"], OKP: ["Ed25519", "X25519"] };
/** RFC 7518 §3.3. */
const SMALLEST_RSA_BITS = 2048;
const MOST_KEYS = 20;

const isPrivate = (jwk: Record<string, unknown>): boolean => PRIVATE_MEMBERS.some((member) => jwk[member] !== undefined);

/** Whether somebody gave away what they should have kept. */
export const holdsPrivateKey = ({ keys }: { keys?: unknown }): boolean =>
  Array.isArray(keys) && keys.some((key: unknown) => typeof key === "object" && key !== null && isPrivate(key as Record<string, unknown>));

/** The same of what somebody typed, also where it is no key set: a key alone, PEM, or JSON with a slip in it. */
export const showsPrivateKey = (typed: string): boolean => /PRIVATE KEY|["'](?:d|k|priv)["']\s*:/.test(typed);

/** What is wrong with a client's own key set, or undefined. @see RFC 7517 §5, RFC 7591 §2 `jwks` */
export function jwksFault(jwks: unknown): string | undefined {
  const keys = (jwks as { keys?: unknown } | null)?.keys;
  if (!Array.isArray(keys) || keys.length === 0) return "must be a JSON Web Key Set with at least one key";
  if (keys.length > MOST_KEYS) return `must not hold more than ${MOST_KEYS} keys`;
  for (const [index, key] of keys.entries()) {
    const fault = jwkFault(key);
    if (fault !== undefined) return `holds a key (number ${index + 1}) that ${fault}`;
  }
  return undefined;
}

/** What is wrong with one key, or undefined: it reads on from "a key that". */
export function jwkFault(key: unknown): string | undefined {
  if (typeof key !== "object" || key === null || Array.isArray(key)) return "is no JSON Web Key";
  const jwk = key as Record<string, unknown>;
  if (jwk.kty === "oct") return "is symmetric: only public keys may be registered";
  if (isPrivate(jwk)) return "is private: only public keys may be registered";
  if (["kid", "alg", "use"].some((member) => jwk[member] !== undefined && (typeof jwk[member] !== "string" || jwk[member] === "")))
    return "has a kid, alg or use that is no text";
  if (jwk.kty !== "RSA" && !(typeof jwk.kty === "string" && CURVES[jwk.kty]?.includes(String(jwk.crv))))
    return "is of a kind that is not supported here";
  try {
    const { asymmetricKeyDetails } = createPublicKey({ key: jwk as never, format: "jwk" });
    const bits = asymmetricKeyDetails?.modulusLength;
    return bits !== undefined && bits < SMALLEST_RSA_BITS ? `is shorter than ${SMALLEST_RSA_BITS} bits` : undefined;
  } catch {
    return "cannot be read";
  }
}
