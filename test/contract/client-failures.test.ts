import { pino } from "pino";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type ClientFailures, createClientFailures } from "../../src/clients/client-failures.ts";
import type { Database } from "../../src/storage/database.ts";
import { testDatabase } from "../support/test-database.ts";

const log = pino({ level: "silent" });
const FAILURE = { clientId: "app", endpoint: "token", error: "invalid_client", detail: { reason: "wrong_secret" } } as const;

let database: Database;
let failures: ClientFailures;
let now: number;

beforeEach(async () => {
  database = await testDatabase();
  now = Date.parse("2026-01-01T00:00:00Z");
  failures = createClientFailures(database.pool, log, () => now);
  for (const id of ["app", "other"]) await database.prisma.client.create({ data: { id, metadata: {} } });
});

afterEach(async () => {
  await failures.close();
  await database.close();
});

const rows = () => database.prisma.clientFailure.count();

test("the same failure is counted, what happened last comes first, and each application sees its own", async () => {
  for (let n = 0; n < 5; n++) failures.record(FAILURE);
  now += 1;
  failures.record({ ...FAILURE, error: "invalid_grant" });
  failures.record({ ...FAILURE, clientId: "other" });
  await failures.close();
  failures.record(FAILURE); // within the same minute
  await failures.close();
  expect(await failures.recent("app")).toMatchObject([{ error: expect.any(String), count: expect.any(Number) }, { endpoint: "token" }]);
  const found = await failures.recent("app");
  expect(found.find(({ error }) => error === "invalid_client")).toEqual({
    ...{ endpoint: "token", error: "invalid_client", detail: FAILURE.detail, count: 6 },
    last: new Date(now),
  });
  expect((await failures.recent("other")).map(({ count }) => count)).toEqual([1]);
});

test("a flood in an application's name is counted, and neither fills the table nor hides failures of another kind", async () => {
  for (let minute = 0; minute < 3; minute++) {
    for (let n = 0; n < 2_000; n++)
      failures.record({
        ...FAILURE,
        endpoint: "authorization",
        error: "invalid_redirect_uri",
        detail: { redirect_uri: `https://x${n}.example` },
      });
    failures.record(FAILURE);
    now += 60_000;
  }
  await failures.close();
  const found = await failures.recent("app");
  expect(found.find(({ error }) => error === "invalid_client")?.count).toBe(3);
  const flood = found.filter(({ error }) => error === "invalid_redirect_uri");
  expect(flood.reduce((sum, { count }) => sum + count, 0)).toBe(6_000);
  expect(await rows()).toBeLessThanOrEqual(3 * 7);
  // Nor do endless kinds: what an application is told has one of some codes, but nobody relies on it.
  const before = await rows();
  for (let n = 0; n < 500; n++) failures.record({ ...FAILURE, error: `e${n}` });
  await failures.close();
  expect((await rows()) - before).toBeLessThanOrEqual(30);
});

test("of one kind the newest stay, and all go after a day", async () => {
  for (let minute = 0; minute < 210; minute++) {
    failures.record({ ...FAILURE, detail: { n: String(minute) } });
    now += 60_000;
  }
  await failures.close();
  failures.record(FAILURE);
  await failures.close();
  expect(await rows()).toBeLessThanOrEqual(202);
  expect((await failures.recent("app")).length).toBe(50);
  now += 86_400_000;
  expect(await failures.recent("app")).toEqual([]);
  await failures.sweep();
  expect(await rows()).toBe(0);
});

test("what nobody has registered, or not any more, is not kept, and a database that is away breaks no request", async () => {
  failures.record({ ...FAILURE, clientId: "nobody" });
  failures.record(FAILURE);
  await database.prisma.client.delete({ where: { id: "app" } });
  await failures.close();
  expect(await rows()).toBe(0);
  const away = createClientFailures({ query: () => Promise.reject(new Error("away")) } as never, log, () => now);
  away.record({ ...FAILURE, clientId: "other" });
  await away.close();
});
