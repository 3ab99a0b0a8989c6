/** Tokens that only their resource server can read (JWE, RFC 7516): to which key of its own, and how. */
import { createPublicKey, hash, type JsonWebKey, type KeyObject } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { ClientError } from "./client-error.ts";
import { jwkFault } from "./client-jwks.ts";

/** RFC 7518 §4.3, §4.6. RSA1_5 is left out for good reason (RFC 8725 §3.2), and what is symmetric has no public half. */
const RSA_ALGS = ["RSA-OAEP-256"];
const ECDH_ALGS = ["ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A256KW"];
/** RFC 7518 §5. */
const ENCS = ["A256GCM", "A128GCM", "A128CBC-HS256", "A256CBC-HS512"];
const CURVES = ["P-256", "P-384", "P-521", "X25519"];
/** Beyond it encrypting takes time that every token request would spend. */
const LARGEST_RSA_BITS = 4096;

export interface ResourceEncryption {
  /** JWE `alg`. */
  readonly alg: string;
  /** JWE `enc`. */
  readonly enc: string;
  /** Public; with a `kid`. */
  readonly jwk: JsonWebKey & { readonly kid: string };
}

/** What is absent stays, or follows from the key. */
export interface EncryptionInput {
  alg?: string;
  enc?: string;
  jwk?: unknown;
}

/** @throws {ClientError} `invalid_resource` */
export function resourceEncryption(given: EncryptionInput, before?: ResourceEncryption): ResourceEncryption {
  const jwk = given.jwk === undefined ? before?.jwk : checkedKey(given.jwk);
  if (jwk === undefined) throw fault("needs a key: the public JSON Web Key of the resource server");
  const algs = jwk.kty === "RSA" ? RSA_ALGS : ECDH_ALGS;
  const isKept = given.jwk === undefined || isDeepStrictEqual(given.jwk, before?.jwk);
  const alg = given.alg ?? (isKept ? before?.alg : undefined) ?? (jwk.alg as string | undefined) ?? (algs[0] as string);
  const enc = given.enc ?? before?.enc ?? (ENCS[0] as string);
  if (!algs.includes(alg)) throw fault(`must have an alg for a key of type ${jwk.kty}: ${algs.join(", ")}`);
  if (jwk.alg !== undefined && jwk.alg !== alg) throw fault(`has a key for the alg ${String(jwk.alg).slice(0, 50)}, and not for ${alg}`);
  if (!ENCS.includes(enc)) throw fault(`must have one of these as enc: ${ENCS.join(", ")}`);
  return { alg, enc, jwk };
}

const keys = new WeakMap<object, KeyObject>();

/** The key itself; made once for each reading of a resource. */
export function encryptionKey({ jwk }: ResourceEncryption): KeyObject {
  const known = keys.get(jwk);
  if (known !== undefined) return known;
  const made = createPublicKey({ key: jwk, format: "jwk" });
  keys.set(jwk, made);
  return made;
}

/** RFC 7517 §4: public, of a kind and a size that we encrypt to, and meant for that. Members that say nothing of it are dropped. */
function checkedKey(given: unknown): ResourceEncryption["jwk"] {
  const wrong = jwkFault(given);
  if (wrong !== undefined) throw fault(`has a key that ${wrong}`);
  const { kty, crv, n, e, x, y, kid, alg, use, key_ops: operations } = given as Record<string, string> & { key_ops?: unknown };
  if (use !== undefined && use !== "enc") throw fault('has a key that is for something else: its use must be "enc"');
  const named = Array.isArray(operations) ? operations : [];
  if (operations !== undefined && !named.some((each) => ["encrypt", "wrapKey", "deriveKey", "deriveBits"].includes(each)))
    throw fault("has a key that is for something else: its key_ops name no encryption");
  if (kty !== "RSA" && !CURVES.includes(String(crv)))
    throw fault(`has a key on a curve that nothing is encrypted to: ${CURVES.join(", ")} are supported`);
  const bare = { kty, ...(kty === "RSA" ? { n, e } : { crv, x, ...(kty === "EC" && { y }) }) } as JsonWebKey;
  const { modulusLength = 0, publicExponent = 65537n } = createPublicKey({ key: bare, format: "jwk" }).asymmetricKeyDetails ?? {};
  if (modulusLength > LARGEST_RSA_BITS) throw fault(`has a key that is longer than ${LARGEST_RSA_BITS} bits`);
  if (publicExponent < 65537n || publicExponent % 2n === 0n) throw fault("has a key with an unsafe exponent");
  return { ...bare, use: "enc", ...(alg !== undefined && { alg }), kid: kid ?? thumbprint(bare) };
}

/** RFC 7638: the required members in the order of their names. */
const thumbprint = (jwk: JsonWebKey): string =>
  hash("sha256", JSON.stringify(Object.fromEntries(Object.entries(jwk).sort(([a], [b]) => (a < b ? -1 : 1)))), "base64url");

const fault = (message: string): ClientError =>
  new ClientError("invalid_resource", `encryption ${message}`, { faults: [{ member: "encryption", message }] });
