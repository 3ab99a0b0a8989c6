/** One request to the API, step by step: what it is about, who asks, what is said, whether it was said before, and the answer. */
import type { Context, Middleware } from "koa";
import type { IdempotentRequests } from "../operations/idempotent-requests.ts";
import type { Authorize, Granted } from "./access.ts";
import { type Answer, page, represent, send, sendLines, sendProblem } from "./answers.ts";
import type { Cursors } from "./cursors.ts";
import { type Caller, type Endpoint, isTagged, type Listing, type Operation, type Page, type Position } from "./endpoint.ts";
import { expectationOf } from "./entity-tags.ts";
import { Problem, problemOf } from "./problems.ts";
import { type EndpointSchemas, readBody, readParams, readQuery, schemasOf } from "./request-input.ts";
import { API_PATH, compileRoutes } from "./routes.ts";

export interface RequestOptions {
  readonly issuer: string;
  readonly endpoints: readonly Endpoint[];
  readonly authorize: Authorize;
  readonly cursors: Cursors;
  readonly idempotent: IdempotentRequests;
}

/** Of draft-ietf-httpapi-idempotency-key-header-07, with or without the quotes of a structured string. */
const IDEMPOTENCY_KEY = /^(?:"([\x21\x23-\x5b\x5d-\x7e]{1,255})"|([\x21\x23-\x5b\x5d-\x7e]{1,255}))$/;

