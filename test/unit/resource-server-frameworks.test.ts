/** `grantor/resource-server/…`: the same routes in the real Koa, Express, Fastify and Hono, over HTTP. */
import { createServer, type RequestListener, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { getRequestListener } from "@hono/node-server";
import Router from "@koa/router";
import express from "express";
import fastify from "fastify";
import { createVerifier, type Verifier } from "grantor/resource-server";
import * as forExpress from "grantor/resource-server/express";
import * as forFastify from "grantor/resource-server/fastify";
import * as forHono from "grantor/resource-server/hono";
import * as forKoa from "grantor/resource-server/koa";
import { Hono } from "hono";
import Koa from "koa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ProofKey, proofKey } from "../support/dpop.ts";
import { AUDIENCE, TestIssuer, testKey } from "../support/issuer.ts";

/** Under `/api`: `/things` for things:read, `/bound` for bound tokens, `/broken` where something fails, `/open` without a check. */
type App = (verifier: Verifier) => RequestListener | Promise<RequestListener>;

const NEEDS = { scope: "things:read" };
const BROKEN: Verifier = { verify: () => Promise.reject(new Error("broken")) };
const MISSPELT = { scopes: "things:read" } as object;

const apps: Record<string, App> = {
  Koa: (verifier) => {
    const { requireAccess, accessTokenOf } = forKoa;
    const router = new Router({ prefix: "/api" });
    const show = (ctx: Koa.Context) => {
      ctx.body = { sub: accessTokenOf(ctx).sub };
    };
    router.get("/things", requireAccess(verifier, NEEDS), show);
    router.get("/bound", requireAccess(verifier, { dpop: true }), show);
    router.get("/broken", requireAccess(BROKEN), show);
    router.get("/open", show);
    const app = new Koa();
    app.silent = true;
    return app.use(router.routes()).callback();
  },
  Express: (verifier) => {
    const { requireAccess, accessTokenOf } = forExpress;
    const show = (_req: express.Request, res: express.Response) => void res.json({ sub: accessTokenOf(res).sub });
    const router = express.Router();
    router.get("/things", requireAccess(verifier, NEEDS), show);
    router.get("/bound", requireAccess(verifier, { dpop: true }), show);
    router.get("/broken", requireAccess(BROKEN), show);
    router.get("/open", show);
    return express().set("env", "test").use("/api", router);
  },
  Fastify: async (verifier) => {
    const { requireAccess, accessTokenOf } = forFastify;
    const app = fastify();
    const show = async (request: object) => ({ sub: accessTokenOf(request).sub });
    app.register(
      async (api) => {
        api.get("/things", { onRequest: requireAccess(verifier, NEEDS) }, show);
        api.get("/bound", { onRequest: requireAccess(verifier, { dpop: true }) }, show);
        api.get("/broken", { onRequest: requireAccess(BROKEN) }, show);
        api.get("/open", show);
      },
      { prefix: "/api" },
    );
    await app.ready();
    return (req, res) => app.routing(req, res);
  },
  Hono: (verifier) => {
    const { requireAccess, accessTokenOf } = forHono;
    const api = new Hono();
    api.get("/things", requireAccess(verifier, NEEDS), (c) => c.json({ sub: accessTokenOf(c).sub }));
    api.get("/bound", requireAccess(verifier, { dpop: true }), (c) => c.json({ sub: accessTokenOf(c).sub }));
    api.get("/broken", requireAccess(BROKEN), (c) => c.json({ sub: accessTokenOf(c).sub }));
    api.get("/open", (c) => c.json({ sub: accessTokenOf(c).sub }));
    const app = new Hono().route("/api", api).onError((_error, c) => c.text("error", 500));
    return getRequestListener(app.fetch);
  },
};

describe.each(Object.entries(apps))("%s", (_, make) => {
  let issuer: TestIssuer;
  let key: ProofKey;
  let server: Server;
  let url: string;
  beforeAll(async () => {
    issuer = new TestIssuer("https://id.example", [await testKey("one")]);
    key = await proofKey();
    const verifier = createVerifier({ issuer: issuer.url, audience: AUDIENCE, realm: "things", fetch: issuer.fetch, now: issuer.now });
    server = createServer(await make(verifier));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });

  const get = async (path: string, headers: Record<string, string> = {}) => {
    const answer = await fetch(url + path, { headers });
    const text = await answer.text();
    return { status: answer.status, headers: answer.headers, body: text.startsWith("{") ? JSON.parse(text) : text };
  };

  it("lets a good token through, and the route sees its claims", async () => {
    const { status, body } = await get("/api/things", { Authorization: `Bearer ${await issuer.token()}` });
    expect([status, body]).toEqual([200, { sub: "ada" }]);
  });

  it("answers what is not let through, in full", async () => {
    const missing = await get("/api/things");
    expect(missing).toMatchObject({ status: 401, body: { error: "missing_token" } });
    expect(missing.headers.get("WWW-Authenticate")).toBe('Bearer realm="things", scope="things:read"');
    expect(missing.headers.get("Content-Type")).toMatch(/^application\/json/);
    const malformed = await get("/api/things", { Authorization: "Bearer" });
    expect(malformed).toMatchObject({ status: 400, body: { error: "invalid_request" } });
    const small = await get("/api/things", { Authorization: `Bearer ${await issuer.token({ scope: "other" })}` });
    expect(small).toMatchObject({
      status: 403,
      body: { error: "insufficient_scope", error_description: "this needs the scope things:read" },
    });
    const wrong = await get("/api/things", { Authorization: "Bearer abc" });
    expect(wrong).toMatchObject({ status: 401, body: { error: "invalid_token" } });
    expect(wrong.headers.get("WWW-Authenticate")).toContain('error="invalid_token"');
    const token = await issuer.token({ status: { status_list: { idx: 1, uri: issuer.listUri("gone") } } });
    issuer.intercept = () => new Response(null, { status: 503 });
    const away = await get("/api/things", { Authorization: `Bearer ${token}` });
    issuer.intercept = () => undefined;
    expect(away).toMatchObject({ status: 503, body: { error: "temporarily_unavailable" } });
    expect(away.headers.get("Retry-After")).toBe("5");
    expect(away.headers.get("WWW-Authenticate")).toBeNull();
  });

  it("checks a proof against the complete URL, below a prefix too", async () => {
    const token = await issuer.token({ cnf: { jkt: key.jkt } });
    const proven = async (at: string) => ({
      Authorization: `DPoP ${token}`,
      DPoP: await key.prove("GET", at, { accessToken: token }),
    });
    expect((await get("/api/bound?a=b", await proven(`${url}/api/bound`))).status).toBe(200);
    expect((await get("/api/things", await proven(`${url}/api/things`))).status).toBe(200);
    const other = await get("/api/bound", await proven(`${url}/bound`));
    expect(other).toMatchObject({ status: 401, body: { error: "invalid_dpop_proof" } });
    expect((await get("/api/bound", { Authorization: `Bearer ${await issuer.token()}` })).status).toBe(401);
  });

  it("takes no second DPoP header", async () => {
    const token = await issuer.token({ cnf: { jkt: key.jkt } });
    const proofs = [await key.prove("GET", `${url}/api/bound`, { accessToken: token }), "more"];
    const status = await new Promise((resolve, reject) => {
      request(`${url}/api/bound`, { headers: { Authorization: `DPoP ${token}`, DPoP: proofs } }, (res) => {
        res.resume();
        resolve(res.statusCode);
      })
        .on("error", reject)
        .end();
    });
    expect(status).toBe(401);
  });

  it("leaves other errors to the framework", async () => {
    const Authorization = `Bearer ${await issuer.token()}`;
    expect((await get("/api/broken", { Authorization })).status).toBe(500);
    expect((await get("/api/open", { Authorization })).status).toBe(500);
  });
});

it.each([forKoa, forExpress, forFastify, forHono])("a slip in what a route needs is an error at once", ({ requireAccess }) => {
  expect(() => requireAccess(BROKEN, MISSPELT)).toThrow(/no requirement named scopes/);
});
