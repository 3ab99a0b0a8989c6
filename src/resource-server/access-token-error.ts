/** What a request hears that is not let through: RFC 6750 §3.1, RFC 9449 §7.1, RFC 9470 §3. */

/** The error codes of the RFCs, and two of our own for what they have none for: `missing_token` (nothing was presented) and `temporarily_unavailable`. */
export type AccessTokenErrorCode =
  | "missing_token"
  | "invalid_request"
  | "invalid_token"
  | "insufficient_scope"
  | "insufficient_user_authentication"
  | "invalid_dpop_proof"
  | "use_dpop_nonce"
  | "temporarily_unavailable";

const STATUS = {
  missing_token: 401,
  invalid_request: 400,
  invalid_token: 401,
  insufficient_scope: 403,
  insufficient_user_authentication: 401,
  invalid_dpop_proof: 401,
  use_dpop_nonce: 401,
  temporarily_unavailable: 503,
} as const satisfies Record<AccessTokenErrorCode, number>;

/**
 * Why a request is not let through, ready to be answered. `message` is safe to show; what went wrong underneath is `cause`, for the log.
 * Neither holds the token.
 */
export class AccessTokenError extends Error {
  override readonly name = "AccessTokenError";
  readonly code: AccessTokenErrorCode;
  /** 400, 401, 403; or 503, when it is not the client's fault: keys or status cannot be had. */
  readonly status: 400 | 401 | 403 | 503;
  /** To be sent with the answer: `WWW-Authenticate`, `Retry-After` (seconds), `DPoP-Nonce`. */
  readonly headers: Readonly<Record<string, string>>;
  /** For frameworks that ask an error whether its message may be shown. */
  readonly expose = true;

  constructor(code: AccessTokenErrorCode, message: string, headers: Readonly<Record<string, string>>, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.status = STATUS[code];
    this.headers = headers;
  }

  /** The same as `status`: some frameworks look for this name. */
  get statusCode(): number {
    return this.status;
  }

  /** The challenge (RFC 9110 §11.6.1); undefined with 503. */
  get wwwAuthenticate(): string | undefined {
    return this.headers["WWW-Authenticate"];
  }

  /** A body for the answer, as JSON. */
  get body(): { error: AccessTokenErrorCode; error_description: string } {
    return { error: this.code, error_description: this.message };
  }
}
