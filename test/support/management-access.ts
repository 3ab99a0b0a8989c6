/** Who may call the management API, and until when: tests for a running suite of test/flows/management-api.test.ts. */
import { expect, it } from "vitest";
import { proofKey } from "./dpop.ts";
import type { Flow } from "./flows.ts";
import { answerOf, type Person, post, type SeededClient, signIn } from "./grantor.ts";
import type { ApiAnswer, ManagementApi } from "./management-api.ts";
import { unique } from "./management-maker.ts";
import { waitFor } from "./wait-for.ts";

const READ = "grantor:roles:read";
const WRITE = "grantor:roles:write";

export function whoMayCall(flow: Flow, api: () => ManagementApi): void {
  const resource = () => `${flow.grantor.url}/api/v1`;
  const ask = async (client: SeededClient, parameters: Record<string, string> = {}) =>
    (
      await answerOf(
        post(`${flow.grantor.url}/oauth/token`, client, {
          grant_type: "client_credentials",
          scope: READ,
          resource: resource(),
          ...parameters,
        }),
      )
    ).body;
  const roles = (token: unknown, headers?: Record<string, string>) =>
    api().call("GET", "/roles", { token: String(token), ...(headers && { headers }) });
  const service = (scopes = [READ, WRITE]) => flow.grantor.client({ type: "service", managementScopes: scopes });
  const asPerson = async (person: Person, client: SeededClient) =>
    (await signIn(flow.grantor, client, person, { parameters: { scope: `openid ${READ} ${WRITE}`, resource: resource() } })).tokens;
  const expectRefusal = (answer: ApiAnswer, status: number, error: string) => {
    expect([answer.status, answer.headers.get("content-type")]).toEqual([status, "application/problem+json; charset=utf-8"]);
    expect(answer.headers.get("www-authenticate")).toContain(`error="${error}"`);
  };

  it("ends with the token: revoked, it opens nothing from then on", async () => {
    const client = await service();
    const { access_token } = await ask(client);
    expect((await roles(access_token)).status).toBe(200);
    await post(`${flow.grantor.url}/oauth/revoke`, client, { token: String(access_token) });
    expectRefusal(await roles(access_token), 401, "invalid_token");
  });

  it("is for tokens of this API alone, in the Authorization header", async () => {
    const audience = `https://${unique("api")}.example`;
    await flow.grantor.resource(audience, { scopes: ["things:read"] });
    const client = await flow.grantor.client({ type: "service", managementScopes: [READ], metadata: { scope: "things:read" } });
    const elsewhere = await waitFor("the server to know the resource", async () => {
      const { access_token } = await ask(client, { resource: audience, scope: "things:read" });
      return access_token;
    });
    expectRefusal(await roles(elsewhere), 401, "invalid_token");
    const { access_token } = await ask(client);
    const without = await api().call("GET", `/roles?access_token=${access_token}`, {
      token: null,
      headers: { Cookie: `token=${access_token}` },
    });
    expect(without.status).toBe(401);
    expectRefusal(await roles(String(access_token).split(".").reverse().join(".")), 401, "invalid_token");
    const malformed = await api().call("GET", "/roles", { token: null, headers: { Authorization: "Bearer a b" } });
    expect(malformed.status).toBe(400);
    expect((await api().call("HEAD", "/roles", { token: String(access_token) })).status).toBe(200);
    // A browser on another site gets no leave, with or without a token.
    const foreign = await roles(access_token, { Origin: "https://evil.example" });
    expect([foreign.status, foreign.headers.get("access-control-allow-origin")]).toEqual([200, null]);
  });

  it("is never the default audience, and nobody gets its scopes who was not given them", async () => {
    const client = await service([READ]);
    expect(await ask(client, { scope: WRITE })).toMatchObject({ error: "invalid_scope" });
    expect(await ask(client, { scope: "openid", resource: flow.grantor.url })).not.toMatchObject({
      scope: expect.stringContaining("grantor:"),
    });
    const stranger = await flow.grantor.client({ type: "service" });
    expect(await ask(stranger)).toMatchObject({ error: "invalid_target" });
    for (const below of ["", "/", "/accounts", "?a=b"])
      await expect(flow.grantor.resource(resource() + below, {})).rejects.toThrow("is a resource of the issuer itself");
  });

  it("ends with the application's right: suspended, or without the scope", async () => {
    const client = await service();
    const { access_token } = await ask(client);
    const { clients } = flow.grantor.services;
    await clients.update(client.client_id, { managementScopes: [WRITE] });
    const refused = await waitFor("the server to hear of it", async () => {
      const answer = await roles(access_token);
      return answer.status === 200 ? undefined : answer;
    });
    expectRefusal(refused, 403, "insufficient_scope");
    expect(refused.headers.get("www-authenticate")).toContain(`scope="${READ}"`);
    await clients.suspend(client.client_id);
    expectRefusal(await roles(access_token), 401, "invalid_token");
  });

  it("gives an application no more than the person's roles permit, as they are now", async () => {
    const client = await flow.grantor.client({ firstParty: true, managementScopes: [READ, WRITE], metadata: { scope: "openid" } });
    const [admin, reader, nobody] = await Promise.all([
      flow.grantor.person({ roles: ["admin"] }),
      flow.grantor.person(),
      flow.grantor.person(),
    ]);
    const name = unique("reader");
    await api().call("POST", "/roles", { body: { name, permissions: [READ] } });
    await api().call("PUT", `/roles/${name}/holders/${reader.id}`);
    const tokens = { admin: await asPerson(admin, client), reader: await asPerson(reader, client), nobody: await asPerson(nobody, client) };
    expect((await roles(tokens.admin.access_token)).status).toBe(200);
    expect((await roles(tokens.reader.access_token)).status).toBe(200);
    expectRefusal(await roles(tokens.nobody.access_token), 403, "insufficient_scope");
    const make = (token: unknown) => api().call("POST", "/roles", { token: String(token), body: { name: unique("role") } });
    expect((await make(tokens.admin.access_token)).status).toBe(201);
    expectRefusal(await make(tokens.reader.access_token), 403, "insufficient_scope");
    await api().call("DELETE", `/roles/${name}/holders/${reader.id}`);
    expectRefusal(await roles(tokens.reader.access_token), 403, "insufficient_scope");
    await flow.grantor.person({ roles: ["admin"] }); // the last administrator stays
    await flow.grantor.services.people.accounts.disable(admin.id);
    const after = await waitFor("the server to hear of it", async () => {
      const answer = await roles(tokens.admin.access_token);
      return answer.status === 200 ? undefined : answer;
    });
    expectRefusal(after, 401, "invalid_token");
  });

  it("lets nobody gain by a role", async () => {
    const token = String((await ask(await service([READ, WRITE]), { scope: `${READ} ${WRITE}` })).access_token);
    const more = await api().call("POST", "/roles", { token, body: { name: unique("role"), permissions: ["grantor:keys:write"] } });
    expect([more.status, more.body.type]).toEqual([403, `${flow.grantor.url}/api/problems/forbidden`]);
    const { id } = await flow.grantor.person();
    expect((await api().call("PUT", `/roles/admin/holders/${id}`, { token })).status).toBe(403);
    const weaker = await api().call("PATCH", "/roles/admin", {
      token,
      headers: { "If-Match": "*" },
      body: { require_second_factor: false },
    });
    expect(weaker.status).toBe(403);
    expect((await api().call("POST", "/roles", { token, body: { name: unique("role"), permissions: ["orders:read", READ] } })).status).toBe(
      201,
    );
  });

  it("takes a bound token with a proof of its key, each proof once", async () => {
    const client = await flow.grantor.client({ type: "service", managementScopes: [READ], metadata: { dpop_bound_access_tokens: true } });
    const key = await proofKey();
    const endpoint = `${flow.grantor.url}/oauth/token`;
    const parameters = { grant_type: "client_credentials", scope: READ, resource: resource() };
    const first = await post(endpoint, client, parameters, { DPoP: await key.prove("POST", endpoint) });
    const nonce = first.headers.get("dpop-nonce") ?? undefined;
    const { access_token } = (await answerOf(post(endpoint, client, parameters, { DPoP: await key.prove("POST", endpoint, { nonce }) })))
      .body;
    const accessToken = String(access_token);
    const url = `${resource()}/roles`;
    const call = (headers: Record<string, string>) =>
      api().call("GET", "/roles", { token: null, headers: { Authorization: `DPoP ${accessToken}`, ...headers } });

    expectRefusal(await roles(accessToken), 401, "invalid_token");
    expectRefusal(await call({}), 401, "invalid_dpop_proof");
    const told = await call({ DPoP: await key.prove("GET", url, { accessToken }) });
    expectRefusal(told, 401, "use_dpop_nonce");
    const own = told.headers.get("dpop-nonce") ?? "";
    const proof = await key.prove("GET", url, { accessToken, nonce: own });
    const answers = await Promise.all([call({ DPoP: proof }), call({ DPoP: proof })]);
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 401]);
    const elsewhere = await key.prove("GET", `${resource()}/keys`, { accessToken, nonce: own });
    expectRefusal(await call({ DPoP: elsewhere }), 401, "invalid_dpop_proof");
    const foreign = await (await proofKey()).prove("GET", url, { accessToken, nonce: own });
    expectRefusal(await call({ DPoP: foreign }), 401, "invalid_token");
    const unbound = await api().token([READ]);
    const asBound = await api().call("GET", "/roles", { token: null, headers: { Authorization: `DPoP ${unbound}` } });
    expectRefusal(asBound, 401, "invalid_token");
  });

  it("is described for everybody: the document, its page, what problems mean", async () => {
    const { url } = flow.grantor;
    const document = await fetch(`${url}/api/openapi.json`);
    const tag = document.headers.get("etag") as string;
    expect([document.status, document.headers.get("content-type")]).toEqual([200, "application/json; charset=utf-8"]);
    expect((await fetch(`${url}/api/openapi.json`, { headers: { "If-None-Match": tag } })).status).toBe(304);
    const page = await fetch(`${url}/api`, { headers: { Accept: "text/html" } });
    expect([page.status, await page.text()]).toEqual([200, expect.stringContaining("/api/v1/roles/{name}")]);
    const { body } = await api().call("GET", "/nothing");
    const problem = await fetch(body.type, { headers: { Accept: "text/html" } });
    expect([problem.status, await problem.text()]).toEqual([200, expect.stringContaining(body.title)]);
    for (const path of ["/api/", "/API", "/api/problems/nothing", "/api/v1x", "/api/openapi.json/", "/api//v1/roles"])
      expect([path, (await fetch(url + path)).status]).toEqual([path, 404]);
  });
}
