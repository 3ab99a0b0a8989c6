import parseBody from "co-body";
import type { Middleware } from "koa";
import { ENGINE_ROUTES } from "./paths.ts";

/** As much as the engine itself reads. */
const BODY_LIMIT = "56kb";

/**
 * RFC 7592 §2.2: an update may repeat the client's secret, which the engine compares with what it stored; we store a hash. A repeated secret
 * that is right is left out of the body before the engine sees it.
 */
export function registrationUpdates(options: {
  withoutRepeatedSecret(clientId: string, body: Readonly<Record<string, unknown>>): Promise<Readonly<Record<string, unknown>>>;
}): Middleware {
  const prefix = `${ENGINE_ROUTES.registration}/`;
  return async (ctx, next) => {
    if (ctx.method !== "PUT" || !ctx.path.startsWith(prefix) || !ctx.is("json")) return next();
    let body: unknown;
    try {
      body = await parseBody.json(ctx.req, { limit: BODY_LIMIT, strict: true });
    } catch (error) {
      ctx.status = (error as { status?: number }).status === 413 ? 413 : 400;
      ctx.body = { error: "invalid_request", error_description: "failed to parse the request body" };
      return;
    }
    const clientId = decodeURIComponent(ctx.path.slice(prefix.length));
    (ctx.request as { body?: unknown }).body = Array.isArray(body)
      ? body
      : await options.withoutRepeatedSecret(clientId, body as Record<string, unknown>);
    return next();
  };
}
