/** `/interaction/:uid`: one step of an authorization at a time. Each ends in a 303 back to the engine, which decides what comes next. */
import Router from "@koa/router";
import type { Context, Middleware } from "koa";
import type { Provider } from "oidc-provider";
import { AccountError } from "../accounts/account-error.ts";
import { accountErrors } from "../accounts/account-errors-middleware.ts";
import type { AccountStore } from "../accounts/account-store.ts";
import type { Authentication } from "../accounts/authentication.ts";
import type { DeviceCookie } from "../accounts/device-cookie-middleware.ts";
import type { InteractionState } from "../accounts/interaction-state.ts";
import type { Federation } from "../federation/federation.ts";
import { HttpProblem } from "../http/errors.ts";
import type { FormErrors } from "../http/page-parts.ts";
import type { Render } from "../http/rendering.ts";
import { type Text, text } from "../i18n/messages.ts";
import { STEP_UP } from "../oidc/interaction-policy.ts";
import { askingClient, clientView, type NamedClient } from "./client-view.ts";
import type { Consents } from "./consent.ts";
import { freshnessOf } from "./federation-routes.ts";
import { passkeyProblem } from "./passkey-routes.ts";
import type { ProviderVisits } from "./provider-visits.ts";
import { type SignIns, secondStepOf } from "./sign-in.ts";
import { type Interaction, type Steps, seeOther } from "./steps.ts";

export interface InteractionOptions {
  /** The engine of this moment. */
  provider(): Provider;
  render: Render;
  verifyForm: Middleware;
  accounts: Pick<AccountStore, "find">;
  authentication: Authentication;
  consents: Consents;
  steps: Steps;
  signIns: SignIns;
  interactionState: InteractionState;
  federation: Pick<Federation, "offered">;
  visits: Pick<ProviderVisits, "problem">;
  deviceCookie: DeviceCookie;
  /** Whether people may make an account of their own. */
  offersSignUp: boolean;
  /** Whether there can be passkeys here. */
  offersPasskeys: boolean;
  /** Told of every attempt to sign in that failed; never of the password. */
  onSignIn(ctx: Context, attempt: { accountId: string | undefined; clientId: string | undefined; outcome: string }): void;
  onDecision(ctx: Context, decision: { accountId: string; clientId: string; allowed: boolean }): void;
}

export function interactionRoutes(options: InteractionOptions): Router {
  const { render, verifyForm, accounts, authentication, consents, deviceCookie, signIns } = options;
  const { open, finish, clientOf } = options.steps;
  const router = new Router();
  router.use(accountErrors());

  router.get("/interaction/:uid", async (ctx) => {
    const interaction = await open(ctx);
    const wantsAnother = ctx.query.as === "another";
    if (wantsAnother) return showSignIn(ctx, interaction, {});
    if (interaction.prompt.name === "login") return beginSignIn(ctx, interaction);
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
    const interaction = await open(ctx);
    const error = (await signIns.isUnmet(ctx, interaction)) ? "unmet_authentication_requirements" : "access_denied";
    await finish(ctx, { error, error_description: "the End-User did not sign in" });
  });

  router.post("/interaction/:uid/switch-account", verifyForm, async (ctx) => {
    const interaction = await open(ctx);
    seeOther(ctx, `/interaction/${interaction.uid}?as=another`);
  });

  return router;

  /** A session that only has to be made surer is asked for what it lacks. */
  async function beginSignIn(ctx: Context, interaction: Interaction): Promise<void> {
    const pending = await signIns.pending(ctx, interaction);
    if (pending !== undefined) return seeOther(ctx, secondStepOf(interaction));
    const isStepUp = interaction.prompt.reasons.every((reason) => reason === STEP_UP);
    return showSignIn(ctx, interaction, isStepUp ? { notice: text("factors:sign_in_to_set_up") } : {});
  }

  async function showSignIn(
    ctx: Context,
    interaction: Interaction,
    retry: { email?: string; keep?: boolean; notice?: Text; errors?: FormErrors },
  ): Promise<void> {
    const path = `/interaction/${interaction.uid}`;
    const hint = interaction.params.login_hint;
    const state = `interaction=${encodeURIComponent(options.interactionState.sign(interaction.uid))}`;
    const offered = await options.federation.offered(freshnessOf(interaction));
    render(ctx, "login", {
      action: path,
      providers: offered.map(({ id, name }) => ({ name, action: `${path}/federation/${id}` })),
      cancel: `${path}/cancel`,
      client: askingClient(await clientOf(interaction)),
      email: retry.email ?? (typeof hint === "string" && hint.includes("@") && hint.length <= 254 ? hint : undefined),
      keep: retry.keep ?? false,
      notice: retry.notice,
      errors: retry.errors ?? passkeyProblem(ctx, "sign_in") ?? (await options.visits.problem(ctx)),
      passkey: options.offersPasskeys ? { options: `${path}/passkey/options`, action: `${path}/passkey` } : undefined,
      signUp: options.offersSignUp ? `/sign-up?${state}` : undefined,
      resetPassword: `/reset-password?${state}`,
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
      if (!result.ok) {
        options.onSignIn(ctx, { accountId: result.accountId, clientId, outcome: result.reason });
        ctx.status = 401;
        return showSignIn(ctx, interaction, { email, keep, errors: { form: result.message } });
      }
      const { account, amr, passwordOf } = result;
      await signIns.proceed(ctx, interaction, { account, amr, keep, shown: { password: passwordOf } });
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
}

/** Where a person goes next, as they would recognise it: a host, or the application itself when it is on their own device. */
function destination(redirectUri: string, client: NamedClient): string {
  const { protocol, host } = new URL(redirectUri);
  return protocol === "https:" || protocol === "http:" ? host : (client.clientName ?? client.clientId);
}
