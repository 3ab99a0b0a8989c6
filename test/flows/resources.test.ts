/** RFC 8707: every token is for one resource server, with the scopes that the client is registered for there. */
import { createRemoteJWKSet, decodeProtectedHeader, jwtVerify } from "jose";
import { beforeAll, expect, it } from "vitest";
import { Agent } from "../support/agent.ts";
import { describeFlows } from "../support/flows.ts";
import {
  answerOf,
  authorizationUrl,
  authorize,
  introspect,
  type Pkce,
  pkce,
  post,
  redeem,
  refresh,
  type SeededClient,
  signIn,
  type Tokens,
  userinfo,
} from "../support/grantor.ts";

const MAIL = "https://mail.example/api";
const FILES = "https://files.example/api";

describeFlows("resource indicators", (flow) => {
  beforeAll(async () => {
    await flow.grantor.resource(MAIL, { name: "Mail", scopes: [{ name: "mail:read", description: "Read your mail" }, "mail:send"] });
    await flow.grantor.resource(FILES, {
      name: "Files",
      scopes: [{ name: "files:read", description: "Read your files" }],
      includeRoles: true,
    });
  });
  const verify = async (token: string, audience: string, alg = "RS256") => {
    const keys = createRemoteJWKSet(new URL(`${flow.grantor.url}/.well-known/jwks.json`));
    return (await jwtVerify(token, keys, { issuer: flow.grantor.url, audience, typ: "at+jwt", algorithms: [alg] })).payload;
  };
  const urlFor = (client: SeededClient, proof: Pkce, scope: string, resources: string[]) =>
    `${authorizationUrl(flow.grantor.url, client, proof, { scope })}${resources.map((each) => `&resource=${encodeURIComponent(each)}`).join("")}`;
  const tokenOf = async (response: Promise<Response>): Promise<Tokens> => {
    const { status, body } = await answerOf(response);
    expect([status, body]).toEqual([200, expect.objectContaining({ access_token: expect.any(String) })]);
    return body as unknown as Tokens;
  };

  it("gives one sign-in tokens for several resources, one each", async () => {
    const client = await flow.grantor.client({ metadata: { scope: "openid mail:read files:read" } });
    const person = await flow.grantor.person({ roles: ["editor"] });
    const proof = pkce();
    const agent = new Agent();
    const login = await agent.open(urlFor(client, proof, "openid mail:read mail:send files:read", [MAIL, FILES]));
    const consent = await agent.submit(login, { email: person.email, password: person.password });
    for (const words of ["Read your mail", "Read your files", "Mail", "Files"]) expect(consent.text).toContain(words);
    expect(consent.text).not.toContain("mail:send"); // the client is not registered for it
    const end = await agent.submit(consent, { decision: "allow" }, consent.forms.length - 1);
    const code = new URL(end.url).searchParams.get("code") as string;

    expect(await answerOf(redeem(flow.grantor, client, code, proof))).toMatchObject({ status: 400, body: { error: "invalid_target" } });
    const redeemAt = (resource: string) =>
      post(`${flow.grantor.url}/oauth/token`, client, {
        grant_type: "authorization_code",
        code,
        redirect_uri: client.redirect_uri,
        code_verifier: proof.verifier,
        resource,
      });
    expect(await answerOf(redeemAt("https://nobody.example"))).toMatchObject({ status: 400, body: { error: "invalid_target" } });
    const mail = await tokenOf(redeemAt(MAIL));
    expect(mail.scope).toBe("mail:read");
    expect(mail.id_token).toBeDefined();
    const claims = await verify(mail.access_token, MAIL);
    expect(claims).toMatchObject({ sub: person.id, scope: "mail:read" });
    expect(claims).not.toHaveProperty("roles");
    await expect(verify(mail.access_token, FILES)).rejects.toThrow("aud");

    const files = await tokenOf(refresh(flow.grantor, client, mail.refresh_token as string, { resource: FILES }));
    expect(await verify(files.access_token, FILES)).toMatchObject({ scope: "files:read", roles: ["editor"] });
    const elsewhere = refresh(flow.grantor, client, files.refresh_token as string, { resource: "https://nobody.example" });
    expect(await answerOf(elsewhere)).toMatchObject({ status: 400, body: { error: "invalid_target" } });
    const both: [string, string][] = [
      ["grant_type", "refresh_token"],
      ["refresh_token", files.refresh_token as string],
      ["resource", MAIL],
      ["resource", FILES],
    ];
    expect(await answerOf(post(`${flow.grantor.url}/oauth/token`, client, both))).toMatchObject({
      status: 400,
      body: { error: "invalid_target" },
    });
    expect((await refresh(flow.grantor, client, files.refresh_token as string, { resource: MAIL })).status).toBe(200);
    for (const token of [mail.access_token, files.access_token]) expect((await userinfo(flow.grantor, token)).status).toBe(401);
  });

  it("is the issuer without a wish, and can be named so", async () => {
    const client = await flow.grantor.client();
    const person = await flow.grantor.person();
    const plain = await signIn(flow.grantor, client, person);
    expect(await verify(plain.tokens.access_token, flow.grantor.url)).toMatchObject({ aud: flow.grantor.url, scope: "openid" });
    const named = await signIn(flow.grantor, client, person, { parameters: { resource: flow.grantor.url } });
    expect((await verify(named.tokens.access_token, flow.grantor.url)).aud).toBe(flow.grantor.url);
    expect((await userinfo(flow.grantor, named.tokens.access_token)).status).toBe(200);
  });

  it("serves the issuer beside another resource: userinfo by default, the other when named", async () => {
    const client = await flow.grantor.client({ metadata: { scope: "openid email mail:read" } });
    const person = await flow.grantor.person();
    const proof = pkce();
    const end = await authorize(new Agent(), urlFor(client, proof, "openid email mail:read", [flow.grantor.url, MAIL]), person);
    const first = await tokenOf(redeem(flow.grantor, client, new URL(end.url).searchParams.get("code") as string, proof));
    expect(first.scope).toBe("openid email");
    expect(await (await userinfo(flow.grantor, first.access_token)).json()).toMatchObject({ email: person.email });
    const second = await tokenOf(refresh(flow.grantor, client, first.refresh_token as string, { resource: MAIL }));
    expect(await verify(second.access_token, MAIL)).toMatchObject({ scope: "mail:read" });
  });

  it("refuses what is unknown, malformed, or not for this client, at the application", async () => {
    const client = await flow.grantor.client({ metadata: { scope: "openid mail:read" } });
    for (const resource of [
      "https://nobody.example",
      FILES,
      "not-a-uri",
      `${MAIL}#fragment`,
      `${MAIL}/`,
      `${flow.grantor.url}/api/v1`,
      `${flow.grantor.url}/`,
    ]) {
      const page = await new Agent().open(urlFor(client, pkce(), "openid mail:read", [resource]));
      const answer = new URL(page.url).searchParams;
      expect([resource, answer.get("error"), answer.get("iss")]).toEqual([resource, "invalid_target", flow.grantor.url]);
    }
    const { tokens } = await signIn(flow.grantor, client, await flow.grantor.person());
    const unasked = refresh(flow.grantor, client, tokens.refresh_token as string, { resource: MAIL });
    expect(await answerOf(unasked)).toMatchObject({ status: 400, body: { error: "invalid_target" } });
  });

  it("gives management scopes only to whom an operator gave them", async () => {
    const audience = `${flow.grantor.url}/api/v1`;
    const ask = (client: SeededClient, scope: string) =>
      answerOf(post(`${flow.grantor.url}/oauth/token`, client, { grant_type: "client_credentials", resource: audience, scope }));
    const claimed = await flow.grantor.client({
      type: "service",
      metadata: { scope: "clients:read", management_scopes: ["clients:read"] },
    });
    expect(await ask(claimed, "clients:read")).toMatchObject({ status: 400, body: { error: "invalid_target" } });
    const given = await flow.grantor.client({ type: "service", managementScopes: ["clients:read"] });
    const answer = await ask(given, "clients:read clients:write");
    expect(answer).toMatchObject({ status: 200, body: { scope: "clients:read" } });
    expect(await verify(String(answer.body.access_token), audience)).toMatchObject({ scope: "clients:read" });
    const { body } = await answerOf(post(`${flow.grantor.url}/oauth/token`, given, { grant_type: "client_credentials" }));
    expect((await verify(String(body.access_token), flow.grantor.url)).aud).toBe(flow.grantor.url);
  });

  it("gives a person's token only the management scopes that their roles permit, and asks for no others", async () => {
    const audience = `${flow.grantor.url}/api/v1`;
    const managementScopes = ["grantor:accounts:read", "grantor:accounts:write"];
    const client = await flow.grantor.client({ managementScopes });
    const firstParty = await flow.grantor.client({ managementScopes, firstParty: true });
    const scope = `openid ${managementScopes.join(" ")}`;
    await flow.grantor.services.people.roles.create("support", { permissions: ["grantor:accounts:read"] });
    const cases = [
      { roles: [], given: "" },
      { roles: ["support"], given: "grantor:accounts:read" },
      { roles: ["admin"], given: managementScopes.join(" ") },
    ];
    for (const { roles, given } of cases) {
      const person = await flow.grantor.person({ roles });
      const agent = new Agent();
      const login = await agent.open(authorizationUrl(flow.grantor.url, client, pkce(), { scope, resource: audience }));
      const consent = await agent.submit(login, { email: person.email, password: person.password });
      for (const each of managementScopes) expect([roles, each, consent.text.includes(each)]).toEqual([roles, each, given.includes(each)]);
      for (const each of [client, firstParty]) {
        const { tokens } = await signIn(flow.grantor, each, person, { parameters: { scope, resource: audience } });
        expect((await verify(tokens.access_token, audience)).scope ?? "").toBe(given);
        const { body } = await answerOf(refresh(flow.grantor, each, tokens.refresh_token as string));
        expect((await verify(String(body.access_token), audience)).scope ?? "").toBe(given);
      }
    }
  });

  it("makes a token for one resource useless at the other", async () => {
    const [mailServer, fileServer] = [await flow.grantor.client({ type: "service" }), await flow.grantor.client({ type: "service" })];
    const scopes = { a: "https://a.example", b: "https://b.example" };
    await flow.grantor.resource(scopes.a, { scopes: ["a:do"], introspectors: [mailServer.client_id] });
    await flow.grantor.resource(scopes.b, { scopes: ["b:do"], introspectors: [fileServer.client_id] });
    const client = await flow.grantor.client({ metadata: { scope: "openid a:do b:do" } });
    const { tokens } = await signIn(flow.grantor, client, await flow.grantor.person(), {
      parameters: { scope: "openid a:do b:do", resource: scopes.a },
    });
    expect(tokens.scope).toBe("a:do");
    expect(await introspect(flow.grantor, mailServer, tokens.access_token)).toMatchObject({ active: true, aud: scopes.a, scope: "a:do" });
    expect(await introspect(flow.grantor, fileServer, tokens.access_token)).toEqual({ active: false });
    await expect(verify(tokens.access_token, scopes.b)).rejects.toThrow("aud");
    expect((await userinfo(flow.grantor, tokens.access_token)).status).toBe(401);
  });

  it.each(["ES256", "PS256", "EdDSA", "RS256"])("signs with the algorithm of the resource, %s, for as long as it says", async (alg) => {
    const audience = `https://${alg.toLowerCase()}.example`;
    const scope = `${alg}:use`;
    await flow.grantor.resource(audience, { scopes: [scope], signingAlg: alg, accessTokenTtl: 77 });
    const client = await flow.grantor.client({
      metadata: { scope: `openid ${scope}`, grant_types: ["authorization_code", "refresh_token", "client_credentials"] },
    });
    const { tokens } = await signIn(flow.grantor, client, await flow.grantor.person(), {
      parameters: { scope: `openid ${scope}`, resource: audience },
    });
    expect(tokens.expires_in).toBe(77);
    expect(decodeProtectedHeader(tokens.access_token)).toMatchObject({ alg, typ: "at+jwt", kid: expect.any(String) });
    const claims = await verify(tokens.access_token, audience, alg);
    expect((claims.exp ?? 0) - (claims.iat ?? 0)).toBe(77);
    expect(await introspect(flow.grantor, client, tokens.access_token)).toMatchObject({
      active: true,
      exp: claims.exp,
      iat: claims.iat,
      aud: audience,
    });
    const refreshed = await tokenOf(refresh(flow.grantor, client, tokens.refresh_token as string));
    expect(refreshed.expires_in).toBe(77);
    await verify(refreshed.access_token, audience, alg);
    const own = await tokenOf(
      post(`${flow.grantor.url}/oauth/token`, client, { grant_type: "client_credentials", resource: audience, scope }),
    );
    await verify(own.access_token, audience, alg);
    await flow.later(78, async () => expect(await introspect(flow.grantor, client, tokens.access_token)).toEqual({ active: false }));
    expect((await post(`${flow.grantor.url}/oauth/revoke`, client, { token: tokens.access_token })).status).toBe(200);
    expect(await introspect(flow.grantor, client, tokens.access_token)).toEqual({ active: false });
    expect(await introspect(flow.grantor, client, refreshed.access_token)).toMatchObject({ active: true });
  });

  it("tells roles only where they were asked for or the resource wants them", async () => {
    const client = await flow.grantor.client({ metadata: { scope: "openid roles mail:read" } });
    const person = await flow.grantor.person({ roles: ["admin-of-something"] });
    const without = await signIn(flow.grantor, client, person);
    expect(await verify(without.tokens.access_token, flow.grantor.url)).not.toHaveProperty("roles");
    const asked = await signIn(flow.grantor, client, person, { parameters: { scope: "openid roles" } });
    expect(await verify(asked.tokens.access_token, flow.grantor.url)).toMatchObject({ roles: ["admin-of-something"] });
    expect(await (await userinfo(flow.grantor, asked.tokens.access_token)).json()).toMatchObject({ roles: ["admin-of-something"] });
    const refreshed = await tokenOf(refresh(flow.grantor, client, asked.tokens.refresh_token as string));
    expect(await verify(refreshed.access_token, flow.grantor.url)).toMatchObject({ roles: ["admin-of-something"] });
  });

  it("ends with its registration", async () => {
    const audience = "https://short-lived.example";
    await flow.grantor.resource(audience, { scopes: ["short:use"] });
    const client = await flow.grantor.client({ metadata: { scope: "openid short:use" } });
    const { tokens } = await signIn(flow.grantor, client, await flow.grantor.person(), {
      parameters: { scope: "openid short:use", resource: audience },
    });
    await flow.grantor.services.resources.delete(audience);
    const again = async () => answerOf(refresh(flow.grantor, client, tokens.refresh_token as string));
    await expect.poll(again).toMatchObject({ status: 400, body: { error: "invalid_target" } });
  });
});
