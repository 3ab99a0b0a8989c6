import Router from "@koa/router";
import type { Context } from "koa";
import type { Forms } from "../http/forms.ts";
import { languageOf } from "../http/language.ts";
import type { ClientView, FormErrors } from "../http/page-parts.ts";
import type { Render } from "../http/rendering.ts";
import { text } from "../i18n/messages.ts";
import { AccountError } from "./account-error.ts";
import { accountErrors, showBesideForm } from "./account-errors-middleware.ts";
import { createAskingBrowser } from "./asking-browser-middleware.ts";
import { createDeviceCookie } from "./device-cookie-middleware.ts";
import type { People } from "./people.ts";

const SIGN_IN = "/sign-in";

export interface AccountRoutesOptions {
  people: Pick<People, "signUp" | "passwordPolicy" | "verification" | "bootstrap" | "devices" | "interactionState" | "mailer">;
  forms: Forms;
  render: Render;
  https: boolean;
  loopback: boolean;
  /** The application on the way to which a sign-in, by its uid, was interrupted. */
  applicationOf?: (uid: string) => Promise<ClientView | undefined>;
  /** For the audit: told after the fact. */
  onEvent?: (ctx: Context, event: AccountEvent) => void;
}

export interface AccountEvent {
  readonly event: "sign_up.requested" | "email.verified" | "administrator.created";
  /** Unknown while an address is not verified. */
  readonly accountId?: string;
}

/** `/sign-up`, `/verify-email` and `/bootstrap`. */
export function createAccountRoutes({ people, forms, render, https, loopback, applicationOf, onEvent }: AccountRoutesOptions): Router {
  const { signUp, passwordPolicy, verification, bootstrap, devices, interactionState, mailer } = people;
  const router = new Router();
  const minimumPasswordLength = passwordPolicy.minimumLength(true);
  const deviceCookie = createDeviceCookie(https);
  const askingBrowser = createAskingBrowser(https);

  const pathBack = (uid: string | undefined) => (uid === undefined ? SIGN_IN : `/interaction/${uid}`);

  async function confirmForm(ctx: Context, token: string, name?: string, errors?: FormErrors): Promise<void> {
    const found = await verification.describe(token, askingBrowser.of(ctx));
    if (found === undefined) throw new AccountError("link_invalid", text("verification:link_dead"));
    render(ctx, "verify-email", {
      action: "/verify-email",
      hidden: { token },
      email: found.email,
      name,
      newPassword: found.choosesPassword ? { minimumLength: minimumPasswordLength } : undefined,
      errors,
    });
  }

  async function signUpForm(
    ctx: Context,
    given: { invitation?: string | undefined; interaction?: string | undefined; email?: string | undefined; name?: string | undefined },
    errors?: FormErrors,
  ): Promise<void> {
    const uid = interactionState.open(given.interaction);
    render(ctx, "sign-up", {
      action: "/sign-up",
      client: uid === undefined ? undefined : await applicationOf?.(uid),
      hidden: {
        ...(given.invitation === undefined ? {} : { invitation: given.invitation }),
        ...(uid === undefined ? {} : { interaction: interactionState.sign(uid) }),
      },
      email: given.email,
      name: given.name,
      errors,
      minimumPasswordLength,
      signIn: pathBack(uid),
    });
  }

  router.use(accountErrors());

  router.get("/sign-up", async (ctx) => {
    const invitation = single(ctx.query.invitation);
    const { email } = await signUp.admit(invitation);
    await signUpForm(ctx, { invitation, interaction: single(ctx.query.interaction), email });
  });

  router.post("/sign-up", forms.verifyForm, async (ctx) => {
    const { email: typed = "", password = "", name, invitation, interaction: state } = formOf(ctx);
    const interaction = interactionState.open(state);
    const browser = askingBrowser.secret(ctx);
    const { address } = ctx.state.client;
    try {
      const { email } = await signUp.begin({
        email: typed,
        password,
        name,
        invitation,
        interaction,
        browser,
        address,
        language: languageOf(ctx),
      });
      onEvent?.(ctx, { event: "sign_up.requested" });
      askingBrowser.remember(ctx, browser);
      render(ctx, "check-your-mail", {
        email,
        purpose: "verify",
        outbox: loopback ? mailer.outbox : undefined,
        signIn: pathBack(interaction),
      });
    } catch (error) {
      const errors = showBesideForm(ctx, error);
      await signUpForm(ctx, { invitation, interaction: state, email: typed, name }, errors);
    }
  });

  router.get("/verify-email", async (ctx) => {
    await confirmForm(ctx, single(ctx.query.token) ?? "");
  });

  // A link alone changes nothing: mail scanners and previews follow links, people press buttons.
  router.post("/verify-email", forms.verifyForm, async (ctx) => {
    const { token = "", password, name } = formOf(ctx);
    const { address } = ctx.state.client;
    try {
      const { account, interaction, here } = await verification.confirm(token, { browser: askingBrowser.of(ctx), password, name, address });
      onEvent?.(ctx, { event: "email.verified", accountId: account.id });
      askingBrowser.forget(ctx);
      deviceCookie.write(ctx, devices.remember(account.email, deviceCookie.read(ctx)));
      render(ctx, "email-verified", {
        email: account.email,
        next: pathBack(here ? interaction : undefined),
        beganElsewhere: interaction !== undefined && !here,
      });
    } catch (error) {
      const errors = showBesideForm(ctx, error);
      await confirmForm(ctx, token, name, errors);
    }
  });

  router.get("/bootstrap", async (ctx) => {
    const token = single(ctx.query.token) ?? "";
    if (!(await bootstrap.isLive(token))) throw new AccountError("link_invalid", text("bootstrap:link_dead"));
    render(ctx, "bootstrap", { action: "/bootstrap", hidden: { token }, minimumPasswordLength });
  });

  router.post("/bootstrap", forms.verifyForm, async (ctx) => {
    const { token = "", email = "", password = "", name } = formOf(ctx);
    try {
      const account = await bootstrap.create({ token, email, password, name });
      onEvent?.(ctx, { event: "administrator.created", accountId: account.id });
      deviceCookie.write(ctx, devices.remember(account.email, deviceCookie.read(ctx)));
      render(ctx, "bootstrap-done", { email: account.email, signIn: SIGN_IN });
    } catch (error) {
      const errors = showBesideForm(ctx, error);
      render(ctx, "bootstrap", {
        action: "/bootstrap",
        hidden: { token },
        email,
        name,
        errors,
        minimumPasswordLength,
      });
    }
  });

  return router;
}

function single(value: string | string[] | undefined): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

function formOf(ctx: Context): Record<string, string> {
  return ctx.state.form ?? {};
}
