import Koa from "koa";
import { describe, expect, test } from "vitest";
import { cookieAttributes, cookieName, PreparedKeygrip } from "../../src/http/cookies.ts";

const [one, two, three] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2), Buffer.alloc(32, 3)] as [Buffer, Buffer, Buffer];

describe("PreparedKeygrip", () => {
  test("signs with the first key and accepts all", () => {
    const old = new PreparedKeygrip([one]);
    const rotated = new PreparedKeygrip([two, one]);
    expect(old.sign("a=b")).toMatch(/^[\w-]{43}$/);
    expect(rotated.index("a=b", rotated.sign("a=b"))).toBe(0);
    expect(rotated.index("a=b", old.sign("a=b"))).toBe(0);
    expect(new PreparedKeygrip([three]).index("a=b", old.sign("a=b"))).toBe(-1);
    expect(new PreparedKeygrip([three]).verify("a=b", old.sign("a=b"))).toBe(false);
  });

  test.each(["", "x", "ü".repeat(43), "A".repeat(43), "A".repeat(5000)])("refuses the signature %s", (digest) => {
    expect(new PreparedKeygrip([one]).verify("a=b", digest)).toBe(false);
  });

  test("needs a key", () => {
    expect(() => new PreparedKeygrip([])).toThrow(TypeError);
  });

  test("serves Koa's signed cookies, and leaves them to whoever sets them after a rotation", async () => {
    const ask = async (keys: Buffer[], cookie?: string) => {
      const app = new Koa();
      app.keys = new PreparedKeygrip(keys) as unknown as string[];
      app.use((ctx) => {
        ctx.body = ctx.cookies.get("s", { signed: true }) ?? "none";
        if (!cookie) ctx.cookies.set("s", "value", { signed: true });
      });
      const server = app.listen(0);
      const { port } = server.address() as { port: number };
      const answer = await fetch(`http://127.0.0.1:${port}/`, { headers: cookie ? { cookie } : {} });
      server.close();
      const set = answer.headers.getSetCookie().map((line) => line.split(";")[0]);
      return { text: await answer.text(), cookie: set.join("; "), set };
    };
    const first = await ask([one]);
    expect(first.set).toHaveLength(2);
    expect((await ask([one], first.cookie)).text).toBe("value");
    const rotated = await ask([two, one], first.cookie);
    expect(rotated.text).toBe("value");
    expect(rotated.set).toEqual([]); // a signature sent by itself would have neither the cookie's path nor its lifetime
    expect((await ask([one], first.cookie.replace("value", "other"))).text).toBe("none");
  });
});

test("names and attributes follow the issuer", () => {
  expect(cookieName("s", { https: true })).toBe("__Host-s");
  expect(cookieName("s", { https: true, path: "/interaction/x" })).toBe("__Secure-s");
  expect(cookieName("s", { https: false })).toBe("s");
  expect(cookieAttributes({ https: true, path: "/x" })).toEqual({
    httpOnly: true,
    sameSite: "lax",
    secure: true,
    path: "/x",
    overwrite: true,
  });
});
