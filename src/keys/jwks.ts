/** The faces of the key set: private for the engine that signs, public for everybody who verifies. */
import { createHash, type JsonWebKey } from "node:crypto";
import type { KeySnapshot, LoadedKey } from "./signing-keys.ts";

/** @see RFC 7517 §5 */
export interface JwkSet {
  readonly keys: readonly JsonWebKey[];
}

/** An HTTP representation that is ready to be sent. */
export interface JwksDocument {
  readonly body: string;
  /** Strong (RFC 9110 §8.8.3), with its quotes; the same in every process that holds the same keys. */
  readonly etag: string;
  readonly cacheControl: string;
  readonly contentType: string;
}

/** For `new Provider(issuer, { jwks })`: the keys that sign, one for each algorithm, and no other: a key that is not current signs nothing. */
export const signingJwks = ({ keys }: KeySnapshot): JwkSet => ({
  keys: keys.flatMap(({ state, privateJwk }) => (state === "current" && privateJwk !== undefined ? [privateJwk] : [])),
});

/** Keys that sign no more, for ID tokens that come back as hints long after they were issued. */
export const earlierKeys = ({ keys, expired }: KeySnapshot): readonly LoadedKey[] => [
  ...keys.filter(({ state }) => state === "retired"),
  ...expired,
];

const documents = new WeakMap<KeySnapshot, Map<number, JwksDocument>>();

/** @param maxAge seconds: JWKS_MAX_AGE */
export function publicJwks(snapshot: KeySnapshot, maxAge: number): JwksDocument {
  const made = documents.get(snapshot) ?? new Map<number, JwksDocument>();
  documents.set(snapshot, made);
  const known = made.get(maxAge);
  if (known !== undefined) return known;
  const body = JSON.stringify({ keys: snapshot.keys.map(({ publicJwk }) => publicJwk) } satisfies JwkSet);
  const document = {
    body,
    etag: `"${createHash("sha256").update(body).digest("base64url")}"`,
    cacheControl: `public, max-age=${maxAge}`,
    contentType: "application/jwk-set+json; charset=utf-8", // RFC 7517 §8.5.2
  };
  made.set(maxAge, document);
  return document;
}
