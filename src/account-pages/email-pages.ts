/** `/account/email`: another address, by a link that is mailed to it. */
import type Router from "@koa/router";
import type { Context } from "koa";
import { AccountError } from "../accounts/account-error.ts";
import { showBesideForm } from "../accounts/account-errors-middleware.ts";
import type { DeviceCookie } from "../accounts/device-cookie-middleware.ts";
import type { EmailChange } from "../accounts/email-change.ts";
import type { KnownDevices } from "../accounts/known-devices.ts";
import { isToken } from "../accounts/one-time-tokens.ts";
import { cookieAttributes, cookieName } from "../http/cookies.ts";
import type { PageModels } from "../http/pages.ts";
import { text } from "../i18n/messages.ts";
import type { OwnSession } from "../interactions/own-session.ts";
import { type Frame, seeOther } from "./frame.ts";

export interface EmailPagesOptions {
  https: boolean;
  emailChange: EmailChange;
  devices: Pick<KnownDevices, "remember">;
  deviceCookie: DeviceCookie;
  /** Loopback issuer without SMTP: the directory in which the mail lies. */
  outbox: string | undefined;
}

const CONFIRM = "/account/email/confirm";
/** Milliseconds: a sign-in may come between the opening of the link and the button. */
const COOKIE_LIFE = 3_600_000;

export function addEmailPages(router: Router, frame: Frame, options: EmailPagesOptions): void {
  const { https, emailChange, devices, deviceCookie, outbox } = options;
  const place = { https, path: CONFIRM };
  const cookie = cookieName("grantor_new_email", place);
  const attributes = { ...cookieAttributes(place), signed: false };

  router.get("/account/email", async (ctx) => {
    const session = await frame.recently(ctx, "email");
    if (session !== undefined) show(ctx, session, {});
  });

  router.post("/account/email", frame.verifyForm, async (ctx) => {
    const session = await frame.recently(ctx, "email");
    if (session === undefined) return;
    const typed = ctx.state.form?.email ?? "";
    try {
      const { email } = await emailChange.request(session.account, typed, frame.origin(ctx));
      frame.report(ctx, session, { event: "email.change_requested" });
      show(ctx, session, { sentTo: email, outbox });
    } catch (error) {
      show(ctx, session, { typed, errors: showBesideForm(ctx, error) });
    }
  });

  // The link's token goes on in a cookie: out of the address, and through a sign-in.
  router.get(CONFIRM, async (ctx) => {
    const { token: opened } = ctx.query;
    if (typeof opened === "string") {
      if (!isToken(opened)) throw dead();
      ctx.cookies.set(cookie, opened, { ...attributes, maxAge: COOKIE_LIFE });
      return seeOther(ctx, CONFIRM);
    }
    const session = await frame.signedIn(ctx, "email", CONFIRM);
    if (session === undefined) return;
    const found = await emailChange.describe(tokenOf(ctx), session.account);
    if (found === undefined) throw dead();
    frame.render(ctx, "account/email-confirm", { ...frame.page(ctx, "email", session), action: CONFIRM, newEmail: found.email });
  });

  // A link alone changes nothing: mail scanners and previews follow links, people press buttons.
  router.post(CONFIRM, frame.verifyForm, async (ctx) => {
    const session = await frame.signedIn(ctx, "email", CONFIRM);
    if (session === undefined) return;
    const account = await emailChange.confirm(tokenOf(ctx), session.account, frame.origin(ctx));
    ctx.cookies.set(cookie, null, attributes);
    deviceCookie.write(ctx, devices.remember(account.email, deviceCookie.read(ctx)));
    frame.report(ctx, session, { event: "email.changed" });
    frame.done(ctx, "overview", "email_changed");
  });

  const tokenOf = (ctx: Context): string => ctx.cookies.get(cookie, { signed: false }) ?? "";

  function show(ctx: Context, session: OwnSession, facts: Partial<PageModels["account/email"]>): void {
    frame.render(ctx, "account/email", { ...frame.page(ctx, "email", session), action: "/account/email", ...facts });
  }
}

const dead = (): AccountError => new AccountError("link_invalid", text("profile:confirm.dead"));
