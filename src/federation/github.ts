/**
 * GitHub, which speaks OAuth 2.0 without OpenID Connect: who somebody is, it says in its API.
 * @see https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps
 */
import type { ServerMetadata } from "openid-client";
import { SignInProblem } from "./federation-error.ts";
import type { UpstreamPerson } from "./identity.ts";
import { gitHubIssuer, type IdentityProvider } from "./provider.ts";

/** Milliseconds for one request. */
const TIMEOUT = 8_000;

export const gitHub = (provider: IdentityProvider): ServerMetadata => ({
  issuer: gitHubIssuer(provider),
  authorization_endpoint: `${gitHubIssuer(provider)}/authorize`,
  token_endpoint: `${gitHubIssuer(provider)}/access_token`,
  token_endpoint_auth_methods_supported: ["client_secret_post"],
});

/** GitHub Enterprise Server has its API below its own address. */
const apiOf = ({ issuer }: IdentityProvider): string => (issuer === "https://github.com" ? "https://api.github.com" : `${issuer}/api/v3`);

/** `email` is the primary address, in place of the public one of the profile, which nobody need have verified. */
export async function identifyAtGitHub(
  provider: IdentityProvider,
  accessToken: string,
  fetch: typeof globalThis.fetch,
): Promise<UpstreamPerson> {
  const read = (path: string) => get(`${apiOf(provider)}${path}`, accessToken, fetch);
  const [user, addresses] = await Promise.all([read("/user"), read("/user/emails")]);
  const { id } = user as { id?: unknown };
  // Its number: a login is given to somebody else when it is free.
  if (typeof id !== "number" || !Number.isSafeInteger(id)) throw new SignInProblem("refused");
  const list = Array.isArray(addresses) ? (addresses as ({ email?: unknown; primary?: unknown; verified?: unknown } | null)[]) : [];
  const primary = list.find((each) => each?.primary === true);
  return {
    issuer: gitHubIssuer(provider),
    subject: `${id}`,
    claims: { ...(user as object), email: primary?.email, email_verified: primary?.verified === true },
  };
}

async function get(url: string, accessToken: string, fetch: typeof globalThis.fetch): Promise<unknown> {
  let response: Response;
  try {
    response = await fetch(url, {
      headers: { Accept: "application/vnd.github+json", Authorization: `Bearer ${accessToken}`, "User-Agent": "Grantor" },
      signal: AbortSignal.timeout(TIMEOUT),
    });
    // Without the scope for it the list of addresses is not there, and nobody has verified one.
    if (response.status === 403 || response.status === 404) return undefined;
    if (response.status === 200) return await response.json();
  } catch (cause) {
    throw new SignInProblem("unavailable", { cause });
  }
  throw new SignInProblem(response.status >= 500 ? "unavailable" : "refused");
}
