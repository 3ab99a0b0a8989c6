/** RFC 7591 and RFC 7592: applications that register themselves, under each of the three policies of REGISTRATION. */
import { writeFileSync } from "node:fs";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import * as oauth from "oauth4webapi";
import * as oidc from "openid-client";
import { afterAll, expect, it } from "vitest";
import { Agent } from "../support/agent.ts";
import { describeFlows, type Flow } from "../support/flows.ts";
import { answerOf, authorizationUrl, introspect, pkce, post, type SeededClient, signIn } from "../support/grantor.ts";
import { tempDir } from "../support/temp-dir.ts";

/** Where applications and issuers of software statements have what they name. */
const place = await openPlace();
afterAll(() => place.close());

const CALLBACK = "https://app.example/callback";
const WEB = { client_name: "Registered", redirect_uris: [CALLBACK], grant_types: ["authorization_code", "refresh_token"] };

interface Registered extends Record<string, unknown> {
  client_id: string;
  client_secret?: string;
  registration_access_token: string;
  registration_client_uri: string;
}

const send = (flow: Flow, metadata: unknown, token?: string, init: RequestInit = {}) =>
  fetch(`${flow.grantor.url}/oauth/register`, {
    method: "POST",
    body: typeof metadata === "string" ? metadata : JSON.stringify(metadata),
    ...init,
    headers: { "Content-Type": "application/json", ...(token !== undefined && { Authorization: `Bearer ${token}` }), ...init.headers },
  });

/** What a registered client does with its registration (RFC 7592). */
const manage = (client: Registered, method: string, metadata?: unknown, token = client.registration_access_token) =>
  fetch(client.registration_client_uri, {
    method,
    headers: { Authorization: `Bearer ${token}`, ...(metadata !== undefined && { "Content-Type": "application/json" }) },
    ...(metadata !== undefined && { body: JSON.stringify(metadata) }),
  });

const seeded = (client: Registered): SeededClient => ({
  client_id: client.client_id,
  redirect_uri: CALLBACK,
  ...(client.client_secret !== undefined && { client_secret: client.client_secret }),
});

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
    const stored = await flow.grantor.services.clients.find(client.client_id);
    expect(stored).toMatchObject({
      requirePkce: true,
      firstParty: false,
      verified: false,
      managementScopes: [],
      createdBy: "initial_access_token",
    });
    await manage(client, "PUT", { ...WEB, ...claims, client_id: client.client_id, client_secret: client.client_secret });
    await expect
      .poll(() => flow.grantor.services.clients.find(client.client_id))
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
      .poll(() => flow.grantor.services.clients.find(client.client_id))
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

