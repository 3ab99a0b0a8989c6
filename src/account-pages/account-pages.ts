/** `/account` and what is below it, joined. */
import Router from "@koa/router";
import { accountErrors } from "../accounts/account-errors-middleware.ts";
import { type ApplicationPagesOptions, addApplicationPages } from "./application-pages.ts";
import { addDataPages, type DataPagesOptions } from "./data-pages.ts";
import { addDeletionPages, type DeletionPagesOptions } from "./deletion-pages.ts";
import { addEmailPages, type EmailPagesOptions } from "./email-pages.ts";
import { addEventPages, type EventPagesOptions } from "./event-pages.ts";
import { createFrame, type FrameOptions } from "./frame.ts";
import { addOverviewPages, type OverviewPagesOptions } from "./overview-pages.ts";
import { addPasskeyPages, type PasskeyPagesOptions } from "./passkey-pages.ts";
import { addPasswordPages, type PasswordPagesOptions } from "./password-pages.ts";
import { addProfilePages, type ProfilePagesOptions } from "./profile-pages.ts";
import { addProviderPages, type ProviderPagesOptions } from "./provider-pages.ts";
import { addSessionPages, type SessionPagesOptions } from "./session-pages.ts";
import { addTwoStepPages, type TwoStepPagesOptions } from "./two-step-pages.ts";

export interface AccountPagesOptions {
  frame: FrameOptions;
  overview: OverviewPagesOptions;
  profile: ProfilePagesOptions;
  email: EmailPagesOptions;
  password: PasswordPagesOptions;
  passkeys: PasskeyPagesOptions;
  events: EventPagesOptions;
  data: DataPagesOptions;
  deletion: DeletionPagesOptions;
  twoStep: TwoStepPagesOptions;
  providers: ProviderPagesOptions;
  sessions: SessionPagesOptions;
  applications: ApplicationPagesOptions;
}

export function accountPages(options: AccountPagesOptions): Router {
  const frame = createFrame(options.frame);
  const router = new Router();
  router.use(accountErrors());

  addOverviewPages(router, frame, options.overview);
  addProfilePages(router, frame, options.profile);
  addEmailPages(router, frame, options.email);
  addPasswordPages(router, frame, options.password);
  addPasskeyPages(router, frame, options.passkeys);
  addTwoStepPages(router, frame, options.twoStep);
  addProviderPages(router, frame, options.providers);
  addSessionPages(router, frame, options.sessions);
  addApplicationPages(router, frame, options.applications);
  addEventPages(router, frame, options.events);
  addDataPages(router, frame, options.data);
  addDeletionPages(router, frame, options.deletion);
  return router;
}
