import { Redis } from "ioredis";
import pg from "pg";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createThrottle, type Throttle, type ThrottleStore } from "../../src/accounts/throttle.ts";
import { type Database, openDatabase } from "../../src/storage/database.ts";
import { startRedis } from "../support/redis.ts";
import { stores as arrangements, type Stores } from "../support/stores.ts";

const KEY = Buffer.alloc(32, 7);
let serial = 0;
const unique = (what: string) => {
  serial += 1;
  return `${what}${serial}`;
};
const freshEmail = () => `${unique("person")}@example.com`;
/** Addresses of distinct networks. */
const freshAddress = () => {
  serial += 1;
  return `10.${serial >> 8}.${serial & 255}.7`;
};

describe.each(arrangements)("throttle on $name", ({ redis: onRedis, open }) => {
  let stores: Stores;
  let database: Database;
  let clients: Redis[];
  /** Two processes. */
  let here: Throttle;
  let there: Throttle;

  beforeAll(async () => {
    stores = await open();
    database = await openDatabase({ dataDir: "", embeddedDatabase: false }, { databaseUrl: stores.databaseUrl }, pino({ level: "silent" }));
    clients = [];
    const store = async (): Promise<ThrottleStore> => {
      if (!onRedis) return { pool: database.pool };
      const url = stores.redisUrl ?? "";
      const client = url.startsWith("unix://") ? new Redis({ path: url.slice(7) }) : new Redis(url);
      await client.ping();
      clients.push(client);
      return { redis: client };
    };
    const limits = { stranger: 20 };
    here = createThrottle(await store(), KEY, limits);
    there = createThrottle(await store(), KEY, limits);
  });
  afterAll(async () => {
    for (const client of clients) client.disconnect();
    await database?.close();
    await stores?.close();
  });

  /** Failed tries until one is refused: how many were let through, and the wait that was asked for. */
  async function failUntilRefused(who: () => Parameters<Throttle["beginSignIn"]>[0], most = 200): Promise<{ tries: number; wait: number }> {
    for (let tries = 0; tries < most; tries += 1) {
      try {
        await (tries % 2 ? here : there).beginSignIn(who());
      } catch (error) {
        expect(error).toMatchObject({ code: "too_many_attempts", status: 429 });
        const { headers, retryAfter, message } = error as { headers: Record<string, string>; retryAfter: number; message: string };
        expect(headers["Retry-After"]).toBe(String(retryAfter));
        expect(message).toMatch(/^There were too many tries\. Wait \d+ (second|minute)s?, then try again\.$/);
        return { tries, wait: retryAfter };
      }
    }
    throw new Error(`${most} tries were let through`);
  }

  test("one address has a few tries at one account, counted over all processes; another account and another address are free", async () => {
    const email = freshEmail();
    const address = freshAddress();
    const { tries, wait } = await failUntilRefused(() => ({ email, address }));
    expect(tries).toBeGreaterThanOrEqual(5);
    expect(tries).toBeLessThanOrEqual(8);
    expect(wait).toBeGreaterThan(0);
    await here.beginSignIn({ email: freshEmail(), address });
    await here.beginSignIn({ email, address: freshAddress() });
  });

  test("waiting lets one try through, and the next wait is longer", async () => {
    const email = freshEmail();
    const address = freshAddress();
    const first = await failUntilRefused(() => ({ email, address }));
    await new Promise((resolve) => setTimeout(resolve, first.wait * 1000 + 50));
    const second = await failUntilRefused(() => ({ email, address }));
    expect(second.tries).toBe(1);
    expect(second.wait).toBeGreaterThan(first.wait);
  });

  test("the right password gives its try back and forgets the failures before it", async () => {
    const email = freshEmail();
    const address = freshAddress();
    for (let round = 0; round < 8; round += 1) {
      await here.beginSignIn({ email, address });
      await there.beginSignIn({ email, address });
      await (await here.beginSignIn({ email, address })).succeeded();
    }
  });

  test("parallel tries do not slip through", async () => {
    const email = freshEmail();
    const address = freshAddress();
    const tries = await Promise.allSettled(Array.from({ length: 60 }, (_, n) => (n % 2 ? here : there).beginSignIn({ email, address })));
    expect(tries.filter(({ status }) => status === "fulfilled").length).toBeLessThanOrEqual(6);
  });

  test("one address that tries many accounts is stopped, with all of its IPv6 network", async () => {
    const { tries } = await failUntilRefused(() => ({ email: freshEmail(), address: unique("2001:db8:7:7::") }));
    expect(tries).toBe(61); // past the free ones one at a time, with growing pauses
    await here.beginSignIn({ email: freshEmail(), address: "2001:db8:7:8::1" });
  });

  test.each([
    ["IPv4", (host: number) => `203.0.113.${host}`, "203.0.114.1"],
    ["IPv6", (host: number) => `2001:db8:9:${host}::1`, "2001:db8:a::1"],
  ])(
    "many addresses of one %s network that try many accounts are stopped together, and the network beside it is not",
    async (_, addressAt, beside) => {
      let host = 0;
      const { tries } = await failUntilRefused(() => {
        host += 1;
        return { email: freshEmail(), address: addressAt((host % 200) + 1) };
      }, 300);
      expect(tries).toBe(241);
      await here.beginSignIn({ email: freshEmail(), address: beside });
      await here.beginSignIn({ email: freshEmail(), address: addressAt(1), device: unique("owners-browser") });
    },
  );

  test("the second factor of an account has few tries, whoever shows it and wherever; the right one gives them back", async () => {
    const accountId = unique("account");
    const begin = (n: number, device?: string) => (n % 2 ? here : there).beginSecondFactor({ accountId, device });
    const tries = await Promise.allSettled(Array.from({ length: 30 }, (_, n) => begin(n)));
    expect(tries.filter(({ status }) => status === "fulfilled").length).toBeLessThanOrEqual(6);
    await expect(begin(0)).rejects.toMatchObject({ code: "too_many_attempts", status: 429 });
    // In a browser that the account knows, its owner has tries of their own.
    await (await begin(0, "owners-browser")).succeeded();
    await here.beginSecondFactor({ accountId: unique("account"), device: undefined });
    const patient = unique("account");
    for (let round = 0; round < 12; round += 1) await (await here.beginSecondFactor({ accountId: patient, device: undefined })).succeeded();
  });

  test("many addresses that guess at one account are slowed, and never keep the owner out", async () => {
    const email = freshEmail();
    const attackers = Array.from({ length: 40 }, freshAddress);
    let letThrough = 0;
    for (let round = 0; round < 4; round += 1) {
      for (const address of attackers) {
        const [{ status }] = await Promise.allSettled([here.beginSignIn({ email, address })]);
        if (status === "fulfilled") letThrough += 1;
      }
    }
    // Each has its first try; together they have hardly any after it.
    expect(letThrough).toBeLessThan(60);

    // At a new address, the owner has a first try too.
    await (await here.beginSignIn({ email, address: freshAddress() })).succeeded();
    // In a browser that the account knows, the owner has tries of their own, even behind an attacker's address.
    for (let round = 0; round < 5; round += 1) {
      await here.beginSignIn({ email, address: attackers[0] as string, device: "owners-browser-1" });
    }
    await (await here.beginSignIn({ email, address: attackers[0] as string, device: "owners-browser-1" })).succeeded();

    // More addresses than a day allows: strangers wait, the owner's browser does not.
    const { tries } = await failUntilRefused(() => ({ email, address: freshAddress() }), 120);
    expect(tries).toBeLessThanOrEqual(100);
    await (await there.beginSignIn({ email, address: freshAddress(), device: "owners-browser-1" })).succeeded();
  });

  test("a known browser may not guess for ever either", async () => {
    const email = freshEmail();
    const { tries } = await failUntilRefused(() => ({ email, address: freshAddress(), device: "a-stolen-browser" }));
    expect(tries).toBeLessThanOrEqual(13);
  });

  test("other things have allowances of their own", async () => {
    const recipient = freshEmail();
    const got = await Promise.all(
      Array.from({ length: 9 }, (_, n) => (n % 2 ? here : there).allows("mail", { email: recipient, address: "192.0.2.1" })),
    );
    expect(got.filter(Boolean)).toHaveLength(5);
    for (const other of [
      { email: freshEmail(), address: "192.0.2.1" },
      { email: recipient, address: freshAddress() },
    ]) {
      expect(await here.allows("mail", other)).toBe(true);
    }
    const address = freshAddress();
    for (let count = 0; count < 100; count += 1) await here.require("sign-up", { address });
    await expect(there.require("sign-up", { address })).rejects.toMatchObject({ code: "too_many_attempts", status: 429 });
    // Whoever has used up their own has not used up what their network has: four times as much.
    const neighbour = (host: number) => ({ address: address.replace(/\d+$/, `${100 + host}`) });
    const ofNetwork = await Promise.all(Array.from({ length: 330 }, (_, n) => here.allows("sign-up", neighbour(n % 100))));
    expect(ofNetwork.filter(Boolean)).toHaveLength(300);
  });

  test("browsers that signed in before have a hundred tries together, however many there are; then they are strangers", async () => {
    const [email, address, accountId] = [freshEmail(), freshAddress(), unique("account")];
    const browser = () => unique("a-browser-of-before");
    const attempts = Array.from({ length: 100 }, () => here.beginSignIn({ email, address, device: browser() }));
    await (await attempts[0])?.succeeded(); // costs nothing
    await Promise.all(attempts);
    const { tries } = await failUntilRefused(() => ({ email, address, device: browser() }), 12);
    expect(tries).toBeGreaterThanOrEqual(6);
    await here.beginSignIn({ email: freshEmail(), address, device: browser() });
    await Promise.all(Array.from({ length: 100 }, () => there.beginSecondFactor({ accountId, device: browser() })));
    const further = Array.from({ length: 30 }, () => here.beginSecondFactor({ accountId, device: browser() }));
    const through = (await Promise.allSettled(further)).filter(({ status }) => status === "fulfilled");
    expect(through.length).toBeGreaterThan(0);
    expect(through.length).toBeLessThanOrEqual(6);
  });

  test("wrong codes of devices are counted by address, right ones are not, and parallel tries do not slip through", async () => {
    const address = freshAddress();
    for (let count = 0; count < 60; count += 1) await (await (count % 2 ? here : there).beginUserCode(address)).succeeded();
    const tries = await Promise.allSettled(Array.from({ length: 50 }, (_, n) => (n % 2 ? here : there).beginUserCode(address)));
    expect(tries.filter(({ status }) => status === "fulfilled")).toHaveLength(30);
    await expect(here.beginUserCode(address)).rejects.toMatchObject({ code: "too_many_attempts", status: 429 });
    await here.beginUserCode(freshAddress());
  });

  test("strangers of one address leave so much a minute as the operator says, by any process; 0 counts nobody", async () => {
    const [address, other] = [freshAddress(), freshAddress()];
    const left = async (times: number, of: string) =>
      (await Promise.all(Array.from({ length: times }, (_, n) => (n % 2 ? here : there).allows("stranger", { address: of })))).filter(
        Boolean,
      );
    expect(await left(30, address)).toHaveLength(20);
    await expect(here.require("stranger", { address })).rejects.toMatchObject({ code: "too_many_attempts", status: 429 });
    expect(await left(5, other)).toHaveLength(5);
    const unlimited = createThrottle({ pool: new pg.Pool({ host: "/nowhere" }) }, KEY, { stranger: 0 });
    expect(await unlimited.allows("stranger", { address })).toBe(true);
  });

  test("the store sees no address, of mail or network, and forgets by itself", async () => {
    await here.beginSignIn({ email: "secret-name@example.com", address: "192.0.2.77" });
    const [client] = clients;
    const keys = client
      ? await client.keys("*")
      : (await database.pool.query<{ key: string }>("SELECT key FROM rate_limit")).rows.map(({ key }) => key);
    expect(keys.length).toBeGreaterThan(0);
    for (const key of keys) expect(key).toMatch(/^grantor:throttle:[a-z-]+:[\w-]{43}$/);
    if (client) for (const key of keys) expect(await client.ttl(key)).toBeGreaterThan(0);
    else expect((await database.pool.query("SELECT 1 FROM rate_limit WHERE expire IS NULL")).rowCount).toBe(0);
  });
});

