// Gets an access token for the application itself, without a person (client credentials), and calls the API.
import * as oidc from "openid-client";

const issuer = new URL("{{issuer}}");
const resource = "{{resource}}"; // whom the access token is for
const secret = process.env.CLIENT_SECRET;
if (!secret) throw new Error("Set CLIENT_SECRET");

const config = await oidc.discovery(issuer, "{{client_id}}", undefined, oidc.ClientSecretBasic(secret), {
  execute: issuer.protocol === "http:" ? [oidc.allowInsecureRequests] : [], // http is for your own machine alone
});

let tokens;
let expiresAt = 0;

/** One token serves many calls; there is no refresh token, a new one is asked for. */
async function accessToken() {
  if (expiresAt <= Date.now() + 10_000) {
    tokens = await oidc.clientCredentialsGrant(config, { scope: "{{api_scopes}}", resource });
    expiresAt = Date.now() + (tokens.expiresIn() ?? 0) * 1000;
  }
  return tokens.access_token;
}

const answer = await fetch("{{api_url}}", { headers: { Authorization: `Bearer ${await accessToken()}` } });
console.log(`The API answers ${answer.status}: ${await answer.text()}`);
