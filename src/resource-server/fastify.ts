/** `grantor/resource-server/fastify`, for Fastify 5. */
import type { AccessTokenClaims } from "./access-token-claims.ts";
import { AccessTokenError } from "./access-token-error.ts";
import { prepare, type Requirements } from "./requirements.ts";
import type { Verifier } from "./verifier.ts";

/** What is used of Fastify's request and reply. */
export interface FastifyRequest {
  readonly method: string;
  readonly protocol: string;
  readonly host: string;
  readonly originalUrl: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}
export interface FastifyReply {
  code(status: number): unknown;
  headers(headers: Record<string, string>): unknown;
  send(body: unknown): unknown;
}

const claims = new WeakMap<object, AccessTokenClaims>();

/**
 * A hook, for `onRequest` of a route, that lets a request through when its access token allows it, and answers it otherwise.
 * Behind a proxy Fastify wants `trustProxy`, or the verifier its `origin`, for DPoP.
 * @throws TypeError at once, when the requirements make no sense
 */
export function requireAccess(verifier: Verifier, requirements: Requirements = {}) {
  prepare(requirements);
  return async (request: FastifyRequest, reply: FastifyReply): Promise<unknown> => {
    try {
      const { method, headers, protocol, host, originalUrl } = request;
      claims.set(request, await verifier.verify({ method, headers, url: `${protocol}://${host}${originalUrl}` }, requirements));
      return undefined;
    } catch (error) {
      if (!(error instanceof AccessTokenError)) throw error;
      reply.code(error.status);
      reply.headers({ ...error.headers });
      reply.send(error.body);
      return reply;
    }
  };
}

/**
 * The claims of the token that let a request through.
 * @throws TypeError when `requireAccess` does not stand before the route
 */
export function accessTokenOf(request: object): AccessTokenClaims {
  const found = claims.get(request);
  if (found === undefined) throw new TypeError("requireAccess does not stand before this route");
  return found;
}
