import parseBody from "co-body";
import type { Middleware } from "koa";
import { ENGINE_ROUTES } from "./paths.ts";

/** Characters. Longest authorization request that still fits a URL everywhere; longer ones belong to pushed requests (RFC 9126). */
const LONGEST_QUERY = 8_192;

const PATHS: ReadonlySet<string> = new Set([ENGINE_ROUTES.authorization, ENGINE_ROUTES.end_session]);

/**
 * An authorization or logout request may be a POST (OIDC Core §3.1.2.1, RP-Initiated Logout §2), but a cross-site POST arrives without
 * SameSite=Lax cookies: the person would seem to be signed out. It becomes a GET, with what was posted as its query.
 */
export const postToGet: Middleware = async (ctx, next) => {
  if (!PATHS.has(ctx.path)) return next();
  if (ctx.querystring.length > LONGEST_QUERY) ctx.throw(414); // it would be kept while the person decides
  if (ctx.method !== "POST") return next();
  if (ctx.is("urlencoded") === false) ctx.throw(415); // null: there is no body at all
  const query: string = await parseBody
    .text(ctx.req, { limit: LONGEST_QUERY })
    .catch((error: { status?: number }) => ctx.throw(error.status === 413 ? 413 : 400));
  ctx.redirect(`${ctx.path}?${query.replace(/[\r\n]/g, "")}`);
  ctx.status = 303;
};
