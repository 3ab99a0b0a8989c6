import parseBody from "co-body";
import type { Context, Middleware } from "koa";
import { ENGINE_ROUTES } from "./paths.ts";

/** As much as the engine itself reads. */
const BODY_LIMIT = "56kb";

type Metadata = Readonly<Record<string, unknown>>;
interface Prepared {
  readonly metadata: Metadata;
}

/**
 * Reads a registration (RFC 7591 §3.1) or a change of one (RFC 7592 §2.2) and has it prepared before the engine sees it, since the engine's rules
 * cannot wait for anything. What was prepared is in `ctx.state.registration`, for those rules.
 */
export function registrationRequests(options: {
  /** Whether whoever is at the address may try to register now. @throws an error with a status */
  admit(ctx: Context): Promise<void>;
  newClient(metadata: Metadata, bearer: string | undefined): Promise<Prepared>;
  change(clientId: string, metadata: Metadata, bearer: string | undefined): Promise<Prepared>;
}): Middleware {
  const below = `${ENGINE_ROUTES.registration}/`;
  return async (ctx, next) => {
    const isNew = ctx.method === "POST" && ctx.path === ENGINE_ROUTES.registration;
    if (!isNew && !(ctx.method === "PUT" && ctx.path.startsWith(below))) return next();
    if (isNew) await options.admit(ctx);
    if (!ctx.is("application/json")) return next(); // which the engine refuses
    let body: unknown;
    try {
      body = await parseBody.json(ctx.req, { limit: BODY_LIMIT, strict: true });
    } catch (error) {
      ctx.status = (error as { status?: number }).status === 413 ? 413 : 400;
      ctx.body = { error: "invalid_request", error_description: "failed to parse the request body" };
      return;
    }
    const { request } = ctx as { request: { body?: unknown } };
    request.body = body;
    if (Array.isArray(body)) return next(); // which the engine refuses, too
    const metadata = body as Metadata;
    const bearer = bearerOf(ctx);
    const prepared = await (isNew
      ? options.newClient(metadata, bearer)
      : options.change(decodeURIComponent(ctx.path.slice(below.length)), metadata, bearer));
    ctx.state.registration = prepared;
    request.body = prepared.metadata;
    return next();
  };
}

/** RFC 6750 §2.1. */
const bearerOf = (ctx: Context): string | undefined => /^Bearer +(\S+)$/i.exec(ctx.get("Authorization"))?.[1];
