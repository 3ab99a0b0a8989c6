/** `/interaction/:uid/second-factor`: the second step of a sign-in, and setting it up where it is demanded and missing. */
import Router from "@koa/router";
import type { Context, Middleware } from "koa";
import { AccountError } from "../accounts/account-error.ts";
import { accountErrors } from "../accounts/account-errors-middleware.ts";
import type { DeviceCookie } from "../accounts/device-cookie-middleware.ts";
import type { KnownDevices } from "../accounts/known-devices.ts";
import type { SecurityNotices } from "../accounts/security-notices.ts";
import type { Throttle } from "../accounts/throttle.ts";
import { PASSKEY_ACR } from "../factors/assurance.ts";
import { hasSecondFactor } from "../factors/factors.ts";
import type { SecondFactors } from "../factors/second-factors.ts";
import { languageOf } from "../http/language.ts";
import type { FormErrors } from "../http/page-parts.ts";
import type { Render } from "../http/rendering.ts";
import { text } from "../i18n/messages.ts";
import { authenticatorView } from "./authenticator-form.ts";
import { askingClient } from "./client-view.ts";
import { passkeyProblem } from "./passkey-routes.ts";
import { canReach, type Pending, type SignIns, secondStepOf } from "./sign-in.ts";
import { type Interaction, type Steps, seeOther } from "./steps.ts";

export interface SecondFactorOptions {
  render: Render;
  verifyForm: Middleware;
  steps: Steps;
  signIns: SignIns;
  secondFactors: SecondFactors;
  throttle: Pick<Throttle, "beginSecondFactor">;
  devices: Pick<KnownDevices, "recognize">;
  deviceCookie: DeviceCookie;
  notices: SecurityNotices;
  /** Told of every code that was wrong; never of the code. */
  onWrongCode(ctx: Context, attempt: { accountId: string; clientId: string; outcome: string }): void;
  /** Told of what was changed on the way. */
  onEvent(ctx: Context, event: { accountId: string; event: "second_factor.added" | "recovery_code.used" }): void;
}

/** A form that comes back. */
interface Retry {
  /** A recovery code is asked for. */
  readonly recovery?: boolean;
  readonly errors?: FormErrors;
}

