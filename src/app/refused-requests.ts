/** Tells of requests that were turned away: too many of them, guesses at the codes of devices, and calls of the API without the right to them. */
import type { Context, Middleware } from "koa";
import type { AuditEvent } from "../observability/audit-log.ts";

/** @param tally bounds what strangers can repeat at will */
export function reportRefused(tally: (ctx: Context, event: AuditEvent) => void): Middleware {
  function tell(ctx: Context, status: unknown): void {
    // Of the path the first part alone: what follows may name a person's sign-in.
    const at = `/${ctx.path.split("/")[1]}`;
    if (at === "/api" && (status === 401 || status === 403)) tally(ctx, { event: "api.refused", outcome: "failure", detail: { status } });
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
