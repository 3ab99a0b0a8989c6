/** What the examples refuse, by tokens of a made-up issuer; and the demo as it is started: by npm, twice, and on one's own machine alone. */
import { existsSync, readFileSync, statSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { exportJWK, type GenerateKeyPairResult, generateKeyPair, type JWTPayload, SignJWT } from "jose";
import { afterAll, beforeAll, describe, expect, it, test } from "vitest";
import { createRelyingParty } from "../../examples/relying-party/app.ts";
import { createResourceServer } from "../../examples/resource-server/app.ts";
import { removeCluster } from "../../src/storage/embedded-cluster.ts";
import { startDemo } from "../support/demo.ts";
import { startGrantor } from "../support/grantor.ts";
import { startGuarded } from "../support/guarded-process.ts";
import { stores } from "../support/stores.ts";
import { tempDir } from "../support/temp-dir.ts";

interface Issuer {
  url: string;
  /** Signed by its key, unless by another. */
  sign(claims: JWTPayload, header?: { typ?: string; by?: GenerateKeyPairResult["privateKey"] }): Promise<string>;
  /** The key set goes away, and comes back. */
  serveKeys: boolean;
  fetches: number;
  close(): void;
}

const listening = (server: Server): Promise<string> =>
  new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(`http://localhost:${(server.address() as AddressInfo).port}`)));

async function startIssuer(): Promise<Issuer> {
  const { privateKey, publicKey } = await generateKeyPair("RS256");
  const key = { ...(await exportJWK(publicKey)), kid: "one", alg: "RS256", use: "sig" };
  const issuer: Issuer = {
    url: "",
    serveKeys: true,
    fetches: 0,
    sign: (claims, { typ = "at+jwt", by = privateKey } = {}) =>
      new SignJWT(claims).setProtectedHeader({ alg: "RS256", kid: "one", typ }).sign(by),
    close: () => server.close(),
  };
  const server = createServer((request, response) => {
    const metadata = {
      issuer: issuer.url,
      jwks_uri: `${issuer.url}/.well-known/jwks.json`,
      authorization_endpoint: `${issuer.url}/oauth/authorize`,
    };
    const isKeys = request.url?.endsWith("jwks.json") === true;
    if (isKeys) issuer.fetches += 1;
    response.statusCode = isKeys && !issuer.serveKeys ? 503 : 200;
    response.setHeader("Content-Type", "application/json").end(JSON.stringify(isKeys ? { keys: [key] } : metadata));
  });
  issuer.url = await listening(server);
  return issuer;
}

const now = () => Math.floor(Date.now() / 1000);

