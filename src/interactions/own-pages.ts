/** People's own entry and exit: `/`, `/sign-in`, `/sign-out`, `/account`. Signing in goes through `/oauth/authorize` like everybody's. */
import { createHash, randomBytes } from "node:crypto";
import Router from "@koa/router";
import type { Context, Middleware } from "koa";
import type { Provider } from "oidc-provider";
import type { Account, AccountStore } from "../accounts/account-store.ts";
import type { ConsentStore } from "../accounts/consent-store.ts";
import type { ClientStore } from "../clients/client-store.ts";
import type { Render } from "../http/rendering.ts";
import { type DescribedResource, describeScopes } from "./scope-words.ts";

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
  provider(): Provider;
  render: Render;
  verifyForm: Middleware;
  accounts: Pick<AccountStore, "find">;
  consents: Pick<ConsentStore, "list" | "withdraw">;
  clients: Pick<ClientStore, "find">;
  findResource(audience: string): Promise<DescribedResource | undefined>;
  /** Ends the grants that a person gave to an application. */
  endConsent(accountId: string, clientId: string): Promise<void>;
  onWithdraw(ctx: Context, accountId: string, clientId: string): void;
  offersSignUp: boolean;
}

export function ownPages(options: OwnPagesOptions): Router {
  const { issuer, render, verifyForm } = options;
  const router = new Router();

  router.get("/", async (ctx) => {
    const account = await signedIn(ctx);
    render(ctx, "home", {
      signIn: "/sign-in",
      signUp: options.offersSignUp ? "/sign-up" : undefined,
      account: account && "/account",
      metadata: "/.well-known/openid-configuration",
      jwks: "/.well-known/jwks.json",
      inspector: "/apps/inspector",
    });
  });

  router.get("/sign-in", async (ctx) => {
    if ((await signedIn(ctx)) !== undefined) return seeOther(ctx, "/account");
    // OAuth 2.1 asks for PKCE of every client; this one throws the verifier away, and with it the use of the code.
    const challenge = createHash("sha256").update(randomBytes(32)).digest("base64url");
    const query = new URLSearchParams({
      client_id: OWN_CLIENT_ID,
      response_type: "code",
      scope: "openid",
      redirect_uri: `${issuer}${CALLBACK}`,
      code_challenge: challenge,
      code_challenge_method: "S256",
    });
    seeOther(ctx, `/oauth/authorize?${query}`);
  });

  // The session is what was wanted. A cancelled sign-in comes here as well.
  router.get(CALLBACK, async (ctx) => seeOther(ctx, (await signedIn(ctx)) === undefined ? "/" : "/account"));

  router.get("/sign-out", (ctx) => {
    seeOther(ctx, `/oauth/logout?${new URLSearchParams({ client_id: OWN_CLIENT_ID, post_logout_redirect_uri: `${issuer}/` })}`);
  });

  router.get("/account", async (ctx) => {
    const account = await signedIn(ctx);
    if (account === undefined) return seeOther(ctx, "/sign-in");
    render(ctx, "account", {
      action: "/account/applications/remove",
      person: { email: account.email, name: account.name },
      emailVerified: account.emailVerified,
      roles: account.roles,
      signOut: "/sign-out",
      applications: await applicationsOf(account),
    });
  });

  router.post("/account/applications/remove", verifyForm, async (ctx) => {
    const account = await signedIn(ctx);
    const clientId = ctx.state.form?.client_id;
    if (account !== undefined && clientId !== undefined && (await options.consents.withdraw(account.id, clientId))) {
      await options.endConsent(account.id, clientId);
      options.onWithdraw(ctx, account.id, clientId);
    }
    seeOther(ctx, "/account");
  });

  return router;

  async function signedIn(ctx: Context): Promise<Account | undefined> {
    const { accountId } = await options.provider().Session.get(ctx as never);
    const account = accountId === undefined ? undefined : await options.accounts.find(accountId);
    return account?.disabledAt === undefined ? account : undefined;
  }

  async function applicationsOf(account: Account) {
    const consents = await options.consents.list(account.id);
    return Promise.all(
      consents.map(async ({ clientId, createdAt, openid, resources }) => {
        const client = await options.clients.find(clientId);
        // At the issuer itself, the scopes are those of the person's own data.
        const { [issuer]: _own, ...others } = resources;
        const groups = await describeScopes(openid.split(" "), listed(others), options.findResource);
        return { clientId, name: client?.metadata.client_name ?? clientId, since: createdAt, groups };
      }),
    );
  }
}

const listed = (resources: Readonly<Record<string, string>>): Record<string, string[]> =>
  Object.fromEntries(Object.entries(resources).map(([audience, scopes]) => [audience, scopes.split(" ").filter(Boolean)]));

function seeOther(ctx: Context, location: string): void {
  ctx.redirect(location);
  ctx.status = 303;
}
