/** `/apps/:client_id/owners`: who looks after an application; `/apps/invitation`: where somebody joins them. */
import type Router from "@koa/router";
import type { Context } from "koa";
import { AccountError } from "../accounts/account-error.ts";
import { showBesideForm } from "../accounts/account-errors-middleware.ts";
import { isToken } from "../accounts/one-time-tokens.ts";
import { deadInvitation } from "../accounts/owner-invitations.ts";
import { ClientError } from "../clients/client-error.ts";
import type { AppCareModels } from "../http/app-care-models.ts";
import { cookieAttributes, cookieName } from "../http/cookies.ts";
import { text } from "../i18n/messages.ts";
import type { AppCareOperations } from "../operations/app-care-operations.ts";
import { type AppVisit, appPath, type Frame, nameOf, seeOther } from "./frame.ts";

export interface OwnerPagesOptions {
  https: boolean;
  care: Omit<AppCareOperations, "rotateSecret" | "endPreviousSecret" | "delete">;
  /** Loopback issuer without SMTP: the directory in which the mail lies. */
  outbox: string | undefined;
}

const INVITATION = "/apps/invitation";
/** Milliseconds: a sign-in may come between the opening of the link and the button. */
const COOKIE_LIFE = 3_600_000;

export function addOwnerPages(router: Router, frame: Frame, { https, care, outbox }: OwnerPagesOptions): void {
  const place = { https, path: INVITATION };
  const cookie = cookieName("grantor_app_invitation", place);
  const attributes = { ...cookieAttributes(place), signed: false };
  const tokenOf = (ctx: Context): string => ctx.cookies.get(cookie, { signed: false }) ?? "";

  // The link's token goes on in a cookie: out of the address, and through a sign-in.
  router.get(INVITATION, async (ctx) => {
    const { token } = ctx.query;
    if (typeof token === "string") {
      if (!isToken(token)) return deadInvitation();
      ctx.cookies.set(cookie, token, { ...attributes, maxAge: COOKIE_LIFE });
      return seeOther(ctx, INVITATION);
    }
    const session = await frame.signedIn(ctx, INVITATION);
    if (session === undefined) return;
    const { client, by } = await care.describeInvitation(session.account, tokenOf(ctx));
    const hidden = { client_id: client.clientId };
    frame.render(ctx, "apps/invitation", { ...frame.page(ctx, session), action: INVITATION, hidden, name: nameOf(client), by });
  });

  // A link alone changes nothing: mail scanners and previews follow links, people press buttons.
  router.post(INVITATION, frame.verifyForm, async (ctx) => {
    const session = await frame.signedIn(ctx, INVITATION);
    if (session === undefined) return;
    // The cookie may be of a link that was opened in another tab since.
    const clientId = ctx.state.form?.client_id ?? "";
    try {
      await care.accept(frame.developer(ctx, session), clientId, tokenOf(ctx));
      ctx.cookies.set(cookie, null, attributes);
    } catch (error) {
      // Sent twice, whoever comes second finds the link used up, by themselves.
      if (!(error instanceof AccountError) || (await frame.ofSentBefore(session, clientId)) === undefined) throw error;
    }
    frame.done(ctx, "overview", clientId, "joined");
  });

  router.get("/apps/:client_id/owners", async (ctx) => {
    const visit = await frame.visit(ctx, "owners");
    if (visit !== undefined) await show(ctx, visit, {});
  });

  router.post("/apps/:client_id/owners", frame.verifyForm, async (ctx) => {
    const visit = await frame.recently(ctx, "owners");
    if (visit === undefined) return;
    const typed = ctx.state.form?.email ?? "";
    try {
      const { email } = await care.invite(frame.developer(ctx, visit.session), visit.client.clientId, typed);
      await show(ctx, visit, { sentTo: email, outbox });
    } catch (error) {
      await show(ctx, visit, { typed, errors: showBesideForm(ctx, error) });
    }
  });

  router.post("/apps/:client_id/owners/withdraw", frame.verifyForm, async (ctx) => {
    const visit = await frame.visit(ctx, "owners");
    if (visit === undefined) return;
    const { clientId } = visit.client;
    await care.withdraw(frame.developer(ctx, visit.session), clientId, ctx.state.form?.invitation ?? "");
    frame.done(ctx, "owners", clientId, "invitation_withdrawn");
  });

  router.post("/apps/:client_id/owners/remove", frame.verifyForm, async (ctx) => {
    const visit = await frame.recently(ctx, "owners");
    if (visit === undefined) return;
    const { clientId } = visit.client;
    const who = ctx.state.form?.owner ?? "";
    try {
      await care.removeOwner(frame.developer(ctx, visit.session), clientId, who);
    } catch (error) {
      if (!(error instanceof ClientError) || error.code !== "last_owner") throw error;
      ctx.status = error.status;
      return show(ctx, visit, { errors: { form: text("app-care:owners.last") } });
    }
    if (who === visit.session.account.id) seeOther(ctx, "/apps?done=left");
    else frame.done(ctx, "owners", clientId, "owner_removed");
  });

  async function show(ctx: Context, visit: AppVisit, facts: Partial<AppCareModels["apps/owners"]>): Promise<void> {
    const { account } = visit.session;
    const { clientId } = visit.client;
    const action = appPath(clientId, "owners");
    const [owners, invitations] = await Promise.all([care.owners(account, clientId), care.invitations(account, clientId)]);
    frame.render(ctx, "apps/owners", {
      ...frame.appPage(ctx, "owners", visit),
      action,
      remove: `${action}/remove`,
      withdraw: `${action}/withdraw`,
      owners: owners.map(({ accountId: id, email, name, since }) => ({ id, email, name, since, you: id === account.id })),
      invitations: invitations.map(({ id, email, expiresAt }) => ({ id, email, until: expiresAt })),
      ...facts,
    });
  }
}
