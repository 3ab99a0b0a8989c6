/**
 * Checks tokens that we signed ourselves, without asking anybody: on the path of every userinfo, introspection and revocation request.
 * It answers whether a complete JWT is ours and in its time; whether it has been revoked is asked elsewhere.
 */
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

/** @param now milliseconds since the epoch */
export function createTokenVerifier(snapshot: () => KeySnapshot, now: () => number): TokenVerifier {
  return {
    verify(jwt, { issuer, typ }) {
      if (jwt.length > LONGEST) return undefined;
      const parts = jwt.split(".");
      if (parts.length !== 3 || !parts.every((part) => PART.test(part))) return undefined;
      const [head, body, tail] = parts as [string, string, string];
      const header = decode(head);
      if (header === undefined || header.typ !== typ || header.crit !== undefined || !isSigningAlg(header.alg)) return undefined;
      const key = keysOf(snapshot()).get(String(header.kid));
      if (key === undefined || key.alg !== header.alg) return undefined; // RFC 8725 §3.1: the key says which algorithm
      const signature = Buffer.from(tail, "base64url");
      if (signature.toString("base64url") !== tail) return undefined; // one spelling per token
      if (!signatureIsValid(key.alg, key.publicKey, Buffer.from(`${head}.${body}`), signature)) return undefined;
      const claims = decode(body);
      if (claims === undefined || claims.iss !== issuer) return undefined;
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
