/**
 * A provider as its client sees it: where people are sent, and who it says they are. The provider's tokens are used here and forgotten.
 * @see OIDC Core §3.1, RFC 9700 §2.1, RFC 9207
 */
import * as client from "openid-client";
import { isLoopback } from "../settings.ts";
import { SignInProblem } from "./federation-error.ts";
import { gitHub, identifyAtGitHub } from "./github.ts";
import type { UpstreamPerson } from "./identity.ts";
import type { Proofs } from "./proofs.ts";
import type { IdentityProvider } from "./provider.ts";

/** Milliseconds for which a provider's metadata is used. Its keys are fetched again whenever an unknown one signs. */
const METADATA_MS = 3_600_000;
/** Milliseconds until a provider that did not answer is asked for its metadata again, while earlier ones are there. */
const RETRY_MS = 60_000;
/** Seconds for one request to a provider. */
const TIMEOUT = 8;
/** Seconds that a provider's clock may differ from ours, as openid-client allows for expiry. */
const TOLERANCE = 30;

/** OIDC Core §2: at most 255 characters of ASCII. */
const SUBJECT = /^[\x20-\x7e]{1,255}$/;

export interface UpstreamRequest {
  readonly proofs: Proofs;
  /** The provider shall ask the person to sign in anew. */
  readonly fresh: boolean;
  /** Seconds since the sign-in there, at most. */
  readonly maxAge?: number | undefined;
  readonly loginHint?: string | undefined;
  readonly uiLocales?: string | undefined;
}

export interface UpstreamAnswer {
  /** As it came: our callback with its query. */
  readonly url: URL;
  readonly proofs: Proofs;
  /** Milliseconds since the epoch: the person must have signed in there since then. */
  readonly freshSince?: number | undefined;
  readonly maxAge?: number | undefined;
}

export interface Upstream {
  /** @throws {SignInProblem} `unavailable` */
  authorizationUrl(provider: IdentityProvider, request: UpstreamRequest): Promise<string>;
  /** @throws {SignInProblem} `denied`, `unavailable`, `refused`, `not_fresh` */
  identify(provider: IdentityProvider, answer: UpstreamAnswer): Promise<UpstreamPerson>;
}

export interface UpstreamOptions {
  /** Our own issuer identifier. */
  issuer: string;
  /** For what a provider at this address names; bounded in time and size, follows no redirects, reaches nothing that only this server can. */
  fetchFrom(address: string): typeof fetch;
  /** Milliseconds since the epoch. */
  now?: () => number;
}

export function createUpstream({ issuer, fetchFrom, now = Date.now }: UpstreamOptions): Upstream {
  const known = new Map<string, { version: string; at: number; configuration: Promise<client.Configuration> }>();

  /** From its metadata, or, while it does not answer, from what was read before. */
  async function configurationOf(provider: IdentityProvider): Promise<client.Configuration> {
    const before = known.get(provider.id);
    const same = before?.version === provider.version;
    if (before !== undefined && same && before.at > now() - METADATA_MS) return before.configuration;
    const configuration = discover(provider, fetchFrom(provider.issuer));
    const entry = { version: provider.version, at: now(), configuration };
    known.set(provider.id, entry);
    try {
      return await configuration;
    } catch (cause) {
      if (known.get(provider.id) === entry) known.delete(provider.id);
      if (before === undefined || !same) throw new SignInProblem("unavailable", { cause });
      known.set(provider.id, { ...before, at: now() - METADATA_MS + RETRY_MS });
      return before.configuration;
    }
  }

  return {
    async authorizationUrl(provider, { proofs, fresh, maxAge, loginHint, uiLocales }) {
      const configuration = await configurationOf(provider);
      const openid = provider.kind === "oidc";
      const parameters = {
        response_type: "code",
        redirect_uri: callbackOf(issuer, provider),
        scope: provider.scopes.join(" "),
        state: proofs.state,
        code_challenge: await client.calculatePKCECodeChallenge(proofs.verifier),
        code_challenge_method: "S256",
        ...(openid && { nonce: proofs.nonce }),
        ...(openid && fresh && { prompt: "login" }),
        ...(openid && maxAge !== undefined && { max_age: `${maxAge}` }),
        ...(openid && uiLocales !== undefined && { ui_locales: uiLocales }),
        ...(loginHint !== undefined && { [openid ? "login_hint" : "login"]: loginHint }),
      };
      try {
        // RFC 9126 §5
        const pushed = configuration.serverMetadata().require_pushed_authorization_requests === true;
        if (pushed) return (await client.buildAuthorizationUrlWithPAR(configuration, parameters)).href;
        return client.buildAuthorizationUrl(configuration, parameters).href;
      } catch (cause) {
        throw new SignInProblem("unavailable", { cause });
      }
    },

    async identify(provider, { url, proofs, freshSince, maxAge }) {
      const configuration = await configurationOf(provider);
      const openid = provider.kind === "oidc";
      const answer = new URL(callbackOf(issuer, provider));
      answer.search = url.search;
      const tokens = await client
        .authorizationCodeGrant(configuration, answer, {
          expectedState: proofs.state,
          pkceCodeVerifier: proofs.verifier,
          ...(openid && { expectedNonce: proofs.nonce, idTokenExpected: true }),
        })
        .catch(translate);
      if (!openid) return identifyAtGitHub(provider, tokens.access_token, fetchFrom(provider.issuer));
      const idToken = tokens.claims();
      if (idToken === undefined || !SUBJECT.test(idToken.sub)) throw new SignInProblem("refused");
      const { auth_time: signedInAt } = idToken;
      // OIDC Core §3.1.2.1: whoever asks for a new sign-in checks that there was one.
      const since = Math.max(freshSince ?? 0, maxAge === undefined ? 0 : now() - maxAge * 1000) / 1000;
      if (since > 0 && !(typeof signedInAt === "number" && signedInAt >= since - TOLERANCE)) throw new SignInProblem("not_fresh");
      return { issuer: idToken.iss, subject: idToken.sub, claims: { ...(await further(idToken)), ...idToken } };

      /** Many providers put what scopes stand for into userinfo alone. */
      async function further(claims: object): Promise<object> {
        const wanted = [provider.claims.email, provider.roles?.claim.split(".", 1)[0]].filter((name) => name !== undefined);
        if (wanted.every((name) => name in claims) || configuration.serverMetadata().userinfo_endpoint === undefined) return {};
        return client.fetchUserInfo(configuration, tokens.access_token, (claims as { sub: string }).sub).catch(translate);
      }
    },
  };
}

