/** What goes wrong, as problem details (RFC 9457): the one place where errors of the domain become answers of the API. */
import { AccountError } from "../accounts/account-error.ts";
import { ClientError } from "../clients/client-error.ts";
import { FederationError } from "../federation/federation-error.ts";
import { HttpProblem } from "../http/errors.ts";
import { english } from "../i18n/messages.ts";
import { SigningKeyError } from "../keys/key-rows.ts";
import { UnfinishedError } from "../operations/operator.ts";

interface Kind {
  readonly status: number;
  readonly title: string;
  /** For whoever opens `type` in a browser, and in the description of the API. */
  readonly about: string;
}

/** By the last segment of `type`. */
export const PROBLEMS = {
  "malformed-request": { status: 400, title: "The request is malformed", about: "It is no valid HTTP, path, header or JSON." },
  "invalid-input": {
    status: 400,
    title: "Something in the request is not as it must be",
    about:
      "`errors` names every member of the body, parameter or header that is wrong, by a JSON pointer or its name, and says what it must be.",
  },
  "invalid-cursor": {
    status: 400,
    title: "The cursor is not one of this list",
    about: "A cursor is good for the list and the filters that it was given out with. Begin without one.",
  },
  unauthorized: {
    status: 401,
    title: "A valid access token is needed",
    about:
      "Send an access token for this API in the `Authorization` header. `WWW-Authenticate` says what was wrong with the one that was sent.",
  },
  "insufficient-scope": {
    status: 403,
    title: "The access token does not allow this",
    about:
      "The operation needs a scope that the token does not hold, or that its client or person has lost since. `WWW-Authenticate` names it.",
  },
  forbidden: { status: 403, title: "This is not allowed", about: "No scope would help: `detail` says why." },
  "not-found": { status: 404, title: "There is no such thing", about: "Nothing of this kind has this id, or nothing is at this path." },
  "method-not-allowed": { status: 405, title: "The method is not allowed here", about: "`Allow` names those that are." },
  conflict: {
    status: 409,
    title: "It conflicts with what is there",
    about: "Something else has the name or address already, or the state does not allow it.",
  },
  "request-in-progress": {
    status: 409,
    title: "The same request is still under way",
    about: "A request with this `Idempotency-Key` has not been answered yet. Try again in a moment.",
  },
  "precondition-failed": {
    status: 412,
    title: "It was changed meanwhile",
    about: "The representation is not the one that `If-Match` names. Get it again, and decide again.",
  },
  "content-too-large": { status: 413, title: "The body is too large", about: "A body has at most 256 KiB." },
  "unsupported-media-type": {
    status: 415,
    title: "The body must be JSON",
    about: "Send `Content-Type: application/json`, in UTF-8 and without a content coding.",
  },
  "idempotency-key-reused": {
    status: 422,
    title: "The idempotency key belongs to another request",
    about: "An `Idempotency-Key` was used before for a request with another path or body. Take a new one.",
  },
  "precondition-required": {
    status: 428,
    title: "Say which version this is about",
    about: "Send `If-Match` with the `ETag` of the representation that you have seen, or `*` if any will do.",
  },
  "too-many-requests": { status: 429, title: "Too many requests", about: "Try again after `Retry-After` seconds." },
  "server-error": { status: 500, title: "Something went wrong", about: "It is not your fault. The server's log has it under `instance`." },
  unavailable: {
    status: 503,
    title: "Not available right now",
    about: "Something that the server needs cannot be reached. Try again after `Retry-After` seconds.",
  },
} as const satisfies Record<string, Kind>;
export type ProblemName = keyof typeof PROBLEMS;

/** One thing that is wrong; `field` is a JSON pointer into the body (RFC 6901), or `query/limit`, `path/account_id`, `header/If-Match`. */
export interface FieldError {
  readonly field: string;
  readonly message: string;
}

/** Seconds. */
const RETRY_AFTER = "2";

export class Problem extends Error {
  override readonly name = "Problem";
  readonly problem: ProblemName;
  readonly status: number;
  readonly errors: readonly FieldError[];
  readonly headers: Readonly<Record<string, string>>;

  /** @param detail a sentence that is safe to show and says what to do */
  constructor(
    problem: ProblemName,
    detail: string,
    options: { errors?: readonly FieldError[]; headers?: Readonly<Record<string, string>>; cause?: unknown } = {},
  ) {
    super(detail, options.cause === undefined ? undefined : { cause: options.cause });
    this.problem = problem;
    this.status = PROBLEMS[problem].status;
    this.errors = options.errors ?? [];
    this.headers = { ...(this.status === 503 && { "Retry-After": RETRY_AFTER }), ...options.headers };
  }
}

export const notFound = (what: string): Problem => new Problem("not-found", `There is no such ${what}.`);

/** Reduces anything thrown to what may be shown. */
export function problemOf(error: unknown): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof ClientError) return ofClient(error);
  if (error instanceof AccountError) return ofAccount(error);
  if (error instanceof FederationError) {
    const errors = error.faults.map(({ member, message }) => ({ field: pointer(member), message }));
    return new Problem(FEDERATION[error.code], sentence(error.message), { errors, cause: error });
  }
  if (error instanceof SigningKeyError) return new Problem("conflict", sentence(error.message), { cause: error });
  if (error instanceof UnfinishedError) return new Problem("unavailable", sentence(error.message), { cause: error });
  if (error instanceof URIError) return new Problem("malformed-request", "The path is no valid percent-encoding.");
  const { status } = (error ?? {}) as { status?: unknown };
  if (status === 503) return new Problem("unavailable", "A store cannot be reached. Try again in a moment.", { cause: error });
  if (error instanceof HttpProblem) {
    const name = named(error.status);
    if (name !== undefined) return new Problem(name, sentence(error.message), { headers: error.headers, cause: error });
  }
  return new Problem("server-error", "The server's log says more, under the instance.", { cause: error });
}

const named = (status: number): ProblemName | undefined =>
  status === 400 ? "invalid-input" : (Object.keys(PROBLEMS) as ProblemName[]).find((name) => PROBLEMS[name].status === status);

const FEDERATION = {
  not_found: "not-found",
  provider_exists: "conflict",
  invalid_provider: "invalid-input",
  in_configuration: "conflict",
  changed_meanwhile: "conflict",
} as const satisfies Record<FederationError["code"], ProblemName>;

function ofClient(error: ClientError): Problem {
  const { code, faults, message } = error;
  if (code === "not_found") return new Problem("not-found", sentence(message), { cause: error });
  if (code === "conflict") return new Problem("conflict", sentence(message), { cause: error });
  const errors = faults.map((fault) => ({ field: pointer(fault.member), message: fault.message }));
  return new Problem("invalid-input", sentence(message), { errors, cause: error });
}

function ofAccount(error: AccountError): Problem {
  const { code, status, faults, message, headers } = error;
  const name: ProblemName = code === "sign_up_closed" ? "forbidden" : (named(status) ?? "server-error");
  const errors = faults.map((fault) => ({ field: pointer(fault.field), message: english(fault.message) }));
  return new Problem(name, sentence(message), { errors, headers, cause: error });
}

/** `redirect_uris[0]`, as the rooms name it, is `/redirect_uris/0`. */
const pointer = (member: string): string => `/${member.replace(/\[(\w+)\]/g, "/$1").replaceAll(".", "/")}`;

/** A member that it begins with keeps its spelling. */
const sentence = (words: string): string =>
  (/^\w*[_[]/.test(words) ? words : words.charAt(0).toUpperCase() + words.slice(1)) + (/[.!?]$/.test(words) ? "" : ".");
