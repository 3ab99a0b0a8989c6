import type { Middleware } from "koa";

/** Seconds for which a browser may remember the answer to a preflight; browsers cap it themselves. */
const PREFLIGHT_AGE = "86400";

/** Lets pages of every origin read what everybody may read, without credentials: for routes that only answer GET. */
export function openCors(): Middleware {
  return (ctx, next) => {
    if (ctx.get("Origin") === "") return next();
    ctx.set("Access-Control-Allow-Origin", "*");
    if (ctx.method !== "OPTIONS") {
      ctx.set("Access-Control-Expose-Headers", "ETag");
      return next();
    }
    ctx.set("Access-Control-Allow-Methods", "GET, HEAD");
    ctx.set("Access-Control-Allow-Headers", ctx.get("Access-Control-Request-Headers") || "Accept");
    ctx.set("Access-Control-Max-Age", PREFLIGHT_AGE);
    ctx.status = 204;
    return Promise.resolve();
  };
}
