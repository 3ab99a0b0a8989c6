import type { Middleware } from "koa";
import type { KoaContextWithOIDC } from "oidc-provider";
import { DEVICE_CODE_GRANT } from "../clients/client-metadata.ts";
import { ENGINE_ROUTES } from "./paths.ts";

/** RFC 6749 §5.2: a client that may not use a grant type is told `unauthorized_client`, where the engine says `invalid_request`. */
export const unauthorizedClients: Middleware = async (ctx, next) => {
  await next();
  if (ctx.status !== 400 || (ctx.path !== ENGINE_ROUTES.token && ctx.path !== ENGINE_ROUTES.device_authorization)) return;
  const { client, params } = (ctx as unknown as KoaContextWithOIDC).oidc;
  const grantType = ctx.path === ENGINE_ROUTES.token ? params?.grant_type : DEVICE_CODE_GRANT;
  const body = ctx.body as { error?: string } | undefined;
  if (body?.error !== "invalid_request" || client === undefined || typeof grantType !== "string") return;
  if (!client.grantTypeAllowed(grantType)) body.error = "unauthorized_client";
};
