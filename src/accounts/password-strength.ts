/** How easily a password is guessed, estimated in a thread of its own: the event loop neither loads the word lists nor searches them. */
import { Worker } from "node:worker_threads";
import { text } from "../i18n/messages.ts";
import { AccountError } from "./account-error.ts";

/** Passwords that may wait for the thread, of some 20 ms each. */
const MAX_WAITING = 100;
const RETRY_SECONDS = 2;
/** MB, of what an estimate throws away: more would stay with the process, which the word lists make large enough. */
const YOUNG_GENERATION = 8;

export interface StrengthQuestion {
  readonly password: string;
  /** What whoever guesses would try for this person: their address and name, and ours. */
  readonly about: readonly string[];
}

export interface Strength {
  /** zxcvbn's: 0 to 4, which is that many guesses: fewer than 10³, 10⁶, 10⁸, 10¹⁰, or more. */
  readonly score: number;
  /** One of those that are tried first. */
  readonly common: boolean;
  /** zxcvbn's key of what makes it weak. */
  readonly why: string | undefined;
  /** zxcvbn's keys of what would make it stronger. */
  readonly advice: readonly string[];
}

export interface PasswordStrength {
  /** @throws AccountError `busy` (503) when too many wait, `unavailable` (503) when the thread has failed */
  estimate(question: StrengthQuestion): Promise<Strength>;
  close(): Promise<void>;
}

interface Waiting {
  resolve(strength: Strength): void;
  reject(reason: unknown): void;
}

/** The thread starts with the first question, and keeps no process alive. */
export function createPasswordStrength(): PasswordStrength {
  const waiting = new Map<number, Waiting>();
  let worker: Worker | undefined;
  let serial = 0;

  function start(): Worker {
    const started = new Worker(new URL("password-strength-worker.ts", import.meta.url), {
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION },
    });
    const ended = (cause: unknown) => {
      if (worker === started) worker = undefined;
      for (const { reject } of waiting.values()) {
        reject(new AccountError("unavailable", text("errors:cannot_check"), { cause, retryAfter: RETRY_SECONDS }));
      }
      waiting.clear();
    };
    started.on("message", ({ id, strength }: { id: number; strength: Strength }) => {
      waiting.get(id)?.resolve(strength);
      waiting.delete(id);
      if (waiting.size === 0) started.unref();
    });
    started.on("error", ended);
    started.on("exit", (code) => ended(new Error(`the thread ended with ${code}`)));
    return started;
  }

  return {
    async estimate(question) {
      if (waiting.size >= MAX_WAITING) throw new AccountError("busy", text("errors:busy"), { retryAfter: RETRY_SECONDS });
      worker ??= start();
      const thread = worker;
      return new Promise<Strength>((resolve, reject) => {
        serial += 1;
        waiting.set(serial, { resolve, reject });
        thread.ref();
        thread.postMessage({ id: serial, ...question });
      });
    },
    async close() {
      await worker?.terminate();
    },
  };
}
