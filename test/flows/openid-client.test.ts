/**
 * The clients that others wrote, end to end: openid-client 6 for every kind of application and way of authenticating, oauth4webapi 3 for
 * the code flow by hand. They check what a relying party checks: iss (RFC 9207), state, nonce, at_hash, signatures, PKCE.
 */
import * as jose from "jose";
import * as oauth from "oauth4webapi";
import * as client from "openid-client";
import { expect, it } from "vitest";
import { Agent } from "../support/agent.ts";
import { describeFlows, type Flow } from "../support/flows.ts";
import { authorize, type Person, type SeededClient } from "../support/grantor.ts";

/** What both say when client authentication failed: by the challenge where the client used the Authorization header, by the body elsewhere. */
const refusedClient = expect.toSatisfy(
  (error: { error?: string; cause?: unknown; status?: number }) =>
    error.status === 401 && JSON.stringify([error.error, error.cause]).includes("invalid_client"),
);

const insecure = { execute: [client.allowInsecureRequests] };

/** A code flow as an application does it, in the browser of a person. */
async function codeFlow(
  config: client.Configuration,
  person: Person,
  redirectUri: string,
  options: { agent?: Agent; parameters?: Record<string, string> } = {},
) {
  const { agent = new Agent(), parameters = {} } = options;
  const verifier = client.randomPKCECodeVerifier();
  const state = client.randomState();
  const nonce = client.randomNonce();
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri: redirectUri,
    scope: "openid profile email",
    code_challenge: await client.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
    state,
    nonce,
    ...parameters,
  });
  const end = await authorize(agent, url.href, person);
  expect(end.url.startsWith(redirectUri)).toBe(true);
  const checks = { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true };
  return { agent, tokens: await client.authorizationCodeGrant(config, new URL(end.url), checks) };
}

async function useAndRefresh({ grantor }: Flow, config: client.Configuration, person: Person, redirectUri: string) {
  client.enableNonRepudiationChecks(config);
  const { agent, tokens } = await codeFlow(config, person, redirectUri);
  const claims = tokens.claims() as client.IDToken;
  expect(claims).toMatchObject({ iss: grantor.url, sub: person.id, aud: config.clientMetadata().client_id });
  expect(claims).not.toHaveProperty("email"); // OIDC Core §5.4: userinfo has it
  expect(tokens.token_type).toBe("bearer");
  expect(tokens.expires_in).toBe(900);
  const info = await client.fetchUserInfo(config, tokens.access_token, claims.sub);
  expect(info).toMatchObject({ sub: person.id, email: person.email, email_verified: true, name: "Ada Lovelace" });

  const next = await client.refreshTokenGrant(config, tokens.refresh_token as string);
  expect(next.refresh_token).not.toBe(tokens.refresh_token);
  expect(next.claims()?.sub).toBe(person.id);
  expect((await client.fetchUserInfo(config, next.access_token, claims.sub)).sub).toBe(person.id);
  const narrow = await client.refreshTokenGrant(config, next.refresh_token as string, { scope: "openid" });
  expect(narrow.scope).toBe("openid");
  expect(await client.fetchUserInfo(config, narrow.access_token, claims.sub)).toEqual({ sub: person.id });
  return { agent, tokens: narrow };
}

