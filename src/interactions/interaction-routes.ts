/** `/interaction/:uid`: one step of an authorization at a time. Each ends in a 303 back to the engine, which decides what comes next. */
import Router from "@koa/router";
import type { Context, Middleware } from "koa";
import { errors, type Provider } from "oidc-provider";
import { AccountError } from "../accounts/account-error.ts";
import { accountErrors } from "../accounts/account-errors-middleware.ts";
import type { AccountStore } from "../accounts/account-store.ts";
import type { Authentication } from "../accounts/authentication.ts";
import type { DeviceCookie } from "../accounts/device-cookie-middleware.ts";
import type { InteractionState } from "../accounts/interaction-state.ts";
import { HttpProblem } from "../http/errors.ts";
import { useUiLocales } from "../http/language.ts";
import type { FormErrors } from "../http/pages.ts";
import type { Render } from "../http/rendering.ts";
import { text } from "../i18n/messages.ts";
import { askingClient, clientView, type NamedClient } from "./client-view.ts";
import type { Consents } from "./consent.ts";
import { createSignIns, type Interaction } from "./sign-in.ts";

export interface InteractionOptions {
  /** The engine of this moment. */
  provider(): Provider;
  render: Render;
  verifyForm: Middleware;
  accounts: Pick<AccountStore, "find">;
  authentication: Authentication;
  consents: Consents;
  interactionState: InteractionState;
  deviceCookie: DeviceCookie;
  /** Whether people may make an account of their own. */
  offersSignUp: boolean;
  /** Told of every attempt to sign in; never of the password. */
  onSignIn(ctx: Context, attempt: { accountId: string | undefined; clientId: string | undefined; outcome: string }): void;
  onDecision(ctx: Context, decision: { accountId: string; clientId: string; allowed: boolean }): void;
}

