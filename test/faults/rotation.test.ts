/** Keys rotate under load: with three resource servers as people build them, nobody is refused and no request fails. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import express from "express";
import { auth } from "express-oauth2-jwt-bearer";
import { createRemoteJWKSet, decodeProtectedHeader, jwtVerify } from "jose";
import { expect, test } from "vitest";
import { requireAccess } from "../../src/resource-server/express.ts";
import { createVerifier } from "../../src/resource-server/verifier.ts";
import { grantorJson } from "../support/command-line.ts";
import { post, startGrantor, type Tokens } from "../support/grantor.ts";
import { stores } from "../support/stores.ts";
import { waitFor } from "../support/wait-for.ts";

const AUDIENCE = "https://api.example/rotation";
/** Seconds: short, so that two rotations fit into a test; longer than it takes to order the second, whose key some cache then does not have yet. */
const JWKS_MAX_AGE = 5;
const PER_SECOND = 50;
/** With tokens of each key, at each resource server. */
const ENOUGH = 25;
/** Requests under way at once; a slow machine gets fewer a second. */
const MOST = 100;

/** What every resource server is told: to keep keys for as long as the issuer says. None of them looks again for a key that it does not know. */
const CACHE = { cacheMaxAge: JWKS_MAX_AGE * 1000, cooldownDuration: 3_600_000 };

interface ResourceServer extends AsyncDisposable {
  readonly name: string;
  readonly url: string;
}

async function listening(name: string, server: Server): Promise<ResourceServer> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    name,
    url: `http://127.0.0.1:${port}/`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function withJose(issuer: string): Promise<ResourceServer> {
  const keys = createRemoteJWKSet(new URL(`${issuer}/.well-known/jwks.json`), CACHE);
  const server = createServer(async (request, response) => {
    try {
      const token = request.headers.authorization?.replace(/^Bearer /, "") ?? "";
      await jwtVerify(token, keys, { issuer, audience: AUDIENCE, algorithms: ["RS256"], typ: "at+jwt" });
      response.writeHead(200).end("ok");
    } catch (error) {
      response.writeHead(401).end(String(error));
    }
  });
  return listening("jose", server);
}

function withExpressBearer(issuer: string): Promise<ResourceServer> {
  const app = express();
  app.use(auth({ issuerBaseURL: issuer, audience: AUDIENCE, tokenSigningAlg: "RS256", ...CACHE }));
  app.get("/", (_request, response) => void response.send("ok"));
  return listening("express-oauth2-jwt-bearer", createServer(app));
}

function withOurVerifier(issuer: string): Promise<ResourceServer> {
  const app = express();
  app.use(requireAccess(createVerifier({ issuer, audience: AUDIENCE })));
  app.get("/", (_request, response) => void response.send("ok"));
  return listening("grantor/resource-server", createServer(app));
}

test("two rotations under load", async () => {
  await using backing = await stores[1].open({ empty: true });
  await using grantor = await startGrantor(backing, {
    WORKERS: "2",
    JWKS_MAX_AGE: `${JWKS_MAX_AGE}`,
    KEY_PUBLISH_AHEAD: `${JWKS_MAX_AGE}`,
  });
  await grantor.resource(AUDIENCE, { scopes: [{ name: "rotation:read", description: "" }] });
  const client = await grantor.client({ type: "service", metadata: { scope: "rotation:read" } });
  await using jose = await withJose(grantor.url);
  await using bearer = await withExpressBearer(grantor.url);
  await using ours = await withOurVerifier(grantor.url);
  const apis = [jose, bearer, ours];

  const failures = new Map<string, number>();
  const fail = (what: string) => void failures.set(what.slice(0, 300), (failures.get(what.slice(0, 300)) ?? 0) + 1);
  /** The last token of each key, in the order of their first use. */
  const tokens = new Map<string, string>();
  /** `<key> <resource server>` → requests that were let through. */
  const served = new Map<string, number>();
  const underWay = new Set<Promise<void>>();

  async function call(api: ResourceServer, kid: string, token: string): Promise<void> {
    const response = await fetch(api.url, { headers: { Authorization: `Bearer ${token}` } });
    const text = await response.text();
    if (response.status !== 200) fail(`${api.name}: ${response.status} ${text}`);
    served.set(`${kid} ${api.name}`, (served.get(`${kid} ${api.name}`) ?? 0) + 1);
  }

  /** A new token, and one of every key so far, at one resource server. */
  async function request(api: ResourceServer): Promise<void> {
    try {
      const parameters = { grant_type: "client_credentials", resource: AUDIENCE, scope: "rotation:read" };
      const response = await post(`${grantor.url}/oauth/token`, client, parameters);
      const { access_token } = (await response.json()) as Tokens;
      if (response.status !== 200) return fail(`token endpoint: ${response.status}`);
      tokens.set(decodeProtectedHeader(access_token).kid as string, access_token);
      for (const [kid, token] of tokens) await call(api, kid, token);
    } catch (error) {
      fail(String(error));
    }
  }

  let count = 0;
  const load = setInterval(() => {
    if (underWay.size >= MOST) return;
    const work = request(apis[count++ % apis.length] as ResourceServer).finally(() => underWay.delete(work));
    underWay.add(work);
  }, 1000 / PER_SECOND);
  const rotate = () => grantorJson<{ keys: { outcome: string; kid: string }[] }>(grantor.server.env, ["keys", "rotate", "--alg", "RS256"]);
  const wellServed = (kid: string) =>
    waitFor(`requests with tokens of ${kid}`, () => apis.every(({ name }) => (served.get(`${kid} ${name}`) ?? 0) >= ENOUGH), 60_000);
  try {
    await waitFor("the first tokens", () => tokens.size > 0);
    const [first] = tokens.keys();
    await wellServed(first as string);
    const kids = [first as string];
    for (let rotations = 0; rotations < 2; rotations++) {
      const { kid } = (await rotate()).keys[0] as { kid: string };
      await waitFor(`tokens of ${kid}`, () => tokens.has(kid), 60_000);
      kids.push(kid);
    }
    // Tokens of the first key, which retired two rotations ago, are as good as ever.
    await wellServed(kids[2] as string);
    served.clear();
    for (const kid of kids) await wellServed(kid);
    expect([...tokens.keys()]).toEqual(kids);
  } finally {
    clearInterval(load);
    await Promise.all(underWay);
  }
  expect(Object.fromEntries(failures)).toEqual({});
});
