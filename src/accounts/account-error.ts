// accounts/ owns people: who they are, how they prove it, how they sign up, what they allowed, and the mail that is sent to them.
// It does not own sessions, grants or tokens (oidc/, tokens/), nor the sign-in and consent pages (interactions/). Logic here never sees
// Koa's ctx; only `*-routes.ts` does.

import { english, type Text, text, type Words } from "../i18n/messages.ts";

/** One thing that is wrong with one field of a form or option of a command; `message` is a sentence to show beside it. */
export interface Fault {
  readonly field: string;
  readonly message: Words;
}

export type AccountErrorCode =
  | "invalid_input"
  | "email_taken"
  | "role_exists"
  | "not_found"
  | "unknown_client"
  | "link_invalid"
  | "password_too_short"
  | "last_way_in"
  | "last_administrator"
  | "sign_up_closed"
  | "too_many_attempts"
  | "busy"
  | "unavailable";

const STATUS: Record<AccountErrorCode, number> = {
  invalid_input: 400,
  email_taken: 409,
  role_exists: 409,
  not_found: 404,
  unknown_client: 404,
  link_invalid: 400,
  password_too_short: 409,
  last_way_in: 409,
  last_administrator: 409,
  sign_up_closed: 403,
  too_many_attempts: 429,
  busy: 503,
  unavailable: 503,
};

/**
 * What this room tells its callers. `message` is safe to show to a stranger; the cause, if any, belongs in the log alone.
 * `status`, `expose` and `headers` are what Koa's error rule reads.
 */
export class AccountError extends Error {
  readonly code: AccountErrorCode;
  readonly status: number;
  readonly expose = true;
  /** Everything that is wrong, for `invalid_input`. */
  readonly faults: readonly Fault[];
  /** Whole seconds after which another try makes sense, for 429 and 503. */
  readonly retryAfter: number | undefined;
  /** What pages say. What is told to operators alone has no text: to anybody else the status says enough. */
  readonly words: Text;

  constructor(code: AccountErrorCode, words: Words, options: { cause?: unknown; faults?: readonly Fault[]; retryAfter?: number } = {}) {
    super(english(words), options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "AccountError";
    this.code = code;
    this.status = STATUS[code];
    this.words = typeof words === "string" ? generalWords(this.status) : words;
    this.faults = options.faults ?? [];
    this.retryAfter = options.retryAfter;
  }

  /** RFC 9110 §10.2.3. */
  get headers(): Record<string, string> {
    return this.retryAfter === undefined ? {} : { "Retry-After": String(this.retryAfter) };
  }
}

/** Beside a field. */
export const wordsOf = ({ message }: Fault): Text => (typeof message === "string" ? generalWords(STATUS.invalid_input) : message);

const generalWords = (status: number): Text => text(`errors:${status === 409 ? 400 : status}.message`);

/** @throws AccountError `invalid_input` naming every fault, unless there is none. */
export function refuseFaults(faults: readonly Fault[]): void {
  const [first, ...others] = faults;
  if (first === undefined) return;
  const words = others.length === 0 ? first.message : faults.map((fault) => english(fault.message)).join(" ");
  throw new AccountError("invalid_input", words, { faults });
}
