/** `grantor/resource-server/koa` */
import type { AccessTokenClaims } from "./access-token-claims.ts";
import { AccessTokenError } from "./access-token-error.ts";
import { prepare, type Requirements } from "./requirements.ts";
import type { Verifier } from "./verifier.ts";

/** What is used of Koa's context. */
export interface KoaContext {
  readonly method: string;
  readonly protocol: string;
  readonly host: string;
  readonly originalUrl: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  // biome-ignore lint/suspicious/noExplicitAny: Koa's own type
  state: any;
  status: number;
  body: unknown;
  set(headers: Record<string, string>): void;
}

/**
 * Middleware that lets a request through when its access token allows it, and answers it otherwise. The claims are in `ctx.state.accessToken`.
 * Behind a proxy Koa wants `app.proxy`, or the verifier its `origin`, for DPoP.
 * @throws TypeError at once, when the requirements make no sense
 */
export function requireAccess(verifier: Verifier, requirements: Requirements = {}) {
  prepare(requirements);
  return async (ctx: KoaContext, next: () => Promise<unknown>): Promise<void> => {
    try {
      const { method, headers, protocol, host, originalUrl } = ctx;
      ctx.state.accessToken = await verifier.verify({ method, headers, url: `${protocol}://${host}${originalUrl}` }, requirements);
    } catch (error) {
      if (!(error instanceof AccessTokenError)) throw error;
      ctx.status = error.status;
      ctx.set({ ...error.headers });
      ctx.body = error.body;
      return;
    }
    await next();
  };
}

/**
 * The claims of the token that let a request through.
 * @throws TypeError when `requireAccess` does not stand before the route
 */
// biome-ignore lint/suspicious/noExplicitAny: Koa's own type
export function accessTokenOf(ctx: { readonly state: any }): AccessTokenClaims {
  if (ctx.state.accessToken === undefined) throw new TypeError("requireAccess does not stand before this route");
  return ctx.state.accessToken as AccessTokenClaims;
}
