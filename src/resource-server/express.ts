/** `grantor/resource-server/express`, for Express 5. */
import type { AccessTokenClaims } from "./access-token-claims.ts";
import { AccessTokenError } from "./access-token-error.ts";
import { prepare, type Requirements } from "./requirements.ts";
import type { Verifier } from "./verifier.ts";

/** What is used of Express's request and response. */
export interface ExpressRequest {
  readonly method: string;
  readonly protocol: string;
  readonly host: string;
  readonly originalUrl: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}
export interface ExpressResponse {
  // biome-ignore lint/suspicious/noExplicitAny: Express's own type
  locals: Record<string, any>;
  set(headers: Record<string, string>): unknown;
  status(code: number): { json(body: unknown): unknown };
}

/**
 * Middleware that lets a request through when its access token allows it, and answers it otherwise. The claims are in `res.locals.accessToken`.
 * Behind a proxy Express wants `trust proxy`, or the verifier its `origin`, for DPoP.
 * @throws TypeError at once, when the requirements make no sense
 */
export function requireAccess(verifier: Verifier, requirements: Requirements = {}) {
  prepare(requirements);
  return async (req: ExpressRequest, res: ExpressResponse, next: (error?: unknown) => void): Promise<void> => {
    try {
      const { method, headers, protocol, host, originalUrl } = req;
      res.locals.accessToken = await verifier.verify({ method, headers, url: `${protocol}://${host}${originalUrl}` }, requirements);
    } catch (error) {
      if (!(error instanceof AccessTokenError)) return next(error);
      res.set({ ...error.headers });
      res.status(error.status).json(error.body);
      return;
    }
    next();
  };
}

/**
 * The claims of the token that let a request through.
 * @throws TypeError when `requireAccess` does not stand before the route
 */
export function accessTokenOf(res: Pick<ExpressResponse, "locals">): AccessTokenClaims {
  if (res.locals.accessToken === undefined) throw new TypeError("requireAccess does not stand before this route");
  return res.locals.accessToken as AccessTokenClaims;
}
