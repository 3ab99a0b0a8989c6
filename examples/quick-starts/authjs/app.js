// Auth.js signs people in; the tokens stay here, and its cookie holds only the name under which they are kept.
import { randomBytes, randomUUID } from "node:crypto";
import { ExpressAuth, getSession } from "@auth/express";
import express from "express";

const issuer = "{{issuer}}";
const clientId = "{{client_id}}";
const redirectUri = new URL("{{redirect_uri}}");
const resource = "{{resource}}"; // whom the access token is for
const clientSecret = process.env.CLIENT_SECRET;
if (!clientSecret) throw new Error("Set CLIENT_SECRET");

const secret = process.env.AUTH_SECRET ?? randomBytes(32).toString("hex"); // give one, and sign-ins outlive a restart
const secureCookie = redirectUri.protocol === "https:";
const cookieName = `${secureCookie ? "__Secure-" : ""}authjs.session-token`;
const metadata = await (await fetch(`${issuer}/.well-known/openid-configuration`)).json();
const kept = new Map(); // In memory, which is enough for one process: put it into a store of your own.

const auth = {
  secret,
  trustHost: true,
  useSecureCookies: secureCookie,
  providers: [
    {
      id: "grantor",
      name: "Grantor",
      type: "oidc",
      issuer,
      clientId,
      clientSecret,
      client: { token_endpoint_auth_method: "client_secret_basic" },
      checks: ["pkce", "state", "nonce"],
      authorization: { params: { scope: "{{scope}}", resource } },
    },
  ],
  callbacks: {
    jwt({ token, account, profile }) {
      if (account) {
        token.key = randomUUID();
        kept.set(token.key, { key: token.key, user: profile, idToken: account.id_token });
        remember(kept.get(token.key), account);
      }
      return token;
    },
    session: ({ session, token }) => ({ ...session, key: token.key }),
  },
};

const app = express();
app.set("trust proxy", "loopback"); // a proxy on this machine says which address was asked for
app.use("/auth", ExpressAuth(auth));

app.get("/", async (req, res) => {
  const signedIn = await current(req);
  if (!signedIn) return res.send('<h1>Quick start</h1><p><a href="/auth/signin?callbackUrl=/">Sign in</a></p>');
  res.send(`<h1>Signed in</h1>${block(signedIn.user)}
    <p><a href="/call-api">Call the API</a></p><form method="post" action="/sign-out"><button>Sign out</button></form>`);
});

app.get("/call-api", async (req, res) => {
  const signedIn = await current(req);
  if (!signedIn) return res.redirect("/");
  const answer = await fetch("{{api_url}}", { headers: { Authorization: `Bearer ${await freshToken(signedIn)}` } });
  res.send(`<h1>The API answers ${answer.status}</h1>${block(await answer.json())}<p><a href="/">Back</a></p>`);
});

app.post("/sign-out", async (req, res) => {
  const signedIn = await current(req);
  if (!signedIn) return res.redirect(303, "/");
  kept.delete(signedIn.key);
  res.clearCookie(cookieName, { path: "/", secure: secureCookie });
  const url = new URL(metadata.end_session_endpoint);
  url.searchParams.set("id_token_hint", signedIn.idToken);
  url.searchParams.set("post_logout_redirect_uri", "{{post_logout_redirect_uri}}");
  res.redirect(303, url.href);
});

async function current(req) {
  const session = await getSession(req, auth);
  return session ? kept.get(session.key) : undefined;
}

function remember(signedIn, tokens) {
  signedIn.accessToken = tokens.access_token;
  signedIn.expiresAt = Date.now() + (tokens.expires_in ?? 0) * 1000;
  signedIn.refreshToken = tokens.refresh_token ?? signedIn.refreshToken; // each works once: keep the newest
}

async function freshToken(signedIn) {
  if (signedIn.refreshToken && signedIn.expiresAt <= Date.now() + 10_000) {
    const basic = Buffer.from(`${encodeURIComponent(clientId)}:${encodeURIComponent(clientSecret)}`).toString("base64");
    const answer = await fetch(metadata.token_endpoint, {
      method: "POST",
      headers: { Authorization: `Basic ${basic}` },
      body: new URLSearchParams({ grant_type: "refresh_token", refresh_token: signedIn.refreshToken, resource }),
    });
    if (!answer.ok) throw new Error(`The sign-in has ended: ${(await answer.json()).error}`);
    remember(signedIn, await answer.json());
  }
  return signedIn.accessToken;
}

function block(value) {
  return `<pre>${JSON.stringify(value, null, 2).replace(/[&<>]/g, (character) => `&#${character.charCodeAt(0)};`)}</pre>`;
}

app.listen(redirectUri.port, () => console.log(`Open ${redirectUri.origin}`));
