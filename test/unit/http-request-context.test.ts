import { afterEach, describe, expect, test } from "vitest";
import { type Host, startHost } from "../support/host.ts";

let host: Host;
afterEach(() => host.close());

async function start(options: { trustProxy?: string[]; issuer?: string } = {}): Promise<Host> {
  host = await startHost({
    ...options,
    routes: () => [
      (ctx) => {
        if (ctx.path === "/log") ctx.state.log.info({ password: "hunter2hunter2" }, "a line");
        const { origin, protocol, host: name, hostname, secure, ip, href } = ctx;
        ctx.body = { client: ctx.state.client, origin, protocol, host: name, hostname, secure, ip, href };
      },
    ],
  });
  return host;
}

const accessLines = () => host.lines.filter((line) => line.msg === "request");
async function accessLine(): Promise<Record<string, unknown>> {
  await expect.poll(() => accessLines().length).toBeGreaterThan(0);
  return accessLines()[0] as Record<string, unknown>;
}

describe("request id", () => {
  test("is made, sent and logged", async () => {
    await start();
    const answer = await host.send("/log?code=s3cret");
    const id = answer.headers["x-request-id"];
    expect(id).toMatch(/^[0-9a-f]{16}$/);
    const line = await accessLine();
    expect(line).toMatchObject({ requestId: id, method: "GET", path: "/log", status: 200, client: "127.0.0.1" });
    expect(line.ms).toBeTypeOf("number");
    expect(host.lines.find((one) => one.msg === "a line")).toMatchObject({ requestId: id, password: "[redacted]" });
    expect(JSON.stringify(host.lines)).not.toMatch(/s3cret|hunter2/);
  });

  test("differs from request to request", async () => {
    await start();
    const ids = await Promise.all(Array.from({ length: 20 }, async () => (await host.send("/")).headers["x-request-id"]));
    expect(new Set(ids).size).toBe(20);
  });

  test("is taken from a trusted proxy alone, and only when it is harmless", async () => {
    await start();
    expect((await host.send("/", { headers: { "X-Request-Id": "abc" } })).headers["x-request-id"]).not.toBe("abc");
    await host.close();
    await start({ trustProxy: ["127.0.0.1"] });
    expect((await host.send("/", { headers: { "X-Request-Id": "abc-1" } })).headers["x-request-id"]).toBe("abc-1");
    for (const bad of ["a b", "<script>", "x".repeat(65)]) {
      expect((await host.send("/", { headers: { "X-Request-Id": bad } })).headers["x-request-id"]).toMatch(/^[0-9a-f]{16}$/);
    }
  });
});

describe("client address", () => {
  const clientOf = async (headers: Record<string, string>) => JSON.parse((await host.send("/", { headers })).text).client;

  test("is the peer when no proxy is trusted", async () => {
    await start();
    expect(await clientOf({ "X-Forwarded-For": "198.51.100.7", "X-Forwarded-Proto": "https" })).toEqual({
      address: "127.0.0.1",
      protocol: "http",
      proxied: false,
    });
  });

  test("is the rightmost untrusted address behind trusted proxies", async () => {
    await start({ trustProxy: ["127.0.0.0/8", "10.0.0.0/8"] });
    const address = async (headers: Record<string, string>) => (await clientOf(headers)).address;
    expect(await address({ "X-Forwarded-For": "198.51.100.7" })).toBe("198.51.100.7");
    expect(await address({ "X-Forwarded-For": "203.0.113.9, 198.51.100.7, 10.1.2.3" })).toBe("198.51.100.7");
    expect(await address({ "X-Forwarded-For": "198.51.100.7:4711" })).toBe("198.51.100.7");
    expect(await address({ "X-Forwarded-For": "::ffff:198.51.100.7" })).toBe("198.51.100.7");
    expect(await address({ "X-Forwarded-For": "junk, 10.1.2.3" })).toBe("10.1.2.3");
    expect(await address({ Forwarded: 'for=203.0.113.9;proto=http, for="[2001:db8::1]:4711";proto=https' })).toBe("2001:db8::1");
    expect(await address({ Forwarded: "for=unknown" })).toBe("127.0.0.1");
    expect(await address({ "X-Forwarded-For": "198.51.100.7", Forwarded: "for=198.51.100.7" })).toBe("198.51.100.7");
    // One of the two is the client's own invention.
    expect(await address({ "X-Forwarded-For": "198.51.100.7", Forwarded: "for=203.0.113.9" })).toBe("127.0.0.1");
    expect((await clientOf({ "X-Forwarded-For": "198.51.100.7", "X-Forwarded-Proto": "https" })).protocol).toBe("https");
    expect((await clientOf({ Forwarded: "for=198.51.100.7;proto=https" })).protocol).toBe("https");
    expect((await clientOf({ "X-Forwarded-Proto": "javascript" })).protocol).toBe("http");
  });

  test("a proxy list with a wrong entry is refused, naming it", async () => {
    await start();
    await expect(startHost({ trustProxy: ["10.0.0.0/99"], routes: () => [] })).rejects.toThrow("10.0.0.0/99");
  });
});

describe("pinned issuer", () => {
  test("whatever Host and forwarded headers say", async () => {
    await start({ issuer: "https://auth.example:8443", trustProxy: ["127.0.0.1"] });
    const answer = await host.send("/x", {
      headers: { Host: "evil.example", Origin: "https://evil.example", "X-Forwarded-Host": "evil.example" },
    });
    expect(answer.text).not.toContain("evil");
    expect(JSON.parse(answer.text)).toMatchObject({
      origin: "https://auth.example:8443",
      protocol: "https",
      host: "auth.example:8443",
      hostname: "auth.example",
      secure: true,
      href: "https://auth.example:8443/x",
      ip: "127.0.0.1",
    });
  });

  test("an absolute request target changes nothing", async () => {
    await start({ issuer: "https://auth.example" });
    const answer = await host.send("http://evil.example/y", { headers: { Host: "evil.example" } });
    expect(JSON.parse(answer.text)).toMatchObject({ origin: "https://auth.example", host: "auth.example", href: "https://auth.example/y" });
  });
});
