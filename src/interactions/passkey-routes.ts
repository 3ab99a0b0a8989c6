/** Passkeys in a sign-in: as its only factor at `/interaction/:uid/passkey`, as its second at `/interaction/:uid/second-factor/passkey`. */
import Router from "@koa/router";
import type { Context, Middleware } from "koa";
import { accountErrors } from "../accounts/account-errors-middleware.ts";
import type { AccountStore } from "../accounts/account-store.ts";
import type { Throttle } from "../accounts/throttle.ts";
import type { Passkeys } from "../factors/passkeys.ts";
import type { FormErrors } from "../http/page-parts.ts";
import { text } from "../i18n/messages.ts";
import { type SignIns, secondStepOf } from "./sign-in.ts";
import { type Steps, seeOther } from "./steps.ts";

export interface PasskeyRoutesOptions {
  verifyForm: Middleware;
  steps: Steps;
  signIns: SignIns;
  accounts: Pick<AccountStore, "find">;
  passkeys: Pick<Passkeys, "requestOptions" | "verify">;
  throttle: Pick<Throttle, "beginPasskey">;
  /** Told of every passkey that was refused. */
  onRefused(ctx: Context, attempt: { accountId: string | undefined; clientId: string | undefined; outcome: string }): void;
}

/** What a page that a refusal leads back to says: one sentence, whatever the reason. */
const REFUSED = "?problem=passkey";
export const passkeyProblem = (ctx: Context, step: "sign_in" | "second_factor"): FormErrors | undefined =>
  ctx.query.problem === "passkey" ? { form: text(`passkeys:refused.${step}`) } : undefined;

export function passkeyRoutes(options: PasskeyRoutesOptions): Router {
  const { verifyForm, steps, signIns, accounts, passkeys, throttle } = options;
  const router = new Router();
  router.use(accountErrors());

  router.post("/interaction/:uid/passkey/options", verifyForm, async (ctx) => {
    const { uid } = await steps.open(ctx);
    ctx.body = await passkeys.requestOptions(uid);
  });

  router.post("/interaction/:uid/passkey", verifyForm, async (ctx) => {
    const interaction = await steps.open(ctx);
    const { credential = "", keep } = ctx.state.form ?? {};
    const clientId = interaction.params.client_id as string;
    const attempt = await throttle.beginPasskey(ctx.state.client.address);
    const result = await passkeys.verify(interaction.uid, credential);
    const account = result.ok ? await accounts.find(result.accountId) : undefined;
    if (!result.ok || account === undefined || account.disabledAt !== undefined || !account.emailVerified) {
      options.onRefused(ctx, { accountId: result.accountId, clientId, outcome: result.ok ? "unusable_account" : result.reason });
      return seeOther(ctx, `/interaction/${interaction.uid}${REFUSED}`);
    }
    await attempt.succeeded();
    const { amr, passkey } = result;
    await signIns.proceed(ctx, interaction, { account, amr, keep: keep === "yes", shown: { passkey } });
  });

  router.post("/interaction/:uid/second-factor/passkey/options", verifyForm, async (ctx) => {
    const interaction = await steps.open(ctx);
    const pending = await signIns.pending(ctx, interaction);
    if (pending === undefined) return seeOther(ctx, `/interaction/${interaction.uid}`);
    ctx.body = await passkeys.requestOptions(interaction.uid, pending.account.id);
  });

  router.post("/interaction/:uid/second-factor/passkey", verifyForm, async (ctx) => {
    const interaction = await steps.open(ctx);
    const pending = await signIns.pending(ctx, interaction);
    if (pending === undefined) return seeOther(ctx, `/interaction/${interaction.uid}`);
    const { id: accountId } = pending.account;
    const attempt = await throttle.beginPasskey(ctx.state.client.address);
    const result = await passkeys.verify(interaction.uid, ctx.state.form?.credential ?? "", accountId);
    if (!result.ok) {
      options.onRefused(ctx, { accountId, clientId: interaction.params.client_id as string, outcome: result.reason });
      return seeOther(ctx, `${secondStepOf(interaction)}${REFUSED}`);
    }
    await attempt.succeeded();
    seeOther(ctx, await signIns.complete(ctx, interaction, pending, { amr: result.amr, shown: { passkey: result.passkey } }));
  });

  return router;
}
