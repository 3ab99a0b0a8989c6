/** RFC 6749 §4.4: tokens for applications themselves, without a person. */
import { createRemoteJWKSet, jwtVerify } from "jose";
import { expect, it } from "vitest";
import { describeFlows } from "../support/flows.ts";
import { answerOf, introspect, post, type SeededClient, type Tokens, userinfo } from "../support/grantor.ts";

const AUDIENCE = "https://api.example/reports";

describeFlows("client credentials", (flow) => {
  const ask = (client: SeededClient, parameters: Record<string, string> = {}) =>
    post(`${flow.grantor.url}/oauth/token`, client, { grant_type: "client_credentials", ...parameters });
  const tokenOf = async (client: SeededClient, parameters: Record<string, string> = {}) => {
    const response = await ask(client, parameters);
    expect(response.status).toBe(200);
    expect(response.headers.get("Cache-Control")).toBe("no-store");
    return (await response.json()) as Tokens;
  };
  const verify = (token: string, audience: string) =>
    jwtVerify(token, createRemoteJWKSet(new URL(`${flow.grantor.url}/.well-known/jwks.json`)), {
      issuer: flow.grantor.url,
      audience,
      typ: "at+jwt",
    });

  it("gives an access token for a resource, and nothing of a person", async () => {
    await flow.grantor.resource(AUDIENCE, { scopes: ["reports:read", "reports:write"] });
    const client = await flow.grantor.client({ type: "service", metadata: { scope: "reports:read reports:write" } });
    const tokens = await tokenOf(client, { resource: AUDIENCE, scope: "reports:read" });
    expect(tokens).toEqual({ access_token: expect.any(String), expires_in: 900, token_type: "Bearer", scope: "reports:read" });
    const { payload } = await verify(tokens.access_token, AUDIENCE);
    expect(payload).toMatchObject({ sub: client.client_id, client_id: client.client_id, scope: "reports:read", aud: AUDIENCE });
    for (const member of ["auth_time", "acr", "roles", "sid"]) expect(payload).not.toHaveProperty(member);
    expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBe(900);
  });

  it("is for the issuer itself without a resource, and opens no userinfo", async () => {
    const client = await flow.grantor.client({ type: "service" });
    const tokens = await tokenOf(client, { scope: "openid" });
    const { payload } = await verify(tokens.access_token, flow.grantor.url);
    expect(payload.aud).toBe(flow.grantor.url);
    const answer = await userinfo(flow.grantor, tokens.access_token);
    expect(answer.status).toBe(401);
    expect(answer.headers.get("WWW-Authenticate")).toContain('error="invalid_token"');
  });

  it("is known to introspection until it is revoked", async () => {
    const client = await flow.grantor.client({ type: "service" });
    const { access_token } = await tokenOf(client);
    const seen = await introspect(flow.grantor, client, access_token);
    expect(seen).toMatchObject({
      active: true,
      client_id: client.client_id,
      aud: flow.grantor.url,
      iss: flow.grantor.url,
      token_type: "Bearer",
    });
    for (const member of ["iat", "exp", "jti"]) expect(seen).toHaveProperty(member);
    const other = await tokenOf(client);
    expect((await post(`${flow.grantor.url}/oauth/revoke`, client, { token: access_token })).status).toBe(200);
    expect(await introspect(flow.grantor, client, access_token)).toEqual({ active: false });
    expect(await introspect(flow.grantor, client, other.access_token)).toMatchObject({ active: true });
  });

  it("refuses scopes and resources that the client is not registered for", async () => {
    const audience = "https://api.example/secret-reports";
    await flow.grantor.resource(audience, { scopes: ["secret:read", "secret:write"] });
    const client = await flow.grantor.client({ type: "service", metadata: { scope: "secret:read" } });
    const stranger = await flow.grantor.client({ type: "service" });
    expect(await answerOf(ask(stranger, { resource: audience, scope: "secret:read" }))).toMatchObject({
      status: 400,
      body: { error: "invalid_target" },
    });
    expect(await answerOf(ask(client, { resource: audience, scope: "secret:write" }))).toMatchObject({
      status: 400,
      body: { error: "invalid_scope" },
    });
    expect(await answerOf(ask(client, { scope: "secret:read" }))).toMatchObject({ status: 400, body: { error: "invalid_scope" } });
    expect(await answerOf(ask(client, { resource: "https://nobody.example" }))).toMatchObject({
      status: 400,
      body: { error: "invalid_target" },
    });
    const cut = await tokenOf(client, { resource: audience, scope: "secret:read" });
    expect(cut.scope).toBe("secret:read");
  });

  it("refuses clients that are not registered for the grant, or prove nothing", async () => {
    const web = await flow.grantor.client();
    expect(await answerOf(ask(web))).toMatchObject({ status: 400, body: { error: "unauthorized_client" } });
    const spa = await flow.grantor.client({ type: "spa" });
    expect(await answerOf(ask(spa))).toMatchObject({ status: 400, body: { error: "unauthorized_client" } });
    const service = await flow.grantor.client({ type: "service" });
    for (const secret of ["wrong", `${service.client_secret}x`, (service.client_secret as string).slice(1), "%00"]) {
      const refused = await ask({ ...service, client_secret: secret });
      expect(refused.status).toBe(secret === "%00" ? 400 : 401);
      if (refused.status === 401) expect(refused.headers.get("WWW-Authenticate")).toMatch(/^Basic /);
    }
    const without = { client_id: service.client_id, redirect_uri: "" };
    expect(await answerOf(ask(without))).toMatchObject({ status: 401, body: { error: "invalid_client" } });
    const twice = { client_secret: service.client_secret as string };
    expect(await answerOf(ask(service, twice))).toMatchObject({ status: 400, body: { error: "invalid_request" } });
    expect(await answerOf(ask({ ...service, client_id: "nobody" }))).toMatchObject({ status: 401, body: { error: "invalid_client" } });
    await expect(flow.grantor.client({ type: "service", metadata: { token_endpoint_auth_method: "none" } })).rejects.toThrow(
      "client_credentials",
    );
  });

  it("ends with the secret that it was asked with, and with the client", async () => {
    const client = await flow.grantor.client({ type: "service" });
    const { access_token } = await tokenOf(client);
    const { secret } = await flow.grantor.services.clients.rotateSecret(client.client_id);
    await expect.poll(async () => (await ask(client)).status).toBe(401);
    const renewed = { ...client, client_secret: secret };
    expect((await ask(renewed)).status).toBe(200);
    expect(await introspect(flow.grantor, renewed, access_token)).toMatchObject({ active: true });
    const resourceServer = await flow.grantor.client({ type: "service", metadata: { scope: "doomed:read" } });
    const audience = "https://api.example/doomed";
    await flow.grantor.resource(audience, { scopes: ["doomed:read"], introspectors: [resourceServer.client_id] });
    const doomed = await flow.grantor.client({ type: "service", metadata: { scope: "doomed:read" } });
    const orphan = await tokenOf(doomed, { resource: audience });
    expect(await introspect(flow.grantor, resourceServer, orphan.access_token)).toMatchObject({ active: true });
    await flow.grantor.services.clients.delete(doomed.client_id);
    await expect.poll(() => introspect(flow.grantor, resourceServer, orphan.access_token)).toEqual({ active: false });
  });
});