/** Answers everything below `/api/v1`. */
export function apiRequests({ issuer, endpoints, authorize, cursors, idempotent }: RequestOptions): Middleware {
  const find = compileRoutes(endpoints);
  const schemas = new Map(endpoints.map((endpoint) => [endpoint, schemasOf(endpoint)]));

  async function answer(ctx: Context): Promise<void> {
    const route = find(ctx.path.slice(API_PATH.length));
    if (route === undefined) throw new Problem("not-found", "There is nothing at this path.");
    const endpoint = route.endpoints.get(ctx.method === "HEAD" ? "GET" : ctx.method);
    if (endpoint === undefined) throw notAllowed([...route.endpoints.keys()]);
    ctx.state.route = API_PATH + endpoint.path;
    const granted = await authorize({ method: ctx.method, url: ctx.originalUrl, headers: ctx.headers }, endpoint.scope);
    const { clientId, accountId, scopes } = granted;
    const caller: Caller = {
      by: { actor: accountId ?? clientId, address: ctx.state.client.address, requestId: ctx.state.requestId },
      scopes,
      origin: issuer,
    };
    const known = schemas.get(endpoint) as EndpointSchemas;
    const params = readParams(known.params, route.params);
    const query = readQuery(known.query, ctx.search);
    if (endpoint.kind === "listing") return list(ctx, endpoint, { params, query }, caller);
    const match = ctx.get("If-Match");
    if (endpoint.needsMatch && match === "")
      throw new Problem("precondition-required", "Send If-Match with the ETag of what you have seen, or * if any version will do.", {
        errors: [{ field: "header/If-Match", message: "is missing" }],
      });
    // RFC 9110 §13.1.1: what has no representation has no version that could be meant.
    if (!endpoint.needsMatch && endpoint.method !== "GET" && match !== "" && match !== "*")
      throw new Problem("precondition-failed", "There are no versions here for If-Match to name. Send the request without it.", {
        errors: [{ field: "header/If-Match", message: "names a version, and there is none" }],
      });
    const { body, text } = await readBody(ctx, known.body);
    const input = { params, query, body, expect: expectationOf(match, endpoint.shownOnce) };
    if (endpoint.method === "POST") return once(ctx, granted, text, (newId) => carryOut(endpoint, input, { ...caller, newId }));
    const made = await endpoint.handle(input, caller);
    if (endpoint.lines !== undefined) return sendLines(ctx, made as AsyncIterable<unknown>);
    send(ctx, represented(endpoint, made), endpoint.method === "GET" ? ctx.get("If-None-Match") : "");
  }

  async function list(
    ctx: Context,
    { operationId, handle }: Listing,
    { params, query }: { params: Record<string, unknown>; query: Record<string, unknown> },
    caller: Caller,
  ): Promise<void> {
    const { limit, cursor, ...filters } = query as { limit: number; cursor?: string };
    const name = JSON.stringify([operationId, params, filters]);
    const after: Position | undefined = cursor === undefined ? undefined : cursors.open(cursor, name);
    const { items, next }: Page<unknown> = await handle({ params, query: filters, limit, after }, caller);
    send(ctx, page(ctx, items, next === undefined ? undefined : cursors.make(next, name)));
  }

  /** With an `Idempotency-Key`, the work is done by the first request alone, and every other one hears its answer. */
  async function once(
    ctx: Context,
    { clientId, accountId = "" }: Granted,
    body: string,
    work: (newId?: string) => Promise<Answer>,
  ): Promise<void> {
    const header = ctx.get("Idempotency-Key");
    if (header === "") return send(ctx, await work());
    const [, quoted, bare] = IDEMPOTENCY_KEY.exec(header) ?? [];
    const key = quoted ?? bare;
    if (key === undefined)
      throw new Problem("invalid-input", "The Idempotency-Key is no usable key.", {
        errors: [
          { field: "header/Idempotency-Key", message: "must be 1 to 255 visible ASCII characters, without quotes and backslashes inside" },
        ],
      });
    const claim = await idempotent.claim(`${clientId} ${accountId}`, key, `${ctx.method} ${ctx.originalUrl}\n${body}`);
    if (claim.state === "other")
      throw new Problem("idempotency-key-reused", "This Idempotency-Key was used for another request. Take a new one.");
    if (claim.state === "running")
      throw new Problem("request-in-progress", "A request with this Idempotency-Key is under way. Try again in a moment.", {
        headers: { "Retry-After": "1" },
      });
    if (claim.state === "answered") {
      const { problem, ...kept } = JSON.parse(claim.answer) as { problem?: ConstructorParameters<typeof Problem> } & Answer;
      if (problem !== undefined) throw new Problem(...problem);
      return send(ctx, kept);
    }
    let made: Answer;
    try {
      made = await work(claim.id);
    } catch (error) {
      // What may turn out otherwise next time is not kept.
      const { problem, status, message, errors, headers } = problemOf(error);
      if (status >= 500 || status === 429) await claim.abandon();
      else await claim.finish({ status, answer: JSON.stringify({ problem: [problem, message, { errors, headers }] }) });
      throw error;
    }
    // It is done: who asked shall hear so, also when nobody else will.
    const log = (err: unknown) => ctx.state.log.error({ err }, "an answer could not be kept for whoever repeats the request");
    await claim.finish({ status: made.status, answer: JSON.stringify(made) }).catch(log);
    send(ctx, made);
  }

  return async (ctx) => {
    try {
      await answer(ctx);
    } catch (error) {
      const problem = problemOf(error);
      const line = { err: problem.cause ?? problem, status: problem.status };
      ctx.state.log[problem.status >= 500 ? "error" : problem.cause === undefined ? "debug" : "info"](line, "refused");
      sendProblem(ctx, problem, issuer);
    }
  };
}

async function carryOut(endpoint: Operation, input: Parameters<Operation["handle"]>[0], caller: Caller): Promise<Answer> {
  return represented(endpoint, await endpoint.handle(input, caller));
}

function represented(endpoint: Operation, made: unknown): Answer {
  const { response, status, location, shownOnce } = endpoint;
  if (response === undefined) return represent(undefined, { tagged: false });
  return represent(made, { status, tagged: isTagged(endpoint), shownOnce, location: location?.(made) });
}

function notAllowed(methods: readonly string[]): Problem {
  const allowed = methods.flatMap((method) => (method === "GET" ? ["GET", "HEAD"] : [method])).join(", ");
  return new Problem("method-not-allowed", `This path knows ${allowed}.`, { headers: { Allow: allowed } });
}