describe("while the store is away, nobody may guess", () => {
  const unavailable = { code: "unavailable", status: 503, headers: { "Retry-After": "2" } };

  test("PostgreSQL", async () => {
    const pool = new pg.Pool({ host: "/nowhere", connectionTimeoutMillis: 200 });
    const throttle = createThrottle({ pool }, KEY);
    await expect(throttle.beginSignIn({ email: "a@example.com", address: "192.0.2.1" })).rejects.toMatchObject(unavailable);
    await expect(throttle.beginSignIn({ email: "a@example.com", address: "192.0.2.1", device: "known" })).rejects.toMatchObject(
      unavailable,
    );
    await expect(throttle.allows("mail", { email: "a@example.com" })).rejects.toMatchObject(unavailable);
    await pool.end();
  });

  test("Redis, and again when it is back", async () => {
    await using server = await startRedis();
    const client = new Redis({ path: server.url.slice(7), retryStrategy: () => 20, maxRetriesPerRequest: 1 });
    client.on("error", () => {});
    await client.ping();
    const throttle = createThrottle({ redis: client }, KEY);
    const attempt = await throttle.beginSignIn({ email: "a@example.com", address: "192.0.2.1" });
    await server.kill();
    await expect(throttle.beginSignIn({ email: "a@example.com", address: "192.0.2.1" })).rejects.toMatchObject(unavailable);
    await expect(attempt.succeeded()).rejects.toMatchObject(unavailable);
    await server.start();
    await new Promise((resolve) => (client.status === "ready" ? resolve(undefined) : client.once("ready", resolve)));
    await throttle.beginSignIn({ email: "a@example.com", address: "192.0.2.1" });
    client.disconnect();
  });
});
