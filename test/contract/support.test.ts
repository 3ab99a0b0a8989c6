import { existsSync } from "node:fs";
import { Redis } from "ioredis";
import pg from "pg";
import { describe, expect, test } from "vitest";
import { startGuarded } from "../support/guarded-process.ts";
import { startPostgres } from "../support/postgres.ts";
import { startRedis } from "../support/redis.ts";
import { stores } from "../support/stores.ts";
import { waitFor } from "../support/wait-for.ts";

const socketOf = (url: string) => url.slice("unix://".length);

describe.each(stores)("$name", ({ open, redis }) => {
  test("each suite has an empty database of its own", async () => {
    await using one = await open({ empty: true });
    await using other = await open({ empty: true });
    expect(one.databaseUrl).not.toBe(other.databaseUrl);
    expect(one.redisUrl !== undefined).toBe(redis);
    const client = new pg.Client({ connectionString: one.databaseUrl });
    await client.connect();
    const { rows } = await client.query("SELECT count(*)::int AS tables FROM pg_tables WHERE schemaname = 'public'");
    await client.end();
    expect(rows).toEqual([{ tables: 0 }]);
  });
});

test("an append-only Redis keeps what it has acknowledged through a kill", async () => {
  await using redis = await startRedis({ appendOnly: true });
  const client = new Redis({ path: socketOf(redis.url), retryStrategy: () => 20 });
  client.on("error", () => {});
  await client.set("kept", "yes");
  await redis.kill();
  await redis.start();
  expect(await client.get("kept")).toBe("yes");
  await redis.restart();
  expect(await client.get("kept")).toBe("yes");
  client.disconnect();
});

test("a stopped Redis leaves nothing behind", async () => {
  const redis = await startRedis();
  const socket = socketOf(redis.url);
  expect(existsSync(socket)).toBe(true);
  await redis.stop();
  expect(existsSync(socket)).toBe(false);
});

test("a crashed PostgreSQL comes back with what was committed", async () => {
  await using postgres = await startPostgres();
  const url = await postgres.fresh();
  const run = async (sql: string) => {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    const { rows } = await client.query(sql);
    await client.end();
    return rows;
  };
  await run("CREATE TABLE t AS SELECT 1 AS n");
  await postgres.crash();
  expect(await run("SELECT n FROM t")).toEqual([{ n: 1 }]);
});

test("a guarded program ends with whoever started it", async () => {
  const script = `
    import { startGuarded } from "./test/support/guarded-process.ts";
    const child = await startGuarded(["sleep", "1000"], { env: { PATH: process.env.PATH } });
    console.log("child " + child.pid);`;
  const env = { PATH: process.env.PATH ?? "" };
  const starter = await startGuarded([process.execPath, "--input-type=module-typescript", "--eval", script], { env });
  const pid = Number((await starter.waitForOutput(/child (\d+)\n/))[1]);
  expect(isAlive(pid)).toBe(true);
  starter.signal("SIGKILL");
  expect(await starter.exited).toBe(137);
  await waitFor("the program to end", () => !isAlive(pid));
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
