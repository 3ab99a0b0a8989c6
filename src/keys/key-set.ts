/**
 * Checks tokens that we signed ourselves, without asking anybody: on the path of every userinfo, introspection and revocation request.
 * It answers whether a complete JWT is ours and in its time; whether it has been revoked is asked elsewhere.
 */
import { createHmac, type KeyObject, timingSafeEqual } from "node:crypto";
import { isSigningAlg, signatureIsValid } from "./algorithms.ts";
import type { KeySnapshot, LoadedKey } from "./signing-keys.ts";

export type Claims = Readonly<Record<string, unknown>>;

export interface Expected {
  readonly issuer: string;
  /** The `typ` header, exactly as we write it: RFC 8725 §3.11. */
  readonly typ: string;
}

export interface TokenVerifier {
  /** @returns the claims of a token that one of our unrevoked keys signed, of this issuer and type, not expired; else undefined */
  verify(jwt: string, expected: Expected): Claims | undefined;
}

/** Longer than any token of ours; longer ones are not worth a hash. */
const LONGEST = 16_384;
const PART = /^[A-Za-z0-9_-]+$/;

const byKid = new WeakMap<KeySnapshot, Map<string, LoadedKey>>();

/**
 * @param now milliseconds since the epoch
 * @param hmacKey the secret of a resource whose tokens are signed with HS256, by the `aud` of a token; its header has no say in it
 */
export function createTokenVerifier(
  snapshot: () => KeySnapshot,
  now: () => number,
  hmacKey: (audience: string) => KeyObject | undefined = () => undefined,
): TokenVerifier {
  function isSigned(header: Record<string, unknown>, claims: Record<string, unknown>, signed: Buffer, signature: Buffer): boolean {
    if (header.alg === "HS256") {
      const secret = typeof claims.aud === "string" ? hmacKey(claims.aud) : undefined;
      if (secret === undefined) return false;
      const expected = createHmac("sha256", secret).update(signed).digest();
      return signature.length === expected.length && timingSafeEqual(signature, expected);
    }
    const key = keysOf(snapshot()).get(String(header.kid));
    if (key === undefined || key.alg !== header.alg) return false; // RFC 8725 §3.1: the key says which algorithm
    return signatureIsValid(key.alg, key.publicKey, signed, signature);
  }

  return {
    verify(jwt, { issuer, typ }) {
      if (jwt.length > LONGEST) return undefined;
      const parts = jwt.split(".");
      if (parts.length !== 3 || !parts.every((part) => PART.test(part))) return undefined;
      const [head, body, tail] = parts as [string, string, string];
      const header = decode(head);
      if (header === undefined || header.typ !== typ || header.crit !== undefined) return undefined;
      if (header.alg !== "HS256" && !isSigningAlg(header.alg)) return undefined;
      const signature = Buffer.from(tail, "base64url");
      if (signature.toString("base64url") !== tail) return undefined; // one spelling per token
      const claims = decode(body);
      if (claims === undefined || !isSigned(header, claims, Buffer.from(`${head}.${body}`), signature)) return undefined;
      if (claims.iss !== issuer) return undefined;
      const seconds = now() / 1000;
      const { exp, nbf } = claims;
      if (typeof exp !== "number" || exp <= seconds) return undefined;
      if (nbf !== undefined && (typeof nbf !== "number" || nbf > seconds)) return undefined;
      return claims;
    },
  };
}

function keysOf(snapshot: KeySnapshot): Map<string, LoadedKey> {
  const known = byKid.get(snapshot);
  if (known !== undefined) return known;
  const made = new Map(snapshot.keys.map((key) => [key.kid, key]));
  byKid.set(snapshot, made);
  return made;
}

function decode(part: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, "base64url").toString("utf8"));
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
