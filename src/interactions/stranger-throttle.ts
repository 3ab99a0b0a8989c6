import type { Context, Middleware } from "koa";
import { AccountError } from "../accounts/account-error.ts";
import { accountErrors } from "../accounts/account-errors-middleware.ts";
import type { Throttle } from "../accounts/throttle.ts";
import { HttpProblem } from "../http/errors.ts";

export interface StrangerThrottleOptions {
  /** Where people come with a browser: who is signed in is no stranger. */
  readonly browsers: readonly string[];
  /** Where applications come by themselves: which of them has proved who it is, is no stranger. */
  readonly applications: readonly string[];
  /** Whether the request at hand is about to leave a record, and nobody is signed in with it. */
  leavesRecord(): boolean;
  readonly throttle: Pick<Throttle, "require">;
}

/**
 * Bounds what strangers make the server keep: sign-ins that begin, codes of devices, pushed requests of public clients. Asked when the engine is done
 * and nothing is written yet, so that everybody else's requests cost what they did (docs/decisions/strangers.md). Too many get 429: people the error
 * page, applications the protocol's error.
 */
export function strangerThrottle({ browsers, applications, leavesRecord, throttle }: StrangerThrottleOptions): Middleware {
  const errorPages = accountErrors();
  return async (ctx, next) => {
    await next();
    const isApplication = applications.includes(ctx.path);
    if (!isApplication && !browsers.includes(ctx.path)) return;
    if (!leavesRecord() || (isApplication && hasProved(ctx))) return;
    await errorPages(ctx, async () => {
      try {
        await throttle.require("stranger", { address: ctx.state.client.address });
      } catch (error) {
        ctx.remove("Set-Cookie"); // of what does not come to be
        if (!isApplication || !(error instanceof AccountError)) throw error;
        // RFC 9126 §2.3: 429, with an error of RFC 6749 §4.1.2.1.
        throw new HttpProblem(error.status, "temporarily_unavailable", error.words, { headers: error.headers });
      }
    });
  };
}

/** Whether the application has authenticated. */
function hasProved(ctx: Context): boolean {
  const { client } = (ctx.oidc ?? {}) as { client?: { clientAuthMethod?: string } };
  return client !== undefined && client.clientAuthMethod !== "none";
}