describeFlows(
  "open registration",
  (flow) => {
    it("registers strangers, who get nothing of resources without a person", async () => {
      await flow.grantor.resource("https://open.example", { scopes: ["open:use"] });
      const register = () => answerOf(send(flow, { ...WEB, scope: "openid open:use" }));
      await expect.poll(register).toMatchObject({ status: 201, body: { scope: "openid open:use" } }); // once it has heard of the resource
      const service = { grant_types: ["client_credentials"], response_types: [], redirect_uris: [] };
      expect((await send(flow, service)).status).toBe(201);
      expect(await answerOf(send(flow, { ...service, scope: "open:use" }))).toMatchObject({
        status: 400,
        body: { error: "invalid_client_metadata" },
      });
    });

    it("gives them none by an update either, nor a token for a resource that has no scopes", async () => {
      await flow.grantor.resource("https://later.example", { scopes: ["later:use"] });
      await flow.grantor.resource("https://bare.example", {});
      const scope = "openid later:use";
      await expect.poll(async () => (await send(flow, { ...WEB, scope })).status).toBe(201);
      const client = (await answerOf(send(flow, { ...WEB, scope }))).body as Registered;
      const alone = { ...WEB, client_id: client.client_id, grant_types: ["authorization_code", "client_credentials"] };
      expect(await answerOf(manage(client, "PUT", { ...alone, scope }))).toMatchObject({
        status: 400,
        body: { error: "invalid_client_metadata" },
      });
      expect((await manage(client, "PUT", alone)).status).toBe(200);
      const ask = (as: SeededClient, resource: string) =>
        answerOf(post(`${flow.grantor.url}/oauth/token`, as, { grant_type: "client_credentials", resource }));
      for (const resource of ["https://later.example", "https://bare.example"])
        expect(await ask(seeded(client), resource)).toMatchObject({ status: 400, body: { error: "invalid_target" } });
      const service = await flow.grantor.client({ type: "service" });
      expect(await ask(service, "https://bare.example")).toMatchObject({ status: 200 });
    });

    it("ignores a token that is not needed", async () => {
      expect((await send(flow, WEB, "whatever")).status).toBe(201);
    });

    it("takes the word of an issuer that the operator trusts, through oauth4webapi as well", async () => {
      const software_statement = await place.statement({ client_name: "Stated by an issuer", software_id: "shop" });
      const as = { issuer: flow.grantor.url, registration_endpoint: `${flow.grantor.url}/oauth/register` };
      const answer = await oauth.dynamicClientRegistrationRequest(
        as,
        { ...WEB, software_statement },
        { [oauth.allowInsecureRequests]: true },
      );
      const client = await oauth.processDynamicClientRegistrationResponse(answer);
      expect(client).toMatchObject({ client_name: "Stated by an issuer", software_id: "shop", software_statement });
      const untrusted = await place.statement({ iss: "https://else.example" });
      expect(await answerOf(send(flow, { ...WEB, software_statement: untrusted }))).toMatchObject({
        status: 400,
        body: { error: "unapproved_software_statement" },
      });
      expect(await answerOf(send(flow, { ...WEB, software_statement: `${software_statement}x` }))).toMatchObject({
        status: 400,
        body: { error: "invalid_software_statement" },
      });
    });

    it("shows a logo from here, once somebody vouches for the application, and calls it unverified until then", async () => {
      const register = async (logo_uri: string) => (await answerOf(send(flow, { ...WEB, logo_uri }))).body as Registered;
      place.requests.length = 0;
      const client = await register(`${place.url}/logo.png`);
      const { services, url } = flow.grantor;
      const consent = async () => {
        const agent = new Agent();
        const page = await agent.open(authorizationUrl(url, seeded(client), pkce()));
        const { email, password } = await flow.grantor.person();
        const signedIn = await agent.proceed(await agent.submit(page, { email, password }));
        return [page, signedIn].map(({ text }) => ({
          logo: /src="(\/logos\/[^"]+)"/.exec(text)?.[1],
          warns: text.includes("Not verified."),
        }));
      };
      expect(await consent()).toEqual([
        { logo: undefined, warns: false },
        { logo: undefined, warns: true },
      ]);
      expect((await fetch(`${url}/logos/${client.client_id}`)).status).toBe(404);
      expect(place.requests).not.toContain("/logo.png");

      await services.clients.update(client.client_id, { verified: true });
      await expect.poll(async () => (await fetch(`${url}/logos/${client.client_id}`)).status).toBe(200);
      const [signIn, decision] = await consent();
      expect(decision).toEqual({ logo: signIn?.logo, warns: false });
      const logo = await fetch(`${url}${signIn?.logo}`);
      expect([...new Uint8Array(await logo.arrayBuffer())]).toEqual([...LOGO]);
      expect(Object.fromEntries(logo.headers)).toMatchObject({
        "content-type": "image/png",
        "x-content-type-options": "nosniff",
        "content-security-policy": expect.stringMatching(/^default-src 'none'.*sandbox$/),
        "cross-origin-resource-policy": "same-origin",
        "cache-control": "public, max-age=86400",
      });
      const again = await fetch(`${url}${signIn?.logo}`, {
        headers: { "If-None-Match": String(logo.headers.get("etag")), "Cache-Control": "max-age=0" },
      });
      expect(again.status).toBe(304);
      expect((await fetch(`${url}${signIn?.logo}`, { method: "HEAD" })).status).toBe(200);
      expect(place.requests.filter((path) => path === "/logo.png")).toHaveLength(1);

      for (const bad of [`${place.url}/evil.svg`, `${place.url}/leads-on`, place.hidden]) {
        const { client_id } = await register(bad);
        await services.clients.update(client_id, { verified: true });
        await expect.poll(async () => (await fetch(`${url}/logos/${client_id}`)).status).toBe(200);
        const standIn = await fetch(`${url}/logos/${client_id}`);
        expect(standIn.headers.get("content-type")).toMatch(/^image\/svg\+xml/);
        expect(await standIn.text()).toContain(">R</text>");
      }
      expect(place.connections).toBe(0);
    });

    it("fetches keys from nowhere that only this server reaches", async () => {
      const { port } = new URL(place.hidden);
      for (const host of ["127.0.0.1", "localhost", "[::1]", "2130706433", "0x7f.0.0.1", "[::ffff:127.0.0.1]"]) {
        const metadata = { ...WEB, token_endpoint_auth_method: "private_key_jwt", jwks_uri: `https://${host}:${port}/jwks` };
        const client = (await answerOf(send(flow, metadata))).body as Registered;
        const { privateKey } = await generateKeyPair("RS256");
        const client_assertion = await new SignJWT({ jti: `${Math.random()}` })
          .setProtectedHeader({ alg: "RS256" })
          .setIssuer(client.client_id)
          .setSubject(client.client_id)
          .setAudience(flow.grantor.url)
          .setIssuedAt()
          .setExpirationTime("1m")
          .sign(privateKey);
        const body = new URLSearchParams({
          grant_type: "authorization_code",
          code: "x",
          redirect_uri: CALLBACK,
          client_assertion,
          client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        });
        const { status, body: answer } = await answerOf(fetch(`${flow.grantor.url}/oauth/token`, { method: "POST", body }));
        expect([host, status, answer.error]).toEqual([host, 401, "invalid_client"]);
      }
      expect(place.connections).toBe(0);
    });

    // The last one: nobody at this address registers anything for the rest of the hour.
    it("takes a hundred an hour from one address", async () => {
      const tries = async () => (await Promise.all(Array.from({ length: 20 }, () => send(flow, "{")))).map(({ status }) => status);
      await expect.poll(async () => (await tries()).at(-1), { timeout: 20_000 }).toBe(429);
      const refused = await send(flow, WEB);
      expect([refused.status, Number(refused.headers.get("Retry-After")) > 0]).toEqual([429, true]);
      expect(await refused.json()).toMatchObject({ error: "too_many_attempts" });
    });
  },
  { env: async () => ({ REGISTRATION: "open", SOFTWARE_STATEMENT_ISSUERS_FILE: place.issuersFile, FETCH_ALLOW: new URL(place.url).host }) },
);

