import type { lookup } from "node:dns";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createGuardedFetch, type FetchGuardOptions, isPublicAddress } from "../../src/http/fetch-guard.ts";

const TWICE_PACKED = gzipSync(gzipSync(Buffer.alloc(20_000_000)));

let server: Server;
let port: number;
let connections: number;
let requests: string[];

beforeEach(async () => {
  connections = 0;
  requests = [];
  server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url}`);
    if (request.url === "/redirect") return void response.writeHead(302, { location: `http://127.0.0.1:${port}/target` }).end();
    if (request.url === "/endless") return void feed();
    if (request.url === "/slow") return;
    if (request.url?.startsWith("/bomb")) {
      const [packed, encoding] = request.url === "/bomb" ? [gzipSync(Buffer.alloc(20_000_000)), "gzip"] : [TWICE_PACKED, "gzip, gzip"];
      return void response.writeHead(200, { "content-encoding": encoding }).end(packed);
    }
    if (request.url === "/not-modified") return void response.writeHead(304).end();
    if (request.url === "/drip") return void response.write("x");
    response.end(`{"ok":true}`);

    function feed(): void {
      while (response.write("x".repeat(65_536)));
      response.once("drain", feed);
    }
  });
  server.on("connection", () => {
    connections += 1;
  });
  await new Promise<void>((resolve) => server.listen(0, resolve));
  port = (server.address() as AddressInfo).port;
});

afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

/** A resolver for which every name is this machine, or what is given. */
const resolvesTo = (...addresses: string[]) =>
  ((_name: string, _options: object, callback: (error: null, found: { address: string; family: number }[]) => void) =>
    callback(
      null,
      addresses.map((address) => ({ address, family: address.includes(":") ? 6 : 4 })),
    )) as unknown as typeof lookup;

async function refusal(url: string, allow: string[] = [], options: FetchGuardOptions = {}): Promise<unknown> {
  const error = await createGuardedFetch(
    allow,
    options,
  )(url).then(
    () => undefined,
    (reason: { code?: string; cause?: { code?: string } }) => reason,
  );
  return error?.cause?.code ?? error?.code;
}

describe("an address of this machine or its network", () => {
  test("is refused before any connection, however it is written", async () => {
    const hosts = [
      "127.0.0.1",
      "127.1",
      "2130706433",
      "0x7f.1",
      "0177.0.0.1",
      "0.0.0.0",
      "[::1]",
      "[::]",
      "[::ffff:127.0.0.1]",
      "[::ffff:7f00:1]",
      "[::7f00:1]",
      "localhost",
      "LOCALHOST",
      "127.0.0.1.",
      "0",
      "0x7f000001",
      "017700000001",
      "127.0.1",
      "[0:0:0:0:0:0:0:1]",
      "[::ffff:0:0]",
      "[::ffff:0:127.0.0.1]",
      "[64:ff9b::7f00:1]",
      "[64:ff9b:1::7f00:1]",
      "[2002:7f00:1::]",
      "[fe80::1]",
      "１２７.0.0.1",
      "127。0。0。1",
      "169.254.169.254",
      "[fd00:ec2::254]",
      "168.63.129.16",
    ];
    for (const host of hosts) expect([host, await refusal(`http://${host}:${port}/`)]).toEqual([host, "fetch_refused"]);
    expect(await refusal(`https://127.0.0.1:${port}/`)).toBe("fetch_refused");
    expect(connections).toBe(0);
  });

  test("is refused behind a name, also beside a public one", async () => {
    for (const addresses of [["127.0.0.1"], ["::1"], ["8.8.8.8", "127.0.0.1"], ["169.254.169.254"], []])
      expect(await refusal(`http://app.example:${port}/`, [], { resolve: resolvesTo(...addresses) })).toBe("fetch_refused");
    expect(connections).toBe(0);
  });

  test("is not reached by a name whose answer changes: the address that was looked at is the one that is connected to", async () => {
    let lookups = 0;
    const changing = ((_name: string, _options: object, callback: (error: null, found: { address: string; family: number }[]) => void) => {
      lookups += 1;
      callback(null, [{ address: lookups === 1 ? "192.0.0.9" : "127.0.0.1", family: 4 }]);
    }) as unknown as typeof lookup;
    const guarded = createGuardedFetch(["192.0.0.9"], { resolve: changing, timeout: 200 });
    await expect(guarded(`http://rebinds.example:${port}/`)).rejects.toThrow();
    expect(lookups).toBe(1);
    await expect(guarded(`http://rebinds.example:${port}/`)).rejects.toMatchObject({ cause: { code: "fetch_refused" } });
    expect(connections).toBe(0);
  });

  test("is not reached by a redirect", async () => {
    const response = await createGuardedFetch([`localhost:${port}`])(`http://localhost:${port}/redirect`, { redirect: "follow" });
    expect(response.status).toBe(302);
    expect(requests).toEqual(["GET /redirect"]);
  });

  test("may be reached where FETCH_ALLOW says so, and nowhere else", async () => {
    const allowed = [
      [`localhost:${port}`, "localhost"],
      ["localhost", "localhost"],
      ["127.0.0.0/8", "127.0.0.1"],
      ["127.0.0.1", "127.0.0.1"],
      [`127.0.0.1:${port}`, "127.0.0.1"],
      ["::1", "[::1]"],
      ["127.0.0.0/8", "[::ffff:127.0.0.1]"],
    ] as const;
    for (const [entry, host] of allowed) {
      const response = await createGuardedFetch([entry])(`http://${host}:${port}/`);
      expect([entry, await response.json()]).toEqual([entry, { ok: true }]);
    }
    const before = connections;
    for (const [entry, host] of [
      [`localhost:${port + 1}`, "localhost"],
      ["10.0.0.0/8", "127.0.0.1"],
      ["app.example", "localhost"],
    ] as const)
      expect([entry, await refusal(`http://${host}:${port}/`, [entry])]).toEqual([entry, "fetch_refused"]);
    expect(connections).toBe(before);
  });

  test("is reached through a name when its range is allowed", async () => {
    const guarded = createGuardedFetch(["127.0.0.0/8"], { resolve: resolvesTo("127.0.0.1") });
    expect((await guarded(`http://app.example:${port}/`)).status).toBe(200);
  });
});

