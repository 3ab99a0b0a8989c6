/**
 * Where resource servers fetch status lists: whoever asks gets them, browsers too.
 * @see draft-ietf-oauth-status-list §8 (one list), §9 (all of them)
 */
import type { Middleware } from "koa";
import { openCors } from "../http/cors.ts";
import { sendDocument } from "../http/document.ts";
import type { SignedList, StatusLists } from "../tokens/status-lists.ts";
import { STATUS_LISTS_PATH } from "./paths.ts";

const METHODS = "GET, HEAD, OPTIONS";

/** @param now milliseconds since the epoch */
export function statusListRoutes(lists: Pick<StatusLists, "find" | "uris">, now: () => number): Middleware {
  const cors = openCors();
  return async (ctx, next) => {
    if (ctx.path !== STATUS_LISTS_PATH && !ctx.path.startsWith(`${STATUS_LISTS_PATH}/`)) return next();
    ctx.state.route = ctx.path === STATUS_LISTS_PATH ? ctx.path : `${STATUS_LISTS_PATH}/:id`;
    await cors(ctx, async () => {
      if (ctx.method !== "GET" && ctx.method !== "HEAD") {
        ctx.set("Allow", METHODS);
        ctx.status = 405;
        return;
      }
      if (ctx.path === STATUS_LISTS_PATH) {
        ctx.set("Cache-Control", "no-cache"); // a list may be made at any moment
        ctx.body = { status_lists: await lists.uris() };
        return;
      }
      const list = await lists.find(ctx.path.slice(STATUS_LISTS_PATH.length + 1));
      if (list !== undefined) send(ctx, list, now());
    });
  };
}

/** What is left of `iat` + `ttl`, and no more: neither caches on the way nor a 304 make a list last longer. */
function send(ctx: Parameters<typeof sendDocument>[0], { jwt, etag, freshUntil }: SignedList, now: number): void {
  const left = Math.max(0, Math.floor(freshUntil - now / 1000));
  sendDocument(ctx, { body: jwt, etag, cacheControl: `public, max-age=${left}`, contentType: "application/statuslist+jwt" });
}
