/** `/apps` and what is below it, joined. */
import Router from "@koa/router";
import type { Middleware } from "koa";
import { accountErrors } from "../accounts/account-errors-middleware.ts";
import { ClientError } from "../clients/client-error.ts";
import { HttpProblem } from "../http/errors.ts";
import { text } from "../i18n/messages.ts";
import { addCheckPages } from "./check-pages.ts";
import { addDeletePages, type DeletePagesOptions } from "./delete-pages.ts";
import { addFailurePages, type FailurePagesOptions } from "./failure-pages.ts";
import { createFrame, type FrameOptions, noSuchApp } from "./frame.ts";
import type { ServerLifetimes } from "./lifetime-choices.ts";
import { addListPages } from "./list-pages.ts";
import { addOverviewPages, type OverviewPagesOptions } from "./overview-pages.ts";
import { addOwnerPages, type OwnerPagesOptions } from "./owner-pages.ts";
import { addQuickStartPages, type QuickStartPagesOptions } from "./quick-start-pages.ts";
import { addSecretPages, type SecretPagesOptions } from "./secret-pages.ts";
import { addSettingsPages } from "./settings-pages.ts";
import { addTrialPages, type TrialPagesOptions } from "./trial-pages.ts";
import { addWizardPages, type WizardPagesOptions } from "./wizard-pages.ts";

export interface AppPagesOptions {
  frame: FrameOptions;
  wizard: WizardPagesOptions;
  overview: OverviewPagesOptions;
  lifetimes: ServerLifetimes;
  owners: OwnerPagesOptions;
  secret: SecretPagesOptions;
  trials: TrialPagesOptions;
  failures: FailurePagesOptions;
  delete: DeletePagesOptions;
  quickStarts: QuickStartPagesOptions;
}

export function appPages(options: AppPagesOptions): Router {
  const frame = createFrame(options.frame);
  const router = new Router();
  router.use(accountErrors(), clientErrors);

  addListPages(router, frame);
  addWizardPages(router, frame, options.wizard);
  addCheckPages(router, frame);
  addOwnerPages(router, frame, options.owners); // `/apps/invitation` is no application's
  addOverviewPages(router, frame, options.overview);
  addSettingsPages(router, frame, options.lifetimes);
  addSecretPages(router, frame, options.secret);
  addTrialPages(router, frame, options.trials);
  addFailurePages(router, frame, options.failures);
  addDeletePages(router, frame, options.delete);
  addQuickStartPages(router, frame, options.quickStarts);
  return router;
}

/** What no page shows beside its form. */
const clientErrors: Middleware = async (_ctx, next) => {
  try {
    await next();
  } catch (error) {
    if (!(error instanceof ClientError)) throw error;
    const { code, status } = error;
    if (code === "not_found") throw noSuchApp();
    if (code === "suspended") throw new HttpProblem(status, code, text("apps:suspended"));
    if (code === "too_many") throw new HttpProblem(status, code, text("apps:may_not.too_many"));
    throw error;
  }
};
