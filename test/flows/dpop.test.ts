/** RFC 9449: tokens that only the holder of a key can use. */
import { decodeJwt, exportJWK, generateKeyPair, type JWK, SignJWT } from "jose";
import * as oauth from "oauth4webapi";
import * as oidc from "openid-client";
import { expect, it } from "vitest";
import { Agent } from "../support/agent.ts";
import { type ProofKey, type ProofOptions, proofKey, withNonce } from "../support/dpop.ts";
import { describeFlows } from "../support/flows.ts";
import {
  answerOf,
  authorizationUrl,
  authorize,
  introspect,
  type Person,
  type Pkce,
  pkce,
  post,
  refresh,
  type SeededClient,
  signIn,
  type Tokens,
  userinfo,
} from "../support/grantor.ts";

const HOME = "https://spa.example";
const insecure = { [oauth.allowInsecureRequests]: true };
const jktOf = (token: string) => decodeJwt<{ cnf?: { jkt?: string } }>(token).cnf?.jkt;

describeFlows("DPoP", (flow) => {
  const tokenEndpoint = () => `${flow.grantor.url}/oauth/token`;
  const userinfoEndpoint = () => `${flow.grantor.url}/oauth/userinfo`;
  let nonce: string | undefined;

  /** A token request with a proof and a good nonce. */
  async function ask(client: SeededClient, key: ProofKey, parameters: Record<string, string>, options: ProofOptions = {}) {
    const asked = await withNonce(
      async (known) =>
        post(tokenEndpoint(), client, parameters, { DPoP: await key.prove("POST", tokenEndpoint(), { nonce: known, ...options }) }),
      nonce,
    );
    nonce = asked.nonce;
    return asked.response;
  }
  const askRefresh = (client: SeededClient, key: ProofKey, refresh_token: string, parameters: Record<string, string> = {}) =>
    ask(client, key, { grant_type: "refresh_token", refresh_token, ...parameters });

  /** A code, by sign-in and consent. */
  async function codeOf(client: SeededClient, person: Person, parameters: Record<string, string> = {}) {
    const proof = pkce();
    const end = await authorize(new Agent(), authorizationUrl(flow.grantor.url, client, proof, parameters), person);
    return { proof, code: new URL(end.url).searchParams.get("code") as string };
  }
  const redemption = (client: SeededClient, { code, proof }: { code: string; proof: Pkce }) => ({
    grant_type: "authorization_code",
    code,
    redirect_uri: client.redirect_uri,
    code_verifier: proof.verifier,
  });
  async function boundTokens(client: SeededClient, key: ProofKey, person?: Person): Promise<Tokens> {
    const response = await ask(client, key, redemption(client, await codeOf(client, person ?? (await flow.grantor.person()))));
    expect(response.status).toBe(200);
    return (await response.json()) as Tokens;
  }
  const askUserinfo = (proof: string, accessToken: string, scheme = "DPoP") =>
    fetch(userinfoEndpoint(), { headers: { Authorization: `${scheme} ${accessToken}`, DPoP: proof } });
  const service = (metadata: Record<string, unknown> = {}) => flow.grantor.client({ type: "service", metadata });
  const alone = { grant_type: "client_credentials" };

  it("serves a public client through openid-client, from the code to userinfo and refreshes", async () => {
    const seeded = await flow.grantor.client({ type: "spa", metadata: { dpop_bound_access_tokens: true } });
    const config = await oidc.discovery(new URL(flow.grantor.url), seeded.client_id, {}, oidc.None(), {
      execute: [oidc.allowInsecureRequests],
    });
    expect(config.serverMetadata().dpop_signing_alg_values_supported).toEqual(["ES256", "EdDSA", "Ed25519", "RS256", "PS256"]);
    const person = await flow.grantor.person();
    for (const alg of ["ES256", "Ed25519", "PS256", "RS256"]) {
      const DPoP = oidc.getDPoPHandle(config, await oidc.randomDPoPKeyPair(alg));
      const jkt = await DPoP.calculateThumbprint();
      const verifier = oidc.randomPKCECodeVerifier();
      const url = oidc.buildAuthorizationUrl(config, {
        redirect_uri: seeded.redirect_uri,
        scope: "openid email",
        dpop_jkt: jkt,
        code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
        code_challenge_method: "S256",
      });
      const end = await authorize(new Agent(), url.href, person);
      const tokens = await oidc.authorizationCodeGrant(config, new URL(end.url), { pkceCodeVerifier: verifier }, undefined, { DPoP });
      expect(tokens.token_type).toBe("dpop");
      expect(jktOf(tokens.access_token)).toBe(jkt);
      expect(await oidc.fetchUserInfo(config, tokens.access_token, person.id, { DPoP })).toMatchObject({ email: person.email });
      const next = await oidc.refreshTokenGrant(config, tokens.refresh_token as string, {}, { DPoP });
      expect([next.token_type, jktOf(next.access_token)]).toEqual(["dpop", jkt]);
      expect(await oidc.fetchUserInfo(config, next.access_token, person.id, { DPoP })).toMatchObject({ email: person.email });
    }
  });

  it("serves a confidential client that simply presents a proof, through oauth4webapi", async () => {
    const issuer = new URL(flow.grantor.url);
    const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, insecure));
    const seeded = await flow.grantor.client();
    const self: oauth.Client = { client_id: seeded.client_id };
    const auth = oauth.ClientSecretBasic(seeded.client_secret as string);
    const DPoP = oauth.DPoP(self, await oauth.generateKeyPair("ES256"));
    const jkt = await DPoP.calculateThumbprint();
    const person = await flow.grantor.person();
    const { code, proof } = await codeOf(seeded, person);
    const parameters = oauth.validateAuthResponse(
      as,
      self,
      new URLSearchParams({ code, state: "the-state", iss: flow.grantor.url }),
      "the-state",
    );
    const redeem = async () =>
      oauth.processAuthorizationCodeResponse(
        as,
        self,
        await oauth.authorizationCodeGrantRequest(as, self, auth, parameters, seeded.redirect_uri, proof.verifier, { DPoP, ...insecure }),
      );
    const refused = await redeem().catch((error: unknown) => error);
    expect(oauth.isDPoPNonceError(refused)).toBe(true);
    const tokens = await redeem(); // the code is as good as before
    expect(tokens.token_type).toBe("dpop");
    const info = await oauth.processUserInfoResponse(
      as,
      self,
      person.id,
      await oauth.userInfoRequest(as, self, tokens.access_token, { DPoP, ...insecure }),
    );
    expect(info.sub).toBe(person.id);
    const seen = await oauth.processIntrospectionResponse(
      as,
      self,
      await oauth.introspectionRequest(as, self, auth, tokens.access_token, insecure),
    );
    expect(seen).toMatchObject({ active: true, token_type: "DPoP", cnf: { jkt } });

    // Its refresh token is bound to the client by its secret (RFC 9449 §5): it may go on with another key.
    const another = await proofKey();
    const response = await askRefresh(seeded, another, tokens.refresh_token as string);
    const next = (await response.json()) as Tokens;
    expect([response.status, next.token_type, jktOf(next.access_token)]).toEqual([200, "DPoP", another.jkt]);
    expect(await introspect(flow.grantor, seeded, next.refresh_token as string)).not.toHaveProperty("cnf");
  });

  it("binds tokens of devices and of clients that act alone", async () => {
    const key = await proofKey("EdDSA");
    const machine = await service({ scope: "openid" });
    const given = await answerOf(ask(machine, key, alone));
    expect(given).toMatchObject({ status: 200, body: { token_type: "DPoP" } });
    const token = given.body.access_token as string;
    expect(jktOf(token)).toBe(key.jkt);
    expect(await introspect(flow.grantor, machine, token)).toMatchObject({
      token_type: "DPoP",
      cnf: { jkt: key.jkt },
      sub: machine.client_id,
    });

    const device = await flow.grantor.client({ type: "device", metadata: { dpop_bound_access_tokens: true } });
    const begun = await post(`${flow.grantor.url}/oauth/device`, device, { scope: "openid" });
    const { device_code, verification_uri_complete } = (await begun.json()) as Record<string, string>;
    const poll = { grant_type: "urn:ietf:params:oauth:grant-type:device_code", device_code: device_code as string };
    expect(await answerOf(ask(device, key, poll))).toMatchObject({ status: 400, body: { error: "authorization_pending" } });
    expect(await answerOf(post(tokenEndpoint(), device, poll))).toMatchObject({ status: 400, body: { error: "invalid_dpop_proof" } });
    const agent = new Agent();
    const person = await flow.grantor.person();
    let page = await agent.submit(await agent.open(verification_uri_complete as string), { confirm: "yes" });
    page = await agent.submit(page, { email: person.email, password: person.password });
    await agent.submit(page, { decision: "allow" }, page.forms.length - 1);
    const tokens = (await (await ask(device, key, poll)).json()) as Tokens;
    expect([tokens.token_type, jktOf(tokens.access_token)]).toEqual(["DPoP", key.jkt]);
    expect(await answerOf(askRefresh(device, await proofKey(), tokens.refresh_token as string))).toMatchObject({
      status: 400,
      body: { error: "invalid_grant" },
    });
    expect((await askRefresh(device, key, tokens.refresh_token as string)).status).toBe(200);
  });

  it("refuses a client that is registered for DPoP and sends no proof, and says so", async () => {
    const missing = { status: 400, body: { error: "invalid_dpop_proof", error_description: expect.stringContaining("DPoP header") } };
    const metadata = { dpop_bound_access_tokens: true };
    expect(await answerOf(post(tokenEndpoint(), await service(metadata), alone))).toMatchObject(missing);
    const [key, client] = [await proofKey(), await flow.grantor.client({ metadata })];
    const code = await codeOf(client, await flow.grantor.person());
    expect(await answerOf(post(tokenEndpoint(), client, redemption(client, code)))).toMatchObject(missing);
    const tokens = (await (await ask(client, key, redemption(client, code))).json()) as Tokens; // nothing was used up
    expect(await answerOf(refresh(flow.grantor, client, tokens.refresh_token as string))).toMatchObject(missing);
    expect((await askRefresh(client, key, tokens.refresh_token as string)).status).toBe(200);
    // What says nothing of proofs stays as it is.
    expect(await answerOf(askRefresh(client, key, "unknown"))).toMatchObject({ status: 400, body: { error: "invalid_grant" } });
    const bearer = await flow.grantor.client();
    expect(await answerOf(refresh(flow.grantor, bearer, "unknown"))).toMatchObject({ status: 400, body: { error: "invalid_grant" } });
  });

  it("binds a code to the key that the authorization request names", async () => {
    const [key, other] = [await proofKey(), await proofKey()];
    const client = await flow.grantor.client({ type: "spa" });
    const person = await flow.grantor.person();
    const grant = { status: 400, body: { error: "invalid_grant" } };
    const named = await codeOf(client, person, { dpop_jkt: key.jkt });
    expect(await answerOf(ask(client, other, redemption(client, named)))).toMatchObject(grant);
    expect(await answerOf(post(tokenEndpoint(), client, redemption(client, named)))).toMatchObject(grant);
    const bound = (await (await ask(client, key, redemption(client, named))).json()) as Tokens;
    expect(jktOf(bound.access_token)).toBe(key.jkt);

    const par = `${flow.grantor.url}/oauth/par`;
    const push = async (proof: Pkce, by: ProofKey | undefined, parameters: Record<string, string> = {}) => {
      const query = new URL(authorizationUrl(flow.grantor.url, client, proof, parameters)).searchParams;
      const pushed = await withNonce(
        async (known) =>
          post(par, client, Object.fromEntries(query), { ...(by && { DPoP: await by.prove("POST", par, { nonce: known }) }) }),
        nonce,
      );
      nonce = pushed.nonce;
      return answerOf(pushed.response);
    };
    for (const [by, parameters] of [
      [key, {}], // RFC 9449 §10.1: the proof alone says which key
      [key, { dpop_jkt: key.jkt }],
      [undefined, { dpop_jkt: key.jkt }],
    ] as const) {
      const proof = pkce();
      const { status, body } = await push(proof, by, parameters);
      expect(status).toBe(201);
      const query = new URLSearchParams({ client_id: client.client_id, request_uri: body.request_uri as string });
      const end = await authorize(new Agent(), `${flow.grantor.url}/oauth/authorize?${query}`, person);
      const code = new URL(end.url).searchParams.get("code") as string;
      expect(await answerOf(ask(client, other, redemption(client, { code, proof })))).toMatchObject(grant);
      expect((await ask(client, key, redemption(client, { code, proof }))).status).toBe(200);
    }
    expect(await push(pkce(), key, { dpop_jkt: other.jkt })).toMatchObject({ status: 400, body: { error: "invalid_request" } });
  });

  it("wants its own nonce in every proof, and gives the next one", async () => {
    const [key, client] = [await proofKey(), await service()];
    const proved = async (options: ProofOptions) =>
      post(tokenEndpoint(), client, alone, { DPoP: await key.prove("POST", tokenEndpoint(), options) });
    const first = await proved({});
    expect(await answerOf(first.clone())).toMatchObject({ status: 400, body: { error: "use_dpop_nonce" } });
    const given = first.headers.get("DPoP-Nonce") as string;
    expect(given).toMatch(/^[\w-]{43}$/);
    expect((await proved({ nonce: given })).status).toBe(200);
    for (const wrong of ["x", `${given.slice(0, -1)}${given.endsWith("A") ? "B" : "A"}`, "x".repeat(5000)])
      expect(await answerOf(proved({ nonce: wrong }))).toMatchObject({ status: 400, body: { error: "use_dpop_nonce" } });
    expect(await answerOf(proved({ claims: { nonce: 5 } }))).toMatchObject({ status: 400, body: { error: "invalid_dpop_proof" } });

    const tokens = await boundTokens(await flow.grantor.client(), key);
    const accessToken = tokens.access_token;
    const without = await askUserinfo(await key.prove("GET", userinfoEndpoint(), { accessToken }), accessToken);
    expect([without.status, without.headers.get("WWW-Authenticate")]).toEqual([
      401,
      expect.stringMatching(/^DPoP .*error="use_dpop_nonce"/),
    ]);
    const known = without.headers.get("DPoP-Nonce") as string;
    expect((await askUserinfo(await key.prove("GET", userinfoEndpoint(), { accessToken, nonce: known }), accessToken)).status).toBe(200);

    await flow.later(90, async () => {
      // An earlier one still counts, and the answer brings the next.
      const later = await proved({ nonce: given });
      expect([later.status, later.headers.get("DPoP-Nonce")]).toEqual([200, expect.not.stringMatching(given)]);
    });
    await flow.later(400, async () => {
      const stale = await proved({ nonce: given });
      expect(await answerOf(stale.clone())).toMatchObject({ status: 400, body: { error: "use_dpop_nonce" } });
      expect((await proved({ nonce: stale.headers.get("DPoP-Nonce") as string })).status).toBe(200);
    });
  });

  it("takes a proof once", async () => {
    const [key, client] = [await proofKey(), await flow.grantor.client()];
    const used = { status: 400, body: { error: "invalid_dpop_proof", error_description: expect.stringContaining("used already") } };
    const { access_token: accessToken, refresh_token: refreshToken } = await boundTokens(client, key);
    const machine = await service();
    const once = await key.prove("POST", tokenEndpoint(), { nonce });
    expect((await post(tokenEndpoint(), machine, alone, { DPoP: once })).status).toBe(200);
    expect(await answerOf(post(tokenEndpoint(), machine, alone, { DPoP: once }))).toMatchObject(used);
    const renamed = await key.prove("POST", tokenEndpoint(), { nonce, claims: { jti: decodeJwt(once).jti, extra: 1 } });
    expect(await answerOf(post(tokenEndpoint(), machine, alone, { DPoP: renamed }))).toMatchObject(used);

    const par = `${flow.grantor.url}/oauth/par`;
    const pushed = Object.fromEntries(new URL(authorizationUrl(flow.grantor.url, client, pkce())).searchParams);
    const atPar = await key.prove("POST", par, { nonce });
    expect((await post(par, client, pushed, { DPoP: atPar })).status).toBe(201);
    expect(await answerOf(post(par, client, pushed, { DPoP: atPar }))).toMatchObject(used);

    const atUserinfo = await key.prove("GET", userinfoEndpoint(), { nonce, accessToken });
    expect((await askUserinfo(atUserinfo, accessToken)).status).toBe(200);
    const again = await askUserinfo(atUserinfo, accessToken);
    expect([again.status, again.headers.get("WWW-Authenticate")]).toEqual([
      401,
      expect.stringMatching(/^DPoP .*error="invalid_dpop_proof"/),
    ]);

    // A refresh with a used proof uses nothing up; with another proof of the same key it may be repeated.
    const parameters = { grant_type: "refresh_token", refresh_token: refreshToken as string };
    const spent = await key.prove("POST", tokenEndpoint(), { nonce });
    const answers = [await answerOf(post(tokenEndpoint(), client, parameters, { DPoP: spent }))];
    expect(await answerOf(post(tokenEndpoint(), client, parameters, { DPoP: spent }))).toMatchObject(used);
    answers.push(await answerOf(askRefresh(client, key, refreshToken as string)));
    expect(answers[0]?.status).toBe(200);
    expect(answers[1]).toEqual(answers[0]);
  });

  it("tells a used assertion from a used proof", async () => {
    const { publicKey, privateKey } = await generateKeyPair("ES256", { extractable: true });
    const jwks = { keys: [{ ...(await exportJWK(publicKey)), alg: "ES256", use: "sig" }] };
    const client = await service({ token_endpoint_auth_method: "private_key_jwt", jwks });
    const assertion = () =>
      new SignJWT({ jti: crypto.randomUUID(), iss: client.client_id, sub: client.client_id, aud: flow.grantor.url })
        .setProtectedHeader({ alg: "ES256" })
        .setIssuedAt()
        .setExpirationTime("1m")
        .sign(privateKey);
    const key = await proofKey();
    const asked = (client_assertion: string, DPoP: string) =>
      answerOf(
        fetch(tokenEndpoint(), {
          method: "POST",
          headers: { DPoP },
          body: new URLSearchParams({
            ...alone,
            client_assertion,
            client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
          }),
        }),
      );
    await ask(await service(), key, alone); // for the nonce
    const proof = () => key.prove("POST", tokenEndpoint(), { nonce });
    const [once, proved] = [await assertion(), await proof()];
    expect(await asked(once, proved)).toMatchObject({ status: 200, body: { token_type: "DPoP" } });
    expect(await asked(once, await proof())).toMatchObject({ status: 401, body: { error: "invalid_client" } });
    expect(await asked(await assertion(), proved)).toMatchObject({ status: 400, body: { error: "invalid_dpop_proof" } });
  });

  it("refuses proofs that prove nothing", async () => {
    const [key, other, client] = [await proofKey(), await proofKey(), await service()];
    const { access_token: accessToken } = await boundTokens(await flow.grantor.client(), key);
    const extractable = await generateKeyPair("ES256", { extractable: true });
    const good: Record<string, unknown> = {
      htm: "POST",
      htu: tokenEndpoint(),
      jti: crypto.randomUUID(),
      iat: Math.floor(Date.now() / 1000),
      nonce,
    };
    const hmac = new SignJWT(good)
      .setProtectedHeader({ alg: "HS256", typ: "dpop+jwt", jwk: { kty: "oct", k: "AAAA" } as JWK })
      .sign(new Uint8Array(32));
    const withPrivate = new SignJWT(good)
      .setProtectedHeader({ alg: "ES256", typ: "dpop+jwt", jwk: await exportJWK(extractable.privateKey) })
      .sign(extractable.privateKey);
    const prove = (options: ProofOptions, method = "POST", url = tokenEndpoint()) => key.prove(method, url, { nonce, ...options });
    const [head, body, signature] = (await prove({})).split(".") as [string, string, string];
    const none = Buffer.from(JSON.stringify({ alg: "none", typ: "dpop+jwt", jwk: key.jwk })).toString("base64url");
    const wrong: Record<string, string> = {
      method: await prove({}, "GET"),
      endpoint: await prove({}, "POST", userinfoEndpoint()),
      host: await prove({}, "POST", "https://other.example/oauth/token"),
      "no endpoint": await prove({ claims: { htu: undefined } }),
      "endpoint that is no URL": await prove({ claims: { htu: "token" } }),
      "no jti": await prove({ claims: { jti: undefined } }),
      "jti that is no text": await prove({ claims: { jti: { a: 1 } } }),
      "no iat": await prove({ claims: { iat: undefined } }),
      type: await prove({ header: { typ: "JWT" } }),
      "no key": await prove({ header: { jwk: undefined } }),
      "somebody else's key": await prove({ header: { jwk: other.jwk } }),
      "key that is none": await prove({ header: { jwk: "x" } }),
      "private key": await withPrivate,
      HMAC: await hmac,
      "no signature": `${none}.${body}.`,
      "broken signature": `${head}.${body}.${signature.slice(0, -8)}AAAAAAAA`,
      junk: "junk",
      dots: "..",
      "two proofs": `${await prove({})}, ${await prove({})}`,
    };
    for (const [what, DPoP] of Object.entries(wrong))
      expect([what, await answerOf(post(tokenEndpoint(), client, alone, { DPoP }))]).toMatchObject([
        what,
        { status: 400, body: { error: "invalid_dpop_proof", error_description: expect.any(String) } },
      ]);
    // The query and the letter case of the host are no part of the comparison (RFC 9449 §4.3).
    const spelled = tokenEndpoint().replace("localhost", "LOCALHOST");
    expect((await post(tokenEndpoint(), client, alone, { DPoP: await prove({}, "POST", `${spelled}?a=b#c`) })).status).toBe(200);

    const at = (options: ProofOptions, by = key) => by.prove("GET", userinfoEndpoint(), { nonce, ...options });
    for (const proof of [await at({}), await at({ claims: { ath: "x" } }), await at({ accessToken: "another" }), wrong.method as string]) {
      const refused = await askUserinfo(proof, accessToken);
      expect(await answerOf(refused.clone())).toMatchObject({ status: 401, body: { error: "invalid_dpop_proof" } });
      expect(refused.headers.get("WWW-Authenticate")).toMatch(
        /^DPoP .*error="invalid_dpop_proof".* algs="ES256 EdDSA Ed25519 RS256 PS256"/,
      );
    }
    const stolen = await askUserinfo(await at({ accessToken }, other), accessToken);
    expect(await answerOf(stolen.clone())).toMatchObject({ status: 401, body: { error: "invalid_token" } });
    expect(stolen.headers.get("WWW-Authenticate")).toMatch(/^DPoP .*error="invalid_token"/);
    expect((await askUserinfo(await at({ accessToken }), accessToken)).status).toBe(200);
  });

  it("takes a bound token from its holder alone, and never as a bearer token", async () => {
    const [key, client] = [await proofKey(), await flow.grantor.client()];
    const { access_token: accessToken } = await boundTokens(client, key);
    const bearer = await userinfo(flow.grantor, accessToken);
    expect([bearer.status, bearer.headers.get("WWW-Authenticate")]).toEqual([401, expect.stringMatching(/^DPoP .*invalid_token.*algs=/)]);
    expect((await fetch(userinfoEndpoint(), { headers: { Authorization: `DPoP ${accessToken}` } })).status).toBe(400);
    const proof = () => key.prove("GET", userinfoEndpoint(), { nonce, accessToken });
    expect((await askUserinfo(await proof(), accessToken, "Bearer")).status).toBe(400);
    const posted = await fetch(userinfoEndpoint(), { method: "POST", body: new URLSearchParams({ access_token: accessToken }) });
    expect(posted.status).toBe(401);
    const hidden = await fetch(userinfoEndpoint(), {
      method: "POST",
      body: new URLSearchParams({ access_token: accessToken }),
      headers: { DPoP: await key.prove("POST", userinfoEndpoint(), { nonce, accessToken }) },
    });
    expect(hidden.status).toBe(400);
    // Nor is an unbound token made better by a proof.
    const plain = (await signIn(flow.grantor, client, await flow.grantor.person())).tokens.access_token;
    const dressed = await askUserinfo(await key.prove("GET", userinfoEndpoint(), { nonce, accessToken: plain }), plain);
    expect(await answerOf(dressed)).toMatchObject({ status: 401, body: { error: "invalid_token" } });
    const anonymous = await fetch(userinfoEndpoint());
    expect(anonymous.headers.get("WWW-Authenticate")).toMatch(/^Bearer .*DPoP .*algs="ES256/);
  });

  it("binds the refresh tokens of public clients, from the first proof on", async () => {
    const [key, other] = [await proofKey(), await proofKey()];
    const client = await flow.grantor.client({ type: "spa" });
    const grant = { status: 400, body: { error: "invalid_grant" } };
    const first = await boundTokens(client, key);
    const token = first.refresh_token as string;
    expect(await answerOf(refresh(flow.grantor, client, token))).toMatchObject(grant);
    expect(await answerOf(askRefresh(client, other, token))).toMatchObject(grant);
    const second = (await (await askRefresh(client, key, token)).json()) as Tokens;
    // The same again: for its holder alone, and a stranger to the key ends nothing.
    expect(await answerOf(refresh(flow.grantor, client, token))).toMatchObject(grant);
    expect(await answerOf(askRefresh(client, other, token))).toMatchObject(grant);
    expect(await answerOf(askRefresh(client, key, token))).toEqual({ status: 200, body: second });
    expect((await askRefresh(client, key, second.refresh_token as string)).status).toBe(200);

    // One that began without: RFC 9449 §5 binds what a proof comes with.
    const { tokens } = await signIn(flow.grantor, client, await flow.grantor.person());
    const upgraded = (await (await askRefresh(client, key, tokens.refresh_token as string)).json()) as Tokens;
    expect([upgraded.token_type, jktOf(upgraded.access_token)]).toEqual(["DPoP", key.jkt]);
    expect(await answerOf(refresh(flow.grantor, client, upgraded.refresh_token as string))).toMatchObject(grant);
    expect(await answerOf(askRefresh(client, other, upgraded.refresh_token as string))).toMatchObject(grant);
    expect((await askRefresh(client, key, upgraded.refresh_token as string)).status).toBe(200);
  });

  it("gives a kept answer of a refresh to the same key alone", async () => {
    const [key, other] = [await proofKey(), await proofKey()];
    for (const [before, after] of [
      [key, other],
      [key, undefined],
      [undefined, key],
    ]) {
      const client = await flow.grantor.client();
      const { tokens } = await signIn(flow.grantor, client, await flow.grantor.person());
      const token = tokens.refresh_token as string;
      const asked = (by: ProofKey | undefined) => (by ? askRefresh(client, by, token) : refresh(flow.grantor, client, token));
      const first = (await (await asked(before)).json()) as Tokens;
      expect(await answerOf(asked(after))).toMatchObject({ status: 400, body: { error: "invalid_grant" } });
      expect(await introspect(flow.grantor, client, first.access_token)).toEqual({ active: false });
    }
  });

  it("lets a single-page application send proofs and read nonces", async () => {
    const client = await flow.grantor.client({ type: "spa", metadata: { redirect_uris: [`${HOME}/callback`] } });
    const from = { Origin: HOME };
    for (const path of ["/oauth/token", "/oauth/par", "/oauth/userinfo"]) {
      const preflight = await fetch(`${flow.grantor.url}${path}`, {
        method: "OPTIONS",
        headers: { ...from, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization, dpop" },
      });
      expect([preflight.status, preflight.headers.get("Access-Control-Allow-Headers")]).toEqual([204, expect.stringContaining("dpop")]);
    }
    const key = await proofKey();
    const refused = await post(
      tokenEndpoint(),
      client,
      { grant_type: "refresh_token", refresh_token: "x" },
      {
        ...from,
        DPoP: await key.prove("POST", tokenEndpoint()),
      },
    );
    expect(refused.headers.get("Access-Control-Allow-Origin")).toBe(HOME);
    expect(refused.headers.get("Access-Control-Expose-Headers")).toBe("DPoP-Nonce,WWW-Authenticate");
    expect(refused.headers.get("DPoP-Nonce")).toBeTruthy();
    const { access_token: accessToken } = await boundTokens(client, key);
    const info = await fetch(userinfoEndpoint(), {
      headers: { ...from, Authorization: `DPoP ${accessToken}`, DPoP: await key.prove("GET", userinfoEndpoint(), { nonce, accessToken }) },
    });
    expect([info.status, info.headers.get("Access-Control-Allow-Origin"), info.headers.get("Access-Control-Expose-Headers")]).toEqual([
      200,
      HOME,
      "DPoP-Nonce,WWW-Authenticate",
    ]);
  });
});
