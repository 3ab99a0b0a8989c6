import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Answer, type Host, startHost } from "../support/host.ts";

let host: Host;
afterEach(() => host.close());

async function start(issuer?: string): Promise<void> {
  host = await startHost({
    ...(issuer ? { issuer } : {}),
    routes: ({ forms, render }) => [
      async (ctx) => {
        if (ctx.method === "GET") render(ctx, "login", { action: "/login" });
        else
          await forms.verifyForm(ctx, async () => {
            ctx.body = { form: ctx.state.form };
          });
      },
    ],
  });
}
beforeEach(() => start());

const urlencoded = { "Content-Type": "application/x-www-form-urlencoded" };

async function openPage(cookie?: string): Promise<{ cookie: string; token: string; answer: Answer }> {
  const answer = await host.send("/login", { headers: cookie ? { Cookie: cookie } : {} });
  const set = answer.headers["set-cookie"]?.[0];
  return { answer, cookie: set?.split(";")[0] ?? cookie ?? "", token: /name="csrf" value="([^"]+)"/.exec(answer.text)?.[1] ?? "" };
}

const post = (body: string | Buffer, headers: Record<string, string> = {}) =>
  host.send("/login", { method: "POST", headers: { ...urlencoded, ...headers }, body });

describe("the forgery token", () => {
  test("a form of ours is let through, without the token among its fields", async () => {
    const { cookie, token } = await openPage();
    const answer = await post(`csrf=${token}&email=a%40b.example&name=J%C3%BCrgen+K`, {
      Cookie: cookie,
      "Sec-Fetch-Site": "same-origin",
      Origin: "null",
    });
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.text)).toEqual({ form: { email: "a@b.example", name: "Jürgen K" } });
  });

  test("the cookie is set once and kept over tabs", async () => {
    const first = await openPage();
    expect(first.answer.headers["set-cookie"]?.[0]).toMatch(/^grantor_csrf_[\w-]{4}=[\w-]{22}; path=\/; samesite=lax; httponly$/);
    const second = await openPage(first.cookie);
    expect(second.answer.headers["set-cookie"]).toBeUndefined();
    expect(second.token).toBe(first.token);
  });

  test("two first pages opened at once: the browser gets both cookies, and both forms fit", async () => {
    const [one, other] = await Promise.all([openPage(), openPage()]);
    expect(one.token).not.toBe(other.token);
    const both = `theme=dark; ${other.cookie}; ${one.cookie}`;
    for (const { token } of [one, other]) expect((await post(`csrf=${token}`, { Cookie: both })).status).toBe(200);
    const next = await openPage(both);
    expect(next.answer.headers["set-cookie"]).toBeUndefined();
    expect((await post(`csrf=${next.token}`, { Cookie: both })).status).toBe(200);
  });

  test("on https the cookie is __Host- and Secure", async () => {
    await host.close();
    await start("https://auth.example");
    expect((await openPage()).answer.headers["set-cookie"]?.[0]).toMatch(
      /^__Host-grantor_csrf_[\w-]{4}=[\w-]{22}; path=\/; samesite=lax; secure; httponly$/,
    );
  });

  test.each([
    ["no token", (t: { cookie: string }) => ["email=x", t.cookie]],
    ["a wrong token", (t: { cookie: string }) => ["csrf=AAAA&email=x", t.cookie]],
    ["no cookie", (t: { token: string }) => [`csrf=${t.token}`, ""]],
    ["another browser's cookie", (t: { token: string }) => [`csrf=${t.token}`, `grantor_csrf_AAAA=${"A".repeat(22)}`]],
    ["a malformed cookie", (t: { token: string }) => [`csrf=${t.token}`, "grantor_csrf_xxxx=x"]],
  ])("%s: 403, in words", async (_, make) => {
    const [body = "", cookie = ""] = make(await openPage());
    const answer = await post(body, { Cookie: cookie, Accept: "text/html" });
    expect(answer.status).toBe(403);
    expect(answer.text).toContain("This form is out of date");
    expect(answer.text).toContain("reload the page");
  });

  test.each([{ "Sec-Fetch-Site": "cross-site" }, { "Sec-Fetch-Site": "same-site" }, { Origin: "https://evil.example" }])(
    "%o: 403 although the token fits",
    async (headers) => {
      const { cookie, token } = await openPage();
      const answer = await post(`csrf=${token}`, { Cookie: cookie, ...headers });
      expect(answer.status).toBe(403);
      expect(JSON.parse(answer.text).error).toBe("cross_site_form");
    },
  );

  test("its own origin is let through", async () => {
    const { cookie, token } = await openPage();
    expect((await post(`csrf=${token}`, { Cookie: cookie, Origin: host.url })).status).toBe(200);
  });
});

describe("the body", () => {
  test.each([
    [415, "application/json", "{}"],
    [415, "multipart/form-data; boundary=x", "--x--"],
    [415, "text/plain", "a=b"],
    [415, "application/x-www-form-urlencoded; charset=junk", "a=b"],
    [415, "application/x-www-form-urlencoded; charset=utf-16", "a=b"],
    [415, "", "a=b"],
    [403, "Application/X-WWW-Form-URLencoded; charset=UTF-8", "a=b"],
    [400, "application/x-www-form-urlencoded", "email=a&email=b"],
    [400, "application/x-www-form-urlencoded", "csrf=a&csrf=b"],
    [400, "application/x-www-form-urlencoded", "email=a%00b"],
    [400, "application/x-www-form-urlencoded", Array.from({ length: 300 }, (_, index) => `f${index}=1`).join("&")],
    [403, "application/x-www-form-urlencoded", "%%%=%zz&__proto__=1&=&&"],
    [403, "application/x-www-form-urlencoded", Buffer.from([0xff, 0xfe, 0x3d, 0xc3])],
    [413, "application/x-www-form-urlencoded", `a=${"x".repeat(60 * 1024)}`],
  ])("%i for %s", async (status, type, body) => {
    const headers: Record<string, string> = type ? { "Content-Type": type } : {};
    expect((await host.send("/login", { method: "POST", headers, body })).status).toBe(status);
  });

  test("a small body that unpacks to a large one is refused", async () => {
    const answer = await post(gzipSync(Buffer.alloc(1024 * 1024, "a")), { "Content-Encoding": "gzip" });
    expect(answer.status).toBe(413);
  });

  test("an unknown encoding and a broken one are refused", async () => {
    expect((await post("a=b", { "Content-Encoding": "junk" })).status).toBe(415);
    expect((await post("a=b", { "Content-Encoding": "gzip" })).status).toBe(400);
  });

  test("the answer to too much closes the connection", async () => {
    expect((await post(`a=${"x".repeat(60 * 1024)}`)).headers.connection).toBe("close");
  });
});
