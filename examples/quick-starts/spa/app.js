// Signs people in with OpenID Connect, calls an API in their name, and signs them out: all in the browser, without a secret.
import { UserManager } from "oidc-client-ts";

const redirectUri = "{{redirect_uri}}";

// PKCE and state by itself; tokens are in sessionStorage, and are refreshed before they end.
const manager = new UserManager({
  authority: "{{issuer}}",
  client_id: "{{client_id}}",
  redirect_uri: redirectUri,
  post_logout_redirect_uri: "{{post_logout_redirect_uri}}",
  scope: "{{scope}}",
  resource: "{{resource}}", // whom the access token is for
});

const element = (id) => document.getElementById(id);
function show(title, value) {
  element("title").textContent = title;
  element("shown").hidden = value === undefined;
  element("shown").textContent = value === undefined ? "" : JSON.stringify(value, null, 2);
}

element("sign-in").addEventListener("click", () => manager.signinRedirect());
element("sign-out").addEventListener("click", () => manager.signoutRedirect());
element("call-api").addEventListener("click", async () => {
  const { access_token: accessToken } = await manager.getUser();
  const answer = await fetch("{{api_url}}", { headers: { Authorization: `Bearer ${accessToken}` } });
  show(`The API answers ${answer.status}`, await answer.json());
});

if (location.pathname === new URL(redirectUri).pathname && location.search !== "") {
  await manager.signinRedirectCallback().catch((error) => alert(error.message));
  history.replaceState(null, "", "/"); // the code is used up
}
const user = await manager.getUser();
if (user) show("Signed in", user.profile);
element(user ? "signed-in" : "signed-out").hidden = false;
