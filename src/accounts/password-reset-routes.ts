/** `/reset-password`: asks for a link; with the link's `token`, for the new password. */
import Router from "@koa/router";
import type { Context } from "koa";
import type { Forms } from "../http/forms.ts";
import { languageOf } from "../http/language.ts";
import type { FormErrors } from "../http/page-parts.ts";
import type { Render } from "../http/rendering.ts";
import { text } from "../i18n/messages.ts";
import { AccountError } from "./account-error.ts";
import { accountErrors, showBesideForm } from "./account-errors-middleware.ts";
import { createAskingBrowser } from "./asking-browser-middleware.ts";
import { createDeviceCookie } from "./device-cookie-middleware.ts";
import type { People } from "./people.ts";

const PATH = "/reset-password";
const CHOOSE_PATH = "/reset-password/choose";

export interface PasswordResetRoutesOptions {
  people: Pick<People, "passwordReset" | "interactionState" | "mailer">;
  forms: Forms;
  render: Render;
  https: boolean;
  loopback: boolean;
  /** For the audit: told after the fact. The account is not said while anybody may ask. */
  onEvent(ctx: Context, event: { event: "password_reset.requested" | "password.reset"; accountId?: string }): void;
}

export function createPasswordResetRoutes({ people, forms, render, https, loopback, onEvent }: PasswordResetRoutesOptions): Router {
  const { passwordReset, interactionState, mailer } = people;
  const router = new Router();
  const askingBrowser = createAskingBrowser(https);
  const deviceCookie = createDeviceCookie(https);
  const signInOf = (uid: string | undefined) => (uid === undefined ? "/sign-in" : `/interaction/${uid}`);

  function askForm(ctx: Context, given: { interaction?: string | undefined; email?: string | undefined }, errors?: FormErrors): void {
    const uid = interactionState.open(given.interaction);
    render(ctx, "reset-password", {
      action: PATH,
      hidden: uid === undefined ? {} : { interaction: interactionState.sign(uid) },
      email: given.email,
      errors,
      signIn: signInOf(uid),
    });
  }

  async function chooseForm(ctx: Context, token: string, errors?: FormErrors): Promise<void> {
    const found = await passwordReset.describe(token);
    if (found === undefined) throw new AccountError("link_invalid", text("reset:link_dead"));
    render(ctx, "new-password", { action: CHOOSE_PATH, hidden: { token }, ...found, errors });
  }

  router.use(accountErrors());

  // A link alone changes nothing: mail scanners and previews follow links, people press buttons.
  router.get(PATH, async (ctx) => {
    const { token, interaction } = ctx.query;
    if (typeof token === "string") return chooseForm(ctx, token);
    askForm(ctx, { interaction: typeof interaction === "string" ? interaction : undefined });
  });

  router.post(PATH, forms.verifyForm, async (ctx) => {
    const { email: typed = "", interaction: state } = ctx.state.form ?? {};
    const interaction = interactionState.open(state);
    const browser = askingBrowser.secret(ctx);
    const { address } = ctx.state.client;
    try {
      const { email } = await passwordReset.request({
        email: typed,
        address,
        device: deviceCookie.read(ctx),
        interaction,
        browser,
        language: languageOf(ctx),
      });
      onEvent(ctx, { event: "password_reset.requested" });
      askingBrowser.remember(ctx, browser);
      const outbox = loopback ? mailer.outbox : undefined;
      render(ctx, "check-your-mail", { email, purpose: "reset", outbox, signIn: signInOf(interaction) });
    } catch (error) {
      const errors = showBesideForm(ctx, error);
      askForm(ctx, { interaction: state, email: typed }, errors);
    }
  });

  router.post(CHOOSE_PATH, forms.verifyForm, async (ctx) => {
    const { token = "", password = "" } = ctx.state.form ?? {};
    try {
      const origin = { address: ctx.state.client.address, language: languageOf(ctx) };
      const { account, interaction } = await passwordReset.reset(token, password, { origin, browser: askingBrowser.of(ctx) });
      onEvent(ctx, { event: "password.reset", accountId: account.id });
      askingBrowser.forget(ctx);
      render(ctx, "password-set", { email: account.email, signIn: signInOf(interaction) });
    } catch (error) {
      const errors = showBesideForm(ctx, error);
      await chooseForm(ctx, token, errors);
    }
  });

  return router;
}