export function interactionRoutes(options: InteractionOptions): Router {
  const { render, verifyForm, accounts, authentication, consents, deviceCookie } = options;
  const signIns = createSignIns({ finish });
  const router = new Router();
  router.use(accountErrors());

  router.get("/interaction/:uid", async (ctx) => {
    const interaction = await open(ctx);
    const wantsAnother = ctx.query.as === "another" && interaction.prompt.name === "consent";
    if (interaction.prompt.name === "login" || wantsAnother) return showSignIn(ctx, interaction, {});
    if (interaction.prompt.name === "consent") return showConsent(ctx, interaction);
    throw new HttpProblem(400, "invalid_request", text("errors:interaction.unknown_step"));
  });

  router.post("/interaction/:uid", verifyForm, async (ctx) => {
    const interaction = await open(ctx);
    const form = ctx.state.form ?? {};
    if (form.decision !== undefined) return decide(ctx, interaction, form.decision);
    return signIn(ctx, interaction, form);
  });

  router.post("/interaction/:uid/cancel", verifyForm, async (ctx) => {
    await open(ctx);
    await finish(ctx, { error: "access_denied", error_description: "the End-User did not sign in" });
  });

  router.post("/interaction/:uid/switch-account", verifyForm, async (ctx) => {
    const interaction = await open(ctx);
    ctx.redirect(`/interaction/${interaction.uid}?as=another`);
    ctx.status = 303;
  });

  return router;

  async function open(ctx: Context): Promise<Interaction> {
    try {
      const interaction = await options.provider().interactionDetails(ctx.req, ctx.res);
      // The cookie says which interaction this browser is in; the address must agree, or another tab's link was followed.
      if (interaction.uid !== ctx.params.uid) throw new errors.SessionNotFound("interaction and address differ");
      useUiLocales(ctx, interaction.params.ui_locales);
      return interaction;
    } catch (cause) {
      if (!(cause instanceof errors.SessionNotFound)) throw cause;
      throw new HttpProblem(400, "interaction_expired", text("errors:interaction.expired"), {
        title: text("errors:interaction.title"),
        advice: text("errors:interaction.advice"),
        cause,
      });
    }
  }

  async function showSignIn(
    ctx: Context,
    interaction: Interaction,
    retry: { email?: string; keep?: boolean; errors?: FormErrors },
  ): Promise<void> {
    const path = `/interaction/${interaction.uid}`;
    const hint = interaction.params.login_hint;
    const signUp = options.offersSignUp
      ? `/sign-up?interaction=${encodeURIComponent(options.interactionState.sign(interaction.uid))}`
      : undefined;
    render(ctx, "login", {
      action: path,
      cancel: `${path}/cancel`,
      client: askingClient(await clientOf(interaction)),
      email: retry.email ?? (typeof hint === "string" && hint.includes("@") && hint.length <= 254 ? hint : undefined),
      keep: retry.keep ?? false,
      errors: retry.errors,
      signUp,
    });
  }

  async function signIn(ctx: Context, interaction: Interaction, form: Record<string, string>): Promise<void> {
    const { email = "", password = "" } = form;
    const keep = form.keep === "yes";
    const clientId = interaction.params.client_id as string | undefined;
    if (email.trim() === "" || password === "") {
      ctx.status = 400;
      const fields = {
        ...(email.trim() === "" && { email: text("faults:email_missing") }),
        ...(password === "" && { password: text("faults:password_missing") }),
      };
      return showSignIn(ctx, interaction, { email, keep, errors: { fields } });
    }
    try {
      const result = await authentication.signInWithPassword({
        email,
        password,
        address: ctx.state.client.address,
        device: deviceCookie.read(ctx),
      });
      const outcome = result.ok ? "success" : result.reason;
      options.onSignIn(ctx, { accountId: result.ok ? result.account.id : result.accountId, clientId, outcome });
      if (!result.ok) {
        ctx.status = 401;
        return showSignIn(ctx, interaction, { email, keep, errors: { form: result.message } });
      }
      deviceCookie.write(ctx, result.device);
      await signIns.proceed(ctx, interaction, { account: result.account, amr: result.amr, keep });
    } catch (error) {
      if (!(error instanceof AccountError) || error.status !== 429) throw error;
      options.onSignIn(ctx, { accountId: undefined, clientId, outcome: error.code });
      ctx.status = error.status;
      ctx.set(error.headers);
      return showSignIn(ctx, interaction, { email, keep, errors: { form: error.words } });
    }
  }

  async function showConsent(ctx: Context, interaction: Interaction): Promise<void> {
    const account = await accounts.find(interaction.session?.accountId ?? "");
    if (account === undefined) return showSignIn(ctx, interaction, {});
    const path = `/interaction/${interaction.uid}`;
    const client = await clientOf(interaction);
    const asked = await consents.describe(interaction.params, { clientId: client.clientId, accountId: account.id });
    const redirectUri = interaction.params.redirect_uri;
    render(ctx, "consent", {
      action: path,
      switchAccount: `${path}/switch-account`,
      client: clientView(client),
      person: { email: account.email, name: account.name },
      groups: asked.groups,
      offline: asked.offline,
      returnsTo: typeof redirectUri === "string" ? destination(redirectUri, client) : undefined,
      manage: "/account",
    });
  }

  async function decide(ctx: Context, interaction: Interaction, decision: string): Promise<void> {
    const accountId = interaction.session?.accountId;
    const clientId = interaction.params.client_id as string;
    if (interaction.prompt.name !== "consent" || accountId === undefined || (decision !== "allow" && decision !== "deny")) {
      throw new HttpProblem(400, "invalid_request", text("errors:interaction.unfitting"));
    }
    const allowed = decision === "allow";
    options.onDecision(ctx, { accountId, clientId, allowed });
    if (!allowed) return finish(ctx, { error: "access_denied", error_description: "the End-User denied the request" });
    const isDevice = interaction.deviceCode !== undefined;
    const grantId = await consents.allow(options.provider(), {
      accountId,
      clientId,
      grantId: isDevice ? undefined : interaction.grantId,
      params: interaction.params,
    });
    await finish(ctx, { consent: { grantId } });
  }

  async function finish(ctx: Context, result: Parameters<Provider["interactionResult"]>[2]): Promise<void> {
    const returnTo = await options.provider().interactionResult(ctx.req, ctx.res, result, { mergeWithLastSubmission: true });
    ctx.redirect(returnTo);
    ctx.status = 303;
  }

  async function clientOf(interaction: Interaction): Promise<NamedClient> {
    const client = await options.provider().Client.find(interaction.params.client_id as string);
    if (client !== undefined) return client as unknown as NamedClient;
    throw new HttpProblem(400, "invalid_client", text("errors:client_gone"));
  }
}

/** Where a person goes next, as they would recognise it: a host, or the application itself when it is on their own device. */
function destination(redirectUri: string, client: NamedClient): string {
  const { protocol, host } = new URL(redirectUri);
  return protocol === "https:" || protocol === "http:" ? host : (client.clientName ?? client.clientId);
}
