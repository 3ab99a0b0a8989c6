import { createHash, randomBytes, timingSafeEqual } from "node:crypto";

/** 256 random bits: nothing that can be guessed, so a single SHA-256 keeps it as well as a slow hash would. */
const SECRET_BYTES = 32;
const ID_BYTES = 16;

/** For client secrets, registration access tokens and initial access tokens; base64url. */
export const generateSecret = (): string => randomBytes(SECRET_BYTES).toString("base64url");

/** SHA-256, base64url: what is stored in place of a secret. */
export const hashSecret = (secret: string): string => createHash("sha256").update(secret).digest("base64url");

/** Takes the same time whatever the difference is; false without a stored hash. */
export function secretMatches(hash: string | undefined, secret: string): boolean {
  if (hash === undefined) return false;
  const expected = Buffer.from(hash);
  const actual = Buffer.from(hashSecret(secret));
  return expected.length === actual.length && timingSafeEqual(expected, actual);
}

/** 128 random bits; never begins with a dash, which a command line would take for an option. */
export function newClientId(): string {
  for (;;) {
    const id = randomBytes(ID_BYTES).toString("base64url");
    if (!id.startsWith("-")) return id;
  }
}
