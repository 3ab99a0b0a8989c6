/** Lets a request through when its access token allows it; says what is missing otherwise. @see RFC 6750 §3 */
import type { Context, Middleware } from "koa";
import { type AccessToken, InvalidTokenError } from "./access-tokens.ts";

export interface Needs {
  scope?: string;
  role?: string;
}

/** RFC 6750 §2.1, and RFC 9110 §11.1: the scheme in any case. */
const BEARER = /^Bearer +([A-Za-z0-9\-._~+/]+=*)$/i;

/** @param verify throws InvalidTokenError for a token that opens nothing here */
export function requireAccess(verify: (token: string) => Promise<AccessToken>, { scope, role }: Needs): Middleware {
  return async (ctx, next) => {
    const header = ctx.get("Authorization");
    // RFC 6750 §3.1: whoever shows no token at all is not told of an error.
    if (!/^Bearer\b/i.test(header)) return refuse(ctx, 401, { ...(scope && { scope }) });
    const [, presented] = BEARER.exec(header) ?? [];
    if (presented === undefined)
      return refuse(ctx, 400, { error: "invalid_request", error_description: "the Authorization header is malformed" });

    let token: AccessToken;
    try {
      token = await verify(presented);
    } catch (error) {
      if (!(error instanceof InvalidTokenError)) throw error;
      return refuse(ctx, 401, { error: "invalid_token", error_description: error.message });
    }
    if (scope !== undefined && !token.scopes.has(scope))
      return refuse(ctx, 403, { error: "insufficient_scope", error_description: `this needs the scope ${scope}`, scope });
    if (role !== undefined && !token.roles.has(role))
      return refuse(ctx, 403, { error: "insufficient_scope", error_description: `this is for people with the role ${role}` });
    ctx.state.token = token;
    await next();
  };
}

/** The token that let a request through. */
export const tokenOf = (ctx: Context): AccessToken => ctx.state.token as AccessToken;

function refuse(ctx: Context, status: 400 | 401 | 403, parameters: { error?: string; error_description?: string; scope?: string }): void {
  const challenge = Object.entries({ realm: "things", ...parameters }).map(([name, value]) => `${name}="${value}"`);
  ctx.status = status;
  ctx.set("WWW-Authenticate", `Bearer ${challenge.join(", ")}`);
  ctx.body = { error: parameters.error ?? "unauthorized", error_description: parameters.error_description ?? "send an access token" };
}
