import { afterEach, beforeEach, expect, test } from "vitest";
import { openCors } from "../../src/http/cors.ts";
import { type Host, startHost } from "../support/host.ts";

let host: Host;
beforeEach(async () => {
  const cors = openCors();
  host = await startHost({
    routes: () => [
      (ctx, next) => (ctx.path === "/open" ? cors(ctx, next) : next()),
      (ctx) => {
        if (ctx.path === "/open") ctx.body = { open: true };
      },
    ],
  });
});
afterEach(() => host.close());

test("an asset under its hash is kept for good", async () => {
  const url = host.assets.url("grantor.css");
  expect(url).toMatch(/^\/assets\/grantor\.css\?v=[\w-]{16}$/);
  const { status, headers, text } = await host.send(url);
  expect(status).toBe(200);
  expect(headers).toMatchObject({
    "content-type": "text/css; charset=utf-8",
    "cache-control": "public, max-age=31536000, immutable",
    "x-content-type-options": "nosniff",
  });
  expect(text).toContain("--accent");
  expect((await host.send(url, { headers: { "If-None-Match": String(headers.etag) } })).status).toBe(304);
  const head = await host.send(url, { method: "HEAD" });
  expect(head.headers["content-length"]).toBe(headers["content-length"]);
});

test("under another hash it is served, not kept", async () => {
  for (const path of ["/assets/grantor.css", "/assets/grantor.css?v=other"]) {
    expect((await host.send(path)).headers["cache-control"]).toBe("no-cache");
  }
});

test("types fit, and nothing else is served", async () => {
  expect((await host.send("/assets/icon.svg")).headers["content-type"]).toBe("image/svg+xml");
  expect((await host.send("/assets/comfort.js")).headers["content-type"]).toBe("text/javascript; charset=utf-8");
  for (const path of ["/assets/", "/assets/../package.json", "/assets/..%2f..%2fpackage.json", "/assets/__proto__"]) {
    expect((await host.send(path)).status, path).toBe(404);
  }
  expect((await host.send("/assets/grantor.css", { method: "POST" })).status).toBe(405);
  expect(() => host.assets.url("nothing.css")).toThrow("nothing.css");
});

test("open routes can be read from every origin, without credentials", async () => {
  const origin = { Origin: "https://spa.example" };
  const answer = await host.send("/open", { headers: origin });
  expect(answer.headers["access-control-allow-origin"]).toBe("*");
  expect(answer.headers["access-control-allow-credentials"]).toBeUndefined();
  const preflight = await host.send("/open", { method: "OPTIONS", headers: { ...origin, "Access-Control-Request-Method": "GET" } });
  expect(preflight.status).toBe(204);
  expect(preflight.headers["access-control-allow-methods"]).toBe("GET, HEAD");
  expect((await host.send("/open")).headers["access-control-allow-origin"]).toBeUndefined();
});

test("what is packed for browsers by somebody else is served beside our own", async () => {
  const { status, headers, text } = await host.send(host.assets.url("simplewebauthn.js"));
  expect(status).toBe(200);
  expect(headers["content-type"]).toBe("text/javascript; charset=utf-8");
  expect(text).toContain("SimpleWebAuthnBrowser");
});
