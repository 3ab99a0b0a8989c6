/** People's own entry and exit: `/`, `/sign-in`, `/sign-out`. Signing in goes through `/oauth/authorize` like everybody's. */
import { createHash, randomBytes } from "node:crypto";
import Router from "@koa/router";
import type { Context } from "koa";
import type { Account } from "../accounts/account.ts";
import type { Render } from "../http/rendering.ts";
import { ownPath, type ReadOwnSession } from "./own-session.ts";

/** The client that stands for people's own pages. It asks for nothing but a session, and never redeems its codes. */
export const OWN_CLIENT_ID = "grantor-account";
const CALLBACK = "/sign-in/callback";

export const ownClient = (issuer: string): Record<string, unknown> => ({
  client_id: OWN_CLIENT_ID,
  client_name: "Your account",
  application_type: "web",
  token_endpoint_auth_method: "none",
  grant_types: ["authorization_code"],
  response_types: ["code"],
  redirect_uris: [`${issuer}${CALLBACK}`],
  post_logout_redirect_uris: [`${issuer}/`],
  scope: "openid",
  first_party: true,
  verified: true,
  require_pkce: true,
});

export interface OwnPagesOptions {
  issuer: string;
  render: Render;
  ownSession: ReadOwnSession;
  offersSignUp: boolean;
  /** Whether the developers' portal is of use to them. */
  isDeveloper(account: Account): Promise<boolean>;
  /** Whether it is to whoever opens an account. */
  anybodyIsDeveloper: boolean;
}

export function ownPages(options: OwnPagesOptions): Router {
  const { issuer, render, ownSession } = options;
  const router = new Router();

  router.get("/", async (ctx) => {
    const session = await ownSession(ctx);
    render(ctx, "home", {
      signIn: "/sign-in",
      signUp: options.offersSignUp ? "/sign-up" : undefined,
      account: session && "/account",
      apps: (session ? await options.isDeveloper(session.account) : options.anybodyIsDeveloper) ? "/apps" : undefined,
      metadata: "/.well-known/openid-configuration",
      jwks: "/.well-known/jwks.json",
      inspector: "/apps/inspector",
    });
  });

  // `return_to`: a page of ours. `fresh`: whoever is signed in does it again.
  router.get("/sign-in", async (ctx) => {
    const returnTo = ownPath(ctx.query.return_to);
    const fresh = ctx.query.fresh === "1";
    if (!fresh && (await ownSession(ctx)) !== undefined) return seeOther(ctx, returnTo);
    // OAuth 2.1 asks for PKCE of every client; this one throws the verifier away, and with it the use of the code.
    const challenge = createHash("sha256").update(randomBytes(32)).digest("base64url");
    const query = new URLSearchParams({
      client_id: OWN_CLIENT_ID,
      response_type: "code",
      scope: "openid",
      redirect_uri: `${issuer}${CALLBACK}`,
      code_challenge: challenge,
      code_challenge_method: "S256",
      state: returnTo,
      ...(fresh && { prompt: "login" }),
      ...(typeof ctx.query.ui_locales === "string" && { ui_locales: ctx.query.ui_locales }),
    });
    seeOther(ctx, `/oauth/authorize?${query}`);
  });

  // The session is what was wanted. A cancelled sign-in comes here as well.
  router.get(CALLBACK, async (ctx) => seeOther(ctx, (await ownSession(ctx)) === undefined ? "/" : ownPath(ctx.query.state)));

  router.get("/sign-out", (ctx) => {
    seeOther(ctx, `/oauth/logout?${new URLSearchParams({ client_id: OWN_CLIENT_ID, post_logout_redirect_uri: `${issuer}/` })}`);
  });

  return router;
}

function seeOther(ctx: Context, location: string): void {
  ctx.redirect(location);
  ctx.status = 303;
}
