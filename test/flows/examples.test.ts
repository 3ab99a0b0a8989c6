/** What the examples refuse, by tokens of a made-up issuer; and the demo as it is started: by npm, twice, and on one's own machine alone. */
import { existsSync, readFileSync, statSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { JWTPayload } from "jose";
import { afterAll, beforeAll, describe, expect, it, test } from "vitest";
import { createRelyingParty } from "../../examples/relying-party/app.ts";
import { createResourceServer } from "../../examples/resource-server/app.ts";
import { removeCluster } from "../../src/storage/embedded-cluster.ts";
import { startDemo } from "../support/demo.ts";
import { startGrantor } from "../support/grantor.ts";
import { startGuarded } from "../support/guarded-process.ts";
import { AUDIENCE, type ListeningIssuer, listeningIssuer, testKey } from "../support/issuer.ts";
import { stores } from "../support/stores.ts";
import { tempDir } from "../support/temp-dir.ts";

const listening = (server: Server): Promise<string> =>
  new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(`http://localhost:${(server.address() as AddressInfo).port}`)));

describe("the resource server", () => {
  let issuer: ListeningIssuer;
  let api: string;
  let server: Server;
  beforeAll(async () => {
    issuer = await listeningIssuer();
    server = createServer(createResourceServer({ issuer: issuer.url, audience: AUDIENCE }).callback());
    api = await listening(server);
  });
  afterAll(() => {
    server?.close();
    issuer?.close();
  });

  const ask = (token: string | undefined, path = "/things", init: RequestInit = {}): Promise<Response> =>
    fetch(api + path, { ...init, headers: { ...(token !== undefined && { Authorization: token }), "Content-Type": "application/json" } });

  it("says what it is to everyone", async () => {
    expect(await (await fetch(api)).json()).toMatchObject({ resource: AUDIENCE, authorization_servers: [issuer.url] });
    expect((await fetch(`${api}/nothing`)).status).toBe(404);
  });

  it("answers a request without a token by 401 and what it wants, without an error (RFC 6750 §3.1)", async () => {
    for (const header of [undefined, "Basic YTpi"]) {
      const answer = await ask(header);
      expect(answer.status).toBe(401);
      expect(answer.headers.get("WWW-Authenticate")).toBe('Bearer realm="things", scope="things:read"');
    }
  });

  it.each(["Bearer", "Bearer a b", "Bearer ä"])("answers a malformed header by 400: %s", async (header) => {
    const answer = await ask(header);
    expect(answer.status).toBe(400);
    expect(answer.headers.get("WWW-Authenticate")).toContain('error="invalid_request"');
  });

  it("lets a good token in, with the scheme in any case, and fetches the keys once", async () => {
    const token = await issuer.token();
    for (const scheme of ["Bearer", "bearer", "BEARER"]) expect((await ask(`${scheme} ${token}`)).status).toBe(200);
    expect(issuer.times("jwks")).toBe(1);
  });

  // Every kind of wrong token is in unit/resource-server-*.
  it("refuses a wrong token by 401 and a revoked one too, and asks for the scope and the role that are missing by 403", async () => {
    issuer.revoke(9, "b");
    const revoked = await issuer.token({ status: { status_list: { idx: 9, uri: issuer.listUri("b") } } });
    for (const wrong of ["abc", await issuer.token({}, { typ: "JWT" }), await issuer.token({ aud: issuer.url }), revoked]) {
      const answer = await ask(`Bearer ${wrong}`);
      expect(answer.status).toBe(401);
      expect(answer.headers.get("WWW-Authenticate")).toMatch(/^Bearer realm="things", error="invalid_token", error_description="[a-z ]+"$/);
      expect(await answer.json()).toMatchObject({ error: "invalid_token" });
    }
    const token = `Bearer ${await issuer.token()}`;
    const write = await ask(token, "/things", { method: "POST", body: '{"name":"a thing"}' });
    expect(write.status).toBe(403);
    expect(write.headers.get("WWW-Authenticate")).toMatch(/error="insufficient_scope".*scope="things:write"$/);
    const report = await ask(token, "/admin/report");
    expect(report.status).toBe(403);
    expect(report.headers.get("WWW-Authenticate")).toMatch(/error="insufficient_scope".*role admin"$/);
    const admin = await issuer.token({ roles: ["admin"] });
    expect((await ask(`Bearer ${admin}`, "/admin/report")).status).toBe(200);
  });

  it("keeps things for whom the token is about, and refuses what is no thing", async () => {
    const token = async (sub: string) => `Bearer ${await issuer.token({ sub, scope: "things:read things:write" })}`;
    const post = async (body: string) => ask(await token("bob"), "/things", { method: "POST", body });
    for (const body of ["{", "[]", "{}", '{"name":" "}', '{"name":7}', `{"name":"${"x".repeat(101)}"}`])
      expect((await post(body)).status, body).toBe(400);
    expect((await post(`{"name":"${"x".repeat(5000)}"}`)).status).toBe(413);
    expect((await post('{"name":"a thing"}')).status).toBe(201);
    expect(await (await ask(await token("bob"))).json()).toEqual({ things: [{ id: 1, name: "a thing" }] });
    expect(await (await ask(await token("cleo"))).json()).toEqual({ things: [] });
  });

  it("says 503, not that the token is wrong, while the keys cannot be had", async () => {
    const away = await listeningIssuer();
    away.intercept = (path) => (path.includes("jwks") ? new Response(null, { status: 503 }) : undefined);
    const lonely = createServer(createResourceServer({ issuer: away.url, audience: AUDIENCE }).callback());
    try {
      const url = await listening(lonely);
      const headers = { Authorization: `Bearer ${await away.token()}` };
      const answer = await fetch(`${url}/things`, { headers });
      expect(answer.status).toBe(503);
      expect(answer.headers.get("Retry-After")).toBeTruthy();
      away.intercept = () => undefined;
      expect((await fetch(`${url}/things`, { headers })).status).toBe(200);
    } finally {
      lonely.close();
      away.close();
    }
  });
});

describe("the relying party", () => {
  let issuer: ListeningIssuer;
  let app: string;
  let server: Server;
  beforeAll(async () => {
    issuer = await listeningIssuer();
    server = createServer();
    app = await listening(server);
    const options = { url: app, issuer: issuer.url, clientId: "app", clientSecret: "secret", api: "https://api.example" };
    server.on("request", createRelyingParty(options).callback());
  });
  afterAll(() => {
    server?.close();
    issuer?.close();
  });

  const EVENTS = { "http://schemas.openid.net/event/backchannel-logout": {} };
  const good = (): JWTPayload => ({ aud: "app", exp: issuer.seconds() + 120, jti: crypto.randomUUID(), sid: "s", events: EVENTS });
  const logout = (token: string): Promise<Response> =>
    fetch(`${app}/backchannel-logout`, { method: "POST", body: new URLSearchParams({ logout_token: token }) });
  const typ = "logout+jwt";

  it("takes a logout token once", async () => {
    const token = await issuer.token(good(), { typ });
    const answer = await logout(token);
    expect(answer.status).toBe(200);
    expect(answer.headers.get("Cache-Control")).toBe("no-store");
    expect((await logout(token)).status).toBe(400);
  });

  const wrong: Record<string, (claims: JWTPayload) => Promise<string>> = {
    none: async () => "",
    "for another client": (claims) => issuer.token({ ...claims, aud: "another" }, { typ }),
    "of another issuer": (claims) => issuer.token({ ...claims, iss: "https://id.example" }, { typ }),
    "an ID token": ({ events: _, ...claims }) => issuer.token({ ...claims, nonce: "n" }, { typ: "JWT" }),
    "one with a nonce": (claims) => issuer.token({ ...claims, nonce: "n" }, { typ }),
    "about another event": (claims) => issuer.token({ ...claims, events: { "https://example.org/event": {} } }, { typ }),
    "about nobody": ({ sid: _, ...claims }) => issuer.token({ ...claims, sub: undefined as never }, { typ }),
    old: (claims) => issuer.token({ ...claims, iat: issuer.seconds() - 3600 }, { typ }),
    "without a name of its own": (claims) => issuer.token({ ...claims, jti: undefined as never }, { typ }),
    forged: async (claims) => issuer.token(claims, { typ, by: await testKey("one") }),
  };
  it.each(Object.entries(wrong))("refuses a logout token that is %s", async (_, make) => {
    expect((await logout(await make(good()))).status).toBe(400);
  });

  it("goes on with no sign-in that this browser did not begin", async () => {
    const begun = await fetch(`${app}/sign-in`, { redirect: "manual" });
    const state = new URL(begun.headers.get("Location") ?? "").searchParams.get("state");
    expect(state).toBeTruthy();
    for (const query of ["", "?code=c", `?code=c&state=${state}`, "?code=c&state=a&state=b"])
      expect((await fetch(`${app}/callback${query}`)).status, query).toBe(400);
  });

  it("begins each sign-in with a challenge, a state and a nonce of its own, for both resources", async () => {
    const queries = await Promise.all(
      [1, 2].map(async () => new URL((await fetch(`${app}/sign-in`, { redirect: "manual" })).headers.get("Location") ?? "").searchParams),
    );
    for (const name of ["state", "nonce", "code_challenge"]) expect(new Set(queries.map((query) => query.get(name))).size, name).toBe(2);
    expect(queries[0]?.get("code_challenge_method")).toBe("S256");
    expect(queries[0]?.getAll("resource")).toEqual([issuer.url, "https://api.example"]);
  });

  it("keeps its cookie from scripts and other sites", async () => {
    const cookie = (await fetch(`${app}/sign-in`, { redirect: "manual" })).headers.get("Set-Cookie") ?? "";
    expect(cookie).toMatch(/httponly/i);
    expect(cookie).toMatch(/samesite=lax/i);
  });

  it.each(["/api", "/refresh", "/sign-out"])("takes no form of another site at %s", async (path) => {
    for (const headers of [{}, { Origin: "https://evil.example" }, { Origin: "null" }]) {
      expect((await fetch(app + path, { method: "POST", headers, body: new URLSearchParams({ call: "read" }) })).status).toBe(403);
    }
  });
});

test("the resource server takes the tokens of a real server", async () => {
  await using backing = await stores[0].open();
  await using grantor = await startGrantor(backing);
  const audience = "https://things.example";
  await grantor.resource(audience, { name: "Things", scopes: ["things:read", "things:write"], includeRoles: true });
  const service = await grantor.client({ type: "service", metadata: { scope: "things:read" } });
  const body = new URLSearchParams({ grant_type: "client_credentials", scope: "things:read", resource: audience });
  const basic = Buffer.from(`${service.client_id}:${service.client_secret}`).toString("base64");
  const answer = await fetch(`${grantor.url}/oauth/token`, { method: "POST", body, headers: { Authorization: `Basic ${basic}` } });
  const { access_token: token } = (await answer.json()) as { access_token: string };

  const api = createServer(createResourceServer({ issuer: grantor.url, audience }).callback());
  try {
    const url = await listening(api);
    const ask = (path: string, method = "GET") => fetch(url + path, { method, headers: { Authorization: `Bearer ${token}` } });
    expect((await ask("/things")).status).toBe(200);
    expect((await ask("/things", "POST")).status).toBe(403);
    expect((await ask("/admin/report")).status).toBe(403);
  } finally {
    api.close();
  }
});

describe("npm run demo", () => {
  const npm = ["npm", "run", "demo"];

  it("starts by itself, again with the same login, and ends cleanly", async () => {
    await using dir = tempDir("demo");
    const env = { DATA_DIR: `${dir.path}/data`, HOME: dir.path };
    try {
      const first = await startDemo(env, npm);
      expect(first.login.password.length).toBeGreaterThanOrEqual(15);
      expect(statSync(`${env.DATA_DIR}/demo-password`).mode & 0o077).toBe(0);
      expect(readFileSync(`${env.DATA_DIR}/demo-password`, "utf8").trim()).toBe(first.login.password);
      for (const url of [first.app, first.api, `${first.issuer}/health/ready`]) expect((await fetch(url)).status).toBe(200);
      expect(first.process.output()).not.toContain("/bootstrap");
      await first[Symbol.asyncDispose]();
      for (const url of [first.app, first.api, first.issuer]) await expect(fetch(url)).rejects.toThrow();

      await using second = await startDemo(env, npm);
      expect(second.login).toEqual(first.login);
    } finally {
      removeCluster(env.DATA_DIR);
    }
  });

  it("is for one's own machine alone: it makes nothing and says why", async () => {
    await using dir = tempDir("demo");
    const env = { PATH: process.env.PATH ?? "", DATA_DIR: `${dir.path}/data`, ISSUER: "https://id.example.com" };
    const child = await startGuarded([process.execPath, "examples/demo.ts"], { env, cwd: process.cwd() });
    expect(await child.exited).toBe(1);
    expect(child.output()).toContain("ISSUER: unset it");
    expect(existsSync(env.DATA_DIR)).toBe(false);
  });
});
