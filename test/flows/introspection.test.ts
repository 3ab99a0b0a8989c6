/** RFC 7662: who may ask about which token, and what they hear. */
import { createRemoteJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify } from "jose";
import * as oauth from "oauth4webapi";
import * as oidc from "openid-client";
import { expect, it } from "vitest";
import { proofKey, withNonce } from "../support/dpop.ts";
import { describeFlows } from "../support/flows.ts";
import { answerOf, introspect, post, refresh, type SeededClient, signIn, type Tokens, userinfo } from "../support/grantor.ts";

const INACTIVE = { active: false };
const SIGNED = "application/token-introspection+jwt";

describeFlows("introspection", (flow) => {
  const ask = (client: SeededClient, parameters: Record<string, string>, headers: Record<string, string> = {}) =>
    post(`${flow.grantor.url}/oauth/introspect`, client, parameters, headers);
  const revoke = (client: SeededClient, token: string) => post(`${flow.grantor.url}/oauth/revoke`, client, { token });
  let resources = 0;
  /** A resource with a server of its own, and a client with a person's token for it. */
  async function guarded() {
    const audience = `https://guarded-${++resources}.example`;
    const scope = `guarded-${resources}:use`;
    const server = await flow.grantor.client({ type: "service" });
    await flow.grantor.resource(audience, { scopes: [scope], introspectors: [server.client_id] });
    const client = await flow.grantor.client({ metadata: { scope: `openid ${scope}` } });
    const person = await flow.grantor.person();
    const { tokens } = await signIn(flow.grantor, client, person, { parameters: { scope: `openid ${scope}`, resource: audience } });
    return { audience, scope, server, client, person, tokens };
  }

  it("tells a token's own client everything that the token says", async () => {
    const client = await flow.grantor.client();
    const person = await flow.grantor.person();
    const { tokens } = await signIn(flow.grantor, client, person, { parameters: { scope: "openid email" } });
    const claims = decodeJwt(tokens.access_token);
    const response = await ask(client, { token: tokens.access_token });
    expect(response.headers.get("Cache-Control")).toBe("no-store");
    expect(response.headers.get("Content-Type")).toContain("application/json");
    const seen = (await response.json()) as Record<string, unknown>;
    expect(seen).toMatchObject({
      active: true,
      iss: flow.grantor.url,
      sub: person.id,
      aud: flow.grantor.url,
      client_id: client.client_id,
      scope: "openid email",
      token_type: "Bearer",
      iat: claims.iat,
      exp: claims.exp,
      jti: claims.jti,
      auth_time: claims.auth_time,
      acr: claims.acr,
    });
    for (const hint of ["access_token", "refresh_token", "unheard_of"]) {
      const { body } = await answerOf(ask(client, { token: tokens.access_token, token_type_hint: hint }));
      expect(body).toEqual(seen);
    }
  });

  it("tells resource servers about tokens for them, and no other client", async () => {
    const { audience, scope, server, client, person, tokens } = await guarded();
    const seen = await introspect(flow.grantor, server, tokens.access_token);
    expect(seen).toMatchObject({ active: true, aud: audience, sub: person.id, client_id: client.client_id, scope });
    for (const member of ["iat", "exp", "jti"]) expect(seen).toHaveProperty(member);
    const other = await guarded();
    expect(await introspect(flow.grantor, other.server, tokens.access_token)).toEqual(INACTIVE);
    expect(await introspect(flow.grantor, other.client, tokens.access_token)).toEqual(INACTIVE);
    expect(await introspect(flow.grantor, await flow.grantor.client(), tokens.access_token)).toEqual(INACTIVE);
    const plain = await signIn(flow.grantor, await flow.grantor.client(), person);
    expect(await introspect(flow.grantor, server, plain.tokens.access_token)).toEqual(INACTIVE);
  });

  it("tells only their own client about refresh tokens", async () => {
    const { server, client, tokens, person } = await guarded();
    const token = tokens.refresh_token as string;
    const seen = await introspect(flow.grantor, client, token);
    expect(seen).toMatchObject({ active: true, client_id: client.client_id, sub: person.id });
    expect(seen).not.toHaveProperty("token_type");
    expect(await introspect(flow.grantor, server, token)).toEqual(INACTIVE);
    expect(await introspect(flow.grantor, await flow.grantor.client(), token)).toEqual(INACTIVE);
  });

  it("says of every kind of token what its JWT says", async () => {
    const { audience, scope, server, client, person, tokens } = await guarded();
    /** What the JWT and the answer both tell, each in its own way. */
    const told = async (token: string, by = server) => {
      const { status: _, ...claims } = decodeJwt(token);
      const { active, token_type, status: __, ...seen } = await introspect(flow.grantor, by, token);
      expect(seen).toEqual(claims);
      return { active, token_type };
    };
    expect(await told(tokens.access_token)).toEqual({ active: true, token_type: "Bearer" });
    const refreshed = (await (await refresh(flow.grantor, client, tokens.refresh_token as string)).json()) as Tokens;
    expect(await told(refreshed.access_token)).toEqual({ active: true, token_type: "Bearer" });

    const robot = await flow.grantor.client({ type: "service", metadata: { scope } });
    const alone = { grant_type: "client_credentials", resource: audience, scope };
    const key = await proofKey();
    const tokenEndpoint = `${flow.grantor.url}/oauth/token`;
    const given = (await (await post(tokenEndpoint, robot, alone)).json()) as Tokens;
    expect(await told(given.access_token)).toEqual({ active: true, token_type: "Bearer" });
    expect(await told(given.access_token, robot)).toEqual({ active: true, token_type: "Bearer" });
    expect(await introspect(flow.grantor, server, given.access_token)).toMatchObject({
      sub: robot.client_id,
      client_id: robot.client_id,
      scope,
    });
    expect(await introspect(flow.grantor, client, given.access_token)).toEqual(INACTIVE);
    const { response } = await withNonce(async (nonce) =>
      post(tokenEndpoint, robot, alone, { DPoP: await key.prove("POST", tokenEndpoint, { nonce }) }),
    );
    const bound = ((await response.json()) as Tokens).access_token;
    expect(await told(bound)).toEqual({ active: true, token_type: "DPoP" });
    expect(await introspect(flow.grantor, server, bound)).toMatchObject({ cnf: { jkt: key.jkt } });
    await revoke(robot, given.access_token);
    for (const by of [server, robot]) expect(await introspect(flow.grantor, by, given.access_token)).toEqual(INACTIVE);

    const roles = await flow.grantor.person({ roles: ["editor"] });
    const own = await flow.grantor.client();
    const { tokens: named } = await signIn(flow.grantor, own, roles, { parameters: { scope: "openid roles" } });
    expect(await told(named.access_token, own)).toEqual({ active: true, token_type: "Bearer" });
    expect(await introspect(flow.grantor, own, named.access_token)).toMatchObject({ roles: ["editor"], sub: roles.id });
    expect(await introspect(flow.grantor, client, refreshed.refresh_token as string)).toMatchObject({
      active: true,
      iss: flow.grantor.url,
      client_id: client.client_id,
      sub: person.id,
      scope: `openid ${scope}`,
      exp: expect.any(Number),
      iat: expect.any(Number),
    });
  });

  it("signs its answer for whoever asks for that (RFC 9701)", async () => {
    const { audience, server, client, tokens } = await guarded();
    const keys = createRemoteJWKSet(new URL(`${flow.grantor.url}/.well-known/jwks.json`));
    const askSigned = async (by: SeededClient, token: string, accept = SIGNED) => {
      const response = await ask(by, { token }, { Accept: accept });
      expect([response.status, response.headers.get("Content-Type")]).toEqual([200, expect.stringContaining(SIGNED)]);
      expect(response.headers.get("Cache-Control")).toBe("no-store");
      const { payload, protectedHeader } = await jwtVerify(await response.text(), keys, {
        issuer: flow.grantor.url,
        audience: by.client_id,
        typ: "token-introspection+jwt",
      });
      const { iss: _, aud, iat, token_introspection, ...more } = payload;
      expect([aud, iat, more]).toEqual([by.client_id, expect.any(Number), {}]); // no exp, no sub: it is no access token (RFC 9701 §5)
      return { alg: protectedHeader.alg, told: token_introspection };
    };
    const told = await introspect(flow.grantor, server, tokens.access_token);
    expect(told).toMatchObject({ active: true, aud: audience });
    expect(await askSigned(server, tokens.access_token)).toEqual({ alg: "RS256", told });
    expect(await askSigned(server, tokens.access_token, `application/json;q=0.5, ${SIGNED}`)).toEqual({ alg: "RS256", told });
    expect(await askSigned(client, tokens.refresh_token as string)).toMatchObject({ told: { active: true, client_id: client.client_id } });
    for (const [by, token] of [
      [server, tokens.refresh_token as string],
      [server, "unknown"],
      [await flow.grantor.client(), tokens.access_token],
    ] as const)
      expect(await askSigned(by, token)).toEqual({ alg: "RS256", told: INACTIVE });
    for (const alg of ["ES256", "PS256", "EdDSA"]) {
      const chooses = await flow.grantor.client({ type: "service", metadata: { introspection_signed_response_alg: alg } });
      expect(await askSigned(chooses, tokens.access_token)).toEqual({ alg, told: INACTIVE });
    }
    // Whoever does not ask for it gets JSON, and whoever may not ask at all hears so.
    for (const Accept of ["*/*", "application/json"])
      expect(await answerOf(ask(server, { token: tokens.access_token }, { Accept }))).toEqual({ status: 200, body: told });
    const spa = await flow.grantor.client({ type: "spa" });
    const refused = await ask(spa, { token: tokens.access_token }, { Accept: SIGNED });
    expect(refused.headers.get("Content-Type")).toContain("application/json");
    expect(await answerOf(refused)).toMatchObject({ status: 401, body: { error: "invalid_client" } });
    await revoke(client, tokens.access_token);
    expect(await askSigned(server, tokens.access_token)).toEqual({ alg: "RS256", told: INACTIVE });
    // The answer opens nothing itself.
    const answer = await (await ask(client, { token: tokens.refresh_token as string }, { Accept: SIGNED })).text();
    expect(decodeProtectedHeader(answer).typ).toBe("token-introspection+jwt");
    expect(await introspect(flow.grantor, client, answer)).toEqual(INACTIVE);
    expect((await userinfo(flow.grantor, answer)).status).toBe(401);
  });

  it("is understood by oauth4webapi and openid-client, signed and not", async () => {
    const { audience, server, client, person, tokens } = await guarded();
    const insecure = { [oauth.allowInsecureRequests]: true };
    const issuer = new URL(flow.grantor.url);
    const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, insecure));
    const self: oauth.Client = { client_id: server.client_id, introspection_signed_response_alg: "RS256" };
    const auth = oauth.ClientSecretBasic(server.client_secret as string);
    const expected = { active: true, aud: audience, sub: person.id, client_id: client.client_id };
    for (const requestJwtResponse of [true, false]) {
      const options = { ...insecure, requestJwtResponse };
      const response = await oauth.introspectionRequest(as, self, auth, tokens.access_token, options);
      expect(response.headers.get("Content-Type")).toContain(requestJwtResponse ? SIGNED : "application/json");
      expect(await oauth.processIntrospectionResponse(as, self, response)).toMatchObject(expected);
      if (requestJwtResponse) await oauth.validateApplicationLevelSignature(as, response, insecure);
    }
    const metadata = { introspection_signed_response_alg: "RS256" };
    const config = await oidc.discovery(issuer, server.client_id, metadata, oidc.ClientSecretBasic(server.client_secret as string), {
      execute: [oidc.allowInsecureRequests, oidc.enableNonRepudiationChecks],
    });
    expect(await oidc.tokenIntrospection(config, tokens.access_token)).toMatchObject(expected);
    expect(await oidc.tokenIntrospection(config, "unknown")).toEqual(INACTIVE);
  });

  it("refuses public clients, and clients that do not prove who they are", async () => {
    const spa = await flow.grantor.client({ type: "spa" });
    const { tokens } = await signIn(flow.grantor, spa, await flow.grantor.person());
    expect(await answerOf(ask(spa, { token: tokens.access_token }))).toMatchObject({ status: 401, body: { error: "invalid_client" } });
    expect(await answerOf(ask(spa, { token: "anything" }))).toMatchObject({ status: 401, body: { error: "invalid_client" } });
    const web = await flow.grantor.client();
    const wrong = await ask({ ...web, client_secret: "another-secret-than-its-own" }, { token: tokens.access_token });
    expect(wrong.status).toBe(401);
    expect(wrong.headers.get("WWW-Authenticate")).toMatch(/^Basic /);
    const anonymous = await fetch(`${flow.grantor.url}/oauth/introspect`, {
      method: "POST",
      body: new URLSearchParams({ token: tokens.access_token }),
    });
    expect(anonymous.status).toBe(400);
    const bearer = await fetch(`${flow.grantor.url}/oauth/introspect`, {
      method: "POST",
      headers: { Authorization: `Bearer ${tokens.access_token}` },
      body: new URLSearchParams({ token: tokens.access_token }),
    });
    expect(bearer.status).toBe(400);
  });

  it("knows nothing of what is no token here", async () => {
    const client = await flow.grantor.client();
    const { tokens, code } = await signIn(flow.grantor, client, await flow.grantor.person());
    const { jti } = decodeJwt(tokens.access_token);
    const [header, payload, signature] = tokens.access_token.split(".") as [string, string, string];
    const none = Buffer.from(JSON.stringify({ alg: "none", typ: "at+jwt" })).toString("base64url");
    const longer = Buffer.from(JSON.stringify({ ...decodeJwt(tokens.access_token), exp: 9999999999 })).toString("base64url");
    const wrong = [
      jti as string,
      code,
      tokens.id_token as string,
      "a.b.c",
      "x",
      "..",
      `${none}.${payload}.`,
      `${header}.${longer}.${signature}`,
    ];
    wrong.push(
      `${header}.${payload}.${signature.slice(0, -4)}AAAA`,
      `${tokens.access_token}.`,
      ` ${tokens.access_token}`,
      `${tokens.access_token}\n`,
      "stand-in-x",
    );
    for (const token of wrong) {
      expect(await answerOf(ask(client, { token }))).toEqual({ status: 200, body: INACTIVE });
      expect((await userinfo(flow.grantor, token.trim() === tokens.access_token ? "x" : token)).status).toBeGreaterThanOrEqual(400);
    }
    // A bare jti opens nothing anywhere.
    expect((await revoke(client, jti as string)).status).toBe(200);
    expect((await refresh(flow.grantor, client, jti as string)).status).toBe(400);
    expect(await introspect(flow.grantor, client, tokens.access_token)).toMatchObject({ active: true });
  });

  it("says inactive at once when a token, its grant, its family, its person or its client is gone", async () => {
    const alive = async (server: SeededClient, tokens: Tokens) => (await introspect(flow.grantor, server, tokens.access_token)).active;

    const token = await guarded();
    expect(await alive(token.server, token.tokens)).toBe(true);
    await revoke(token.client, token.tokens.access_token);
    expect(await alive(token.server, token.tokens)).toBe(false);
    expect(await alive(token.client, token.tokens)).toBe(false);
    expect((await refresh(flow.grantor, token.client, token.tokens.refresh_token as string)).status).toBe(200);

    const grant = await guarded();
    await revoke(grant.client, grant.tokens.refresh_token as string);
    expect(await alive(grant.server, grant.tokens)).toBe(false);
    expect(await introspect(flow.grantor, grant.client, grant.tokens.refresh_token as string)).toEqual(INACTIVE);

    const family = await guarded();
    const next = (await (await refresh(flow.grantor, family.client, family.tokens.refresh_token as string)).json()) as Tokens;
    expect(await introspect(flow.grantor, family.client, family.tokens.refresh_token as string)).toEqual(INACTIVE);
    expect(await alive(family.server, next)).toBe(true);
    await refresh(flow.grantor, family.client, next.refresh_token as string);
    await refresh(flow.grantor, family.client, family.tokens.refresh_token as string); // theft
    expect(await alive(family.server, next)).toBe(false);
    expect(await alive(family.server, family.tokens)).toBe(false);

    const person = await guarded();
    await flow.grantor.services.endings.endAccount(person.person.id);
    expect(await alive(person.server, person.tokens)).toBe(false);

    const client = await guarded();
    await flow.grantor.services.clients.delete(client.client.client_id);
    await expect.poll(() => alive(client.server, client.tokens)).toBe(false);
  });

  it("says inactive once a token has expired", async () => {
    const { server, client, tokens } = await guarded();
    await flow.later(901, async () => {
      expect(await introspect(flow.grantor, server, tokens.access_token)).toEqual(INACTIVE);
      expect(await introspect(flow.grantor, client, tokens.refresh_token as string)).toMatchObject({ active: true });
    });
  });

  it("refuses malformed questions", async () => {
    const client = await flow.grantor.client();
    expect(await answerOf(ask(client, {}))).toMatchObject({ status: 400, body: { error: "invalid_request" } });
    const twice = post(`${flow.grantor.url}/oauth/introspect`, client, [
      ["token", "a"],
      ["token", "b"],
    ]);
    expect(await answerOf(twice)).toMatchObject({ status: 400, body: { error: "invalid_request" } });
    const basic = `Basic ${Buffer.from(`${client.client_id}:${client.client_secret}`).toString("base64")}`;
    const url = `${flow.grantor.url}/oauth/introspect`;
    const json = await fetch(url, {
      method: "POST",
      headers: { Authorization: basic, "Content-Type": "application/json" },
      body: '{"token":"a"}',
    });
    expect([json.status, ((await json.json()) as { error: string }).error]).toEqual([400, "invalid_request"]);
    const got = await fetch(url, { headers: { Authorization: basic } });
    expect([got.status, got.headers.get("Allow")]).toEqual([405, "POST, OPTIONS"]);
    for (const other of [`${url}/`, url.replace("introspect", "Introspect")])
      expect((await fetch(other, { method: "POST" })).status).toBe(404);
    const large = await fetch(url, {
      method: "POST",
      headers: { Authorization: basic },
      body: new URLSearchParams({ token: "x".repeat(100_000) }),
    });
    expect([400, 413]).toContain(large.status);
    expect(((await large.json()) as { error: string }).error).toBe("invalid_request");
  });
});
