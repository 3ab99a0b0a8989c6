import { setTimeout as sleep } from "node:timers/promises";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type ChangeFeed, openChangeFeed } from "../../src/storage/change-feed.ts";
import type { Database } from "../../src/storage/database.ts";
import { ask, until } from "../support/server-control.ts";
import { testDatabase } from "../support/test-database.ts";

const log = pino({ level: "silent" });

const DISCONNECT = `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
  WHERE datname = current_database() AND application_name = 'grantor change feed'`;

let database: Database;
let here: ChangeFeed;
let there: ChangeFeed;

beforeEach(async () => {
  database = await testDatabase();
  [here, there] = await Promise.all([openChangeFeed(database, log), openChangeFeed(database, log)]);
});

afterEach(async () => {
  await Promise.all([here.close(), there.close()]);
  await database.close();
});

function listen(feed: ChangeFeed, topic: string): (string | undefined)[] {
  const heard: (string | undefined)[] = [];
  feed.subscribe(topic, (id) => heard.push(id));
  return heard;
}

describe("change feed", () => {
  test("tells other processes, and this one before the call returns, once each", async () => {
    const [mine, theirs] = [listen(here, "account"), listen(there, "account")];
    const publishing = here.publish("account", "ünïcode 'quoted'");
    expect(mine).toEqual(["ünïcode 'quoted'"]);
    await publishing;
    await here.publish("account", "next"); // told in order: whatever else there was is there by then
    await until(() => theirs.includes("next"));
    expect(theirs).toEqual(["ünïcode 'quoted'", "next"]);
    expect(mine).toEqual(theirs);
  });

  test("keeps topics and subscriptions apart", async () => {
    const [accounts, clients] = [listen(there, "account"), listen(there, "client")];
    const ended: unknown[] = [];
    there.subscribe("client", (id) => ended.push(id))();
    there.subscribe("client", () => {
      throw new Error("a subscriber's own fault");
    });
    const last = listen(there, "client");
    await here.publish("client", "c");
    await until(() => last.length > 0);
    expect([accounts, clients, ended]).toEqual([[], ["c"], []]);
  });

  test("comes back by itself, and says that anything may have changed", async () => {
    const [mine, theirs] = [listen(here, "account"), listen(there, "account")];
    await ask(database.url, DISCONNECT);
    await until(() => mine.length > 0 && theirs.length > 0);
    expect([mine, theirs]).toEqual([[undefined], [undefined]]);
    await here.publish("account", "after");
    await until(() => theirs.length > 1);
    expect(theirs).toEqual([undefined, "after"]);
  });

  test("ignores what others say on its channel", async () => {
    const heard = listen(here, "account");
    for (const payload of ["", "{", "[]", '{"topic":1}', "null"])
      await ask(database.url, "SELECT pg_notify('grantor_change', $1)", [payload]);
    await there.publish("account", "real");
    await until(() => heard.length > 0);
    expect(heard).toEqual(["real"]);
  });

  test("refuses an id that the database would not carry", async () => {
    await expect(here.publish("account", "x".repeat(8000))).rejects.toThrow(RangeError);
  });

  test("leaves no connection behind, even when closed while it reconnects", async () => {
    await ask(database.url, DISCONNECT);
    await Promise.all([here.close(), there.close()]);
    const count =
      "SELECT count(*)::int FROM pg_stat_activity WHERE application_name = 'grantor change feed' AND datname = current_database()";
    await until(async () => (await ask(database.url, count)) === 0);
    await sleep(300);
    expect(await ask(database.url, count)).toBe(0);
  });
});
