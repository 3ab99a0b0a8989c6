/** `/apps` and what is below it, joined. */
import Router from "@koa/router";
import type { Middleware } from "koa";
import { accountErrors } from "../accounts/account-errors-middleware.ts";
import { ClientError } from "../clients/client-error.ts";
import { addDeletePages, type DeletePagesOptions } from "./delete-pages.ts";
import { createFrame, type FrameOptions, noSuchApp } from "./frame.ts";
import { addListPages } from "./list-pages.ts";
import { addOwnerPages, type OwnerPagesOptions } from "./owner-pages.ts";
import { addQuickStartPages, type QuickStartPagesOptions } from "./quick-start-pages.ts";
import { addSecretPages, type SecretPagesOptions } from "./secret-pages.ts";

export interface AppPagesOptions {
  frame: FrameOptions;
  owners: OwnerPagesOptions;
  secret: SecretPagesOptions;
  delete: DeletePagesOptions;
  quickStarts: QuickStartPagesOptions;
}

export function appPages(options: AppPagesOptions): Router {
  const frame = createFrame(options.frame);
  const router = new Router();
  router.use(accountErrors(), notFoundPages);

  addListPages(router, frame);
  addOwnerPages(router, frame, options.owners); // `/apps/invitation` is no application's
  addSecretPages(router, frame, options.secret);
  addDeletePages(router, frame, options.delete);
  addQuickStartPages(router, frame, options.quickStarts);
  return router;
}

const notFoundPages: Middleware = async (_ctx, next) => {
  try {
    await next();
  } catch (error) {
    if (error instanceof ClientError && error.code === "not_found") throw noSuchApp();
    throw error;
  }
};