export function secondFactorRoutes(options: SecondFactorOptions): Router {
  const { render, verifyForm, steps, signIns, throttle, devices, deviceCookie, notices, onEvent } = options;
  const { totp, recoveryCodes, factors } = options.secondFactors;
  const router = new Router();
  router.use(accountErrors());

  router.get("/interaction/:uid/second-factor", async (ctx) => {
    const interaction = await steps.open(ctx);
    const pending = await signIns.pending(ctx, interaction);
    if (pending === undefined) return toFirstStep(ctx, interaction);
    if (canReach(pending)) return showQuestion(ctx, interaction, pending, { recovery: ctx.query.use === "recovery" });
    if (pending.required === PASSKEY_ACR) return showUnreachable(ctx, interaction);
    return showSetUp(ctx, interaction, pending, {});
  });

  router.post("/interaction/:uid/second-factor", verifyForm, async (ctx) => {
    const interaction = await steps.open(ctx);
    const pending = await signIns.pending(ctx, interaction);
    if (pending === undefined || !canReach(pending)) return toFirstStep(ctx, interaction);
    const { account } = pending;
    const { code = "", use } = ctx.state.form ?? {};
    const recovery = use === "recovery";
    const again = (status: number, errors: FormErrors) => {
      ctx.status = status;
      return showQuestion(ctx, interaction, pending, { recovery, errors });
    };
    if (code.trim() === "") return again(400, { fields: { code: text("factors:code_missing") } });
    if (pending.required === PASSKEY_ACR) return again(400, { form: text("factors:passkey_only") });
    try {
      const device = devices.recognize(account.email, deviceCookie.read(ctx));
      const attempt = await throttle.beginSecondFactor({ accountId: account.id, device });
      const factor = await usedFactor(account.id, code);
      if (factor === undefined) {
        told(ctx, interaction, pending, "wrong_code");
        return again(401, { fields: { code: text(recovery ? "factors:recovery_wrong" : "factors:code_wrong") } });
      }
      await attempt.succeeded();
      const next = await signIns.complete(ctx, interaction, pending, { amr: [factor] });
      if (factor === "otp") return seeOther(ctx, next);
      const { recoveryCodes: left } = await factors.of(account.id);
      notices.tell(account, "recovery_code_used", origin(ctx), { count: left });
      onEvent(ctx, { accountId: account.id, event: "recovery_code.used" });
      render(ctx, "recovery-code-used", { left, next });
    } catch (error) {
      if (!(error instanceof AccountError) || error.status !== 429) throw error;
      told(ctx, interaction, pending, error.code);
      ctx.set(error.headers);
      return again(error.status, { form: error.words });
    }
  });

  router.post("/interaction/:uid/second-factor/set-up", verifyForm, async (ctx) => {
    const interaction = await steps.open(ctx);
    const pending = await signIns.pending(ctx, interaction);
    // Whoever has a second factor shows it: another is added on the account's own pages.
    if (pending === undefined || canReach(pending) || pending.required === PASSKEY_ACR) return toFirstStep(ctx, interaction);
    const { account } = pending;
    const { code = "", set_up: sealed = "" } = ctx.state.form ?? {};
    if (!(await totp.confirm(account.id, sealed, code.replace(/\s/g, ""), { first: true }))) {
      // Set up elsewhere meanwhile: now it is asked for.
      if (hasSecondFactor(await factors.of(account.id))) return toFirstStep(ctx, interaction);
      ctx.status = 400;
      const errors = { fields: { code: text(code.trim() === "" ? "factors:code_missing" : "factors:code_wrong_set_up") } };
      return showSetUp(ctx, interaction, pending, { sealed, errors });
    }
    notices.tell(account, "second_factor_added", origin(ctx));
    onEvent(ctx, { accountId: account.id, event: "second_factor.added" });
    const next = await signIns.complete(ctx, interaction, pending, { amr: ["otp"] });
    if (pending.factors.recoveryCodes > 0) return seeOther(ctx, next);
    render(ctx, "recovery-codes", { codes: await recoveryCodes.renew(account.id), next });
  });

  return router;

  /** A code of the app, or a recovery code in the same field: they look different. */
  async function usedFactor(accountId: string, typed: string): Promise<"otp" | "recovery" | undefined> {
    const code = typed.replace(/\s/g, "");
    if (/^\d{6}$/.test(code)) return (await totp.use(accountId, code)) ? "otp" : undefined;
    return (await recoveryCodes.use(accountId, code)) ? "recovery" : undefined;
  }

  async function asking(interaction: Interaction) {
    const path = `/interaction/${interaction.uid}`;
    return { client: askingClient(await steps.clientOf(interaction)), cancel: `${path}/cancel`, another: `${path}?as=another` };
  }

  async function showQuestion(ctx: Context, interaction: Interaction, pending: Pending, { recovery = false, errors }: Retry) {
    const path = secondStepOf(interaction);
    const { account, factors: has, required } = pending;
    const codes = required !== PASSKEY_ACR;
    const asks = codes && recovery ? "recovery" : codes && has.totp ? "app" : undefined;
    render(ctx, "second-factor", {
      action: path,
      ...(asks === "recovery" && { hidden: { use: "recovery" } }),
      ...(await asking(interaction)),
      person: { email: account.email, name: account.name },
      asks,
      recovery: codes && asks !== "recovery" ? `${path}?use=recovery` : undefined,
      back: asks === "recovery" ? path : undefined,
      passkey: has.passkeys > 0 && asks !== "recovery" ? { options: `${path}/passkey/options`, action: `${path}/passkey` } : undefined,
      errors: errors ?? passkeyProblem(ctx, "second_factor"),
    });
  }

  async function showSetUp(ctx: Context, interaction: Interaction, pending: Pending, retry: { sealed?: string; errors?: FormErrors }) {
    const { id, email, name } = pending.account;
    const begun = retry.sealed === undefined ? totp.begin(id, email) : totp.resume(id, email, retry.sealed);
    render(ctx, "second-factor-set-up", {
      action: `${secondStepOf(interaction)}/set-up`,
      hidden: { set_up: begun.sealed },
      ...(await asking(interaction)),
      person: { email, name },
      byRole: pending.account.requiresSecondFactor,
      authenticator: await authenticatorView(begun),
      errors: retry.errors,
    });
  }

  async function showUnreachable(ctx: Context, interaction: Interaction) {
    render(ctx, "second-factor-missing", await asking(interaction));
  }

  /** Nothing was shown yet, or too long ago, or it counts no more. */
  function toFirstStep(ctx: Context, interaction: Interaction): void {
    seeOther(ctx, `/interaction/${interaction.uid}`);
  }

  function told(ctx: Context, interaction: Interaction, { account }: Pending, outcome: string): void {
    options.onWrongCode(ctx, { accountId: account.id, clientId: interaction.params.client_id as string, outcome });
  }
}

const origin = (ctx: Context) => ({ address: ctx.state.client.address, language: languageOf(ctx) });
