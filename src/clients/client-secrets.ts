import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import type { ClientRecord } from "./client-record.ts";

/** 256 random bits: nothing that can be guessed, so a single SHA-256 keeps it as well as a slow hash would. */
const SECRET_BYTES = 32;
const ID_BYTES = 16;

/** For client secrets, registration access tokens and initial access tokens; base64url. */
export const generateSecret = (): string => randomBytes(SECRET_BYTES).toString("base64url");

/** SHA-256, base64url: what is stored in place of a secret. */
export const hashSecret = (secret: string): string => createHash("sha256").update(secret).digest("base64url");

/** The secret before the current one while it counts: its end needs nobody to carry it out. @param now milliseconds since the epoch */
export const livePreviousSecret = ({ previousSecret }: ClientRecord, now: number): ClientRecord["previousSecret"] =>
  previousSecret !== undefined && previousSecret.until.getTime() > now ? previousSecret : undefined;

/**
 * Whether it is the client's secret, or the one before it within its time. Takes the same time whichever it is and whatever the difference is.
 * @param now milliseconds since the epoch
 */
export function isSecretOf(client: ClientRecord, secret: string, now: number): boolean {
  const actual = Buffer.from(hashSecret(secret));
  const matches = (hash = ""): boolean => {
    const expected = Buffer.from(hash);
    return expected.length === actual.length && timingSafeEqual(expected, actual);
  };
  const [current, previous] = [matches(client.secretHash), matches(livePreviousSecret(client, now)?.hash)];
  return current || previous;
}

/** 128 random bits; never begins with a dash, which a command line would take for an option. */
export function newClientId(): string {
  for (;;) {
    const id = randomBytes(ID_BYTES).toString("base64url");
    if (!id.startsWith("-")) return id;
  }
}
