import type { Middleware } from "koa";
import { accountErrors } from "../accounts/account-errors-middleware.ts";
import type { Throttle } from "../accounts/throttle.ts";

/**
 * Limits guessing at the codes of devices (RFC 8628 §5.1): a post to the page where a person types one is counted before the engine sees it,
 * and given back unless the code was wrong. Too many get the error page with 429.
 * @param path where codes are posted
 */
export function userCodeThrottle({ path, throttle }: { path: string; throttle: Pick<Throttle, "beginUserCode"> }): Middleware {
  const errorPages = accountErrors();
  return async (ctx, next) => {
    if (ctx.method !== "POST" || ctx.path !== path) return next();
    await errorPages(ctx, async () => {
      const attempt = await throttle.beginUserCode(ctx.state.client.address);
      await next();
      if (ctx.state.wrongUserCode !== true) await attempt.succeeded();
    });
  };
}
