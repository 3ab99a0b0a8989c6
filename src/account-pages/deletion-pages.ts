/** `/account/delete`: the end of an account, asked for by its owner. */
import type Router from "@koa/router";
import type { Context } from "koa";
import { refuseFaults } from "../accounts/account-error.ts";
import { showBesideForm } from "../accounts/account-errors-middleware.ts";
import type { Deletion } from "../accounts/deletion.ts";
import { normalizeEmail } from "../accounts/email-address.ts";
import type { FormErrors } from "../http/page-parts.ts";
import { text } from "../i18n/messages.ts";
import type { OwnSession } from "../interactions/own-session.ts";
import type { Frame } from "./frame.ts";

const DAY_SECONDS = 86_400;

export interface DeletionPagesOptions {
  deletion: Pick<Deletion, "request">;
  /** Seconds for which a deletion can be called off. */
  delay: number;
  /** The applications that nobody looks after when the person is gone. */
  soleApplications(accountId: string): Promise<readonly string[]>;
}

export function addDeletionPages(router: Router, frame: Frame, { deletion, delay, soleApplications }: DeletionPagesOptions): void {
  router.get("/account/delete", async (ctx) => {
    const session = await frame.recently(ctx, "delete");
    if (session !== undefined) await show(ctx, session);
  });

  router.post("/account/delete", frame.verifyForm, async (ctx) => {
    const session = await frame.recently(ctx, "delete");
    if (session === undefined) return;
    const { email: typed = "" } = ctx.state.form ?? {};
    const { email } = session.account;
    try {
      // Nobody types their own address by mistake.
      if (normalizeEmail(typed) !== email) refuseFaults([{ field: "email", message: text("deletion:type_address", { email }) }]);
      const marked = await deletion.request(session.account, frame.origin(ctx));
      frame.report(ctx, session, { event: "deletion.requested" });
      frame.render(ctx, "account-deleted", { email, deleteAt: marked?.deleteAt, signIn: "/sign-in" });
    } catch (error) {
      await show(ctx, session, typed, showBesideForm(ctx, error));
    }
  });

  async function show(ctx: Context, session: OwnSession, typed?: string, errors?: FormErrors): Promise<void> {
    const facts = { days: Math.ceil(delay / DAY_SECONDS), applications: await soleApplications(session.account.id), typed, errors };
    frame.render(ctx, "account/delete", { ...frame.page(ctx, "delete", session), action: "/account/delete", ...facts });
  }
}
