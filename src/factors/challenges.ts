/**
 * Challenges of WebAuthn (§13.4.3): random, five minutes long, each bound to what it was handed out for, each used once. Handing one out writes
 * nothing, so that a page view costs nothing: the challenge carries its end and a MAC, and is taken in the store when it comes back.
 */
import { createHash, createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import type { RecordStore } from "../storage/record-store.ts";

/** Seconds; as long as a person may take to find their security key. */
export const CHALLENGE_LIFE = 300;

const RANDOM_BYTES = 16; // WebAuthn §13.4.3: at least 16
const END_BYTES = 6;
const MAC_BYTES = 32;
const HEAD_BYTES = END_BYTES + RANDOM_BYTES;

export interface Challenges {
  /** @param binding what it is for: a purpose, and the interaction or session and account that it is handed to  @returns base64url */
  make(binding: string): string;
  /** Whether it was made for this, and lives. Uses nothing up. */
  fits(challenge: string, binding: string): boolean;
  /** Uses it up. `false` to all but the first of any number of parallel calls. Only for one that fits. */
  take(challenge: string): Promise<boolean>;
}

export interface ChallengeOptions {
  /** HMAC keys: the first makes, all are accepted. */
  keys: readonly Buffer[];
  records: Pick<RecordStore, "commit">;
  /** Milliseconds since the epoch. */
  now: () => number;
}

export function createChallenges({ keys, records, now }: ChallengeOptions): Challenges {
  const [first] = keys;
  if (first === undefined) throw new TypeError("challenges need a key");
  const mac = (key: Buffer, head: Buffer, binding: string) => createHmac("sha256", key).update(head).update(binding).digest();
  const endOf = (bytes: Buffer) => bytes.readUIntBE(0, END_BYTES);

  return {
    make(binding) {
      const head = Buffer.concat([Buffer.alloc(END_BYTES), randomBytes(RANDOM_BYTES)]);
      head.writeUIntBE(now() + CHALLENGE_LIFE * 1000, 0, END_BYTES);
      return Buffer.concat([head, mac(first, head, binding)]).toString("base64url");
    },
    fits(challenge, binding) {
      const bytes = Buffer.from(challenge, "base64url");
      if (bytes.length !== HEAD_BYTES + MAC_BYTES || endOf(bytes) <= now()) return false;
      const head = bytes.subarray(0, HEAD_BYTES);
      return keys.some((key) => timingSafeEqual(mac(key, head, binding), bytes.subarray(HEAD_BYTES)));
    },
    async take(challenge) {
      // Of its bytes: of two spellings of one challenge, one counts.
      const bytes = Buffer.from(challenge, "base64url");
      const hash = createHash("sha256").update(bytes).digest("base64url");
      return (await records.commit([{ op: "claim", key: `replay:${hash}`, expiresAt: endOf(bytes) }])) === undefined;
    },
  };
}
