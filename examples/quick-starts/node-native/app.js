// Signs somebody in from a program on their own machine, with their browser (RFC 8252), calls an API in their name, and signs them out.
import { spawn } from "node:child_process";
import { on, once } from "node:events";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import * as oidc from "openid-client";

const issuer = new URL("{{issuer}}");
const redirectUri = new URL("{{redirect_uri}}"); // its port is another one at every start
const resource = "{{resource}}"; // whom the access token is for
const SIGN_IN_TIME = 10 * 60_000; // milliseconds

// There is no secret: whoever has this program would have it too. PKCE keeps a code useless to every other program.
const config = await oidc.discovery(issuer, "{{client_id}}", undefined, oidc.None(), {
  execute: issuer.protocol === "http:" ? [oidc.allowInsecureRequests] : [], // http is for your own machine alone
});

// In memory. To stay signed in until the next start, keep the refresh token in the system's keychain, never in a plain file.
const session = {};

try {
  const tokens = await signIn();
  remember(tokens);
  console.log("Signed in:", tokens.claims());
  await callApi();
  await callOnRequest();
  await signOut();
} catch (error) {
  console.error(`That did not work: ${inWords(error)}`);
  process.exitCode = 1;
}

async function signIn() {
  const listener = createServer().on("connection", (socket) => socket.unref()); // a browser may keep it open for longer than we are here
  await once(listener.listen(0, redirectUri.hostname.replace(/[[\]]/g, "")), "listening");
  redirectUri.port = listener.address().port;
  const pending = { codeVerifier: oidc.randomPKCECodeVerifier(), state: oidc.randomState(), nonce: oidc.randomNonce() };
  const url = oidc.buildAuthorizationUrl(config, {
    redirect_uri: redirectUri.href,
    scope: "{{scope}}",
    resource,
    state: pending.state,
    nonce: pending.nonce,
    code_challenge: await oidc.calculatePKCECodeChallenge(pending.codeVerifier),
    code_challenge_method: "S256",
  });
  console.log("Sign in with your browser. If it does not open by itself, open this address:");
  openBrowser(url);
  try {
    for await (const [request, response] of on(listener, "request", { signal: AbortSignal.timeout(SIGN_IN_TIME) })) {
      const [path, query] = request.url.split("?");
      const isOurs = path === redirectUri.pathname && new URLSearchParams(query).get("state") === pending.state;
      response.writeHead(isOurs ? 200 : 404, { "Content-Type": "text/plain", Connection: "close" });
      response.end(isOurs ? "Close this page and go back to the program." : "This is not what the program waits for.");
      if (!isOurs) continue;
      // Checks state, nonce, issuer (of the answer too, RFC 9207), and the audience and times of the ID token, which comes over TLS.
      return await oidc.authorizationCodeGrant(
        config,
        new URL(`${redirectUri.href}?${query}`),
        { pkceCodeVerifier: pending.codeVerifier, expectedState: pending.state, expectedNonce: pending.nonce, idTokenExpected: true },
        { resource },
      );
    }
  } finally {
    listener.close();
  }
}

async function callOnRequest() {
  const lines = createInterface({ input: process.stdin, output: process.stdout, prompt: "Enter calls the API again, q signs out: " });
  try {
    lines.prompt();
    for await (const line of lines) {
      if (line.trim() === "q") return;
      await callApi();
      lines.prompt();
    }
  } finally {
    lines.close();
  }
}

async function callApi() {
  const headers = { Authorization: `Bearer ${await freshToken()}` };
  try {
    const answer = await fetch("{{api_url}}", { headers });
    console.log(`The API answers ${answer.status}: ${await answer.text()}`);
  } catch (error) {
    console.log(`The API does not answer: ${error.cause?.code ?? error.message}`);
  }
}

async function freshToken() {
  if (session.refreshToken && session.expiresAt <= Date.now() + 10_000)
    remember(await oidc.refreshTokenGrant(config, session.refreshToken, { resource }));
  return session.accessToken;
}

function remember(tokens) {
  session.accessToken = tokens.access_token;
  session.expiresAt = Date.now() + (tokens.expiresIn() ?? 0) * 1000;
  session.refreshToken = tokens.refresh_token ?? session.refreshToken; // each works once: keep the newest
}

async function signOut() {
  await oidc.tokenRevocation(config, session.refreshToken ?? session.accessToken); // ends everything of this sign-in
  console.log("Signed out here. To sign out in the browser too, say so there:");
  openBrowser(oidc.buildEndSessionUrl(config, {})); // without the ID token: a command's arguments can be seen by others on this machine
}

/** Where none opens, the printed address is enough. */
function openBrowser({ href }) {
  console.log(href);
  const openers = { darwin: ["open"], win32: ["rundll32", "url.dll,FileProtocolHandler"] };
  const [command, ...args] = openers[process.platform] ?? ["xdg-open"];
  spawn(command, [...args, href], { stdio: "ignore", detached: true })
    .on("error", () => {})
    .unref();
}

function inWords({ name, error, error_description, cause, message }) {
  if (name === "AbortError") return "Nobody has signed in.";
  if (error === "access_denied") return "It was not allowed.";
  if (error === "invalid_grant") return "The sign-in has ended. Start again.";
  return error_description ?? error ?? cause?.message ?? message;
}