describe("the resource server", () => {
  const audience = "https://api.example";
  let issuer: Issuer;
  let api: string;
  let server: Server;
  beforeAll(async () => {
    issuer = await startIssuer();
    server = createServer(createResourceServer({ issuer: issuer.url, audience }).callback());
    api = await listening(server);
  });
  afterAll(() => {
    server?.close();
    issuer?.close();
  });

  const good = (): JWTPayload => ({
    iss: issuer.url,
    aud: audience,
    sub: "ada",
    client_id: "app",
    scope: "things:read",
    iat: now(),
    exp: now() + 60,
  });
  const ask = (token: string | undefined, path = "/things", init: RequestInit = {}): Promise<Response> =>
    fetch(api + path, { ...init, headers: { ...(token !== undefined && { Authorization: token }), "Content-Type": "application/json" } });

  it("says what it is to everyone", async () => {
    expect(await (await fetch(api)).json()).toMatchObject({ resource: audience, authorization_servers: [issuer.url] });
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
    const token = await issuer.sign(good());
    for (const scheme of ["Bearer", "bearer", "BEARER"]) expect((await ask(`${scheme} ${token}`)).status).toBe(200);
    expect(issuer.fetches).toBe(1);
  });

  const wrong: Record<string, (claims: JWTPayload) => Promise<string>> = {
    "no JWT": async () => "abc",
    "expired, past the tolerance": (claims) => issuer.sign({ ...claims, exp: now() - 10 }),
    "without an end": ({ exp: _, ...claims }) => issuer.sign(claims),
    "for somebody else": (claims) => issuer.sign({ ...claims, aud: issuer.url }),
    "of another issuer": (claims) => issuer.sign({ ...claims, iss: "https://id.example" }),
    "an ID token": (claims) => issuer.sign(claims, { typ: "JWT" }),
    "a logout token": (claims) => issuer.sign(claims, { typ: "logout+jwt" }),
    "without a subject": ({ sub: _, ...claims }) => issuer.sign(claims),
    "signed by somebody else": async (claims) => issuer.sign(claims, { by: (await generateKeyPair("RS256")).privateKey }),
    "signed with a secret": (claims) =>
      new SignJWT(claims).setProtectedHeader({ alg: "HS256", kid: "one", typ: "at+jwt" }).sign(new TextEncoder().encode("x".repeat(32))),
    "signed with nothing": async (claims) =>
      `${[{ alg: "none", typ: "at+jwt" }, claims].map((part) => Buffer.from(JSON.stringify(part)).toString("base64url")).join(".")}.`,
    changed: async (claims) => {
      const [header, , signature] = (await issuer.sign(claims)).split(".");
      return `${header}.${Buffer.from(JSON.stringify({ ...claims, sub: "eve" })).toString("base64url")}.${signature}`;
    },
  };
  it.each(Object.entries(wrong))("refuses a token that is %s by 401 invalid_token", async (_, make) => {
    const answer = await ask(`Bearer ${await make(good())}`);
    expect(answer.status).toBe(401);
    expect(answer.headers.get("WWW-Authenticate")).toMatch(/^Bearer realm="things", error="invalid_token", error_description="[a-z ]+"$/);
    expect(await answer.json()).toMatchObject({ error: "invalid_token" });
  });

  it("asks for the scope and the role that are missing by 403", async () => {
    const token = `Bearer ${await issuer.sign(good())}`;
    const write = await ask(token, "/things", { method: "POST", body: '{"name":"a thing"}' });
    expect(write.status).toBe(403);
    expect(write.headers.get("WWW-Authenticate")).toMatch(/error="insufficient_scope".*scope="things:write"$/);
    const report = await ask(token, "/admin/report");
    expect(report.status).toBe(403);
    expect(report.headers.get("WWW-Authenticate")).toMatch(/error="insufficient_scope".*role admin"$/);
    const admin = await issuer.sign({ ...good(), roles: ["admin"] });
    expect((await ask(`Bearer ${admin}`, "/admin/report")).status).toBe(200);
  });

  it("keeps things for whom the token is about, and refuses what is no thing", async () => {
    const token = async (sub: string) => `Bearer ${await issuer.sign({ ...good(), sub, scope: "things:read things:write" })}`;
    const post = async (body: string) => ask(await token("bob"), "/things", { method: "POST", body });
    for (const body of ["{", "[]", "{}", '{"name":" "}', '{"name":7}', `{"name":"${"x".repeat(101)}"}`])
      expect((await post(body)).status, body).toBe(400);
    expect((await post(`{"name":"${"x".repeat(5000)}"}`)).status).toBe(413);
    expect((await post('{"name":"a thing"}')).status).toBe(201);
    expect(await (await ask(await token("bob"))).json()).toEqual({ things: [{ id: 1, name: "a thing" }] });
    expect(await (await ask(await token("cleo"))).json()).toEqual({ things: [] });
  });

  it("says 503, not that the token is wrong, while the keys cannot be had", async () => {
    const away = await startIssuer();
    away.serveKeys = false;
    const lonely = createServer(createResourceServer({ issuer: away.url, audience }).callback());
    try {
      const url = await listening(lonely);
      const token = await away.sign({ ...good(), iss: away.url });
      const answer = await fetch(`${url}/things`, { headers: { Authorization: `Bearer ${token}` } });
      expect(answer.status).toBe(503);
      expect(answer.headers.get("Retry-After")).toBeTruthy();
      away.serveKeys = true;
      expect((await fetch(`${url}/things`, { headers: { Authorization: `Bearer ${token}` } })).status).toBe(200);
    } finally {
      lonely.close();
      away.close();
    }
  });
});

describe("the relying party", () => {
  let issuer: Issuer;
  let app: string;
  let server: Server;
  beforeAll(async () => {
    issuer = await startIssuer();
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
  const good = (): JWTPayload => ({
    iss: issuer.url,
    aud: "app",
    iat: now(),
    exp: now() + 120,
    jti: crypto.randomUUID(),
    sub: "ada",
    sid: "s",
    events: EVENTS,
  });
  const logout = (token: string): Promise<Response> =>
    fetch(`${app}/backchannel-logout`, { method: "POST", body: new URLSearchParams({ logout_token: token }) });
  const typ = "logout+jwt";

  it("takes a logout token once", async () => {
    const token = await issuer.sign(good(), { typ });
    const answer = await logout(token);
    expect(answer.status).toBe(200);
    expect(answer.headers.get("Cache-Control")).toBe("no-store");
    expect((await logout(token)).status).toBe(400);
  });

  const wrong: Record<string, (claims: JWTPayload) => Promise<string>> = {
    none: async () => "",
    "for another client": (claims) => issuer.sign({ ...claims, aud: "another" }, { typ }),
    "of another issuer": (claims) => issuer.sign({ ...claims, iss: "https://id.example" }, { typ }),
    "an ID token": ({ events: _, ...claims }) => issuer.sign({ ...claims, nonce: "n" }, { typ: "JWT" }),
    "one with a nonce": (claims) => issuer.sign({ ...claims, nonce: "n" }, { typ }),
    "about another event": (claims) => issuer.sign({ ...claims, events: { "https://example.org/event": {} } }, { typ }),
    "about nobody": ({ sub: _, sid: __, ...claims }) => issuer.sign(claims, { typ }),
    old: (claims) => issuer.sign({ ...claims, iat: now() - 3600 }, { typ }),
    "without a name of its own": ({ jti: _, ...claims }) => issuer.sign(claims, { typ }),
    forged: async (claims) => issuer.sign(claims, { typ, by: (await generateKeyPair("RS256")).privateKey }),
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
