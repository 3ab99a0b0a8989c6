/** `/account/two-step`: an authenticator app, and recovery codes. */
import type Router from "@koa/router";
import type { Context } from "koa";
import { AccountError } from "../accounts/account-error.ts";
import type { SecurityNotices } from "../accounts/security-notices.ts";
import { hasSecondFactor } from "../factors/factors.ts";
import { FEW_RECOVERY_CODES } from "../factors/recovery-codes.ts";
import type { SecondFactors } from "../factors/second-factors.ts";
import type { FormErrors } from "../http/page-parts.ts";
import { text } from "../i18n/messages.ts";
import { authenticatorView } from "../interactions/authenticator-form.ts";
import type { OwnSession } from "../interactions/own-session.ts";
import type { Frame } from "./frame.ts";

const PAGE = "/account/two-step";
const SET_UP = `${PAGE}/set-up`;

export interface TwoStepPagesOptions {
  secondFactors: SecondFactors;
  notices: SecurityNotices;
  /** Signs out every other browser that came in by one factor: of an account that asks for two it might be somebody else's. */
  endLessSure(session: OwnSession): Promise<void>;
}

export function addTwoStepPages(router: Router, frame: Frame, { secondFactors, notices, endLessSure }: TwoStepPagesOptions): void {
  const { factors, totp, recoveryCodes } = secondFactors;

  router.get(PAGE, async (ctx) => {
    const session = await frame.signedIn(ctx, "two_step");
    if (session !== undefined) await showState(ctx, session, false);
  });

  router.get(SET_UP, async (ctx) => {
    const session = await frame.recently(ctx, "two_step");
    if (session !== undefined) await showSetUp(ctx, session, {});
  });

  router.post(SET_UP, frame.verifyForm, async (ctx) => {
    const session = await frame.recently(ctx, "two_step");
    if (session === undefined) return;
    const { account } = session;
    const { code = "", set_up: sealed = "" } = ctx.state.form ?? {};
    if (!(await totp.confirm(account.id, sealed, code.replace(/\s/g, "")))) {
      ctx.status = 400;
      const errors = { fields: { code: text(code.trim() === "" ? "factors:code_missing" : "factors:code_wrong_set_up") } };
      return showSetUp(ctx, session, { sealed, errors });
    }
    notices.tell(account, "second_factor_added", frame.origin(ctx));
    frame.report(ctx, session, { event: "second_factor.added" });
    await endLessSure(session);
    if ((await factors.of(account.id)).recoveryCodes > 0) return frame.done(ctx, "two_step", "second_factor_added");
    await showNewCodes(ctx, session);
  });

  router.post(`${PAGE}/remove`, frame.verifyForm, async (ctx) => {
    const session = await frame.recently(ctx, "two_step");
    if (session === undefined) return;
    try {
      if (await totp.remove(session.account.id)) {
        notices.tell(session.account, "second_factor_removed", frame.origin(ctx));
        frame.report(ctx, session, { event: "second_factor.removed" });
      }
    } catch (error) {
      if (!(error instanceof AccountError) || error.code !== "password_too_short") throw error;
      ctx.status = error.status;
      return showState(ctx, session, true);
    }
    frame.done(ctx, "two_step", "second_factor_removed");
  });

  router.post(`${PAGE}/recovery-codes`, frame.verifyForm, async (ctx) => {
    const session = await frame.recently(ctx, "two_step");
    if (session === undefined) return;
    if (!hasSecondFactor(await factors.of(session.account.id))) return frame.done(ctx, "two_step", "recovery_codes_useless");
    notices.tell(session.account, "recovery_codes_made", frame.origin(ctx));
    await showNewCodes(ctx, session);
  });

  async function showState(ctx: Context, session: OwnSession, isPasswordShort: boolean): Promise<void> {
    const { totp: app, passkeys, recoveryCodes: left } = await factors.of(session.account.id);
    frame.render(ctx, "account/two-step", {
      ...frame.page(ctx, "two_step", session),
      totp: app,
      passkeys,
      recoveryCodes: left,
      few: hasSecondFactor({ totp: app, passkeys }) && left < FEW_RECOVERY_CODES,
      setUp: SET_UP,
      remove: `${PAGE}/remove`,
      renew: `${PAGE}/recovery-codes`,
      passkeysPage: "/account/passkeys",
      choosePassword: isPasswordShort ? "/account/password" : undefined,
    });
  }

  async function showSetUp(ctx: Context, session: OwnSession, retry: { sealed?: string; errors?: FormErrors }): Promise<void> {
    const { id, email } = session.account;
    const before = await factors.of(id);
    const begun = retry.sealed === undefined ? totp.begin(id, email) : totp.resume(id, email, retry.sealed);
    frame.render(ctx, "account/two-step-set-up", {
      ...frame.page(ctx, "two_step", session),
      action: SET_UP,
      hidden: { set_up: begun.sealed },
      authenticator: await authenticatorView(begun),
      replaces: before.totp,
      signsOut: !hasSecondFactor(before),
      back: PAGE,
      errors: retry.errors,
    });
  }

  /** In the answer to the post itself: nothing keeps them to show them once more. */
  async function showNewCodes(ctx: Context, session: OwnSession): Promise<void> {
    const codes = await recoveryCodes.renew(session.account.id);
    frame.report(ctx, session, { event: "recovery_codes.made" });
    frame.render(ctx, "account/recovery-codes", { ...frame.page(ctx, "two_step", session), codes, back: PAGE });
  }
}
