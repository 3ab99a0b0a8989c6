// Signs somebody in on a device without a browser: they enter a code in the browser of another one (RFC 8628). Calls an API in their name.
import * as oidc from "openid-client";

const issuer = new URL("{{issuer}}");
const resource = "{{resource}}"; // whom the access token is for

// There is no secret: whoever has the device would have it too.
const config = await oidc.discovery(issuer, "{{client_id}}", undefined, oidc.None(), {
  execute: issuer.protocol === "http:" ? [oidc.allowInsecureRequests] : [], // http is for your own machine alone
});

// In memory. To stay signed in until the next start, keep the refresh token where nothing else on the device can read it.
const session = {};

try {
  const tokens = await signIn();
  remember(tokens);
  console.log("Signed in:", tokens.claims());
  await callApi();
  await oidc.tokenRevocation(config, session.refreshToken ?? session.accessToken); // ends everything of this sign-in
  console.log("Signed out.");
} catch (error) {
  console.error(`That did not work: ${inWords(error)}`);
  process.exitCode = 1;
}

async function signIn() {
  const device = await oidc.initiateDeviceAuthorization(config, { scope: "{{scope}}", resource });
  console.log(`On your phone or computer open ${device.verification_uri} and enter the code ${device.user_code}`);
  if (device.verification_uri_complete) console.log(`Or open ${device.verification_uri_complete}, of which a screen can show a QR code.`);
  console.log(`The code is good for ${Math.ceil(device.expires_in / 60)} minutes.`);
  // Asks until the person has decided or the time is over, never more often than it is told to, and less often after every slow_down.
  return oidc.pollDeviceAuthorizationGrant(config, device);
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

function inWords({ error, error_description, code, cause, message }) {
  if (error === "access_denied") return "It was not allowed.";
  if (error === "expired_token" || code === "OAUTH_TIMEOUT") return "It took too long. Start again for a new code.";
  if (error === "invalid_grant") return "The sign-in has ended. Start again.";
  return error_description ?? error ?? cause?.message ?? message;
}
