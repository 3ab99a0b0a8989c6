/**
 * The engine's introspection and revocation refuse JWTs before they look. Here a complete, verified access token is exchanged for a
 * stand-in that this one request alone can use; its `jti` by itself never opens anything.
 */
import { randomUUID } from "node:crypto";
import { parse } from "node:querystring";
import parseBody from "co-body";
import type { Context, Middleware } from "koa";
import { currentScope, type Payload } from "../storage/request-scope.ts";

/** As much as the engine itself reads. */
const BODY_LIMIT = "56kb";

export interface PresentOptions {
  paths: { introspection: string; revocation: string };
  /** The record of a complete access token that is still alive. */
  openAccessToken(jwt: string): Promise<Payload | undefined>;
  /** Ends an access token of a client of which the store has lost the record, if it is one. */
  endForgotten(jwt: string, clientId: string): Promise<void>;
}

export function presentAccessTokens({ paths, openAccessToken, endForgotten }: PresentOptions): Middleware {
  return async (ctx, next) => {
    if (ctx.method !== "POST" || !Object.values(paths).includes(ctx.path) || !ctx.is("urlencoded")) return next();
    const body = await readBody(ctx);
    if (body === undefined) return;
    const { token } = body;
    let forgotten: string | undefined;
    if (typeof token === "string" && token.includes(".")) {
      const standIn = `stand-in-${randomUUID()}`;
      const record = await openAccessToken(token);
      // Without a record the stand-in finds nothing, and the engine answers as it does for any unknown token.
      currentScope()?.handles.set(standIn, record === undefined ? NOTHING : alone(record));
      body.token = standIn;
      if (record === undefined) forgotten = token;
    }
    (ctx.request as { body?: unknown }).body = body;
    await next();
    const { client } = (ctx.oidc ?? {}) as EngineContext;
    if (forgotten !== undefined && client !== undefined && ctx.path === paths.revocation && ctx.status === 200)
      await endForgotten(forgotten, client.clientId);
    refusePublicClients(ctx, paths.introspection);
  };
}

/** What the engine knows of a request: the part that this file reads. */
interface EngineContext {
  client?: { clientId: string; clientAuthMethod: string };
}

/** Of a kind that no model of the engine takes. */
const NOTHING: Payload = { kind: "Nothing" };

/**
 * Revoking an access token ends that token alone (contract, "Tokens"): the engine shall not see what it hangs on. What was found is alive with all of
 * that, so introspection need not see it either, and would look among its own client's grants for that of an exchanged token.
 */
const alone = ({ grantId: _, expiresWithSession: __, sessionUid: ___, ...record }: Payload): Payload => record;

async function readBody(ctx: Context): Promise<Record<string, unknown> | undefined> {
  try {
    return parse(await parseBody.text(ctx.req, { limit: BODY_LIMIT })) as Record<string, unknown>;
  } catch {
    ctx.status = 413;
    ctx.body = { error: "invalid_request", error_description: "failed to parse the request body" };
    return undefined;
  }
}

/** RFC 7662 §2.1: whoever asks must be known; a public client is whoever says so. */
function refusePublicClients(ctx: Context, introspection: string): void {
  const { client } = (ctx.oidc ?? {}) as EngineContext;
  if (ctx.path !== introspection || ctx.status !== 200 || client?.clientAuthMethod !== "none") return;
  ctx.status = 401;
  ctx.body = { error: "invalid_client", error_description: "public clients may not introspect tokens" };
}
