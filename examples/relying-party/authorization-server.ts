/** What the application asks of the authorization server: all of it by openid-client, which checks `state`, `nonce`, `iss` and signatures. */
import * as oidc from "openid-client";
import type { PendingSignIn, SignedIn } from "./sessions.ts";

export interface Registration {
  /** The authorization server, such as `http://localhost:3000`. */
  issuer: string;
  clientId: string;
  clientSecret: string;
  redirectUri: string;
  postLogoutRedirectUri: string;
  /** The resource server that the application calls, and what it wants to do there. */
  resource: string;
  resourceScope: string;
}

/** Milliseconds before its end at which an access token is no longer used. */
const SOON = 10_000;

/** The person's sign-in has ended at the authorization server: only a new one helps. */
export class SignInEndedError extends Error {
  override readonly name = "SignInEndedError";
}

export class AuthorizationServer {
  readonly #registration: Registration;
  #configuration: Promise<oidc.Configuration> | undefined;

  constructor(registration: Registration) {
    this.#registration = registration;
  }

  /** The metadata of the server, fetched once. */
  configuration(): Promise<oidc.Configuration> {
    const { issuer, clientId, clientSecret } = this.#registration;
    const execute = issuer.startsWith("http:") ? [oidc.allowInsecureRequests] : []; // for one's own machine
    this.#configuration ??= oidc.discovery(new URL(issuer), clientId, {}, oidc.ClientSecretBasic(clientSecret), { execute });
    this.#configuration.catch(() => {
      this.#configuration = undefined; // asked again the next time
    });
    return this.#configuration;
  }

  /** Where to send the browser, and what to remember until it comes back. */
  async beginSignIn(): Promise<{ url: URL; state: string; pending: PendingSignIn }> {
    const { issuer, redirectUri, resource, resourceScope } = this.#registration;
    const state = oidc.randomState();
    const pending = { nonce: oidc.randomNonce(), codeVerifier: oidc.randomPKCECodeVerifier() };
    const parameters = new URLSearchParams({
      redirect_uri: redirectUri,
      scope: `openid profile email roles ${resourceScope}`,
      state,
      nonce: pending.nonce,
      code_challenge: await oidc.calculatePKCECodeChallenge(pending.codeVerifier),
      code_challenge_method: "S256",
    });
    // RFC 8707: one consent for both; each access token is then for one of them, and useless at the other.
    parameters.append("resource", issuer);
    parameters.append("resource", resource);
    return { url: oidc.buildAuthorizationUrl(await this.configuration(), parameters), state, pending };
  }

  /**
   * @param callback the URL that the browser came back to
   * @throws {oidc.AuthorizationResponseError} when the person or the server said no
   */
  async finishSignIn(callback: URL, state: string, { nonce, codeVerifier }: PendingSignIn): Promise<SignedIn> {
    const configuration = await this.configuration();
    const tokens = await oidc.authorizationCodeGrant(configuration, callback, {
      expectedState: state,
      expectedNonce: nonce,
      pkceCodeVerifier: codeVerifier,
      idTokenExpected: true,
    });
    const claims = tokens.claims() as oidc.IDToken;
    // The first access token is for the authorization server itself. It has done its work once userinfo has answered.
    const userinfo = await oidc.fetchUserInfo(configuration, tokens.access_token, claims.sub);
    return {
      sub: claims.sub,
      sid: claims.sid as string | undefined,
      claims,
      userinfo,
      idToken: tokens.id_token as string,
      refreshToken: tokens.refresh_token,
      refreshes: 0,
    };
  }

  /** An access token for the resource server: the one that there is while it lives, otherwise a new one. @throws {SignInEndedError} */
  async apiToken(signedIn: SignedIn): Promise<string> {
    if (signedIn.apiToken === undefined || signedIn.apiToken.expiresAt <= Date.now() + SOON) await this.refresh(signedIn);
    return (signedIn.apiToken as { value: string }).value;
  }

  /** Uses the refresh token, which is another one afterwards. Requests that come meanwhile wait for the same one. @throws {SignInEndedError} */
  refresh(signedIn: SignedIn): Promise<void> {
    signedIn.refreshing ??= this.#refresh(signedIn).finally(() => {
      signedIn.refreshing = undefined;
    });
    return signedIn.refreshing;
  }

  /** Where to send the browser to sign out there too. @see https://openid.net/specs/openid-connect-rpinitiated-1_0.html */
  async signOutUrl(signedIn: SignedIn): Promise<URL> {
    const { postLogoutRedirectUri } = this.#registration;
    return oidc.buildEndSessionUrl(await this.configuration(), {
      id_token_hint: signedIn.idToken,
      post_logout_redirect_uri: postLogoutRedirectUri,
    });
  }

  async #refresh(signedIn: SignedIn): Promise<void> {
    if (signedIn.refreshToken === undefined) throw new SignInEndedError("there is no refresh token");
    const { resource, resourceScope } = this.#registration;
    try {
      const tokens = await oidc.refreshTokenGrant(await this.configuration(), signedIn.refreshToken, { resource });
      signedIn.refreshToken = tokens.refresh_token ?? signedIn.refreshToken;
      signedIn.idToken = tokens.id_token ?? signedIn.idToken;
      signedIn.apiToken = {
        value: tokens.access_token,
        scope: tokens.scope ?? resourceScope,
        expiresAt: Date.now() + (tokens.expires_in ?? 0) * 1000,
      };
      signedIn.refreshes += 1;
    } catch (error) {
      if (error instanceof oidc.ResponseBodyError && error.error === "invalid_grant")
        throw new SignInEndedError("the refresh token is no longer good", { cause: error });
      throw error;
    }
  }
}
