/** OIDC Discovery, RFC 8414, RFC 7517: what the server says about itself is what it does. */
import { request } from "node:http";
import { text } from "node:stream/consumers";
import { SignJWT } from "jose";
import { expect, it } from "vitest";
import { Agent } from "../support/agent.ts";
import { describeFlows } from "../support/flows.ts";
import { answerOf, authorizationUrl, authorize, pkce, post, type SeededClient, signIn } from "../support/grantor.ts";

const OIDC = "/.well-known/openid-configuration";
const OAUTH = "/.well-known/oauth-authorization-server";
const JWKS = "/.well-known/jwks.json";
const DOCUMENTS = [OIDC, OAUTH, JWKS];

/** A request with headers that fetch does not let one set. */
function raw(url: string, headers: Record<string, string>, init: { method?: string; body?: string; path?: string } = {}) {
  return new Promise<{ status: number; headers: Record<string, string | string[] | undefined>; body: string }>((resolve, reject) => {
    const sent = request(
      url,
      { method: init.method ?? "GET", headers, setHost: false, ...(init.path !== undefined && { path: init.path }) },
      async (response) => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: await text(response) }),
    );
    sent.on("error", reject).end(init.body);
  });
}

describeFlows("metadata", (flow) => {
  const read = async (path: string) => (await (await fetch(`${flow.grantor.url}${path}`)).json()) as Record<string, unknown>;

  it("is the same in both documents, and complete", async () => {
    const { url } = flow.grantor;
    const metadata = await read(OIDC);
    expect(await read(OAUTH)).toEqual(metadata);
    expect(metadata).toEqual({
      issuer: url,
      authorization_endpoint: `${url}/oauth/authorize`,
      token_endpoint: `${url}/oauth/token`,
      pushed_authorization_request_endpoint: `${url}/oauth/par`,
      userinfo_endpoint: `${url}/oauth/userinfo`,
      introspection_endpoint: `${url}/oauth/introspect`,
      revocation_endpoint: `${url}/oauth/revoke`,
      registration_endpoint: `${url}/oauth/register`,
      device_authorization_endpoint: `${url}/oauth/device`,
      end_session_endpoint: `${url}/oauth/logout`,
      status_list_aggregation_endpoint: `${url}/oauth/status-lists`,
      jwks_uri: `${url}/.well-known/jwks.json`,
      response_types_supported: ["code"],
      response_modes_supported: ["form_post", "fragment", "query"],
      grant_types_supported: expect.toSatisfy(
        (grants: string[]) =>
          [...grants].sort().join() ===
          "authorization_code,client_credentials,refresh_token,urn:ietf:params:oauth:grant-type:device_code,urn:ietf:params:oauth:grant-type:token-exchange",
      ),
      code_challenge_methods_supported: ["S256"],
      scopes_supported: expect.toSatisfy(
        (scopes: string[]) => [...scopes].sort().join() === "address,email,offline_access,openid,phone,profile,roles",
      ),
      ui_locales_supported: ["en", "de", "fr", "es", "ja", "ar"],
      subject_types_supported: ["public"],
      id_token_signing_alg_values_supported: ["RS256", "ES256", "PS256", "EdDSA"],
      introspection_signing_alg_values_supported: ["RS256", "ES256", "PS256", "EdDSA"],
      dpop_signing_alg_values_supported: ["ES256", "EdDSA", "Ed25519", "RS256", "PS256"],
      token_endpoint_auth_methods_supported: ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"],
      token_endpoint_auth_signing_alg_values_supported: expect.arrayContaining(["RS256", "ES256", "PS256", "EdDSA"]),
      acr_values_supported: ["urn:grantor:acr:password", "urn:grantor:acr:two-factor", "urn:grantor:acr:passkey"],
      claims_supported: expect.arrayContaining(["sub", "name", "email", "email_verified", "roles", "acr", "amr", "auth_time"]),
      claim_types_supported: ["normal"],
      claims_parameter_supported: false,
      request_uri_parameter_supported: false,
      authorization_response_iss_parameter_supported: true,
      backchannel_logout_supported: true,
      backchannel_logout_session_supported: true,
    });
    expect(metadata.token_endpoint_auth_signing_alg_values_supported).toHaveLength(4);
  });

  it("publishes public keys alone, one for each algorithm that it names", async () => {
    const { keys } = (await read(JWKS)) as { keys: Record<string, string>[] };
    const { id_token_signing_alg_values_supported: named } = await read(OIDC);
    expect(new Set(keys.map(({ alg }) => alg))).toEqual(new Set(named as string[]));
    for (const key of keys) {
      expect(key).toMatchObject({ kid: expect.any(String), use: "sig", kty: expect.stringMatching(/^(RSA|EC|OKP)$/) });
      for (const member of ["d", "p", "q", "dp", "dq", "qi", "k", "priv"]) expect(key).not.toHaveProperty(member);
    }
    expect(new Set(keys.map(({ kid }) => kid)).size).toBe(keys.length);
  });

  it.each(DOCUMENTS)("lets everybody cache and read %s, from every origin", async (path) => {
    const url = `${flow.grantor.url}${path}`;
    const response = await fetch(url, { headers: { Origin: "https://anywhere.example" } });
    expect(response.status).toBe(200);
    expect(response.headers.get("Content-Type")).toMatch(/^application\/(json|jwk-set\+json)/);
    expect(response.headers.get("Cache-Control")).toBe("public, max-age=300");
    expect(response.headers.get("Access-Control-Allow-Origin")).toBe("*");
    expect(response.headers.get("Access-Control-Allow-Credentials")).toBeNull();
    expect(response.headers.getSetCookie()).toEqual([]);
    const etag = response.headers.get("ETag") as string;
    expect(etag).toMatch(/^"[^"]+"$/);
    const body = await response.text();
    for (const known of [etag, `W/${etag}`, `"other", ${etag}`, "*"]) {
      // fetch would add "Cache-Control: no-cache", which asks for the whole document.
      const again = await raw(url, { Host: "x", "If-None-Match": known, Origin: "https://anywhere.example" });
      expect([known, again.status, again.body]).toEqual([known, 304, ""]);
      expect(again.headers).toMatchObject({ etag, "cache-control": "public, max-age=300", "access-control-allow-origin": "*" });
    }
    const changed = await raw(url, { Host: "x", "If-None-Match": '"other"' });
    expect([changed.status, changed.body]).toEqual([200, body]);
    const head = await fetch(url, { method: "HEAD" });
    expect([head.status, head.headers.get("ETag"), await head.text()]).toEqual([200, etag, ""]);
    expect(Number(head.headers.get("Content-Length"))).toBe(Buffer.byteLength(body));
    const preflight = await fetch(url, {
      method: "OPTIONS",
      headers: {
        Origin: "https://anywhere.example",
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "if-none-match",
      },
    });
    expect(preflight.status).toBe(204);
    expect(["*", "https://anywhere.example"]).toContain(preflight.headers.get("Access-Control-Allow-Origin"));
    expect(preflight.headers.get("Access-Control-Allow-Methods")).toContain("GET");
    expect(preflight.headers.get("Access-Control-Allow-Headers")?.toLowerCase()).toContain("if-none-match");
    expect(preflight.headers.get("Access-Control-Allow-Credentials")).toBeNull();
    expect((await fetch(url, { method: "POST" })).status).toBe(405);
    expect((await fetch(`${url}/`)).status).toBe(404);
  });

  it("builds every address from the issuer, whatever the request says about itself", async () => {
    const { url } = flow.grantor;
    const evil = {
      Host: "evil.example",
      "X-Forwarded-Host": "evil.example",
      "X-Forwarded-Proto": "https",
      "X-Forwarded-For": "6.6.6.6",
      Forwarded: "host=evil.example;proto=https;for=6.6.6.6",
      "X-Original-URL": "/evil",
    };
    for (const path of [OIDC, OAUTH]) {
      const answer = await raw(`${url}${path}`, evil);
      expect(answer.status).toBe(200);
      expect(JSON.parse(answer.body)).toEqual(await read(path));
    }
    const client = await flow.grantor.client({ type: "spa" });
    const proof = pkce();
    const authorization = new URL(authorizationUrl(url, client, proof));
    const asked = await raw(authorization.href, evil);
    expect(asked.status).toBe(303);
    expect(String(asked.headers.location)).toMatch(new RegExp(`^(${url})?/interaction/`));
    expect(JSON.stringify(asked.headers["set-cookie"])).not.toContain("evil.example");
    const absolute = await raw(
      url,
      { Host: "evil.example" },
      { path: `http://evil.example${authorization.pathname}${authorization.search}` },
    );
    expect(JSON.stringify([absolute.headers, absolute.body])).not.toContain("evil.example");
    const device = await flow.grantor.client({ type: "device" });
    const form = new URLSearchParams({ client_id: device.client_id, scope: "openid" }).toString();
    const posted = { method: "POST", body: form };
    const begun = await raw(
      `${url}/oauth/device`,
      { ...evil, "Content-Type": "application/x-www-form-urlencoded", "Content-Length": `${form.length}` },
      posted,
    );
    expect(JSON.parse(begun.body).verification_uri).toBe(`${url}/device`);
    for (const path of ["/", "/sign-in", "/device", "/nothing-here", "/oauth/logout"]) {
      const page = await raw(`${url}${path}`, { ...evil, Accept: "text/html" });
      expect([path, JSON.stringify([page.headers, page.body]).includes("evil.example")]).toEqual([path, false]);
    }
  });

  it("answers at every endpoint that it lists", async () => {
    const metadata = await read(OIDC);
    const pages = new Set(["authorization_endpoint", "end_session_endpoint", "status_list_aggregation_endpoint", "jwks_uri"]);
    for (const [name, value] of Object.entries(metadata)) {
      if (!name.endsWith("_endpoint") && name !== "jwks_uri") continue;
      const { status } = await fetch(value as string, {
        method: pages.has(name) ? "GET" : "POST",
        redirect: "manual",
      });
      expect([name, [200, 303, 400, 401].includes(status)]).toEqual([name, true]);
    }
  });

  const authorizeWith = async (client: SeededClient, changes: Record<string, string | undefined>, agent = new Agent()) => {
    const url = new URL(authorizationUrl(flow.grantor.url, client, pkce()));
    for (const [name, value] of Object.entries(changes)) {
      if (value === undefined) url.searchParams.delete(name);
      else url.searchParams.set(name, value);
    }
    const page = await agent.open(url.href);
    expect([changes, page.url]).toEqual([changes, expect.stringContaining(client.redirect_uri)]);
    const { searchParams, hash } = new URL(page.url);
    const answer = searchParams.size > 0 ? searchParams : new URLSearchParams(hash.slice(1));
    expect([answer.get("iss"), answer.get("state")]).toEqual([flow.grantor.url, "the-state"]);
    for (const name of ["code", "access_token", "id_token"]) expect(answer.get(name)).toBeNull();
    return answer.get("error");
  };

  it("refuses response types, modes and proofs that it does not list", async () => {
    const client = await flow.grantor.client();
    const nonce = "n-0S6_WzA2Mj";
    for (const response_type of [
      "token",
      "id_token",
      "code token",
      "code id_token",
      "code id_token token",
      "id_token token",
      "none",
      "Code",
    ]) {
      expect([response_type, await authorizeWith(client, { response_type, nonce })]).toEqual([response_type, "unsupported_response_type"]);
    }
    expect(await authorizeWith(client, { code_challenge: undefined, code_challenge_method: undefined })).toBe("invalid_request");
    expect(await authorizeWith(client, { code_challenge: undefined, code_challenge_method: undefined, nonce })).toBe("invalid_request");
    expect(await authorizeWith(client, { code_challenge_method: "plain" })).toBe("invalid_request");
    expect(await authorizeWith(client, { code_challenge_method: undefined })).toBe("invalid_request"); // which would mean plain
    for (const code_challenge of ["short", "x".repeat(129), `${"x".repeat(42)}!`]) {
      expect(await authorizeWith(client, { code_challenge })).toBe("invalid_request");
    }
    for (const response_mode of ["web_message", "jwt", "query.jwt", "nonsense"]) {
      expect([response_mode, await authorizeWith(client, { response_mode })]).toEqual([
        response_mode,
        expect.stringMatching(/^(invalid_request|unsupported_response_mode)$/),
      ]);
    }
    const jar = await new SignJWT({ client_id: client.client_id, scope: "openid" })
      .setProtectedHeader({ alg: "HS256" })
      .sign(Buffer.alloc(32));
    expect(await authorizeWith(client, { request: jar })).toBe("request_not_supported");
    expect(await authorizeWith(client, { registration: "{}" })).toBe("registration_not_supported");
    expect(await authorizeWith(client, { response_type: undefined })).toBe("invalid_request");
    expect(await authorizeWith(client, { prompt: "none login" })).toBe("invalid_request");
    expect(await authorizeWith(client, { prompt: "nonsense" })).toBe("invalid_request");
    expect(await authorizeWith(client, { max_age: "-1" })).toBe("invalid_request");
    expect(await authorizeWith(client, { max_age: "soon" })).toBe("invalid_request");
    expect(await authorizeWith(client, { scope: "openid\u00e9" })).toBe("invalid_scope");
    expect(await authorizeWith(client, { id_token_hint: "a.b.c" })).toBe("invalid_request");
  });

  it("refuses grants that it does not list", async () => {
    const client = await flow.grantor.client();
    const person = await flow.grantor.person();
    const token = (parameters: Record<string, string>) => answerOf(post(`${flow.grantor.url}/oauth/token`, client, parameters));
    const unsupported = { status: 400, body: { error: "unsupported_grant_type" } };
    expect(await token({ grant_type: "password", username: person.email, password: person.password, scope: "openid" })).toMatchObject(
      unsupported,
    );
    expect(await token({ grant_type: "implicit" })).toMatchObject(unsupported);
    for (const grant of ["jwt-bearer", "saml2-bearer"]) {
      expect(await token({ grant_type: `urn:ietf:params:oauth:grant-type:${grant}`, assertion: "x", subject_token: "x" })).toMatchObject(
        unsupported,
      );
    }
    expect(await token({ grant_type: "urn:openid:params:grant-type:ciba", auth_req_id: "x" })).toMatchObject(unsupported);
    expect(await token({ grant_type: "nonsense" })).toMatchObject(unsupported);
    expect(await token({ grant_type: "" })).toMatchObject({ status: 400, body: { error: "invalid_request" } });
    expect(await token({})).toMatchObject({ status: 400, body: { error: "invalid_request" } });
  });

  it("ignores the claims parameter, and scopes that nobody has", async () => {
    const client = await flow.grantor.client({ metadata: { scope: "openid email" } });
    const person = await flow.grantor.person();
    const { tokens } = await signIn(flow.grantor, client, person, {
      parameters: { claims: '{"userinfo":{"email":{"essential":true}},"id_token":{"email":null}}', scope: "openid unheard:of" },
    });
    expect(tokens.scope).toBe("openid");
    const info = await fetch(`${flow.grantor.url}/oauth/userinfo`, { headers: { Authorization: `Bearer ${tokens.access_token}` } });
    expect(await info.json()).toEqual({ sub: person.id });
    expect(Buffer.from(tokens.id_token?.split(".")[1] ?? "", "base64url").toString()).not.toContain(person.email);
    expect(await authorizeWith(client, { scope: "openid profile" })).toBe("invalid_scope"); // one that it is not registered for
  });

  it("does what it lists: every response mode", async () => {
    const client = await flow.grantor.client();
    const person = await flow.grantor.person();
    const agent = new Agent();
    const query = await authorize(agent, authorizationUrl(flow.grantor.url, client, pkce(), { response_mode: "query" }), person);
    expect(new URL(query.url).searchParams.get("code")).toBeTruthy();
    const fragment = await agent.open(authorizationUrl(flow.grantor.url, client, pkce(), { response_mode: "fragment" }));
    expect(new URL(fragment.url).hash).toContain("code=");
    const form = await agent.open(authorizationUrl(flow.grantor.url, client, pkce(), { response_mode: "form_post" }));
    expect(form.forms[0]).toMatchObject({
      action: client.redirect_uri,
      fields: { code: expect.any(String), state: "the-state", iss: flow.grantor.url },
    });
    const denied = await agent.open(
      authorizationUrl(flow.grantor.url, client, pkce(), { response_mode: "form_post", response_type: "token" }),
    );
    expect(denied.forms[0]?.fields).toMatchObject({ error: "unsupported_response_type", state: "the-state", iss: flow.grantor.url });
  });
});