describe("what is fetched", () => {
  const guarded = (options?: FetchGuardOptions) => createGuardedFetch(["localhost"], options);

  test("ignores the dispatcher that the engine hands in, and takes its headers and body", async () => {
    const response = await guarded()(`http://localhost:${port}/x`, {
      method: "POST",
      headers: new Headers({ "content-type": "application/x-www-form-urlencoded" }),
      body: new URLSearchParams({ a: "b" }),
      dispatcher: { dispatch: () => expect.unreachable() },
    } as unknown as RequestInit);
    expect(response.headers.get("content-length")).not.toBeNull();
    expect(requests).toEqual(["POST /x"]);
  });

  test("is bounded in size", async () => {
    const response = await guarded({ maxBytes: 100_000 })(`http://localhost:${port}/endless`);
    await expect(response.arrayBuffer()).rejects.toThrow();
  });

  test("is bounded in size when it is unpacked, too", async () => {
    for (const path of ["/bomb", "/bomb-in-a-bomb"]) {
      const response = await guarded()(`http://localhost:${port}${path}`);
      expect(response.status).toBe(200);
      await expect(response.arrayBuffer()).rejects.toThrow(/larger than/);
    }
  });

  test("may have no body", async () => {
    const response = await guarded()(`http://localhost:${port}/not-modified`);
    expect([response.status, await response.text()]).toEqual([304, ""]);
  });

  test("is bounded in time, to the end of the body", async () => {
    await expect(guarded({ timeout: 100 })(`http://localhost:${port}/slow`)).rejects.toThrow();
    await expect(guarded({ timeout: 100 })(`http://localhost:${port}/drip`).then((response) => response.text())).rejects.toThrow();
    await expect(guarded()(`http://localhost:${port}/slow`, { signal: AbortSignal.timeout(100) })).rejects.toThrow();
  });

  test("is http or https", async () => {
    for (const url of ["file:///etc/passwd", "data:text/plain,x", "ftp://localhost/"])
      expect(await refusal(url, ["localhost"])).toBe("fetch_refused");
  });
});

test("public addresses are those that everybody can reach", () => {
  for (const address of ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8"])
    expect([address, isPublicAddress(address)]).toEqual([address, true]);
  const others = [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "127.0.0.2",
    "169.254.169.254",
    "172.31.0.1",
    "192.168.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:10.0.0.1",
    "64:ff9b::a00:1",
    "2002:7f00:1::",
    "2001::1",
    "fe80::1",
    "fec0::1",
    "fd00::1",
    "ff02::1",
    "2001:db8::1",
    "168.63.129.16",
    "192.0.0.192",
    "100.100.100.200",
    "fd00:ec2::254",
    "64:ff9b:1::1",
    "3fff::1",
    "100::1",
    "::ffff:0:7f00:1",
    "not-an-address",
    "",
  ];
  for (const address of others) expect([address, isPublicAddress(address)]).toEqual([address, false]);
});