/** Each provider has a callback of its own, against mix-up (RFC 9700 §4.4.2.2). */
const callbackOf = (issuer: string, { id }: IdentityProvider): string => `${issuer}/federation/${id}/callback`;

async function discover(provider: IdentityProvider, fetch: typeof globalThis.fetch): Promise<client.Configuration> {
  const { issuer, clientId, clientSecret } = provider;
  const authentication = clientSecret === undefined ? client.None() : withSecret(clientSecret);
  const settings = { [client.clockTolerance]: TOLERANCE };
  const insecure = isLoopback(new URL(issuer).hostname);
  if (provider.kind === "github") {
    const configuration = new client.Configuration(gitHub(provider), clientId, settings, authentication);
    configuration[client.customFetch] = fetch as client.CustomFetch;
    configuration.timeout = TIMEOUT;
    if (insecure) client.allowInsecureRequests(configuration);
    return configuration;
  }
  return client.discovery(new URL(issuer), clientId, settings, authentication, {
    [client.customFetch]: fetch as client.CustomFetch,
    timeout: TIMEOUT,
    // The signature of the ID token, too: what a connection vouches for is no more than that.
    execute: [client.enableNonRepudiationChecks, ...(insecure ? [client.allowInsecureRequests] : [])],
  });
}

/** RFC 6749 §2.3.1: by Basic, unless the provider's metadata names only the body. */
function withSecret(secret: string): client.ClientAuth {
  const [basic, post] = [client.ClientSecretBasic(secret), client.ClientSecretPost(secret)];
  return (server, ...others) => {
    const methods = server.token_endpoint_auth_methods_supported ?? ["client_secret_basic"];
    (methods.includes("client_secret_basic") ? basic : post)(server, ...others);
  };
}

/** OAuth errors that are a person's decision, or the provider's about a person. */
const DECISIONS = new Set(["access_denied", "login_required", "interaction_required", "consent_required", "account_selection_required"]);

function translate(cause: unknown): never {
  if (cause instanceof client.AuthorizationResponseError)
    throw new SignInProblem(DECISIONS.has(cause.error) ? "denied" : "unavailable", { cause });
  throw new SignInProblem(isOutage(cause) ? "unavailable" : "refused", { cause });
}

/** It could not be reached, was too slow, or has an error of its own. */
function isOutage(cause: unknown): boolean {
  const { name, code, status, cause: answer } = cause as { name?: string; code?: string; status?: number; cause?: { status?: number } };
  return name === "TypeError" || code === "OAUTH_TIMEOUT" || code === "OAUTH_ABORT" || (status ?? answer?.status ?? 0) >= 500;
}