describeFlows(
  "closed registration",
  (flow) => {
    it("is not there, and not announced", async () => {
      const metadata = (await (await fetch(`${flow.grantor.url}/.well-known/openid-configuration`)).json()) as Record<string, unknown>;
      expect(metadata).not.toHaveProperty("registration_endpoint");
      const { token } = await flow.grantor.services.registrationTokens.createInitial();
      expect((await send(flow, WEB, token)).status).toBe(404);
      const client = await flow.grantor.client();
      expect(
        (await fetch(`${flow.grantor.url}/oauth/register/${client.client_id}`, { headers: { Authorization: `Bearer ${token}` } })).status,
      ).toBe(404);
    });
  },
  { env: { REGISTRATION: "closed" } },
);

/** One pixel. */
const LOGO = Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==", "base64");

/** A server that FETCH_ALLOW names, and one that it does not. */
async function openPlace() {
  const { privateKey, publicKey } = await generateKeyPair("ES256");
  const key = { ...(await exportJWK(publicKey)), kid: "k", alg: "ES256" };
  const requests: string[] = [];
  let connections = 0;
  const allowed = await listening((request, response) => {
    requests.push(String(request.url));
    if (request.url === "/jwks") response.end(JSON.stringify({ keys: [key] }));
    else if (request.url === "/logo.png") response.end(LOGO);
    else if (request.url === "/leads-on") response.writeHead(302, { Location: hidden.url }).end();
    else response.setHeader("Content-Type", "image/png").end("<svg onload='alert(1)'/>");
  });
  const hidden = await listening((_request, response) => void response.end(LOGO));
  hidden.server.on("connection", () => {
    connections += 1;
  });
  const dir = tempDir("issuers");
  const issuersFile = join(dir.path, "issuers.json");
  writeFileSync(issuersFile, JSON.stringify({ issuers: [{ issuer: "https://issuer.example", jwks_uri: `${allowed.url}/jwks` }] }));
  return {
    url: allowed.url,
    hidden: hidden.url,
    issuersFile,
    requests,
    get connections() {
      return connections;
    },
    statement: (claims: Record<string, unknown>) =>
      new SignJWT({ iss: "https://issuer.example", ...claims }).setProtectedHeader({ alg: "ES256", kid: "k" }).sign(privateKey),
    close() {
      allowed.server.close();
      hidden.server.close();
      dir.remove();
    },
  };
}

async function listening(handle: RequestListener) {
  const server = createServer(handle);
  await new Promise<void>((resolve) => server.listen(0, resolve));
  return { server, url: `http://localhost:${(server.address() as AddressInfo).port}` };
}
