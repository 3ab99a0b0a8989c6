/** RFC 6749 §4.1 with PKCE, OIDC Core §3.1, RFC 9068, RFC 7662, RFC 7009: sign in, consent, tokens, and what ends them. */
import { createRemoteJWKSet, jwtVerify } from "jose";
import { beforeAll, expect, it } from "vitest";
import { Agent } from "../support/agent.ts";
import { describeFlows } from "../support/flows.ts";
import {
  authorizationUrl,
  authorize,
  type Grantor,
  introspect,
  pkce,
  post,
  redeem,
  refresh,
  signIn,
  type Tokens,
  userinfo,
} from "../support/grantor.ts";

describeFlows("authorization code", (flow) => {
  let grantor: Grantor;
  beforeAll(() => {
    grantor = flow.grantor;
  });

  it("gives a token that a resource server verifies by itself", async () => {
    const audience = "https://api.example/things";
    await grantor.resource(audience, { name: "Things", scopes: [{ name: "things:read", description: "Read your things" }] });
    const client = await grantor.client({ metadata: { scope: "openid profile things:read" } });
    const person = await grantor.person();
    const { tokens } = await signIn(grantor, client, person, { parameters: { scope: "openid things:read", resource: audience } });

    const keys = createRemoteJWKSet(new URL(`${grantor.url}/.well-known/jwks.json`));
    const { payload, protectedHeader } = await jwtVerify(tokens.access_token, keys, {
      issuer: grantor.url,
      audience,
      typ: "at+jwt",
      algorithms: ["RS256"],
    });
    expect(protectedHeader.alg).toBe("RS256");
    expect(payload).toMatchObject({ sub: person.id, client_id: client.client_id, scope: "things:read" });
    expect(payload).toHaveProperty("jti");
    expect(payload).toHaveProperty("auth_time");
    expect((await userinfo(grantor, tokens.access_token)).status).toBe(401);
  });

  it("serves its access token at userinfo and introspection, and ends it alone on revocation", async () => {
    const client = await grantor.client();
    const person = await grantor.person();
    const { tokens } = await signIn(grantor, client, person, { parameters: { scope: "openid email" } });
    const info = await userinfo(grantor, tokens.access_token);
    expect(info.status).toBe(200);
    expect(await info.json()).toMatchObject({ sub: person.id, email: person.email, email_verified: true });
    const seen = await introspect(grantor, client, tokens.access_token);
    expect(seen).toMatchObject({ active: true, aud: grantor.url, client_id: client.client_id, sub: person.id });
    for (const member of ["iat", "exp", "jti"]) expect(seen).toHaveProperty(member);
    for (const bare of [String(seen.jti)]) {
      expect(await introspect(grantor, client, bare)).toEqual({ active: false });
      expect((await userinfo(grantor, bare)).status).toBe(401);
    }

    expect((await post(`${grantor.url}/oauth/revoke`, client, { token: tokens.access_token })).status).toBe(200);
    expect(await introspect(grantor, client, tokens.access_token)).toEqual({ active: false });
    expect((await userinfo(grantor, tokens.access_token)).status).toBe(401);
    const again = await refresh(grantor, client, tokens.refresh_token as string);
    expect(again.status).toBe(200);
  });

  it("ends everything of a grant when its refresh token is revoked", async () => {
    const client = await grantor.client();
    const { tokens } = await signIn(grantor, client, await grantor.person());
    await post(`${grantor.url}/oauth/revoke`, client, { token: tokens.refresh_token as string });
    expect(await introspect(grantor, client, tokens.access_token)).toEqual({ active: false });
    expect((await refresh(grantor, client, tokens.refresh_token as string)).status).toBe(400);
  });

  it("remembers consent, for this client and no other", async () => {
    const client = await grantor.client();
    const person = await grantor.person();
    const { agent } = await signIn(grantor, client, person);
    const silent = await agent.open(authorizationUrl(grantor.url, client, pkce()));
    expect(new URL(silent.url).searchParams.get("code")).toBeTruthy();
    const elsewhere = await authorize(new Agent(), authorizationUrl(grantor.url, client, pkce()), person, "deny");
    expect(new URL(elsewhere.url).searchParams.get("code")).toBeTruthy();
    const more = await agent.open(authorizationUrl(grantor.url, client, pkce(), { scope: "openid email" }));
    expect(more.text).toContain('name="decision"');
  });

  it("kills what a replayed code gave, and leaves another device of the person alone", async () => {
    const client = await grantor.client();
    const person = await grantor.person();
    const phone = await signIn(grantor, client, person);
    const laptop = await signIn(grantor, client, person);
    const replay = await redeem(grantor, client, laptop.code, laptop.proof);
    expect(replay.status).toBe(400);
    expect(await replay.json()).toMatchObject({ error: "invalid_grant" });
    expect(await introspect(grantor, client, laptop.tokens.access_token)).toEqual({ active: false });
    expect((await refresh(grantor, client, laptop.tokens.refresh_token as string)).status).toBe(400);
    expect((await userinfo(grantor, phone.tokens.access_token)).status).toBe(200);
    expect((await refresh(grantor, client, phone.tokens.refresh_token as string)).status).toBe(200);
  });

  it("answers a repeated refresh once more, until its successor is used", async () => {
    const client = await grantor.client();
    const { tokens } = await signIn(grantor, client, await grantor.person());
    const first = (await (await refresh(grantor, client, tokens.refresh_token as string)).json()) as Tokens;
    const repeated = (await (await refresh(grantor, client, tokens.refresh_token as string)).json()) as Tokens;
    expect(repeated).toEqual(first);
    const next = (await (await refresh(grantor, client, first.refresh_token as string)).json()) as Tokens;
    expect(next.refresh_token).toBeTruthy();
    const theft = await refresh(grantor, client, tokens.refresh_token as string);
    expect(theft.status).toBe(400);
    expect((await refresh(grantor, client, next.refresh_token as string)).status).toBe(400);
    expect(await introspect(grantor, client, next.access_token)).toEqual({ active: false });
  });

  it("ends session-bound tokens at sign-out, and keeps those with offline_access", async () => {
    const client = await grantor.client();
    const person = await grantor.person();
    const bound = await signIn(grantor, client, person);
    const offlineClient = await grantor.client();
    const offline = await signIn(grantor, offlineClient, person, {
      agent: bound.agent,
      parameters: { scope: "openid offline_access", prompt: "consent" },
    });
    const page = await bound.agent.open(`${grantor.url}/oauth/logout`);
    await bound.agent.submit(page, { logout: "yes" });
    expect((await refresh(grantor, client, bound.tokens.refresh_token as string)).status).toBe(400);
    expect((await userinfo(grantor, bound.tokens.access_token)).status).toBe(401);
    expect((await refresh(grantor, offlineClient, offline.tokens.refresh_token as string)).status).toBe(200);
  });

  it("refuses a code with another verifier, and the right one still works", async () => {
    const client = await grantor.client();
    const proof = pkce();
    const end = await authorize(new Agent(), authorizationUrl(grantor.url, client, proof), await grantor.person());
    const code = new URL(end.url).searchParams.get("code") as string;
    expect(new URL(end.url).searchParams.get("iss")).toBe(grantor.url);
    expect((await redeem(grantor, client, code, pkce())).status).toBe(400);
    expect((await redeem(grantor, client, code, proof)).status).toBe(200);
  });
});
