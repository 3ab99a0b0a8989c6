import type { Context } from "koa";

/** An HTTP representation that is ready to be sent. */
export interface CacheableDocument {
  readonly body: string;
  /** Strong, with its quotes (RFC 9110 §8.8.3). */
  readonly etag: string;
  readonly cacheControl: string;
  readonly contentType: string;
}

/** Answers with a document, or 304 to whoever has it already. For everybody: without credentials, from every origin. */
export function sendDocument(ctx: Context, { body, etag, cacheControl, contentType }: CacheableDocument): void {
  ctx.status = 200;
  ctx.set({ ETag: etag, "Cache-Control": cacheControl, "Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "ETag" });
  ctx.type = contentType;
  if (isKnown(ctx.get("If-None-Match"), etag)) ctx.status = 304;
  else ctx.body = body;
}

/**
 * Whether the one who asks has this representation (RFC 9110 §13.1.2). Not Koa's `fresh`: `Cache-Control: no-cache`, which `fetch` adds to a
 * request with If-None-Match, is about caches on the way (RFC 9111 §5.2.1.4) and not for whoever answers.
 */
const isKnown = (ifNoneMatch: string, etag: string): boolean =>
  ifNoneMatch === "*" || ifNoneMatch.split(",").some((known) => known.trim().replace(/^W\//, "") === etag);
