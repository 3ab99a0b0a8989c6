/** Tells of requests that were turned away because there were too many, and of guesses at the codes of devices. */
import type { Context, Middleware } from "koa";
import type { AuditEvent } from "../observability/audit-log.ts";

/** @param tally bounds what strangers can repeat at will */
export function reportThrottled(tally: (ctx: Context, event: AuditEvent) => void): Middleware {
  function tell(ctx: Context, status: unknown): void {
    // Of the path the first part alone: what follows may name a person's sign-in.
    const at = `/${ctx.path.split("/")[1]}`;
    if (status === 429) tally(ctx, { event: "throttled", outcome: "failure", detail: { at } });
    if (ctx.state.wrongUserCode === true) tally(ctx, { event: "device_code.refused", outcome: "failure" });
  }
  return async (ctx, next) => {
    try {
      await next();
    } catch (error) {
      tell(ctx, (error as { status?: unknown }).status);
      throw error;
    }
    tell(ctx, ctx.status);
  };
}
