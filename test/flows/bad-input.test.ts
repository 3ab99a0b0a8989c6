/** What strangers send: an OAuth error with the right status or an error page, never a 500, a stack trace or a redirect to who knows where. */
import { expect, it } from "vitest";
import { Agent, type Page } from "../support/agent.ts";
import { describeFlows } from "../support/flows.ts";
import { answerOf, authorizationUrl, authorize, type Person, pkce, post, type SeededClient } from "../support/grantor.ts";
import { type RawAnswer, rawRequest, sendRaw } from "../support/raw-http.ts";
import { waitFor } from "../support/wait-for.ts";

const FORM = "application/x-www-form-urlencoded";
const TRACE = /\bat .*\(?(?:file:\/\/|node:|\/).*:\d+:\d+|node_modules|PrismaClient|ECONNREFUSED/;

describeFlows("bad input", (flow) => {
  const endpoint = (path: string) => `${flow.grantor.url}${path}`;
  const isSound = ({ status, body }: { status: number; body: string }) => status < 500 && !TRACE.test(body);
  const raw = (method: string, target: string, headers: Record<string, string> = {}, body = ""): Promise<RawAnswer> =>
    sendRaw(flow.grantor.url, rawRequest(method, target, headers, body));
  const changed = (client: SeededClient, changes: Record<string, string | undefined>) => {
    const url = new URL(authorizationUrl(flow.grantor.url, client, pkce()));
    for (const [name, value] of Object.entries(changes)) {
      if (value === undefined) url.searchParams.delete(name);
      else url.searchParams.set(name, value);
    }
    return url.href;
  };
  /** An error page for a person: never a redirect, and its reference is in the log. */
  const expectErrorPage = async (page: Page, status: number, code: string) => {
    expect([page.url.slice(0, 200), page.status, page.text.includes(code)]).toEqual([page.url.slice(0, 200), status, true]);
    expect(page.headers.get("Content-Type")).toBe("text/html; charset=utf-8");
    expect(page.headers.get("Content-Security-Policy")).toContain("frame-ancestors 'none'");
    expect(page.headers.get("Cache-Control")).toBe("no-store");
    expect(page.text).not.toMatch(TRACE);
    const reference = /<dt>Reference<\/dt><dd><code>([^<]+)<\/code>/.exec(page.text)?.[1] as string;
    expect(reference).toBe(page.headers.get("X-Request-Id"));
    await waitFor("the reference in the log", () => flow.grantor.server.logs().includes(reference));
  };

  it("shows an error page for an unknown client", async () => {
    const client = await flow.grantor.client();
    for (const client_id of [
      "nobody",
      "",
      undefined,
      "x".repeat(5000),
      "\u0000",
      "<script>alert(1)</script>",
      "../../etc/passwd",
      "constructor",
      "__proto__",
    ]) {
      const page = await new Agent().open(changed(client, { client_id }));
      await expectErrorPage(page, 400, client_id ? "invalid_client" : "invalid_request");
      expect(page.text).not.toContain("<script>alert");
    }
    const program = await fetch(changed(client, { client_id: "nobody" }), { headers: { Accept: "application/json" }, redirect: "manual" });
    expect(program.status).toBe(400);
  });

  it("never redirects to an address that is not registered", async () => {
    const client = await flow.grantor.client();
    const registered = client.redirect_uri;
    const tricks = [
      ...[
        "https://evil.example/callback",
        `${registered}/`,
        `${registered}?x=1`,
        `${registered}#x`,
        `${registered}/../evil`,
        `${registered}%00`,
        `${registered} `,
      ],
      ...[
        "https://app.example.evil.example/callback",
        "https://app.example@evil.example/callback",
        "https://app.example:444/callback",
        "HTTPS://app.example/callback",
      ],
      ...[
        "http://app.example/callback",
        "//app.example/callback",
        "/callback",
        "javascript:alert(1)",
        "data:text/html,x",
        "https://app.example/Callback",
        "",
      ],
      ...[
        "https://app.example/callback\r\nLocation: https://evil.example",
        "https://app.example\\@evil.example/callback",
        "\u0000",
        "x".repeat(5000),
      ],
    ];
    for (const redirect_uri of [...tricks, undefined]) {
      for (const more of [
        {},
        { response_type: "token" },
        { scope: "nothing" },
        { prompt: "none" },
        { code_challenge: undefined },
        { response_mode: "form_post" },
      ]) {
        const page = await new Agent().open(changed(client, { redirect_uri, ...more }));
        expect([redirect_uri, more, page.status, page.url.startsWith(flow.grantor.url)]).toEqual([redirect_uri, more, 400, true]);
        expect(page.text).not.toMatch(/<form[^>]*action="(?!\/|http:\/\/localhost)/);
      }
    }
    await expectErrorPage(await new Agent().open(changed(client, { redirect_uri: "https://evil.example/" })), 400, "invalid_redirect_uri");
  });

  it("refuses a parameter that is given twice", async () => {
    const client = await flow.grantor.client();
    const good = authorizationUrl(flow.grantor.url, client, pkce());
    for (const [twice, redirected] of [
      ["client_id=x", false],
      [`client_id=${client.client_id}`, false],
      ["redirect_uri=https://evil.example/", false],
      [`redirect_uri=${encodeURIComponent(client.redirect_uri)}`, false],
      ["scope=openid", true],
      ["state=other", true],
      ["response_type=code", true],
      ["code_challenge=x", true],
      ["nonce=a&nonce=b", true],
      ["prompt=login&prompt=none", true],
      ["response_mode=query&response_mode=fragment", true],
    ] as const) {
      const page = await new Agent().open(`${good}&${twice}`);
      const answer = new URL(page.url).searchParams;
      if (redirected) expect([twice, answer.get("error"), answer.get("code")]).toEqual([twice, "invalid_request", null]);
      else await expectErrorPage(page, 400, "invalid_request");
      expect(page.url).not.toMatch(/^https:\/\/evil/);
    }
    const twice = (name: string, value: string): [string, string][] => [
      ["grant_type", "authorization_code"],
      ["code", "a"],
      ["redirect_uri", client.redirect_uri],
      ["code_verifier", "x".repeat(43)],
      [name, value],
    ];
    for (const [name, value] of [
      ["grant_type", "refresh_token"],
      ["code", "b"],
      ["redirect_uri", "https://evil.example"],
      ["code_verifier", "y"],
    ] as const) {
      expect(await answerOf(post(endpoint("/oauth/token"), client, twice(name, value)))).toMatchObject({
        status: 400,
        body: { error: "invalid_request" },
      });
    }
  });

  it("reads bodies up to a limit, and forms only", async () => {
    const client = await flow.grantor.client();
    const large = `grant_type=client_credentials&x=${"x".repeat(200_000)}`;
    const basic = `Basic ${Buffer.from(`${client.client_id}:${client.client_secret}`).toString("base64")}`;
    for (const path of [
      "/oauth/token",
      "/oauth/par",
      "/oauth/introspect",
      "/oauth/revoke",
      "/oauth/device",
      "/oauth/userinfo",
      "/oauth/authorize",
      "/oauth/logout",
      "/device",
      "/sign-up",
      "/interaction/x",
    ]) {
      const page =
        path === "/device" || path === "/sign-up" || path === "/interaction/x" || path === "/oauth/authorize" || path === "/oauth/logout";
      const headers = { "Content-Type": FORM, ...(page ? { Accept: "text/html" } : { Authorization: basic }) };
      const answers = [
        await raw("POST", path, { ...headers, "Content-Length": `${large.length}` }, large),
        await raw("POST", path, { ...headers, "Transfer-Encoding": "chunked" }, `${large.length.toString(16)}\r\n${large}\r\n0\r\n\r\n`),
      ];
      for (const { status, body } of answers)
        expect([path, [400, 401, 413].includes(status), TRACE.test(body)]).toEqual([path, true, false]);
      for (const type of [
        "application/json",
        "text/plain",
        "multipart/form-data; boundary=x",
        "application/xml",
        "nonsense",
        `${FORM}; charset=utf-16`,
        `${FORM}; charset=nonsense`,
      ]) {
        const { status, body } = await raw("POST", path, { ...headers, "Content-Type": type, "Content-Length": "7" }, '{"a":1}');
        const refused = (status >= 400 && status < 500) || (status === 303 && type.startsWith(FORM)); // a charset is no reason to refuse a GET
        expect([path, type, refused, TRACE.test(body)]).toEqual([path, type, true, false]);
      }
      const empty = await raw("POST", path, { ...headers, "Content-Length": "0" });
      expect([path, isSound(empty)]).toEqual([path, true]);
      const short = await raw("POST", path, { ...headers, "Content-Length": "3" }, "a=bcdef");
      expect([path, isSound(short)]).toEqual([path, true]);
    }
    const json = await fetch(endpoint("/oauth/token"), {
      method: "POST",
      headers: { Authorization: basic, "Content-Type": "application/json" },
      body: "{}",
    });
    expect(await answerOf(json)).toMatchObject({ status: 400, body: { error: "invalid_request" } });
    expect((await fetch(endpoint("/health/live"))).status).toBe(200);
  });

  it("treats junk cookies as none", async () => {
    const client = await flow.grantor.client({ firstParty: true });
    const names = ["grantor_session", "grantor_session.sig", "grantor_interaction", "grantor_resume", "grantor_csrf", "grantor_device"];
    for (const value of [
      "",
      "x",
      "x".repeat(3000),
      "%00",
      "%ff%fe",
      "%",
      "null",
      "{}",
      '"',
      "a=b",
      "a b",
      "\u00ff",
      "'; DROP TABLE account; --",
    ]) {
      const cookie = names.map((name) => `${name}=${value}`).join("; ");
      for (const path of [
        "/",
        "/account",
        "/sign-in",
        "/device",
        "/oauth/logout",
        "/interaction/abc",
        "/sign-up",
        new URL(authorizationUrl(flow.grantor.url, client, pkce())).href.slice(flow.grantor.url.length),
      ]) {
        const answer = await raw("GET", path, { Cookie: cookie, Accept: "text/html" });
        expect([value.slice(0, 9), path.slice(0, 20), isSound(answer)]).toEqual([value.slice(0, 9), path.slice(0, 20), true]);
        expect([path, answer.headers.includes("code=")]).toEqual([path, false]);
      }
    }
  });

  it("believes a session cookie only with its signature", async () => {
    const client = await flow.grantor.client({ firstParty: true });
    const agent = new Agent();
    await authorize(agent, authorizationUrl(flow.grantor.url, client, pkce()), await flow.grantor.person());
    const cookies = agent.cookiesFor(endpoint("/"));
    const session = cookies.grantor_session as string;
    const signature = cookies["grantor_session.sig"] as string;
    const other = (value: string) => `${value.startsWith("A") ? "B" : "A"}${value.slice(1)}`;
    const isSignedIn = async (jar: Record<string, string>) => {
      const thief = new Agent();
      for (const [name, value] of Object.entries(jar)) thief.setCookie(name, value);
      const page = await thief.open(authorizationUrl(flow.grantor.url, client, pkce(), { prompt: "none" }));
      return new URL(page.url).searchParams.has("code");
    };
    expect(await isSignedIn({ grantor_session: session, "grantor_session.sig": signature })).toBe(true);
    expect(await isSignedIn({ grantor_session: session })).toBe(false);
    expect(await isSignedIn({ grantor_session: session, "grantor_session.sig": other(signature) })).toBe(false);
    expect(await isSignedIn({ grantor_session: other(session), "grantor_session.sig": signature })).toBe(false);
  });

  const login = (agent: Agent, page: Page, person: Person) => agent.submit(page, { email: person.email, password: person.password });

  it("refuses steps that are over, expired, or another browser's", async () => {
    const client = await flow.grantor.client();
    const person = await flow.grantor.person();
    const agent = new Agent();
    const page = await agent.open(authorizationUrl(flow.grantor.url, client, pkce()));
    const stranger = new Agent();
    await expectErrorPage(await stranger.open(page.url), 400, "no longer open");
    const own = await stranger.open(authorizationUrl(flow.grantor.url, client, pkce()));
    await expectErrorPage(await stranger.open(page.url), 400, "no longer open"); // a browser with an interaction of its own
    const crossed = { ...own, forms: [{ action: page.forms[0]?.action as string, fields: own.forms[0]?.fields ?? {} }] };
    await expectErrorPage(await login(stranger, crossed, person), 400, "no longer open");

    await flow.later(3_700, async () => {
      await expectErrorPage(await agent.open(page.url), 400, "no longer open");
      await expectErrorPage(await login(agent, page, person), 400, "no longer open");
    });
    const consent = await login(agent, page, person);
    await expectErrorPage(await login(agent, page, person), 400, "no longer open"); // the back button
    const end = await agent.submit(consent, { decision: "allow" }, consent.forms.length - 1);
    expect(new URL(end.url).searchParams.get("code")).toBeTruthy();
    await expectErrorPage(await agent.submit(consent, { decision: "allow" }, consent.forms.length - 1), 400, "no longer open");
    for (const uid of ["x", "constructor", "%00", "%ff", "..", "%2e%2e", "x".repeat(3000), "a b", "%F0%9F%92%A5"]) {
      const answer = await raw("GET", `/interaction/${uid.replace(" ", "%20")}`, { Accept: "text/html" });
      expect([uid.slice(0, 12), [400, 404, 414].includes(answer.status), TRACE.test(answer.body)]).toEqual([uid.slice(0, 12), true, false]);
      const resumed = await raw("GET", `/oauth/authorize/${uid.replace(" ", "%20")}`, { Accept: "text/html" });
      expect([uid.slice(0, 12), isSound(resumed), resumed.headers.includes("Location")]).toEqual([uid.slice(0, 12), true, false]);
    }
    const decided = await new Agent().open(authorizationUrl(flow.grantor.url, client, pkce()));
    expect(decided.status).toBe(200);
  });

  it("refuses forms that are stale or come from elsewhere, and changes nothing", async () => {
    const client = await flow.grantor.client();
    const person = await flow.grantor.person();
    const agent = new Agent();
    const page = await agent.open(authorizationUrl(flow.grantor.url, client, pkce()));
    const typed = { email: person.email, password: person.password };
    const other = await new Agent().open(authorizationUrl(flow.grantor.url, client, pkce()));
    for (const csrf of ["", "x", other.forms[0]?.fields.csrf as string, "\u0000"]) {
      const refused = await agent.submit(page, { ...typed, csrf });
      expect([csrf.slice(0, 6), [400, 403].includes(refused.status)]).toEqual([csrf.slice(0, 6), true]);
    }
    await expectErrorPage(await agent.submit(page, { ...typed, csrf: "x" }), 403, "out of date");
    const body = new URLSearchParams({ ...page.forms[0]?.fields, ...typed });
    const action = page.forms[0]?.action as string;
    for (const headers of [
      { Origin: "https://evil.example" },
      { "Sec-Fetch-Site": "cross-site" },
      { "Sec-Fetch-Site": "same-site" },
    ] as Record<string, string>[]) {
      const refused = await agent.request(action, { method: "POST", body, headers });
      expect(refused.status).toBe(403);
    }
    const cookieless = await fetch(action, { method: "POST", body, redirect: "manual" });
    expect(cookieless.status).toBe(403);
    expect((await agent.open(page.url)).text).toContain('name="password"'); // still to sign in
    expect((await login(agent, page, person)).text).toContain('name="decision"');
    for (const decision of ["", "yes", "ALLOW", "allow deny", "\u0000"]) {
      const consent = await agent.open(authorizationUrl(flow.grantor.url, client, pkce()));
      const answer = await agent.submit(consent, { decision }, consent.forms.length - 1);
      expect([decision, answer.status]).toEqual([decision, 400]);
    }
  });

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

  it("takes no NUL bytes and no broken UTF-8 for text", async () => {
    const client = await flow.grantor.client();
    const secret = `client_id=${client.client_id}&client_secret=${client.client_secret}`;
    for (const junk of [
      "%00",
      "%ff%fe%fd",
      "%c0%80",
      "%ed%a0%80",
      "%",
      "%zz",
      "\u0000",
      "\u00ff\u00fe",
      "%F0%9F%92%A5",
      "%0d%0aX-Evil:1",
      "%u0000",
    ]) {
      const bodies: [string, string][] = [
        ...[
          "grant_type",
          "code",
          "refresh_token",
          "device_code",
          "scope",
          "resource",
          "client_id",
          "client_secret",
          "client_assertion",
        ].map((name): [string, string] => ["/oauth/token", `${secret}&grant_type=refresh_token&${name}=${junk}`]),
        ["/oauth/token", `grant_type=client_credentials&client_id=${junk}&client_secret=${junk}`],
        ["/oauth/token", `${secret}&grant_type=authorization_code&code=${junk}&redirect_uri=${junk}&code_verifier=${junk}`],
        ["/oauth/introspect", `${secret}&token=${junk}`],
        ["/oauth/introspect", `${secret}&token=${junk}.${junk}.${junk}`],
        ["/oauth/revoke", `${secret}&token=${junk}`],
        ["/oauth/par", `${secret}&redirect_uri=${junk}&response_type=code&scope=${junk}`],
        ["/oauth/device", `client_id=${junk}&scope=${junk}`],
        ["/oauth/userinfo", `access_token=${junk}`],
        ["/oauth/authorize", `client_id=${client.client_id}&redirect_uri=${junk}`],
        ["/oauth/logout", `id_token_hint=${junk}&client_id=${junk}`],
        ["/device", `user_code=${junk}`],
        ["/sign-up", `email=${junk}&password=${junk}`],
        [`/${junk}`, `${junk}=${junk}`],
      ];
      for (const [path, body] of bodies) {
        const answer = await raw("POST", path, { "Content-Type": FORM, "Content-Length": `${Buffer.byteLength(body)}` }, body);
        expect([path, junk, body.slice(-60), isSound(answer), answer.status]).toEqual([path, junk, body.slice(-60), true, answer.status]);
        expect(answer.headers).not.toMatch(/^x-evil/im);
      }
      for (const name of [
        "client_id",
        "redirect_uri",
        "scope",
        "state",
        "nonce",
        "code_challenge",
        "prompt",
        "max_age",
        "id_token_hint",
        "login_hint",
        "ui_locales",
        "resource",
        "request_uri",
        "response_mode",
        "acr_values",
        "display",
        "claims",
      ]) {
        const url = new URL(changed(client, { [name]: undefined }));
        const answer = await raw("GET", `${url.pathname}${url.search}&${name}=${junk}`, { Accept: "text/html" });
        expect([name, junk, isSound(answer)]).toEqual([name, junk, true]);
        expect(answer.headers).not.toMatch(/^x-evil/im);
        const location = /^location: (.*)$/im.exec(answer.headers)?.[1];
        if (location !== undefined)
          expect([
            name,
            junk,
            /^(\/interaction\/|http:\/\/localhost:\d+\/interaction\/|https:\/\/app\.example\/callback[?#])/.test(location),
          ]).toEqual([name, junk, true]);
      }
      for (const header of [
        `Bearer ${junk}`,
        `Basic ${junk}`,
        `Basic ${Buffer.from(junk).toString("base64")}`,
        `Basic ${Buffer.from(`${junk}:${junk}`).toString("base64")}`,
        junk,
      ]) {
        for (const path of ["/oauth/userinfo", "/oauth/token", "/oauth/register", "/oauth/register/x"]) {
          const answer = await raw("POST", path, { Authorization: header, "Content-Type": FORM, "Content-Length": "5" }, "a=b&c");
          expect([path, header, isSound(answer)]).toEqual([path, header, true]);
        }
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
