/**
 * Authenticated encryption for what must be read back: private keys, session ids, interactions.
 * A sealed string is `<key id>.<base64url(iv | ciphertext | tag)>`; the key id lets a rotated SECRET_KEY still open old values.
 */
import { createCipheriv, createDecipheriv, createHash, createSecretKey, type KeyObject, randomBytes } from "node:crypto";

const IV_BYTES = 12; // NIST SP 800-38D §8.2: 96 bits
const TAG_BYTES = 16;

export interface Sealer {
  /** @param context what the value is and where it lies; the same words are needed to open it */
  seal(plaintext: string, context: string): string;
  /** @throws {Error} when no key opens it, or the value or its context was changed */
  open(sealed: string, context: string): string;
  /** Whether one of the keys sealed it: if not, it was sealed under a secret that has been taken away. */
  isKnown(sealed: string): boolean;
  /** Whether the first key sealed it: if not, seal it again. */
  isCurrent(sealed: string): boolean;
  /** Of the first key: what it sealed begins with this and a dot. */
  readonly currentId: string;
}

/** @param keys 32 bytes each; the first seals, all open */
export function createSealer(keys: readonly Buffer[]): Sealer {
  const known = keys.map((key) => ({ id: keyId(key), key: createSecretKey(key) }));
  const first = known[0];
  if (first === undefined) throw new Error("a sealer needs at least one key");
  const keyOf = (sealed: string) => known.find(({ id }) => sealed.startsWith(`${id}.`))?.key;
  return {
    seal: (plaintext, context) => `${first.id}.${encrypt(first.key, plaintext, context)}`,
    open(sealed, context) {
      const key = keyOf(sealed);
      if (key === undefined) throw new Error("sealed with a key that is not known here");
      return decrypt(key, sealed.slice(sealed.indexOf(".") + 1), context);
    },
    isKnown: (sealed) => keyOf(sealed) !== undefined,
    isCurrent: (sealed) => sealed.startsWith(`${first.id}.`),
    currentId: first.id,
  };
}

/** Seals under one key without naming it: for keys that only the holder of a token can derive. */
export function encrypt(key: KeyObject, plaintext: string, context: string): string {
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv("aes-256-gcm", key, iv).setAAD(Buffer.from(context));
  return Buffer.concat([iv, cipher.update(plaintext, "utf8"), cipher.final(), cipher.getAuthTag()]).toString("base64url");
}

/** @throws {Error} when the key or the context is another, or the value was changed */
export function decrypt(key: KeyObject, sealed: string, context: string): string {
  const bytes = Buffer.from(sealed, "base64url");
  if (bytes.length < IV_BYTES + TAG_BYTES) throw new Error("sealed value is too short");
  const decipher = createDecipheriv("aes-256-gcm", key, bytes.subarray(0, IV_BYTES), { authTagLength: TAG_BYTES });
  decipher.setAAD(Buffer.from(context)).setAuthTag(bytes.subarray(bytes.length - TAG_BYTES));
  return decipher.update(bytes.subarray(IV_BYTES, bytes.length - TAG_BYTES), undefined, "utf8") + decipher.final("utf8");
}

const keyId = (key: Buffer): string => createHash("sha256").update("grantor/key-id").update(key).digest("base64url").slice(0, 6);
