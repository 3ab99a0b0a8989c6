import { availableParallelism } from "node:os";
import { hash as argon2Hash, verify as argon2Verify, parseOptions } from "@node-rs/argon2";
import type { Config } from "../config.ts";
import { text } from "../i18n/messages.ts";
import { AccountError } from "./account-error.ts";

/** UTF-16 units past which nothing is normalised or hashed: 256 characters of any script fit in it several times. */
export const MAX_UNITS = 4096;
/** Hashes that may wait for a thread before a caller is told to come back: about 1.5 s of work on two cores. */
const MAX_WAITING = 128;
const BUSY_RETRY_SECONDS = 2;
/** libuv's pool, which also signs tokens: one thread of it always stays free of password work. */
const THREADS = Number(process.env.UV_THREADPOOL_SIZE ?? 4) || 4;

export interface PasswordCost {
  /** KiB. */
  readonly memoryCost: number;
  readonly timeCost: number;
  readonly parallelism: number;
}
/** OWASP's first recommendation for argon2id, as the settings have it by default. */
const DEFAULT_COST: PasswordCost = { memoryCost: 19_456, timeCost: 2, parallelism: 1 };

export const passwordCost = ({ hashMemory, hashPasses }: Pick<Config["password"], "hashMemory" | "hashPasses">): PasswordCost => ({
  memoryCost: hashMemory,
  timeCost: hashPasses,
  parallelism: 1,
});

export interface Verified {
  readonly ok: boolean;
  /** The hash was made with less work than today's rule: hash the password again and store that. */
  readonly outdated: boolean;
}

export interface Passwords {
  /** An argon2id PHC string. @throws AccountError `busy` (503) when too many wait already. */
  hash(password: string): Promise<string>;
  /**
   * Does the same work whether `phc` is a hash, something unreadable or missing, so that time does not tell which.
   * @throws AccountError `busy` (503)
   */
  verify(phc: string | undefined, password: string): Promise<Verified>;
  /** Calls that wait for a thread. */
  waiting(): number;
}

/** Hashing and verification with bounded parallelism, off the event loop. */
export function createPasswords(options: { cost?: PasswordCost; concurrency?: number; maxWaiting?: number } = {}): Passwords {
  const cost = options.cost ?? DEFAULT_COST;
  const slots = createSlots(
    options.concurrency ?? Math.max(1, Math.min(availableParallelism(), THREADS - 1)),
    options.maxWaiting ?? MAX_WAITING,
  );
  const decoy = decoyHash(cost);

  return {
    waiting: slots.waiting,
    async hash(password) {
      return slots.run(() => argon2Hash(prepare(password), cost));
    },
    async verify(phc, password) {
      const readable = phc === undefined ? undefined : parse(phc);
      const matches = await slots.run(() => argon2Verify(readable === undefined ? decoy : (phc as string), prepare(password)));
      const ok = matches && readable !== undefined && password.length <= MAX_UNITS;
      return { ok, outdated: ok && (readable.memoryCost < cost.memoryCost || readable.timeCost < cost.timeCost) };
    },
  };
}

/** NIST SP 800-63B-4 §3.1.1.2: NFKC before hashing. What no rule would have let in is not worth normalising. */
function prepare(password: string): string {
  return password.length > MAX_UNITS ? "" : password.normalize("NFKC");
}

function parse(phc: string): { memoryCost: number; timeCost: number } | undefined {
  try {
    return parseOptions(phc);
  } catch {
    return undefined;
  }
}

/** A well-formed hash that no password has: the work of checking it is that of any other. */
function decoyHash(cost: PasswordCost): string {
  const base64 = (bytes: number) =>
    Buffer.from(crypto.getRandomValues(new Uint8Array(bytes)))
      .toString("base64")
      .replace(/=+$/, "");
  return `$argon2id$v=19$m=${cost.memoryCost},t=${cost.timeCost},p=${cost.parallelism}$${base64(16)}$${base64(32)}`;
}

function createSlots(concurrency: number, maxWaiting: number): { run<T>(work: () => Promise<T>): Promise<T>; waiting(): number } {
  const waiting: Array<() => void> = [];
  let running = 0;
  return {
    waiting: () => waiting.length,
    async run(work) {
      if (running >= concurrency) {
        if (waiting.length >= maxWaiting) {
          throw new AccountError("busy", text("errors:busy"), {
            retryAfter: BUSY_RETRY_SECONDS,
          });
        }
        await new Promise<void>((resolve) => waiting.push(resolve));
      } else {
        running += 1;
      }
      try {
        return await work();
      } finally {
        const next = waiting.shift();
        if (next) next();
        else running -= 1;
      }
    },
  };
}
