/** Why a request is not let through, before it is known how to say so: the verifier makes an AccessTokenError of it. */
import type { AccessTokenErrorCode } from "./access-token-error.ts";

export interface RefusalOptions extends ErrorOptions {
  /** Further parameters of the challenge. */
  readonly parameters?: Readonly<Record<string, string>>;
  /** `DPoP-Nonce`. */
  readonly nonce?: string;
}

export class Refusal extends Error {
  readonly code: AccessTokenErrorCode;
  readonly parameters: Readonly<Record<string, string>> | undefined;
  readonly nonce: string | undefined;

  constructor(code: AccessTokenErrorCode, message: string, { parameters, nonce, ...options }: RefusalOptions = {}) {
    super(message, options);
    this.code = code;
    this.parameters = parameters;
    this.nonce = nonce;
  }
}

/** Seconds, when the issuer did not say. */
const RETRY_AFTER = 5;

/** What is needed to check tokens cannot be had right now: not the client's fault. */
export class Unavailable extends Error {
  /** Seconds after which it is worth another try. */
  readonly retryAfter: number;

  constructor(message: string, { retryAfter, ...options }: ErrorOptions & { retryAfter?: number } = {}) {
    super(message, options);
    this.retryAfter = retryAfter ?? (options.cause instanceof Unavailable ? options.cause.retryAfter : RETRY_AFTER);
  }
}
