/**
 * How an error leaves the server: a page for a person, JSON for a program; what a stranger may read, and no more.
 */
import type { Context, Middleware } from "koa";
import { english, say, type Words } from "../i18n/messages.ts";
import { languageOf } from "./language.ts";
import type { Render } from "./pages.ts";

export interface HttpProblemOptions {
  /** One sentence: what the reader can do now. */
  advice?: Words;
  /** The page's heading; a general one for the status without it. */
  title?: Words;
  /** What really went wrong: for the log alone. */
  cause?: unknown;
  headers?: Readonly<Record<string, string>>;
}

/** An error whose text is safe to show. Everything else that is thrown becomes a 500 without detail. */
export class HttpProblem extends Error {
  override readonly name = "HttpProblem";
  readonly status: number;
  /** For programs, in the style of OAuth's error codes: `invalid_request`, `stale_form`, … */
  readonly code: string;
  readonly title: Words | undefined;
  readonly advice: Words | undefined;
  /** What `message` says, for whoever reads another language. */
  readonly words: Words;
  readonly headers: Readonly<Record<string, string>>;
  readonly expose = true;

  constructor(status: number, code: string, words: Words, options: HttpProblemOptions = {}) {
    super(english(words), options.cause === undefined ? undefined : { cause: options.cause });
    this.words = words;
    this.status = status;
    this.code = code;
    this.title = options.title;
    this.advice = options.advice;
    this.headers = options.headers ?? {};
  }
}

interface ErrorWords {
  code: string;
  title: Words;
  message: Words;
  advice: Words;
}

const GO_BACK = "Go back to the application you came from and try again.";

/** What is said when nobody said anything better. */
const WORDS: Readonly<Record<number, ErrorWords>> = {
  400: {
    code: "invalid_request",
    title: "This request cannot be understood",
    message: "Something in the request is missing or malformed.",
    advice: GO_BACK,
  },
  401: { code: "unauthorized", title: "Please sign in", message: "This needs you to be signed in.", advice: "Sign in and try again." },
  403: {
    code: "forbidden",
    title: "This is not allowed",
    message: "You may not do this.",
    advice: "Sign in with another account, or ask whoever runs this server.",
  },
  404: {
    code: "not_found",
    title: "There is nothing here",
    message: "No page has this address.",
    advice: "Check the address, or begin at the start page.",
  },
  405: {
    code: "method_not_allowed",
    title: "This cannot be done here",
    message: "This address does not take requests of this kind.",
    advice: GO_BACK,
  },
  413: {
    code: "too_large",
    title: "That is too much",
    message: "The request is larger than this server accepts.",
    advice: "Send less and try again.",
  },
  415: {
    code: "unsupported_media_type",
    title: "This cannot be read",
    message: "The request's content type is not accepted here.",
    advice: GO_BACK,
  },
  429: {
    code: "too_many_requests",
    title: "Too many tries",
    message: "There were too many tries in a short time.",
    advice: "Wait a few minutes and try again.",
  },
  500: {
    code: "server_error",
    title: "Something went wrong here",
    message: "It is this server's fault, not yours.",
    advice: "Try again in a moment. If it happens again, tell whoever runs this server the reference below.",
  },
  503: {
    code: "temporarily_unavailable",
    title: "This is not available right now",
    message: "The server cannot reach something that it needs.",
    advice: "Nothing is lost. Wait a few seconds and try again.",
  },
};

/** Seconds after which a client may try again when a store could not be reached: long enough to reconnect. */
const RETRY_AFTER_SECONDS = 2;

function wordsFor(status: number): ErrorWords {
  return WORDS[status] ?? (WORDS[status >= 500 ? 500 : 400] as ErrorWords);
}

/** What is shown of an error. `status` of anything that is not a client's fault or a 503 is 500. */
export interface Shown extends ErrorWords {
  status: number;
  headers: Readonly<Record<string, string>>;
}

/** Reduces anything thrown to what may be shown. */
function shownError(error: unknown): Shown {
  if (error instanceof HttpProblem) {
    const words = wordsFor(error.status);
    const headers = error.status === 503 ? { "Retry-After": String(RETRY_AFTER_SECONDS), ...error.headers } : error.headers;
    const { status, code, words: message } = error;
    return { status, code, message, title: error.title ?? words.title, advice: error.advice ?? words.advice, headers };
  }
  const { status, expose } = (error ?? {}) as { status?: unknown; expose?: unknown };
  if (status === 503) return { status, ...wordsFor(status), headers: { "Retry-After": String(RETRY_AFTER_SECONDS) } };
  // http-errors (ctx.throw, body parsing): the status is meant for the client, the message for a developer.
  if (typeof status === "number" && status >= 400 && status < 500 && expose === true) return { status, ...wordsFor(status), headers: {} };
  // The router's: an address that is no valid percent-encoding.
  if (error instanceof URIError) return { status: 400, ...wordsFor(400), headers: {} };
  return { status: 500, ...wordsFor(500), headers: {} };
}

/** Whether the one who asks is a browser that shows a page. Programs that name no type get JSON. */
function wantsPage(ctx: Context): boolean {
  return ctx.get("Accept").includes("text/html");
}

/** Answers with the error page or with JSON; the reference is the request's id. */
function answerError(ctx: Context, shown: Shown, render: Render): void {
  const { status, headers, code, title, message, advice } = shown;
  const reference = String(ctx.state.requestId ?? "");
  for (const name of ["ETag", "Last-Modified", "Content-Encoding", "Content-Disposition", "Location"]) ctx.remove(name);
  ctx.set("Cache-Control", "no-store");
  for (const [name, value] of Object.entries(headers)) ctx.set(name, value);
  ctx.status = status;
  if (!wantsPage(ctx)) {
    ctx.body = { error: code, error_description: english(message), reference };
    return;
  }
  try {
    render(ctx, "error", { heading: title, message, advice, reference });
  } catch (cause) {
    ctx.state.log?.error({ err: cause }, "the error page could not be rendered");
    ctx.type = "text/plain; charset=utf-8";
    const language = languageOf(ctx);
    ctx.body = `${say(language, title)}\n\n${say(language, message)} ${say(language, advice)}\n\nReference: ${reference}\n`;
  }
}

/** The one place where errors end: logged once with the reference, then shown. Comes right after `requestContext` and the headers. */
export function handleErrors(render: Render): Middleware {
  return async (ctx, next) => {
    try {
      await next();
    } catch (error) {
      const shown = shownError(error);
      logError(ctx, error, shown);
      if (ctx.headerSent || !ctx.writable) {
        // Half an answer is out: the connection is all that can still tell the client.
        ctx.res.destroy();
        return;
      }
      answerError(ctx, shown, render);
      return;
    }
    // Bodies that somebody chose, even for a 404, are left as they are.
    if ((ctx.status === 404 || ctx.status === 405 || ctx.status === 501) && ctx.body == null && !ctx.headerSent && ctx.respond !== false) {
      const status = ctx.status === 501 ? 405 : ctx.status;
      answerError(ctx, { status, ...wordsFor(status), headers: {} }, render);
    }
  };
}

function logError(ctx: Context, error: unknown, shown: Shown): void {
  const { log } = ctx.state;
  const line = { err: error, status: shown.status };
  if (shown.status >= 500) log.error(line, shown.status === 503 ? "unavailable" : "unexpected error");
  else if (error instanceof HttpProblem && error.cause === undefined) log.debug(line, "refused");
  else log.info(line, "refused");
}
