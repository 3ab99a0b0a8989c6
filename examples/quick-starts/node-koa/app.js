// Signs people in with OpenID Connect, calls an API in their name, and signs them out.
import { randomBytes } from "node:crypto";
import Router from "@koa/router";
import Koa from "koa";
import session from "koa-session";
import * as oidc from "openid-client";

const issuer = new URL("{{issuer}}");
const redirectUri = new URL("{{redirect_uri}}");
const resource = "{{resource}}"; // whom the access token is for
const secret = process.env.CLIENT_SECRET;
if (!secret) throw new Error("Set CLIENT_SECRET");

const config = await oidc.discovery(issuer, "{{client_id}}", undefined, oidc.ClientSecretBasic(secret), {
  execute: issuer.protocol === "http:" ? [oidc.allowInsecureRequests] : [], // http is for your own machine alone
});

const app = new Koa();
app.keys = [randomBytes(32).toString("hex")];
const sessions = new Map(); // In memory, which is enough for one process: put it into a store of your own.
const store = {
  get: (id) => sessions.get(id),
  set: (id, value) => void sessions.set(id, value),
  destroy: (id) => void sessions.delete(id),
};
app.use(session({ store, sameSite: "lax", secure: redirectUri.protocol === "https:" }, app));

// Such as access_denied: somebody did not allow it.
app.use((ctx, next) =>
  next().catch((error) => {
    console.error(error);
    ctx.status = 502;
    ctx.type = "html";
    ctx.body = `<h1>That did not work</h1>${block(error.error ?? "server_error")}<p><a href="/">Back</a></p>`;
  }),
);

const router = new Router();
app.use(router.routes());

router.get("/", (ctx) => {
  const { user } = ctx.session;
  ctx.type = "html";
  ctx.body = user
    ? `<h1>Signed in</h1>${block(user)}
      <p><a href="/call-api">Call the API</a></p><form method="post" action="/sign-out"><button>Sign out</button></form>`
    : '<h1>Quick start</h1><p><a href="/sign-in">Sign in</a></p>';
});

router.get("/sign-in", async (ctx) => {
  const pending = { codeVerifier: oidc.randomPKCECodeVerifier(), state: oidc.randomState(), nonce: oidc.randomNonce() };
  ctx.session.pending = pending;
  const url = oidc.buildAuthorizationUrl(config, {
    redirect_uri: redirectUri.href,
    scope: "{{scope}}",
    resource,
    state: pending.state,
    nonce: pending.nonce,
    code_challenge: await oidc.calculatePKCECodeChallenge(pending.codeVerifier),
    code_challenge_method: "S256",
  });
  ctx.redirect(url.href);
});

router.get(redirectUri.pathname, async (ctx) => {
  const { pending } = ctx.session;
  if (!pending) return ctx.redirect("/"); // not begun in this browser
  // Checks state, nonce, issuer, and the audience and times of the ID token, which comes over TLS from the server itself.
  const tokens = await oidc.authorizationCodeGrant(
    config,
    new URL(ctx.url, redirectUri),
    { pkceCodeVerifier: pending.codeVerifier, expectedState: pending.state, expectedNonce: pending.nonce, idTokenExpected: true },
    { resource },
  );
  ctx.session.pending = undefined;
  ctx.session.user = tokens.claims();
  ctx.session.idToken = tokens.id_token;
  remember(ctx.session, tokens);
  await ctx.session.regenerate(); // a new id: session fixation
  ctx.redirect("/");
});

router.get("/call-api", async (ctx) => {
  if (!ctx.session.accessToken) return ctx.redirect("/");
  const answer = await fetch("{{api_url}}", { headers: { Authorization: `Bearer ${await freshToken(ctx.session)}` } });
  ctx.type = "html";
  ctx.body = `<h1>The API answers ${answer.status}</h1>${block(await answer.json())}<p><a href="/">Back</a></p>`;
});

router.post("/sign-out", (ctx) => {
  const url = oidc.buildEndSessionUrl(config, {
    id_token_hint: ctx.session.idToken ?? "",
    post_logout_redirect_uri: "{{post_logout_redirect_uri}}",
  });
  ctx.session = null;
  ctx.status = 303;
  ctx.redirect(url.href);
});

function remember(session, tokens) {
  session.accessToken = tokens.access_token;
  session.expiresAt = Date.now() + (tokens.expiresIn() ?? 0) * 1000;
  session.refreshToken = tokens.refresh_token ?? session.refreshToken; // each works once: keep the newest
}

async function freshToken(session) {
  if (session.refreshToken && session.expiresAt <= Date.now() + 10_000)
    remember(session, await oidc.refreshTokenGrant(config, session.refreshToken, { resource }));
  return session.accessToken;
}

function block(value) {
  return `<pre>${JSON.stringify(value, null, 2).replace(/[&<>]/g, (character) => `&#${character.charCodeAt(0)};`)}</pre>`;
}

app.listen(Number(redirectUri.port), () => console.log(`Open ${redirectUri.origin}`));
