/** `grantor/resource-server/hono`, for Hono 4. */
import type { AccessTokenClaims } from "./access-token-claims.ts";
import { AccessTokenError } from "./access-token-error.ts";
import type { RequestLike } from "./presented.ts";
import { prepare, type Requirements } from "./requirements.ts";
import type { Verifier } from "./verifier.ts";

/** What is used of Hono's context. */
export interface HonoContext {
  readonly req: { readonly raw: RequestLike & object };
}

const claims = new WeakMap<object, AccessTokenClaims>();

/**
 * Middleware that lets a request through when its access token allows it, and answers it otherwise.
 * Behind a proxy that ends TLS the verifier wants its `origin`, for DPoP.
 * @throws TypeError at once, when the requirements make no sense
 */
export function requireAccess(verifier: Verifier, requirements: Requirements = {}) {
  prepare(requirements);
  return async (c: HonoContext, next: () => Promise<void>): Promise<Response | undefined> => {
    try {
      claims.set(c, await verifier.verify(c.req.raw, requirements));
    } catch (error) {
      if (!(error instanceof AccessTokenError)) throw error;
      return Response.json(error.body, { status: error.status, headers: { ...error.headers } });
    }
    await next();
    return undefined;
  };
}

/**
 * The claims of the token that let a request through.
 * @throws TypeError when `requireAccess` does not stand before the route
 */
export function accessTokenOf(c: object): AccessTokenClaims {
  const found = claims.get(c);
  if (found === undefined) throw new TypeError("requireAccess does not stand before this route");
  return found;
}
