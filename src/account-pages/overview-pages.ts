/** `/account`: what there is, and what would make it safer. */
import type Router from "@koa/router";
import type { Account } from "../accounts/account.ts";
import { type AccountFactors, type Factors, hasSecondFactor } from "../factors/factors.ts";
import type { PageModels } from "../http/pages.ts";
import { text } from "../i18n/messages.ts";
import { type Frame, sectionLink } from "./frame.ts";

/** Fewer recovery codes than this are few. */
const FEW_CODES = 3;

export interface OverviewPagesOptions {
  factors: Pick<Factors, "of">;
  /** Whether the developers' portal is of use to them. */
  isDeveloper(account: Account): Promise<boolean>;
}

export function addOverviewPages(router: Router, frame: Frame, { factors, isDeveloper }: OverviewPagesOptions): void {
  router.get("/account", async (ctx) => {
    const session = await frame.signedIn(ctx, "overview");
    if (session === undefined) return;
    const { account } = session;
    const has = await factors.of(account.id);
    frame.render(ctx, "account/overview", {
      ...frame.page(ctx, "overview", session),
      emailVerified: account.emailVerified,
      roles: account.roles,
      since: account.createdAt,
      protection: { passwordChanged: has.password?.changedAt, twoStep: has.totp, passkeys: has.passkeys },
      advice: adviceFor(has),
      apps: (await isDeveloper(account)) ? "/apps" : undefined,
      signOut: "/sign-out",
    });
  });
}

function adviceFor(has: AccountFactors): PageModels["account/overview"]["advice"] {
  if (has.password !== undefined && !hasSecondFactor(has)) {
    return [{ what: text("account:advice.second_factor"), ...sectionLink("two_step") }];
  }
  if (has.totp && has.recoveryCodes < FEW_CODES) {
    return [{ what: text("account:advice.recovery_codes", { count: has.recoveryCodes }), ...sectionLink("two_step") }];
  }
  return [];
}
