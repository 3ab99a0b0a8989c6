/**
 * The host's middleware: what every request passes before anybody knows what it is about. It knows no domain.
 *
 * Each file gives plain Koa middleware (or what makes it), because the same pieces run on the outer application and on the
 * engine's own. Not here: what a page says (interactions, accounts, clients) and what the protocol says (oidc).
 */
import { randomFillSync } from "node:crypto";
import type { Context, Middleware, Next } from "koa";
import type { Language } from "../i18n/languages.ts";
import type { Logger } from "../observability/logger.ts";
import { type Client, clientResolver } from "./client-address.ts";

declare module "koa" {
  interface DefaultState extends RequestState {}
}

/** What the host knows about a request, as `ctx.state`. The log is made when first asked for: most requests need only one line. */
class RequestState {
  readonly requestId: string;
  readonly client: Client;
  /** The route's pattern, for the access log and the metrics, where no router says it. */
  declare route?: string;
  /** The value of the page's script nonce, made when a page is rendered. */
  declare nonce?: string;
  /** The fields of a form that `verifyForm` let through. */
  declare form?: Record<string, string>;
  /** What the step asks for, where the request itself does not say it. */
  declare uiLocales?: Language | undefined;
  readonly #root: Logger;
  #log: Logger | undefined;

  constructor(requestId: string, client: Client, root: Logger) {
    this.requestId = requestId;
    this.client = client;
    this.#root = root;
  }

  /** The log of this request: each line carries the request id. */
  get log(): Logger {
    this.#log ??= this.#root.child({ requestId: this.requestId });
    return this.#log;
  }
}

export interface RequestContextOptions {
  log: Logger;
  /** Told when the answer is out, or its connection broken. */
  onAnswered?: (request: { method: string; route: string | undefined; status: number; seconds: number }) => void;
  /** Addresses and ranges of proxies whose headers count. */
  trustProxy: readonly string[];
}

const ID_BYTES = 8;
const pool = Buffer.allocUnsafe(ID_BYTES * 512);
let poolOffset = pool.length;

/** 64 random bits in hex: short enough to be read out over the telephone. */
function createRequestId(): string {
  if (poolOffset === pool.length) {
    randomFillSync(pool);
    poolOffset = 0;
  }
  poolOffset += ID_BYTES;
  return pool.toString("hex", poolOffset - ID_BYTES, poolOffset);
}

const ACCEPTED_ID = /^[\w.:=@-]{1,64}$/;
const MAX_LOGGED_PATH = 256;

/** Health probes come every second from every balancer: they are in the log only when one looks for them. */
const QUIET_PATHS = new Set(["/health/live", "/health/ready"]);

/**
 * Gives the request its id (also as `X-Request-Id`), its client's address and its log, and writes one access-log line when the
 * answer is out. An id that comes in counts only when a trusted proxy brings it. Comes first on both applications.
 */
export function requestContext(options: RequestContextOptions): Middleware {
  const { log, onAnswered } = options;
  const clientOf = clientResolver(options.trustProxy);
  return (ctx: Context, next: Next) => {
    const startedAt = performance.now();
    const client = clientOf(ctx.req);
    const offered = client.proxied ? ctx.req.headers["x-request-id"] : undefined;
    const requestId = typeof offered === "string" && ACCEPTED_ID.test(offered) ? offered : createRequestId();
    ctx.state = new RequestState(requestId, client, log) as Context["state"];
    ctx.res.setHeader("X-Request-Id", requestId);
    const { path } = ctx;
    ctx.res.once("close", () => {
      const ms = performance.now() - startedAt;
      const route = routeOf(ctx);
      onAnswered?.({ method: ctx.req.method ?? "", route, status: ctx.res.statusCode, seconds: ms / 1000 });
      writeAccessLine(ctx, log, { path, route, ms });
    });
    return next();
  };
}

/** The pattern of the path; never the path itself. */
function routeOf(ctx: Context): string | undefined {
  const matched: unknown = (ctx.state as RequestState).route ?? ctx._matchedRoute;
  return matched === undefined ? undefined : String(matched);
}

function writeAccessLine(ctx: Context, log: Logger, { path, route, ms }: { path: string; route: string | undefined; ms: number }): void {
  const level = QUIET_PATHS.has(path) ? "debug" : "info";
  if (!log.isLevelEnabled(level)) return;
  const state = ctx.state as RequestState;
  const line = {
    requestId: state.requestId,
    method: ctx.req.method,
    path: path.length > MAX_LOGGED_PATH ? `${path.slice(0, MAX_LOGGED_PATH)}…` : path,
    route,
    status: ctx.res.statusCode,
    ms: Math.round(ms * 10) / 10,
    client: state.client.address,
    // The answer never went out completely: the client left first.
    ...(ctx.res.writableFinished ? {} : { aborted: true }),
  };
  log[level](line, "request");
}
