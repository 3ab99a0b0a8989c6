/** The stores of applications of two processes on one database, by one clock, for the contract tests of what they keep. */
import { pino } from "pino";
import { afterEach, beforeEach } from "vitest";
import { type ClientStore, createClientStore } from "../../src/clients/client-store.ts";
import { type ChangeFeed, openChangeFeed } from "../../src/storage/change-feed.ts";
import type { Database } from "../../src/storage/database.ts";
import { testDatabase } from "./test-database.ts";

/** What is registered when it does not matter what. */
export const WEB = { type: "web", metadata: { client_name: "Web", redirect_uris: ["https://app.example/cb"] } } as const;

const log = pino({ level: "silent" });

export interface ClientStores {
  readonly database: Database;
  readonly here: ClientStore;
  readonly there: ClientStore;
  /** Milliseconds since 1970. */
  now: number;
}

/** New ones before each test of the file. */
export function clientStores(): ClientStores {
  const unset = undefined as never;
  let feeds: readonly [ChangeFeed, ChangeFeed];
  const stores: { -readonly [Member in keyof ClientStores]: ClientStores[Member] } = {
    database: unset,
    here: unset,
    there: unset,
    now: 0,
  };

  beforeEach(async () => {
    const database = await testDatabase();
    feeds = await Promise.all([openChangeFeed(database, log), openChangeFeed(database, log)]);
    const [here, there] = [feeds[0], feeds[1]].map((feed) => createClientStore(database.prisma, feed, () => stores.now)) as [
      ClientStore,
      ClientStore,
    ];
    Object.assign(stores, { database, here, there, now: Date.parse("2026-01-01T00:00:00Z") });
  });

  afterEach(async () => {
    for (const feed of feeds) await feed.close();
    await stores.database.close();
  });

  return stores;
}