describeFlows("openid-client", (flow) => {
  const discover = (seeded: SeededClient, metadata: Partial<client.ClientMetadata>, auth: client.ClientAuth) =>
    client.discovery(new URL(flow.grantor.url), seeded.client_id, metadata, auth, insecure);

  it.each(["client_secret_basic", "client_secret_post"] as const)("serves a web application that authenticates with %s", async (method) => {
    const seeded = await flow.grantor.client({ metadata: { token_endpoint_auth_method: method } });
    const auth = method === "client_secret_basic" ? client.ClientSecretBasic : client.ClientSecretPost;
    const config = await discover(seeded, {}, auth(seeded.client_secret as string));
    await useAndRefresh(flow, config, await flow.grantor.person(), seeded.redirect_uri);
    const wrong = await discover(seeded, {}, auth("wrong-secret-wrong-secret-wrong"));
    await expect(codeFlow(wrong, await flow.grantor.person(), seeded.redirect_uri)).rejects.toEqual(refusedClient);
  });

  it.each([
    ["ES256", {}],
    ["PS256", {}],
    ["RS256", {}],
    ["EdDSA", { crv: "Ed25519" as const }],
  ])("serves a web application that authenticates with private_key_jwt and %s", async (alg, options) => {
    const { publicKey, privateKey } = await jose.generateKeyPair(alg, { extractable: true, ...options });
    const jwks = { keys: [{ ...(await jose.exportJWK(publicKey)), kid: "k1", use: "sig", alg }] };
    const seeded = await flow.grantor.client({
      metadata: { token_endpoint_auth_method: "private_key_jwt", token_endpoint_auth_signing_alg: alg, jwks },
    });
    expect(seeded.client_secret).toBeUndefined();
    // openid-client writes the newer name of EdDSA with this curve (RFC 9864); we list the older one, which everybody else writes.
    const keyed = (key: jose.CryptoKey) =>
      client.PrivateKeyJwt({ key, kid: "k1" }, { [client.modifyAssertion]: (header) => Object.assign(header, { alg }) });
    const config = await discover(seeded, {}, keyed(privateKey));
    await useAndRefresh(flow, config, await flow.grantor.person(), seeded.redirect_uri);
    const other = await jose.generateKeyPair(alg, { extractable: true, ...options });
    const forged = await discover(seeded, {}, keyed(other.privateKey));
    await expect(codeFlow(forged, await flow.grantor.person(), seeded.redirect_uri)).rejects.toEqual(refusedClient);
  });

  it("takes a client assertion once, for itself, and of the client that it names", async () => {
    const { publicKey, privateKey } = await jose.generateKeyPair("ES256", { extractable: true });
    const jwks = { keys: [{ ...(await jose.exportJWK(publicKey)), alg: "ES256", use: "sig" }] };
    const metadata = { token_endpoint_auth_method: "private_key_jwt", grant_types: ["client_credentials"], jwks };
    const seeded = await flow.grantor.client({ type: "service", metadata });
    const assertion = (claims: Record<string, unknown> = {}) =>
      new jose.SignJWT({ jti: client.randomState(), iss: seeded.client_id, sub: seeded.client_id, aud: flow.grantor.url, ...claims })
        .setProtectedHeader({ alg: "ES256" })
        .setIssuedAt()
        .setExpirationTime("1m")
        .sign(privateKey);
    const ask = (client_assertion: string) =>
      fetch(`${flow.grantor.url}/oauth/token`, {
        method: "POST",
        body: new URLSearchParams({
          grant_type: "client_credentials",
          client_assertion,
          client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        }),
      });
    const good = await assertion();
    expect((await ask(good)).status).toBe(200);
    const used = await ask(good);
    expect([used.status, await used.json()]).toEqual([401, expect.objectContaining({ error: "invalid_client" })]);
    const refused = [
      await assertion({ aud: "https://other.example" }),
      await assertion({ aud: [flow.grantor.url, "https://evil.example"] }),
      await assertion({ aud: [flow.grantor.url, `${flow.grantor.url}/oauth/token`] }),
      await assertion({ iss: "someone-else" }),
      await assertion({ sub: "someone-else" }),
      "a.b.c",
      "junk",
    ];
    for (const each of refused) {
      const answer = await ask(each);
      expect([400, 401]).toContain(answer.status);
      expect(((await answer.json()) as { error: string }).error).toMatch(/^invalid_(client|request)$/);
    }
    for (const aud of [`${flow.grantor.url}/oauth/token`, [flow.grantor.url]])
      expect((await ask(await assertion({ aud }))).status).toBe(200);
    const raced = await assertion();
    const statuses = (await Promise.all(Array.from({ length: 8 }, () => ask(raced)))).map(({ status }) => status);
    expect(statuses.filter((status) => status === 200)).toHaveLength(1);
    expect(statuses.filter((status) => status === 401)).toHaveLength(7);
  });

  it("serves a single-page application, which has no secret", async () => {
    const seeded = await flow.grantor.client({ type: "spa" });
    expect(seeded.client_secret).toBeUndefined();
    await useAndRefresh(flow, await discover(seeded, {}, client.None()), await flow.grantor.person(), seeded.redirect_uri);
  });

  it("serves a native application at whatever loopback port it got, and by its own scheme", async () => {
    const redirects = ["http://127.0.0.1/callback", "http://[::1]/callback", "com.example.app:/callback"];
    const seeded = await flow.grantor.client({ type: "native", metadata: { redirect_uris: redirects } });
    const config = await discover(seeded, {}, client.None());
    const person = await flow.grantor.person();
    for (const redirect of ["http://127.0.0.1:49152/callback", "http://127.0.0.1:50001/callback", "http://[::1]:49153/callback"]) {
      const { tokens } = await codeFlow(config, person, redirect);
      expect(tokens.claims()?.sub).toBe(person.id);
    }
    const { tokens } = await useAndRefreshNative(config, person);
    expect(tokens.refresh_token).toBeTruthy();
    for (const redirect of [
      "http://127.0.0.1:49152/other",
      "http://localhost:49152/callback",
      "https://127.0.0.1:49152/callback",
      "http://127.0.0.1.evil.example/callback",
    ]) {
      const url = client.buildAuthorizationUrl(config, {
        redirect_uri: redirect,
        scope: "openid",
        code_challenge: "x".repeat(43),
        code_challenge_method: "S256",
      });
      const page = await new Agent().open(url.href);
      expect([redirect, page.status, page.text.includes("invalid_redirect_uri")]).toEqual([redirect, 400, true]);
    }
  });

  /** A private-use scheme ends where no HTTP client goes: the address that the browser would hand to the application is all there is. */
  async function useAndRefreshNative(config: client.Configuration, person: Person) {
    const { tokens } = await codeFlow(config, person, "com.example.app:/callback");
    return { tokens: await client.refreshTokenGrant(config, tokens.refresh_token as string) };
  }

  it("lets the port vary for native applications alone", async () => {
    const seeded = await flow.grantor.client({ metadata: { redirect_uris: ["http://127.0.0.1/callback"] } });
    const config = await discover(seeded, {}, client.ClientSecretBasic(seeded.client_secret as string));
    const parameters = { scope: "openid", code_challenge: "x".repeat(43), code_challenge_method: "S256" };
    const page = await new Agent().open(
      client.buildAuthorizationUrl(config, { ...parameters, redirect_uri: "http://127.0.0.1:49152/callback" }).href,
    );
    expect(page.status).toBe(400);
    expect(page.text).toContain("invalid_redirect_uri");
  });

  it("signs out by the URL that it builds, and comes back", async () => {
    const back = "https://app.example/signed-out";
    const seeded = await flow.grantor.client({ metadata: { post_logout_redirect_uris: [back] } });
    const config = await discover(seeded, {}, client.ClientSecretBasic(seeded.client_secret as string));
    const { agent, tokens } = await codeFlow(config, await flow.grantor.person(), seeded.redirect_uri);
    const url = client.buildEndSessionUrl(config, {
      id_token_hint: tokens.id_token as string,
      post_logout_redirect_uri: back,
      state: "bye",
    });
    expect(url.href.startsWith(`${flow.grantor.url}/oauth/logout`)).toBe(true);
    const page = await agent.open(url.href);
    const end = await agent.submit(page, { logout: "yes" });
    expect(end.url).toBe(`${back}?state=bye`);
    await expect(client.refreshTokenGrant(config, tokens.refresh_token as string)).rejects.toMatchObject({ error: "invalid_grant" });
  });

  it("gives an ID token in the algorithm that the client registered", async () => {
    for (const alg of ["ES256", "PS256", "EdDSA"]) {
      const seeded = await flow.grantor.client({ metadata: { id_token_signed_response_alg: alg } });
      const metadata = { id_token_signed_response_alg: alg };
      const config = await discover(seeded, metadata, client.ClientSecretBasic(seeded.client_secret as string));
      client.enableNonRepudiationChecks(config);
      const { tokens } = await codeFlow(config, await flow.grantor.person(), seeded.redirect_uri);
      expect(jose.decodeProtectedHeader(tokens.id_token as string).alg).toBe(alg);
      expect(jose.decodeProtectedHeader(tokens.access_token).alg).toBe("RS256");
    }
  });

  it("understands form_post and fragment answers", async () => {
    const seeded = await flow.grantor.client({ type: "spa" });
    const person = await flow.grantor.person();
    const config = await discover(seeded, {}, client.None());
    const { agent } = await codeFlow(config, person, seeded.redirect_uri);
    const verifier = client.randomPKCECodeVerifier();
    const parameters = {
      redirect_uri: seeded.redirect_uri,
      scope: "openid",
      code_challenge: await client.calculatePKCECodeChallenge(verifier),
      code_challenge_method: "S256",
    };
    const posted = await agent.open(
      client.buildAuthorizationUrl(config, { ...parameters, response_mode: "form_post", ui_locales: "fr" }).href,
    );
    expect(posted.status).toBe(200);
    expect(posted.forms[0]?.action).toBe(seeded.redirect_uri);
    const policy = posted.headers.get("Content-Security-Policy") ?? "";
    expect(policy).toMatch(/script-src 'nonce-/);
    expect(posted.text).toContain("<h1>Un instant</h1>");
    expect(Object.keys(posted.forms[0]?.fields ?? {}).toSorted()).toEqual(["code", "iss"]);
    expect(policy).not.toContain("form-action");
    const callback = new URL(`${seeded.redirect_uri}?${new URLSearchParams(posted.forms[0]?.fields)}`);
    const tokens = await client.authorizationCodeGrant(config, callback, { pkceCodeVerifier: verifier });
    expect(tokens.claims()?.sub).toBe(person.id);
    const fragment = await agent.open(client.buildAuthorizationUrl(config, { ...parameters, response_mode: "fragment" }).href);
    expect(new URLSearchParams(new URL(fragment.url).hash.slice(1)).get("iss")).toBe(flow.grantor.url);
  });
});

describeFlows("oauth4webapi", (flow) => {
  const options = { [oauth.allowInsecureRequests]: true };

  it("goes from discovery to revocation", async () => {
    const { grantor } = flow;
    const issuer = new URL(grantor.url);
    for (const algorithm of ["oidc", "oauth2"] as const) {
      const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { ...options, algorithm }));
      const seeded = await grantor.client();
      const self: oauth.Client = { client_id: seeded.client_id };
      const auth = oauth.ClientSecretBasic(seeded.client_secret as string);
      const person = await grantor.person();
      const verifier = oauth.generateRandomCodeVerifier();
      const nonce = oauth.generateRandomNonce();
      const url = new URL(as.authorization_endpoint as string);
      url.search = new URLSearchParams({
        client_id: seeded.client_id,
        redirect_uri: seeded.redirect_uri,
        response_type: "code",
        scope: "openid email",
        state: "s1",
        nonce,
        max_age: "300",
        code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
        code_challenge_method: "S256",
      }).toString();
      const end = await authorize(new Agent(), url.href, person);

      const parameters = oauth.validateAuthResponse(as, self, new URL(end.url), "s1");
      const response = await oauth.authorizationCodeGrantRequest(as, self, auth, parameters, seeded.redirect_uri, verifier, options);
      expect(response.headers.get("Cache-Control")).toContain("no-store");
      const tokens = await oauth.processAuthorizationCodeResponse(as, self, response, {
        expectedNonce: nonce,
        maxAge: 300,
        requireIdToken: true,
      });
      await oauth.validateApplicationLevelSignature(as, response, options);
      expect(oauth.getValidatedIdTokenClaims(tokens)?.sub).toBe(person.id);

      const info = await oauth.processUserInfoResponse(
        as,
        self,
        person.id,
        await oauth.userInfoRequest(as, self, tokens.access_token, options),
      );
      expect(info.email).toBe(person.email);
      const seen = await oauth.processIntrospectionResponse(
        as,
        self,
        await oauth.introspectionRequest(as, self, auth, tokens.access_token, options),
      );
      expect(seen).toMatchObject({ active: true, sub: person.id, aud: grantor.url, token_type: "Bearer" });
      const request = new Request("https://api.example/", { headers: { Authorization: `Bearer ${tokens.access_token}` } });
      const claims = await oauth.validateJwtAccessToken(as, request, grantor.url, options);
      expect(claims).toMatchObject({ sub: person.id, client_id: seeded.client_id, scope: "openid email" });

      const refreshed = await oauth.processRefreshTokenResponse(
        as,
        self,
        await oauth.refreshTokenGrantRequest(as, self, auth, tokens.refresh_token as string, options),
      );
      await oauth.processRevocationResponse(await oauth.revocationRequest(as, self, auth, refreshed.refresh_token as string, options));
      const after = await oauth.processIntrospectionResponse(
        as,
        self,
        await oauth.introspectionRequest(as, self, auth, refreshed.access_token, options),
      );
      expect(after).toEqual({ active: false });
      await expect(
        oauth
          .refreshTokenGrantRequest(as, self, auth, refreshed.refresh_token as string, options)
          .then((answer) => oauth.processRefreshTokenResponse(as, self, answer)),
      ).rejects.toMatchObject({ error: "invalid_grant", status: 400 });
    }
  });
});
