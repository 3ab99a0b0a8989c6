import type { Middleware } from "koa";
import { ENGINE_ROUTES } from "./paths.ts";

const GET = ["GET", "HEAD"];
const WITH_CORS = "OPTIONS";

const METHODS: ReadonlyMap<string, readonly string[]> = new Map([
  [ENGINE_ROUTES.authorization, [...GET, "POST"]],
  [ENGINE_ROUTES.token, ["POST", WITH_CORS]],
  [ENGINE_ROUTES.pushed_authorization_request, ["POST", WITH_CORS]],
  [ENGINE_ROUTES.userinfo, [...GET, "POST", WITH_CORS]],
  [ENGINE_ROUTES.introspection, ["POST", WITH_CORS]],
  [ENGINE_ROUTES.revocation, ["POST", WITH_CORS]],
  [ENGINE_ROUTES.registration, ["POST"]],
  [ENGINE_ROUTES.device_authorization, ["POST", WITH_CORS]],
  [ENGINE_ROUTES.code_verification, [...GET, "POST"]],
  [ENGINE_ROUTES.end_session, [...GET, "POST"]],
  [`${ENGINE_ROUTES.end_session}/confirm`, ["POST"]],
  [`${ENGINE_ROUTES.end_session}/success`, GET],
  [ENGINE_ROUTES.jwks, [...GET, WITH_CORS]],
  ["/.well-known/openid-configuration", [...GET, WITH_CORS]],
  ["/.well-known/oauth-authorization-server", [...GET, WITH_CORS]],
]);

/** Routes with one more segment: where an authorization goes on, a registration. */
const BELOW: ReadonlyMap<string, readonly string[]> = new Map([
  [ENGINE_ROUTES.authorization, GET],
  [ENGINE_ROUTES.code_verification, GET],
  [ENGINE_ROUTES.registration, [...GET, "PUT", "DELETE"]],
]);

/**
 * The engine's router also takes other letter case and a slash at the end. Everything around it goes by the path, so one spelling must be the
 * only one; and where it knows no method it says 404, where HTTP has a word of its own (RFC 9110 §15.5.6).
 */
export const exactRoutes: Middleware = (ctx, next) => {
  const exact = METHODS.get(ctx.path);
  const allowed = exact ?? below(ctx.path);
  if (allowed === undefined) return undefined;
  ctx.state.route = exact === undefined ? `${ctx.path.slice(0, ctx.path.lastIndexOf("/"))}/:id` : ctx.path;
  if (allowed.includes(ctx.method)) return next();
  ctx.set("Allow", allowed.join(", "));
  ctx.status = 405;
  return undefined;
};

function below(path: string): readonly string[] | undefined {
  const slash = path.lastIndexOf("/");
  return slash === path.length - 1 ? undefined : BELOW.get(path.slice(0, slash));
}
