// Signs people in with OpenID Connect, calls an API in their name, and signs them out.
import { randomBytes } from "node:crypto";
import express from "express";
import session from "express-session";
import * as oidc from "openid-client";

const issuer = new URL("{{issuer}}");
const redirectUri = new URL("{{redirect_uri}}");
const resource = "{{resource}}"; // whom the access token is for
const secret = process.env.CLIENT_SECRET;
if (!secret) throw new Error("Set CLIENT_SECRET");

const config = await oidc.discovery(issuer, "{{client_id}}", undefined, oidc.ClientSecretBasic(secret), {
  execute: issuer.protocol === "http:" ? [oidc.allowInsecureRequests] : [], // http is for your own machine alone
});

const app = express();
// In memory, which is enough for one process: put it into a store of your own.
app.use(
  session({
    secret: randomBytes(32).toString("hex"),
    resave: false,
    saveUninitialized: false,
    cookie: { httpOnly: true, sameSite: "lax", secure: redirectUri.protocol === "https:" },
  }),
);

app.get("/", (req, res) => {
  const { user } = req.session;
  if (!user) return res.send('<h1>Quick start</h1><p><a href="/sign-in">Sign in</a></p>');
  res.send(`<h1>Signed in</h1>${block(user)}
    <p><a href="/call-api">Call the API</a></p><form method="post" action="/sign-out"><button>Sign out</button></form>`);
});

app.get("/sign-in", async (req, res) => {
  const pending = { codeVerifier: oidc.randomPKCECodeVerifier(), state: oidc.randomState(), nonce: oidc.randomNonce() };
  req.session.pending = pending;
  const url = oidc.buildAuthorizationUrl(config, {
    redirect_uri: redirectUri.href,
    scope: "{{scope}}",
    resource,
    state: pending.state,
    nonce: pending.nonce,
    code_challenge: await oidc.calculatePKCECodeChallenge(pending.codeVerifier),
    code_challenge_method: "S256",
  });
  res.redirect(url.href);
});

app.get(redirectUri.pathname, async (req, res) => {
  const { pending } = req.session;
  if (!pending) return res.redirect("/"); // not begun in this browser
  // Checks state, nonce, issuer, and the audience and times of the ID token, which comes over TLS from the server itself.
  const tokens = await oidc.authorizationCodeGrant(
    config,
    new URL(req.originalUrl, redirectUri),
    { pkceCodeVerifier: pending.codeVerifier, expectedState: pending.state, expectedNonce: pending.nonce, idTokenExpected: true },
    { resource },
  );
  await new Promise((resolve, reject) => req.session.regenerate((error) => (error ? reject(error) : resolve()))); // a new id: session fixation
  req.session.user = tokens.claims();
  req.session.idToken = tokens.id_token;
  remember(req.session, tokens);
  res.redirect("/");
});

app.get("/call-api", async (req, res) => {
  if (!req.session.accessToken) return res.redirect("/");
  const answer = await fetch("{{api_url}}", { headers: { Authorization: `Bearer ${await freshToken(req.session)}` } });
  res.send(`<h1>The API answers ${answer.status}</h1>${block(await answer.json())}<p><a href="/">Back</a></p>`);
});

app.post("/sign-out", (req, res) => {
  const url = oidc.buildEndSessionUrl(config, {
    id_token_hint: req.session.idToken ?? "",
    post_logout_redirect_uri: "{{post_logout_redirect_uri}}",
  });
  req.session.destroy(() => res.redirect(303, url.href));
});

// Such as access_denied: somebody did not allow it.
app.use((error, _req, res, _next) => {
  console.error(error);
  res.status(502).send(`<h1>That did not work</h1>${block(error.error ?? "server_error")}<p><a href="/">Back</a></p>`);
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

app.listen(redirectUri.port, () => console.log(`Open ${redirectUri.origin}`));
