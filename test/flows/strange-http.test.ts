/** Methods, paths and headers that no well-meaning client sends. */
import { expect, it } from "vitest";
import { describeFlows } from "../support/flows.ts";
import { sendRaw } from "../support/raw-http.ts";
import { isSound, rawTo, TRACE } from "../support/soundness.ts";

const FORM = "application/x-www-form-urlencoded";

describeFlows("strange HTTP", (flow) => {
  const endpoint = (path: string) => `${flow.grantor.url}${path}`;
  const raw = rawTo(flow);

  it("answers other methods in HTTP's own words", async () => {
    for (const path of [
      "/oauth/token",
      "/oauth/par",
      "/oauth/introspect",
      "/oauth/revoke",
      "/oauth/device",
      "/oauth/register",
      "/oauth/logout/confirm",
    ]) {
      const answer = await fetch(endpoint(path));
      expect([path, answer.status]).toEqual([path, 405]);
      expect(answer.headers.get("Allow")).toContain("POST");
      expect(await answer.json()).toMatchObject({ error: "method_not_allowed", reference: answer.headers.get("X-Request-Id") });
    }
    for (const method of ["PUT", "PATCH", "DELETE", "PROPFIND", "TRACE", "OPTIONS", "HEAD"]) {
      for (const path of [
        "/",
        "/account",
        "/interaction/x",
        "/oauth/authorize",
        "/oauth/token",
        "/oauth/register/x",
        "/device",
        "/sign-up",
        "/nothing",
      ]) {
        const answer = await raw(method, path, { Accept: "text/html" });
        expect([method, path, isSound(answer) && answer.status !== 0]).toEqual([method, path, true]);
      }
    }
    for (const line of [
      "FOO / HTTP/1.1",
      "GET / HTTP/9.9",
      "GET /",
      "",
      "\u0000",
      "GET  / HTTP/1.1",
      "CONNECT evil.example:443 HTTP/1.1",
    ]) {
      const answer = await sendRaw(flow.grantor.url, `${line}\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
      expect([line, answer.status < 500, TRACE.test(answer.body)]).toEqual([line, true, false]);
    }
  });

  it("answers 400 to a target that is neither path nor URL, and takes a whole URL for its path", async () => {
    for (const target of ["http://[", "http://", "http://a:99999/", "https://[::1", "//[", "/[", "*"]) {
      const answer = await raw("GET", target);
      expect([target, answer.status >= 400 && answer.status < 500, TRACE.test(answer.body)]).toEqual([target, true, false]);
    }
    const refused = await raw("GET", "http://[");
    expect([refused.status, JSON.parse(refused.body)]).toMatchObject([400, { error: "invalid_request" }]);
    for (const host of ["localhost", "evil.example", "%6cocalhost"]) {
      expect((await raw("GET", `http://${host}/health/live?x=1`)).status).toBe(200);
      expect((await raw("GET", `http://${host}/.well-known/jwks.json`)).status).toBe(200);
    }
    expect(flow.grantor.server.logs()).not.toMatch(/ERR_INVALID_URL|unexpected error/);
  });

  it("is not fooled by strange paths", async () => {
    const paths = [
      ...[
        "//",
        "//evil.example",
        "//evil.example/%2e%2e",
        "///",
        "/\\evil.example",
        "/%5cevil.example",
        "/.",
        "/..",
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
      ],
      ...[
        "/oauth//token",
        "/oauth/token/",
        "/OAUTH/TOKEN",
        "/oauth/Token",
        "/oauth/token;x=1",
        "/oauth%2ftoken",
        "/oauth/%74oken",
        "/oauth/../oauth/token",
        "/./oauth/token",
        "/oauth/token%00",
        "/oauth/token%20",
      ],
      ...[
        "/assets/../../package.json",
        "/assets/%2e%2e/%2e%2e/package.json",
        "/assets/..%2f..%2fpackage.json",
        "/assets/%00",
        "/assets/%ff",
        "/assets/",
        "/assets/.env",
      ],
      ...[
        "/interaction/",
        "/interaction/%2e%2e/account",
        "/interaction//",
        "/account/",
        "/account//",
        "/account;x",
        "/%",
        "/%zz",
        "/%ff%fe",
        "/%00",
        "/?%",
        "/?%ff=%fe",
        "/?a[b]=c&a[__proto__]=d",
      ],
      ...[
        "/.well-known/",
        "/.well-known/openid-configuration/",
        "/.well-known//jwks.json",
        "/.well-known/jwks.json%00",
        "/oauth/authorize/%2e%2e",
        "/device/",
        "/device/%00",
        `/${"x".repeat(8000)}`,
      ],
      ...[
        "http://evil.example/",
        "http://evil.example/oauth/token",
        "*",
        "/sign-in?next=https://evil.example",
        "/sign-out?next=//evil.example",
        "/sign-in/callback?code=x&iss=x",
      ],
    ];
    for (const path of paths) {
      for (const method of ["GET", "POST"]) {
        const answer = await raw(method, path, {
          Accept: "text/html",
          ...(method === "POST" && { "Content-Type": FORM, "Content-Length": "0" }),
        });
        expect([method, path.slice(0, 60), answer.status > 0 && isSound(answer)]).toEqual([method, path.slice(0, 60), true]);
        expect([path, /^location:.*evil/im.test(answer.headers), answer.body.includes('"dependencies"')]).toEqual([path, false, false]);
      }
      if (/token/i.test(path)) {
        const form = "grant_type=client_credentials";
        const answer = await raw("POST", path, { "Content-Type": FORM, "Content-Length": `${form.length}` }, form);
        expect([path, [400, 404].includes(answer.status)]).toEqual([path, true]);
      }
    }
  });

  it("survives headers of every size", async () => {
    for (const [name, value] of [
      ["X-Large", "x".repeat(100_000)],
      ["Cookie", `a=${"x".repeat(12_000)}`],
      ["Authorization", `Bearer ${"x".repeat(12_000)}`],
      ["Accept", "text/html,".repeat(1000)],
      ["Accept-Language", "x,".repeat(5000)],
      ["Origin", "x".repeat(10_000)],
      ["X-Forwarded-For", "1.1.1.1,".repeat(1000)],
      ["Content-Length", "-1"],
      ["Content-Length", "99999999999999999999"],
      ["Transfer-Encoding", "nonsense"],
      ["Expect", "nonsense"],
      ["If-None-Match", '"'.repeat(5000)],
      ["Host", "evil.example:99999"],
    ] as const) {
      for (const path of ["/", "/oauth/authorize?client_id=x", "/oauth/userinfo", "/.well-known/openid-configuration"]) {
        const answer = await raw("GET", path, { [name]: value });
        expect([name, path, answer.status > 0 && isSound(answer)]).toEqual([name, path, true]);
      }
    }
    const many = Object.fromEntries(Array.from({ length: 3000 }, (_, index) => [`X-${index}`, "x"]));
    expect((await raw("GET", "/", many)).status).toBeLessThan(500);
    expect((await fetch(endpoint("/health/live"))).status).toBe(200);
  });
});
