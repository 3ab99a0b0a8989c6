/** `/account/profile`: what people say of themselves. */
import type Router from "@koa/router";
import type { Context } from "koa";
import { refuseFaults } from "../accounts/account-error.ts";
import { showBesideForm } from "../accounts/account-errors-middleware.ts";
import type { AccountStore } from "../accounts/account-store.ts";
import { claimsWith, type Profile, profileOf, readProfile, TIME_ZONES } from "../accounts/profile.ts";
import type { FormErrors } from "../http/page-parts.ts";
import { LANGUAGES } from "../i18n/languages.ts";
import type { OwnSession } from "../interactions/own-session.ts";
import type { Frame } from "./frame.ts";

export interface ProfilePagesOptions {
  accounts: Pick<AccountStore, "update">;
}

/** Each in its own words: whoever looks for theirs reads it. */
const LANGUAGE_CHOICES = LANGUAGES.map((value) => ({
  value,
  label: new Intl.DisplayNames([value], { type: "language" }).of(value) ?? value,
}));

export function addProfilePages(router: Router, frame: Frame, { accounts }: ProfilePagesOptions): void {
  router.get("/account/profile", async (ctx) => {
    const session = await frame.signedIn(ctx, "profile");
    if (session !== undefined) show(ctx, session, profileOf(session.account));
  });

  router.post("/account/profile", frame.verifyForm, async (ctx) => {
    const session = await frame.signedIn(ctx, "profile");
    if (session === undefined) return;
    const { account } = session;
    const { profile, faults } = readProfile(ctx.state.form ?? {}, Date.now());
    try {
      refuseFaults(faults);
      await accounts.update(account.id, {
        name: profile.name === "" ? null : profile.name,
        claims: claimsWith(account.claims, profile),
      });
    } catch (error) {
      return show(ctx, session, profile, showBesideForm(ctx, error));
    }
    frame.report(ctx, session, { event: "profile.changed" });
    frame.done(ctx, "profile", "profile_saved");
  });

  function show(ctx: Context, session: OwnSession, profile: Profile, errors?: FormErrors): void {
    frame.render(ctx, "account/profile", {
      ...frame.page(ctx, "profile", session),
      action: "/account/profile",
      profile,
      zones: TIME_ZONES,
      languages: LANGUAGE_CHOICES,
      errors,
    });
  }
}
