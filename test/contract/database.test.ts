import { symlinkSync } from "node:fs";
import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Database, openDatabase } from "../../src/storage/database.ts";
import { DatabaseError, isUnavailable } from "../../src/storage/database-error.ts";
import { removeCluster } from "../../src/storage/embedded-cluster.ts";
import { startPostgres } from "../support/postgres.ts";
import { answers, ask, isAlive, serverPid, until } from "../support/server-control.ts";
import { tempDir } from "../support/temp-dir.ts";
import { createEmptyDatabase, testDatabase } from "../support/test-database.ts";

const log = pino({ level: "silent" });
const external = (databaseUrl: string): Promise<Database> => openDatabase({ dataDir: "", embeddedDatabase: false }, { databaseUrl }, log);

/** What was thrown. @throws when nothing was */
const failure = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => Promise.reject(new Error("it did not fail")),
    (error: unknown) => error,
  );

describe("a database", () => {
  let database: Database;
  beforeAll(async () => {
    database = await testDatabase();
  });
  afterAll(() => database.close());

  test("is migrated, and serves Prisma and SQL by the same connections", async () => {
    await database.prisma.account.create({ data: { id: "shared", email: "shared@example.com" } });
    const { rows } = await database.pool.query("SELECT email FROM account WHERE id = 'shared'");
    expect(rows).toEqual([{ email: "shared@example.com" }]);
    await Promise.all(Array.from({ length: 40 }, (_, n) => (n % 2 ? database.prisma.account.count() : database.pool.query("SELECT 1"))));
    expect(database.pool.totalCount).toBeLessThanOrEqual(10);
  });

  test("keeps times, whatever zone the server speaks", async () => {
    const name = await ask(database.url, "SELECT current_database()");
    await ask(database.url, `ALTER DATABASE ${name} SET timezone = 'Asia/Tokyo'`);
    const other = await external(database.url);
    const at = new Date("2026-03-01T12:00:00.123Z");
    await other.prisma.revocation.create({ data: { key: "zone", expiresAt: at } });
    expect((await other.prisma.revocation.findUniqueOrThrow({ where: { key: "zone" } })).expiresAt).toEqual(at);
    const { rows } = await other.pool.query("SELECT expires_at FROM revocation WHERE key = 'zone'");
    expect(rows).toEqual([{ expires_at: at }]);
    await other.close();
  });

  test("ends what runs too long, and that counts as unavailable", async () => {
    const slow = await database.pool.connect();
    await slow.query("SET statement_timeout = 50");
    const error = await failure(slow.query("SELECT pg_sleep(5)"));
    slow.release(true);
    expect(isUnavailable(error)).toBe(true);
    const { rows } = await database.pool.query("SHOW statement_timeout");
    expect(rows).toEqual([{ statement_timeout: "10s" }]);
  });

  test("tells a fault of the question from trouble with the store", async () => {
    const duplicate = { data: { id: "twice", email: "twice@example.com" } };
    await database.prisma.account.create(duplicate);
    expect(isUnavailable(await failure(database.prisma.account.create(duplicate)))).toBe(false);
    expect(isUnavailable(await failure(database.pool.query("SELECT nonsense")))).toBe(false);
    expect(isUnavailable(new Error("Connection to the past"))).toBe(false);
    expect(isUnavailable(undefined)).toBe(false);
  });

  test("does without connections that the server ends, idle or in use", async () => {
    const lent = await database.pool.connect();
    const lost = failure(lent.query("SELECT pg_sleep(60)"));
    const [begun, ended] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const during = failure(
      database.prisma.$transaction(async (tx) => {
        await tx.account.count();
        begun.resolve();
        await ended.promise;
        await tx.account.count();
      }),
    );
    await begun.promise;
    await ask(
      database.url,
      "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
    );
    ended.resolve();
    expect(isUnavailable(await lost)).toBe(true);
    expect(isUnavailable(await during)).toBe(true);
    lent.release();
    await until(async () => (await database.prisma.account.count().catch(() => -1)) >= 0);
    expect((await database.pool.query("SELECT 1 AS n")).rows).toEqual([{ n: 1 }]);
  });

  test("says so when every connection is taken for too long", async () => {
    const lent = await Promise.all(Array.from({ length: 10 }, () => database.pool.connect()));
    const errors = await Promise.all([
      failure(database.pool.query("SELECT 1")),
      failure(database.prisma.account.count()),
      failure(database.prisma.$transaction(async (tx) => tx.account.count())),
    ]);
    for (const client of lent) client.release();
    expect(errors.map(isUnavailable)).toEqual([true, true, true]);
    expect(await database.prisma.account.count()).toBeGreaterThanOrEqual(0);
  });
});

describe("openDatabase", () => {
  test("embedded: survives the server's death without a restart of this process", async () => {
    await using dir = tempDir("open");
    const config = { dataDir: dir.path, embeddedDatabase: true };
    const database = await openDatabase(config, { databaseUrl: undefined }, log);
    await database.prisma.account.create({ data: { id: "a", email: "a@example.com" } });
    const pid = await serverPid(database.url);
    process.kill(pid, "SIGKILL");
    await until(() => !isAlive(pid));
    const errors = await Promise.all([
      failure(database.prisma.account.count()),
      failure(database.pool.query("SELECT 1")),
      failure(database.prisma.$transaction(async (tx) => tx.account.count())),
    ]);
    expect(errors.map(isUnavailable)).toEqual([true, true, true]);
    await until(() => answers(database.url));
    expect(await database.prisma.account.count()).toBe(1);
    await database.close();
    await database.close();

    const second = await openDatabase(config, { databaseUrl: undefined }, log);
    expect(await second.prisma.account.count()).toBe(1);
    await second.close();
    expect(isUnavailable(await failure(second.prisma.account.count()))).toBe(true);
    removeCluster(dir.path);
  });

  test("waits for a server that starts together with it", async () => {
    await using server = await startPostgres();
    await using dir = tempDir("late");
    const late = new URL(server.url);
    late.searchParams.set("host", dir.path); // a socket that appears only later
    const opening = external(late.href);
    await sleep(400);
    symlinkSync(`${new URL(server.url).searchParams.get("host")}/.s.PGSQL.5432`, `${dir.path}/.s.PGSQL.5432`);
    const database = await opening;
    expect(await database.prisma.account.count()).toBe(0);
    await database.close();
  });

  test("gives up after ten seconds, without naming the password", async () => {
    const port = await new Promise<number>((resolve) => {
      const server = createServer().listen(0, "127.0.0.1", () => {
        const address = server.address();
        server.close(() => resolve(typeof address === "object" && address ? address.port : 0));
      });
    });
    const error = await failure(external(`postgresql://grantor:hunter2@127.0.0.1:${port}/grantor`));
    expect(error).toBeInstanceOf(DatabaseError);
    expect(error).toMatchObject({ code: "unreachable", message: expect.stringContaining(`127.0.0.1:${port}/grantor`) });
    expect((error as Error).message).not.toContain("hunter2");
    expect(isUnavailable(error)).toBe(true);
  });

  test("refuses at once what waiting does not mend", async () => {
    const empty = await createEmptyDatabase();
    const missing = new URL(empty.url);
    missing.pathname = "/nobody-made-this";
    expect(await failure(external(missing.href))).toMatchObject({ code: "refused", message: expect.stringContaining("does not exist") });
    const elsewhere = new URL(empty.url);
    elsewhere.searchParams.set("schema", "other");
    expect(await failure(external(elsewhere.href))).toMatchObject({ code: "refused" });
    await empty.drop();
  });
});
