/** `/account/password`: another password, for whoever knows the one that there is. */
import type Router from "@koa/router";
import type { Context } from "koa";
import { AccountError } from "../accounts/account-error.ts";
import { showBesideForm } from "../accounts/account-errors-middleware.ts";
import type { AccountPasswords } from "../accounts/account-passwords.ts";
import type { DeviceCookie } from "../accounts/device-cookie-middleware.ts";
import type { PasswordChange } from "../accounts/password-change.ts";
import type { SecurityNotices } from "../accounts/security-notices.ts";
import type { FormErrors } from "../http/page-parts.ts";
import { text } from "../i18n/messages.ts";
import type { OwnSession } from "../interactions/own-session.ts";
import type { Frame } from "./frame.ts";

/** Seconds. */
const RETRY = 5;

export interface PasswordPagesOptions {
  passwords: Pick<AccountPasswords, "current" | "minimumLength">;
  passwordChange: PasswordChange;
  deviceCookie: Pick<DeviceCookie, "read">;
  notices: Pick<SecurityNotices, "tell">;
  /** Ends every session, grant and token of an account but one session and what was given in it. */
  endAllBut(sessionUid: string, accountId: string): Promise<void>;
}

export function addPasswordPages(router: Router, frame: Frame, options: PasswordPagesOptions): void {
  const { passwords, passwordChange, deviceCookie, notices, endAllBut } = options;

  router.get("/account/password", async (ctx) => {
    const session = await allowed(ctx);
    if (session !== undefined) await show(ctx, session);
  });

  router.post("/account/password", frame.verifyForm, async (ctx) => {
    const session = await allowed(ctx);
    if (session === undefined) return;
    const { current = "", password = "" } = ctx.state.form ?? {};
    const { account, uid } = session;
    try {
      await passwordChange.change(account, { current, password, address: ctx.state.client.address, device: deviceCookie.read(ctx) });
    } catch (error) {
      if (error instanceof AccountError && error.faults.some(({ field }) => field === "current"))
        frame.report(ctx, session, { event: "password.changed", outcome: "failure" });
      return show(ctx, session, showBesideForm(ctx, error));
    }
    frame.report(ctx, session, { event: "password.changed" });
    notices.tell(account, "password_changed", frame.origin(ctx));
    await endAllBut(uid, account.id).catch((cause: unknown) => {
      throw new AccountError("unavailable", text("profile:password.not_ended"), { cause, retryAfter: RETRY });
    });
    frame.done(ctx, "password", "password_changed");
  });

  /** Who has no password to type shows by a recent sign-in who they are. */
  async function allowed(ctx: Context): Promise<OwnSession | undefined> {
    const session = await frame.signedIn(ctx, "password");
    if (session === undefined || (await passwords.current(session.account.id)) !== undefined) return session;
    return frame.recently(ctx, "password");
  }

  async function show(ctx: Context, session: OwnSession, errors?: FormErrors): Promise<void> {
    const { account } = session;
    frame.render(ctx, "account/password", {
      ...frame.page(ctx, "password", session),
      action: "/account/password",
      hasPassword: (await passwords.current(account.id)) !== undefined,
      minimumLength: await passwords.minimumLength(account),
      errors,
    });
  }
}
