/** `/account/passkeys`: a person's passkeys; adding, naming and removing them. All of it asks for a recent sign-in. */
import type Router from "@koa/router";
import type { Context } from "koa";
import { AccountError } from "../accounts/account-error.ts";
import type { SecurityNotices } from "../accounts/security-notices.ts";
import { type Factors, hasSecondFactor } from "../factors/factors.ts";
import { LONGEST_PASSKEY_NAME, type Passkeys } from "../factors/passkeys.ts";
import { languageOf } from "../http/language.ts";
import { say, type Text, text } from "../i18n/messages.ts";
import type { OwnSession } from "../interactions/own-session.ts";
import { type Frame, seeOther } from "./frame.ts";

export interface PasskeyPagesOptions {
  passkeys: Passkeys;
  factors: Pick<Factors, "of">;
  notices: SecurityNotices;
  /** As in TwoStepPagesOptions. */
  endLessSure(session: OwnSession): Promise<void>;
}

const HERE = "/account/passkeys";

export function addPasskeyPages(router: Router, frame: Frame, options: PasskeyPagesOptions): void {
  const { passkeys, factors, notices, endLessSure } = options;

  router.get(HERE, async (ctx) => {
    const session = await frame.recently(ctx, "passkeys");
    if (session !== undefined) await show(ctx, session);
  });

  // What a form's answer has as its address is a page as well.
  router.get([`${HERE}/rename`, `${HERE}/remove`], (ctx) => seeOther(ctx, HERE));

  router.post(`${HERE}/options`, frame.verifyForm, async (ctx) => {
    const session = await frame.recently(ctx, "passkeys");
    if (session !== undefined) ctx.body = await passkeys.creationOptions(session.account, session.uid);
  });

  router.post(HERE, frame.verifyForm, async (ctx) => {
    const session = await frame.recently(ctx, "passkeys");
    if (session === undefined) return;
    const { credential = "", name = "" } = ctx.state.form ?? {};
    const otherwise = say(languageOf(ctx), text("passkeys:default_name"));
    const result = await passkeys.register(session.account, session.uid, { credential, name, otherwise });
    if (!result.ok) {
      frame.report(ctx, session, { event: "passkey.refused", outcome: "failure", detail: { reason: result.reason } });
      return refuse(ctx, session, 400, text(`passkeys:refused.${result.reason}`));
    }
    tell(ctx, session, "added");
    await endLessSure(session);
    frame.done(ctx, "passkeys", "passkey_added");
  });

  router.post(`${HERE}/rename`, frame.verifyForm, async (ctx) => {
    const session = await frame.recently(ctx, "passkeys");
    if (session === undefined) return;
    const { id = "", name = "" } = ctx.state.form ?? {};
    const chosen = name.trim();
    if (chosen === "") return refuse(ctx, session, 400, text("passkeys:refused.name_missing"));
    if (chosen.length > LONGEST_PASSKEY_NAME)
      return refuse(ctx, session, 400, text("passkeys:refused.name_long", { count: LONGEST_PASSKEY_NAME }));
    if (!(await passkeys.rename(session.account.id, id, chosen))) return refuse(ctx, session, 404, text("passkeys:refused.gone"));
    frame.report(ctx, session, { event: "passkey.renamed" });
    frame.done(ctx, "passkeys", "passkey_renamed");
  });

  router.post(`${HERE}/remove`, frame.verifyForm, async (ctx) => {
    const session = await frame.recently(ctx, "passkeys");
    if (session === undefined) return;
    try {
      if (await passkeys.remove(session.account.id, ctx.state.form?.id ?? "")) tell(ctx, session, "removed");
    } catch (error) {
      if (!(error instanceof AccountError) || (error.code !== "last_way_in" && error.code !== "password_too_short")) throw error;
      return refuse(ctx, session, error.status, error.words, "/account/password");
    }
    frame.done(ctx, "passkeys", "passkey_removed");
  });

  function tell(ctx: Context, session: OwnSession, what: "added" | "removed"): void {
    notices.tell(session.account, `passkey_${what}`, frame.origin(ctx));
    frame.report(ctx, session, { event: `passkey.${what}` });
  }

  function refuse(ctx: Context, session: OwnSession, status: number, form: Text, choosePassword?: string): Promise<void> {
    ctx.status = status;
    return show(ctx, session, { errors: { form }, choosePassword });
  }

  async function show(ctx: Context, session: OwnSession, more: { errors?: { form: Text }; choosePassword?: string | undefined } = {}) {
    const [own, has] = await Promise.all([passkeys.list(session.account.id), factors.of(session.account.id)]);
    frame.render(ctx, "account/passkeys", {
      ...frame.page(ctx, "passkeys", session),
      action: HERE,
      passkey: passkeys.possible ? { options: `${HERE}/options`, action: HERE } : undefined,
      passkeys: own,
      signsOut: !hasSecondFactor(has),
      longestName: LONGEST_PASSKEY_NAME,
      recoveryCodes: own.some(({ works }) => works) && has.recoveryCodes === 0 ? "/account/two-step" : undefined,
      ...more,
    });
  }
}
