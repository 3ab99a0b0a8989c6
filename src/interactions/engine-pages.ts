/** The pages that the engine renders in the middle of a request of its own: device, logout, errors. */
import type { Context } from "koa";
import type { Provider } from "oidc-provider";
import type { ClientView, PersonView } from "../http/page-parts.ts";
import type { Render } from "../http/rendering.ts";
import { type Text, text } from "../i18n/messages.ts";
import type { EnginePages } from "../oidc/ports.ts";
import { askingClient, clientView, type NamedClient } from "./client-view.ts";
import { refusalWords } from "./refusal-words.ts";

/** What to do about an error of the protocol, where the person rather than the application can do something. */
const ADVICE: Readonly<Record<string, Text>> = {
  invalid_client: text("errors:protocol.tell"),
  invalid_redirect_uri: text("errors:protocol.tell"),
  temporarily_unavailable: text("errors:503.advice"),
  server_error: text("errors:500.advice"),
};
const OTHER_ADVICE = text("errors:protocol.advice");

/** What the engine says when the logout form does not fit the session any more. */
const STALE_LOGOUT = /^(?:xsrf token invalid|could not find logout details)$/;

export function enginePages(options: {
  render: Render;
  /** Who is signed in, for pages that say so. */
  personOf(ctx: Context): Promise<PersonView | undefined>;
  /** Whether an operator has suspended the application of that id; for the engine there is none then. */
  isSuspended(clientId: string): Promise<boolean>;
  /** Told of every error page, with the cause. */
  onError(ctx: Context, code: string, cause: Error): void;
}): EnginePages {
  const { render, personOf, isSuspended, onError } = options;

  return {
    async error(ctx, { error, error_description: description }, cause) {
      onError(ctx, error, cause);
      if (STALE_LOGOUT.test(description ?? "")) {
        render(ctx, "error", {
          heading: text("errors:stale_sign_out.title"),
          message: text("errors:stale_sign_out.message"),
          advice: text("errors:stale_sign_out.advice"),
          reference: String(ctx.state.requestId ?? ""),
        });
        return;
      }
      const asking = (ctx.oidc as { params?: { client_id?: unknown } } | undefined)?.params?.client_id;
      if (error === "invalid_client" && typeof asking === "string" && (await isSuspended(asking))) {
        render(ctx, "error", {
          heading: text("errors:client_suspended.title"),
          message: text("errors:client_suspended.message"),
          advice: text("errors:client_suspended.advice"),
          code: error,
          reference: String(ctx.state.requestId ?? ""),
        });
        return;
      }
      render(ctx, "error", {
        heading: ctx.status === 503 ? text("errors:503.title") : text("errors:protocol.title"),
        message: refusalWords(error, description),
        said: error === "server_error" ? undefined : description, // which says nothing
        advice: ADVICE[error] ?? OTHER_ADVICE,
        code: error,
        reference: String(ctx.state.requestId ?? ""),
        client: clientOf(ctx),
        failures: failuresOf(ctx),
      });
    },
    deviceInput(ctx, { action, xsrf, userCode, error }) {
      render(ctx, "device-input", {
        action,
        hidden: { xsrf },
        userCode,
        errors: error === undefined ? undefined : { fields: { user_code: error } },
      });
    },
    async deviceConfirm(ctx, { action, xsrf, userCode }, client) {
      const person = await personOf(ctx);
      render(ctx, "device-confirm", {
        action,
        hidden: { xsrf, user_code: userCode },
        userCode,
        client: clientView(client as unknown as NamedClient),
        person,
      });
    },
    deviceDone(ctx, outcome) {
      render(ctx, "device-done", { outcome, client: clientOf(ctx), account: "/account" });
    },
    async logout(ctx, { action, xsrf }) {
      render(ctx, "logout", { action, hidden: { xsrf }, client: clientOf(ctx), person: await personOf(ctx) });
    },
    post(ctx, form) {
      render(ctx, "passing-on", { ...form, client: clientOf(ctx) });
    },
    async signedOut(ctx) {
      const { provider } = ctx.oidc as { provider: Provider };
      // The page comes after "stay signed in" as well, and anybody can open its address.
      const { accountId } = await provider.Session.get(ctx as never);
      render(ctx, "signed-out", { signIn: "/sign-in", account: accountId === undefined ? undefined : "/account", client: clientOf(ctx) });
    },
  };
}

const engineClient = (ctx: Context) => (ctx.oidc as { client?: NamedClient } | undefined)?.client;
const clientOf = (ctx: Context): ClientView | undefined => askingClient(engineClient(ctx));
const failuresOf = (ctx: Context) => (clientOf(ctx) === undefined ? undefined : `/apps/${engineClient(ctx)?.clientId}/failures`);
