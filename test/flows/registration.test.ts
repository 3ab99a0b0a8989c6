/** RFC 7591 and RFC 7592 where registration takes an initial access token: what an application registers, and how it manages that. */
import * as oidc from "openid-client";
import { expect, it } from "vitest";
import { Agent } from "../support/agent.ts";
import { describeFlows } from "../support/flows.ts";
import { answerOf, authorizationUrl, introspect, pkce, post, signIn } from "../support/grantor.ts";
import { CALLBACK, manage, type Registered, seeded, send, WEB } from "../support/registered-clients.ts";

describeFlows("registration with an initial access token", (flow) => {
  const initial = async (options: { uses?: number; expires?: number } = {}) =>
    (await flow.grantor.services.registrationTokens.createInitial(options)).token;
  const register = async (metadata: Record<string, unknown> = WEB): Promise<Registered> => {
    const { status, body } = await answerOf(send(flow, metadata, await initial()));
    expect([status, body]).toEqual([201, expect.anything()]);
    return body as Registered;
  };
  const refused = async (metadata: Record<string, unknown>, error: string) => {
    const { status, body } = await answerOf(send(flow, { ...WEB, ...metadata }, await initial()));
    expect([metadata, status, body.error]).toEqual([metadata, 400, error]);
    return String(body.error_description);
  };

  it("registers a client that works", async () => {
    const response = await send(flow, WEB, await initial());
    expect(response.status).toBe(201);
    expect(response.headers.get("Cache-Control")).toBe("no-store");
    const client = (await response.json()) as Registered;
    expect(client).toMatchObject({
      ...WEB,
      client_secret: expect.stringMatching(/^[\w-]{43}$/),
      client_secret_expires_at: 0,
      client_id_issued_at: expect.any(Number),
      token_endpoint_auth_method: "client_secret_basic",
      response_types: ["code"],
      application_type: "web",
      registration_client_uri: `${flow.grantor.url}/oauth/register/${client.client_id}`,
    });
    for (const member of ["require_pkce", "first_party", "verified", "require_second_factor", "management_scopes", "grantor_scopes"])
      expect(client).not.toHaveProperty(member);
    const { tokens } = await signIn(flow.grantor, seeded(client), await flow.grantor.person());
    expect(tokens.refresh_token).toBeDefined();
  });

  it("is understood by openid-client", async () => {
    const token = await initial();
    const customFetch: oidc.CustomFetch = (url, options) =>
      fetch(url, {
        ...options,
        headers: { ...options.headers, ...(options.method === "POST" && { Authorization: `Bearer ${token}` }) },
      } as RequestInit);
    const config = await oidc.dynamicClientRegistration(new URL(flow.grantor.url), WEB, undefined, {
      execute: [oidc.allowInsecureRequests],
      [oidc.customFetch]: customFetch,
    });
    expect(config.clientMetadata().client_secret).toBeDefined();
  });

  it("wants a token that is alive", async () => {
    const token = await initial({ expires: 60 });
    const used = await initial({ uses: 1 });
    expect((await send(flow, WEB, used)).status).toBe(201);
    const { registration_access_token } = await register();
    for (const wrong of [undefined, "nonsense", used, registration_access_token, `${token}x`]) {
      const answer = await send(flow, WEB, wrong);
      expect(answer.status).toBe(401);
      expect(answer.headers.get("WWW-Authenticate")).toMatch(/^Bearer /);
    }
    await flow.later(61, async () => expect((await send(flow, WEB, token)).status).toBe(401));
    expect((await send(flow, { ...WEB, redirect_uris: ["http://evil.example/"] }, token)).status).toBe(400);
    expect((await send(flow, WEB, token)).status).toBe(201);
  });

  it("gives as many registrations as the token has uses, however many come at once", async () => {
    const token = await initial({ uses: 3 });
    const answers = await Promise.all(Array.from({ length: 20 }, () => answerOf(send(flow, WEB, token))));
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(3);
    expect(answers.filter(({ status, body }) => status === 401 && body.error === "invalid_token")).toHaveLength(17);
    const failing = await initial({ uses: 1 });
    expect((await send(flow, { ...WEB, redirect_uris: [] }, failing)).status).toBe(400); // costs no use
    expect((await send(flow, WEB, failing)).status).toBe(201);
  });

  it("shows the secret once", async () => {
    const client = await register();
    const read = await answerOf(manage(client, "GET"));
    expect(read.status).toBe(200);
    expect(read.body).toMatchObject({ ...WEB, client_id: client.client_id });
    expect(read.body).not.toHaveProperty("client_secret");
    const text = JSON.stringify(read.body);
    expect(text).not.toContain(client.client_secret);
    for (const member of ["require_pkce", "first_party", "verified", "require_second_factor", "management_scopes", "grantor_scopes"])
      expect(read.body).not.toHaveProperty(member);
  });

  it("keeps the secret through updates, and replaces the rest", async () => {
    const client = await register({ ...WEB, client_uri: "https://app.example/" });
    const { body: updated } = await answerOf(manage(client, "PUT", { ...WEB, client_id: client.client_id, client_name: "Renamed" }));
    expect(updated).toMatchObject({ client_name: "Renamed" });
    expect(updated).not.toHaveProperty("client_secret");
    expect(updated).not.toHaveProperty("client_uri");
    await signIn(flow.grantor, seeded(client), await flow.grantor.person()); // by the secret of the registration

    const next = { ...client, registration_access_token: String(updated.registration_access_token) };
    expect(next.registration_access_token).not.toBe(client.registration_access_token);
    expect((await manage(client, "GET")).status).toBe(401); // the old token is gone
    const repeated = await answerOf(manage(next, "PUT", { ...WEB, client_id: client.client_id, client_secret: client.client_secret }));
    expect(repeated.status).toBe(200);
    const again = { ...client, registration_access_token: String(repeated.body.registration_access_token) };
    const wrong = await answerOf(manage(again, "PUT", { ...WEB, client_id: client.client_id, client_secret: "not-its-secret" }));
    expect(wrong).toMatchObject({ status: 400, body: { error: "invalid_request" } });
    expect((await manage(again, "GET")).status).toBe(200);
    await signIn(flow.grantor, seeded(client), await flow.grantor.person());
  });

  it("takes the secret away from a client that becomes public, and makes another when it goes back", async () => {
    const client = await register();
    const publicly = { ...WEB, client_id: client.client_id, token_endpoint_auth_method: "none" };
    const { body: open } = await answerOf(manage(client, "PUT", publicly));
    expect(open).toMatchObject({ token_endpoint_auth_method: "none" });
    expect(open).not.toHaveProperty("client_secret");
    await signIn(flow.grantor, { client_id: client.client_id, redirect_uri: CALLBACK }, await flow.grantor.person());
    const opened = { ...client, registration_access_token: String(open.registration_access_token) };
    const { body: closed } = await answerOf(manage(opened, "PUT", { ...WEB, client_id: client.client_id }));
    expect(closed.client_secret).toMatch(/^[\w-]{43}$/);
    expect(closed.client_secret).not.toBe(client.client_secret);
    const { client_id } = client;
    await signIn(
      flow.grantor,
      { client_id, redirect_uri: CALLBACK, client_secret: String(closed.client_secret) },
      await flow.grantor.person(),
    );
    const old = await post(`${flow.grantor.url}/oauth/introspect`, seeded(client), { token: "x" });
    expect(old.status).toBe(401);
  });

  it("lets a client manage itself alone", async () => {
    const client = await register();
    const other = await register();
    const crossed = { ...other, registration_access_token: client.registration_access_token };
    expect((await manage(crossed, "GET")).status).toBe(401);
    const another = await register();
    for (const token of ["x", await initial(), ""]) {
      for (const method of ["GET", "PUT", "DELETE"]) {
        const answer = await manage(another, method, method === "PUT" ? { ...WEB, client_id: another.client_id } : undefined, token);
        expect([400, 401]).toContain(answer.status);
      }
    }
    const unknown = { ...another, registration_client_uri: `${flow.grantor.url}/oauth/register/nobody` };
    expect((await manage(unknown, "GET")).status).toBe(401);
    const { status, body } = await answerOf(manage(other, "PUT", { ...WEB, client_id: another.client_id }));
    expect([status, body.error]).toEqual([400, "invalid_request"]);
  });

  it("ends with what it gave when it is deleted", async () => {
    const client = await register();
    const bystander = await flow.grantor.client({ type: "service" });
    await flow.grantor.resource("https://watched.example", { scopes: [], introspectors: [bystander.client_id] });
    const { tokens } = await signIn(flow.grantor, seeded(client), await flow.grantor.person(), {
      parameters: { resource: "https://watched.example" },
    });
    expect(await introspect(flow.grantor, bystander, tokens.access_token)).toMatchObject({ active: true });
    expect((await manage(client, "DELETE")).status).toBe(204);
    expect(await introspect(flow.grantor, bystander, tokens.access_token)).toEqual({ active: false });
    expect((await manage(client, "GET")).status).toBe(401);
    const page = await new Agent().open(authorizationUrl(flow.grantor.url, seeded(client), pkce()));
    expect([page.status, page.text.includes("invalid_client")]).toEqual([400, true]);
  });

  it("takes nothing that only an operator may say", async () => {
    const claims = {
      ...{
        require_pkce: false,
        first_party: true,
        verified: true,
        management_scopes: ["clients:write"],
        grantor_scopes: ["clients:write"],
      },
      ...{ createdBy: "operator", client_id: "chosen-by-itself", client_secret: "chosen-by-itself" },
    };
    await refused({ software_statement: "e30.eyJmaXJzdF9wYXJ0eSI6dHJ1ZX0." }, "unapproved_software_statement");
    const client = await register({ ...WEB, ...claims });
    for (const member of Object.keys(claims).filter((name) => name !== "client_id" && name !== "client_secret"))
      expect(client).not.toHaveProperty(member);
    expect(client.client_id).not.toBe("chosen-by-itself");
    expect(client.client_secret).not.toBe("chosen-by-itself");
    const stored = await flow.stored.client(client.client_id);
    expect(stored).toMatchObject({
      requirePkce: true,
      firstParty: false,
      verified: false,
      managementScopes: [],
      createdBy: "initial_access_token",
    });
    await manage(client, "PUT", { ...WEB, ...claims, client_id: client.client_id, client_secret: client.client_secret });
    await expect
      .poll(() => flow.stored.client(client.client_id))
      .toMatchObject({ requirePkce: true, firstParty: false, managementScopes: [] });
    const query = { client_id: client.client_id, redirect_uri: CALLBACK, response_type: "code", scope: "openid", nonce: "n" };
    const page = await new Agent().open(`${flow.grantor.url}/oauth/authorize?${new URLSearchParams(query)}`);
    expect(new URL(page.url).searchParams.get("error")).toBe("invalid_request");
  });

  it("lets a client bind its tokens to a key, and say how introspection is signed", async () => {
    const own = { dpop_bound_access_tokens: true, introspection_signed_response_alg: "ES256" };
    const client = await register({ ...WEB, ...own });
    expect(client).toMatchObject(own);
    expect((await answerOf(manage(client, "GET"))).body).toMatchObject(own);
    expect(await register()).toMatchObject({ dpop_bound_access_tokens: false, introspection_signed_response_alg: "RS256" });
  });

  it("keeps what an operator vouched for from a client that would become another", async () => {
    const client = await register();
    await flow.grantor.services.clients.update(client.client_id, { verified: true, firstParty: true });
    const { registration_access_token, registration_client_uri, client_id_issued_at, client_secret_expires_at, ...own } = client;
    const bank = { ...own, client_name: "Your Bank", redirect_uris: ["https://evil.example/callback"] };
    const { status, body } = await answerOf(manage(client, "PUT", bank));
    expect([status, body.error]).toEqual([400, "invalid_client_metadata"]);
    expect(body.error_description).toContain("client_name, redirect_uris");
    expect((await manage(client, "PUT", { ...own, contacts: ["team@app.example"] })).status).toBe(200);
    await expect
      .poll(() => flow.stored.client(client.client_id))
      .toMatchObject({ verified: true, firstParty: true, metadata: { client_name: WEB.client_name, contacts: ["team@app.example"] } });
  });

  it("widens no client beyond what an operator left it", async () => {
    await flow.grantor.resource("https://narrowed.example", { scopes: ["narrowed:read", "narrowed:write"] });
    const scope = "openid narrowed:read narrowed:write";
    const token = await initial();
    // Once the server has heard of the resource.
    await expect.poll(async () => (await send(flow, { ...WEB, scope }, token)).status).toBe(201);
    const client = await register({ ...WEB, scope });
    await flow.grantor.services.clients.update(client.client_id, { metadata: { scope: "openid narrowed:read" } });
    const wide = await answerOf(manage(client, "PUT", { ...WEB, client_id: client.client_id, scope }));
    expect(wide).toMatchObject({ status: 400, body: { error: "invalid_client_metadata" } });
  });

  it("refuses redirect URIs that are not safe", async () => {
    const bad = [
      "http://app.example/callback",
      "https://app.example/callback#x",
      "https://*.app.example/",
      "javascript:alert(1)",
      "com.example.app:/cb",
    ];
    bad.push(
      "//app.example/",
      "not a uri",
      "https://user:secret@app.example/",
      "data:text/html,x",
      "http://localhost.evil.example/",
      "http://10.0.0.1/cb",
      "",
    );
    for (const uri of bad) await refused({ redirect_uris: [uri] }, "invalid_redirect_uri");
    await refused({ redirect_uris: [] }, "invalid_redirect_uri");
    await refused({ redirect_uris: "https://app.example/callback" }, "invalid_redirect_uri");
    await refused({ redirect_uris: [CALLBACK, 7] }, "invalid_redirect_uri");
    await refused({ application_type: "native", redirect_uris: ["myapp:/cb"] }, "invalid_redirect_uri");
    const native = await register({
      application_type: "native",
      redirect_uris: ["com.example.app:/cb", "http://127.0.0.1/cb"],
      token_endpoint_auth_method: "none",
    });
    expect(native).not.toHaveProperty("client_secret");
    await register({ ...WEB, redirect_uris: ["http://localhost:3001/cb"] });
  });

  it("refuses what this server does not do, naming every fault", async () => {
    await refused({ response_types: ["token"] }, "invalid_client_metadata");
    await refused({ response_types: ["code id_token"], grant_types: ["authorization_code", "implicit"] }, "invalid_client_metadata");
    await refused({ grant_types: ["password"] }, "invalid_client_metadata");
    await refused({ token_endpoint_auth_method: "client_secret_jwt" }, "invalid_client_metadata");
    await refused({ token_endpoint_auth_method: "private_key_jwt" }, "invalid_client_metadata");
    await refused({ id_token_signed_response_alg: "HS256" }, "invalid_client_metadata");
    await refused({ id_token_signed_response_alg: "none" }, "invalid_client_metadata");
    await refused({ introspection_signed_response_alg: "HS256" }, "invalid_client_metadata");
    await refused({ dpop_bound_access_tokens: "true" }, "invalid_client_metadata");
    await refused({ subject_type: "pairwise" }, "invalid_client_metadata");
    await refused({ scope: "openid made:up" }, "invalid_client_metadata");
    await refused({ client_name: "Bank\u202Eknab" }, "invalid_client_metadata");
    await refused({ jwks: { keys: [{ kty: "oct", k: "c2VjcmV0" }] } }, "invalid_client_metadata");
    const both = await refused(
      { client_uri: "javascript:alert(1)", tos_uri: "http://evil.example/", contacts: ["nobody"] },
      "invalid_client_metadata",
    );
    for (const member of ["client_uri", "tos_uri", "contacts"]) expect(both).toContain(member);
  });

  it("refuses bodies that are no metadata", async () => {
    const token = await initial();
    const bodies = [
      "",
      "{",
      "[]",
      "null",
      "7",
      '"x"',
      "{}",
      '{"redirect_uris":{}}',
      `{"client_name":"\\u0000","redirect_uris":["${CALLBACK}"]}`,
      `{"client_name":"\\ud800","redirect_uris":["${CALLBACK}"]}`,
      `{"software_id":"\\u0000","redirect_uris":["${CALLBACK}"]}`,
      "\uFEFF{}",
    ];
    for (const body of bodies) {
      const { status, body: answer } = await answerOf(send(flow, body, token));
      expect([body, status]).toEqual([body, 400]);
      expect(answer.error).toMatch(/^invalid_(request|client_metadata|redirect_uri)$/);
    }
    const form = await send(flow, "client_name=x", token, { headers: { "Content-Type": "application/x-www-form-urlencoded" } });
    expect([form.status, ((await form.json()) as { error: string }).error]).toEqual([400, "invalid_request"]);
    const large = await send(flow, { ...WEB, client_name: "x".repeat(100_000) }, token);
    expect([400, 413]).toContain(large.status);
    const client = await register();
    for (const body of ["{", "[]", "null", '"x"']) {
      const answer = await fetch(client.registration_client_uri, {
        method: "PUT",
        body,
        headers: { Authorization: `Bearer ${client.registration_access_token}`, "Content-Type": "application/json" },
      });
      expect([body, answer.status]).toEqual([body, 400]);
    }
    const strange = await fetch(`${flow.grantor.url}/oauth/register/%00%ff`, {
      headers: { Authorization: `Bearer ${client.registration_access_token}` },
    });
    expect([400, 401]).toContain(strange.status);
  });
});
