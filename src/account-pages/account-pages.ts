/** `/account` and what is below it, joined. */
import Router from "@koa/router";
import { accountErrors } from "../accounts/account-errors-middleware.ts";
import { type ApplicationPagesOptions, addApplicationPages } from "./application-pages.ts";
import { createFrame, type FrameOptions } from "./frame.ts";

export interface AccountPagesOptions {
  frame: FrameOptions;
  applications: ApplicationPagesOptions;
}

export function accountPages(options: AccountPagesOptions): Router {
  const frame = createFrame(options.frame);
  const router = new Router();
  router.use(accountErrors());

  router.get("/account", async (ctx) => {
    const session = await frame.signedIn(ctx, "overview");
    if (session === undefined) return;
    const { account } = session;
    frame.render(ctx, "account/overview", {
      ...frame.page(ctx, "overview", session),
      emailVerified: account.emailVerified,
      roles: account.roles,
      signOut: "/sign-out",
    });
  });

  addApplicationPages(router, frame, options.applications);
  return router;
}
