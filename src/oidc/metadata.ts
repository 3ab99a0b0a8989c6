/** The two metadata documents and the key set: made by the engine once, sent as they are from then on. */
import { createHash } from "node:crypto";
import type { Middleware } from "koa";
import { type CacheableDocument, sendDocument } from "../http/document.ts";
import { ENGINE_ROUTES } from "./paths.ts";

const METADATA_PATHS: ReadonlySet<string> = new Set(["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"]);

/**
 * For one engine: its metadata does not change in its life.
 * @param maxAge seconds for which anybody may cache metadata  @param jwks the published keys of this moment
 */
export function publishedDocuments({ maxAge, jwks }: { maxAge: number; jwks(): CacheableDocument }): Middleware {
  let metadata: CacheableDocument | undefined;
  return async (ctx, next) => {
    if (ctx.method !== "GET" && ctx.method !== "HEAD") return next();
    if (ctx.path === ENGINE_ROUTES.jwks) return sendDocument(ctx, jwks());
    if (!METADATA_PATHS.has(ctx.path)) return next();
    if (metadata === undefined) {
      const { method } = ctx;
      ctx.method = "GET";
      await next();
      ctx.method = method;
      if (ctx.status !== 200) return;
      const body = JSON.stringify(ctx.body);
      const etag = `"${createHash("sha256").update(body).digest("base64url")}"`;
      metadata = { body, etag, cacheControl: `public, max-age=${maxAge}`, contentType: "application/json; charset=utf-8" };
    }
    sendDocument(ctx, metadata);
  };
}
