/** What follows when the first factor of a sign-in was right, whichever it was. */
import type { Context } from "koa";
import type { Provider } from "oidc-provider";
import type { Account } from "../accounts/account.ts";
import { acrOf } from "../factors/assurance.ts";

export type Interaction = Awaited<ReturnType<Provider["interactionDetails"]>>;

/** What somebody has shown so far. */
export interface Proven {
  readonly account: Account;
  /** RFC 8176, all that was done. */
  readonly amr: readonly string[];
  /** "Keep me signed in". */
  readonly keep: boolean;
}

export interface SignIns {
  /** Goes on to whatever is still missing, a second factor or its set-up, or ends the sign-in. Answers with a 303. */
  proceed(ctx: Context, interaction: Interaction, proven: Proven): Promise<void>;
}

export interface SignInOptions {
  /** Gives the engine a step's result, and sends the browser back to it. */
  finish(ctx: Context, result: Parameters<Provider["interactionResult"]>[2]): Promise<void>;
}

export function createSignIns({ finish }: SignInOptions): SignIns {
  return {
    async proceed(ctx, _interaction, { account, amr, keep }) {
      await finish(ctx, { login: { accountId: account.id, amr: [...amr], acr: acrOf(amr), remember: keep } });
    },
  };
}
