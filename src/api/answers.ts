/** What goes out: representations with their tags, pages with their links, lines, and problem details. */
import { Readable } from "node:stream";
import type { Context } from "koa";
import { entityTag } from "./entity-tags.ts";
import { PROBLEMS, type Problem } from "./problems.ts";
import { API_PATH } from "./routes.ts";

/** Ready to be sent, or kept for whoever repeats the request. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** JSON; undefined: none. */
  readonly body: unknown;
}

export const LINES = "application/jsonl";
const JSON_TYPE = "application/json; charset=utf-8";

interface Shown {
  readonly status?: number | undefined;
  /** The path of what was made, below the API's. */
  readonly location?: string | undefined;
  readonly tagged: boolean;
  readonly shownOnce?: readonly string[] | undefined;
}

export function represent(body: unknown, { status, location, tagged, shownOnce }: Shown): Answer {
  if (body === undefined) return { status: 204, headers: {}, body };
  return {
    status: status ?? 200,
    headers: {
      ...(location !== undefined && { Location: API_PATH + location }),
      ...(tagged && { ETag: entityTag(body, shownOnce) }),
    },
    body,
  };
}

/** RFC 8288. @param next the cursor of the following page */
export function page(ctx: Context, items: readonly unknown[], next: string | undefined): Answer {
  if (next === undefined) return { status: 200, headers: {}, body: { items } };
  const query = new URLSearchParams(ctx.search);
  query.set("cursor", next);
  return { status: 200, headers: { Link: `<${ctx.path}?${query}>; rel="next"` }, body: { items, next } };
}

/** @param known `If-None-Match`, of a GET */
export function send(ctx: Context, { status, headers, body }: Answer, known = ""): void {
  ctx.set(headers);
  if (headers.ETag !== undefined && isKnown(known, headers.ETag)) {
    ctx.status = 304;
    return;
  }
  ctx.status = status;
  if (body === undefined) return;
  ctx.body = JSON.stringify(body);
  ctx.type = JSON_TYPE;
}

/** Weak comparison (RFC 9110 §13.1.2). */
const isKnown = (known: string, tag: string): boolean =>
  known === "*" || known.split(",").some((each) => each.trim().replace(/^W\//, "") === tag);

/** One JSON document a line. What goes wrong on the way ends the connection: that is all that can still tell the client. */
export function sendLines(ctx: Context, items: AsyncIterable<unknown>): void {
  async function* lines(): AsyncGenerator<string> {
    for await (const item of items) yield `${JSON.stringify(item)}\n`;
  }
  const stream = Readable.from(lines());
  stream.on("error", (err) => ctx.state.log.error({ err }, "an answer ended half-way"));
  ctx.status = 200;
  ctx.body = stream;
  ctx.type = LINES;
}

/** RFC 9457. `request_id` finds the request in the server's log. */
export function sendProblem(ctx: Context, { problem, message, errors, headers }: Problem, issuer: string): void {
  const { status, title } = PROBLEMS[problem];
  for (const name of ["ETag", "Location", "Link"]) ctx.remove(name);
  ctx.set(headers);
  ctx.status = status;
  ctx.body = JSON.stringify({
    type: problemType(issuer, problem),
    title,
    status,
    detail: message,
    ...(errors.length > 0 && { errors }),
    request_id: String(ctx.state.requestId),
  });
  ctx.type = "application/problem+json; charset=utf-8";
}

export const PROBLEMS_PATH = "/api/problems";
export const problemType = (issuer: string, problem: string): string => `${issuer}${PROBLEMS_PATH}/${problem}`;
