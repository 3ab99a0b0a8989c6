/**
 * How an error leaves the server: a page for a person, JSON for a program; what a stranger may read, and no more.
 */
import type { Context, Middleware } from "koa";
import { english, say, type Text, text } from "../i18n/messages.ts";
import { languageOf } from "./language.ts";
import type { Render } from "./pages.ts";

export interface HttpProblemOptions {
  /** One sentence: what the reader can do now. */
  advice?: Text;
  /** The page's heading; a general one for the status without it. */
  title?: Text;
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
  readonly title: Text | undefined;
  readonly advice: Text | undefined;
  /** What `message` says, for whoever reads another language. */
  readonly words: Text;
  readonly headers: Readonly<Record<string, string>>;
  readonly expose = true;

  constructor(status: number, code: string, words: Text, options: HttpProblemOptions = {}) {
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
  title: Text;
  message: Text;
  advice: Text;
}

/** What is said when nobody said anything better: `errors:<status>.…`. */
const CODES = {
  400: "invalid_request",
  401: "unauthorized",
  403: "forbidden",
  404: "not_found",
  405: "method_not_allowed",
  413: "too_large",
  415: "unsupported_media_type",
  429: "too_many_requests",
  500: "server_error",
  503: "temporarily_unavailable",
} as const;
type KnownStatus = keyof typeof CODES;

/** Seconds after which a client may try again when a store could not be reached: long enough to reconnect. */
const RETRY_AFTER_SECONDS = 2;

function wordsFor(status: number): ErrorWords {
  const known = (status in CODES ? status : status >= 500 ? 500 : 400) as KnownStatus;
  return {
    code: CODES[known],
    title: text(`errors:${known}.title`),
    message: text(`errors:${known}.message`),
    advice: text(`errors:${known}.advice`),
  };
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
    ctx.body = `${say(language, title)}\n\n${say(language, message)} ${say(language, advice)}\n\n${say(language, text("errors:page.reference"))}: ${reference}\n`;
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
