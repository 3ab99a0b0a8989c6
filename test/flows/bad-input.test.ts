/** What strangers send: an OAuth error with the right status or an error page, never a 500, a stack trace or a redirect to who knows where. */
import { expect, it } from "vitest";
import { Agent } from "../support/agent.ts";
import { describeFlows } from "../support/flows.ts";
import { answerOf, authorizationUrl, pkce, post, type SeededClient } from "../support/grantor.ts";
import { expectErrorPage, isSound, rawTo, TRACE } from "../support/soundness.ts";

const FORM = "application/x-www-form-urlencoded";

describeFlows("bad input", (flow) => {
  const endpoint = (path: string) => `${flow.grantor.url}${path}`;
  const raw = rawTo(flow);
  const changed = (client: SeededClient, changes: Record<string, string | undefined>) => {
    const url = new URL(authorizationUrl(flow.grantor.url, client, pkce()));
    for (const [name, value] of Object.entries(changes)) {
      if (value === undefined) url.searchParams.delete(name);
      else url.searchParams.set(name, value);
    }
    return url.href;
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
      await expectErrorPage(flow, page, 400, client_id ? "invalid_client" : "invalid_request");
      expect(page.text).not.toContain("<script>alert");
    }
    const german = await new Agent().open(changed(client, { client_id: "nobody", ui_locales: "de" }));
    expect(german.text).toContain("ist diesem Server nicht bekannt");
    expect(german.text).toContain('<dd lang="en"><bdi>client is invalid</bdi></dd>');
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
    await expectErrorPage(
      flow,
      await new Agent().open(changed(client, { redirect_uri: "https://evil.example/" })),
      400,
      "invalid_redirect_uri",
    );
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
      else await expectErrorPage(flow, page, 400, "invalid_request");
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
});
