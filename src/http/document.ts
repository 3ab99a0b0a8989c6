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
  if (ctx.fresh) {
    ctx.status = 304;
    return;
  }
  ctx.body = body;
}
