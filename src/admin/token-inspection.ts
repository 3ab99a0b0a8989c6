/** Takes a token apart and says what is in it. Asks nobody but our own keys; whether the token has been revoked is not looked at. */
import { isSigningAlg, signatureIsValid } from "../keys/algorithms.ts";
import type { PublicKey } from "../keys/public-keys.ts";
import { claimMeaning, TIME_CLAIMS } from "./claim-meanings.ts";

export interface ExplainedClaim {
  readonly name: string;
  readonly value: unknown;
  /** A sentence, or undefined for a claim that no specification names. */
  readonly meaning: string | undefined;
  /** For claims that are times. */
  readonly time?: Date;
}

export type SignatureFinding =
  | "valid"
  | "invalid"
  /** The header names a key that is not ours. */
  | "unknown_key"
  /** The key is ours, but not for the algorithm in the header (RFC 8725 §3.1). */
  | "wrong_algorithm"
  /** It is signed with nothing (`none`). */
  | "unsigned";

export interface TokenInspection {
  readonly kind: string;
  readonly header: Readonly<Record<string, unknown>>;
  readonly claims: Readonly<Record<string, unknown>>;
  readonly explained: readonly ExplainedClaim[];
  readonly signature: SignatureFinding;
  /** The one of our keys that the header names. */
  readonly key: Pick<PublicKey, "kid" | "alg" | "state"> | undefined;
  readonly expired: boolean;
  readonly notYetValid: boolean;
  /** The issuer is this server. */
  readonly ours: boolean;
  /** Signed by one of our unrevoked keys, of this issuer and in its time. Whether it has been revoked is another question. */
  readonly verifies: boolean;
}

/** It is no token that can be read. The message is a sentence. */
export class UnreadableTokenError extends Error {
  override readonly name = "UnreadableTokenError";
}

/** RFC 7515 §4.1.9: `typ`, in lower case and without `application/`. */
const KINDS: Readonly<Record<string, string>> = {
  "at+jwt": "access token (RFC 9068)",
  "logout+jwt": "logout token (OpenID Connect Back-Channel Logout)",
  "dpop+jwt": "DPoP proof (RFC 9449)",
  "statuslist+jwt": "status list token",
  "token-introspection+jwt": "introspection response (RFC 9701)",
  "oauth-authz-req+jwt": "authorization request (RFC 9101)",
  "secevent+jwt": "security event token (RFC 8417)",
};

/**
 * @param keys ours, revoked ones too
 * @param now milliseconds since the epoch
 * @throws {UnreadableTokenError}
 */
export function inspectToken(
  jwt: string,
  { keys, issuer, now }: { keys: readonly PublicKey[]; issuer: string; now: number },
): TokenInspection {
  const parts = jwt
    .trim()
    .replace(/^Bearer\s+/i, "")
    .split(".");
  if (parts.length === 5) throw new UnreadableTokenError("This token is encrypted (JWE): only the holder of its key can read it.");
  if (parts.length !== 3)
    throw new UnreadableTokenError("This is no JWT: a JWT has three parts with dots between them. Refresh tokens and codes are opaque.");
  const [head = "", body = "", tail = ""] = parts;
  const header = decode(head, "header");
  const claims = decode(body, "claims");

  const named = keys.find(({ kid }) => kid === header.kid);
  const signature = checkSignature(header, named, Buffer.from(`${head}.${body}`), tail);
  const expired = typeof claims.exp === "number" && claims.exp * 1000 <= now;
  const notYetValid = typeof claims.nbf === "number" && claims.nbf * 1000 > now;
  const ours = claims.iss === issuer;
  return {
    kind: kindOf(header, claims),
    header,
    claims,
    explained: Object.entries(claims).map(([name, value]) => ({
      name,
      value,
      meaning: claimMeaning(name, claims, issuer),
      ...(TIME_CLAIMS.has(name) && isTime(value) && { time: new Date(value * 1000) }),
    })),
    signature,
    key: named && { kid: named.kid, alg: named.alg, state: named.state },
    expired,
    notYetValid,
    ours,
    verifies: signature === "valid" && named?.state !== "revoked" && ours && !expired && !notYetValid,
  };
}

function checkSignature(header: Record<string, unknown>, key: PublicKey | undefined, signed: Buffer, tail: string): SignatureFinding {
  if (header.alg === "none" || tail === "") return "unsigned";
  if (key === undefined) return "unknown_key";
  if (!isSigningAlg(header.alg) || header.alg !== key.alg) return "wrong_algorithm";
  const signature = Buffer.from(tail, "base64url");
  return signature.toString("base64url") === tail && signatureIsValid(key.alg, key.key, signed, signature) ? "valid" : "invalid";
}

function kindOf({ typ }: Record<string, unknown>, claims: Record<string, unknown>): string {
  const known = typeof typ === "string" ? KINDS[typ.toLowerCase().replace(/^application\//, "")] : undefined;
  if (known !== undefined) return known;
  const looksLikeIdToken = ["iss", "sub", "aud", "exp", "iat"].every((name) => name in claims) && !("scope" in claims);
  return looksLikeIdToken ? "ID token (OpenID Connect)" : "JWT";
}

/** What JavaScript can hold as a date. */
const isTime = (value: unknown): value is number => typeof value === "number" && Math.abs(value) <= 8.64e12;

function decode(part: string, what: string): Record<string, unknown> {
  try {
    if (!/^[A-Za-z0-9_-]+$/.test(part)) throw new Error("not base64url");
    const value: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(Buffer.from(part, "base64url")));
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // answered below
  }
  throw new UnreadableTokenError(`This is no JWT: its ${what} cannot be read. Was it copied as a whole?`);
}
