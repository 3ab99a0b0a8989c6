import type { Middleware } from "koa";
import type { KoaContextWithOIDC } from "oidc-provider";
import { DEVICE_CODE_GRANT } from "../clients/client-metadata.ts";
import { ENGINE_ROUTES } from "./paths.ts";

export const unauthorizedClients: Middleware = async (ctx, next) => {
  await next();
  const body = ctx.body as { error?: string } | undefined;
  if (ctx.status === 400 && body?.error !== undefined) body.error = errorToTell(ctx as unknown as KoaContextWithOIDC, body.error);
};

/** RFC 6749 §5.2: a client that may not use a grant type is told `unauthorized_client`, where the engine says `invalid_request`. */
export function errorToTell(ctx: KoaContextWithOIDC, error: string): string {
  if (error !== "invalid_request" || (ctx.path !== ENGINE_ROUTES.token && ctx.path !== ENGINE_ROUTES.device_authorization)) return error;
  const { client, params } = ctx.oidc;
  const grantType = ctx.path === ENGINE_ROUTES.token ? params?.grant_type : DEVICE_CODE_GRANT;
  const isForbidden = client !== undefined && typeof grantType === "string" && !client.grantTypeAllowed(grantType);
  return isForbidden ? "unauthorized_client" : error;
}
