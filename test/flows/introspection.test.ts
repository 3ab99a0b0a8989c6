/** RFC 7662: who may ask about which token, and what they hear. */
import { decodeJwt } from "jose";
import { expect, it } from "vitest";
import { describeFlows } from "../support/flows.ts";
import { answerOf, introspect, post, refresh, type SeededClient, signIn, type Tokens, userinfo } from "../support/grantor.ts";

const INACTIVE = { active: false };

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
