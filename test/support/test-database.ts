/** Databases of a test's own for the tests of storage itself; suites that run on every arrangement of stores use stores.ts. */
import { pino } from "pino";
import { inject } from "vitest";
import { type Database, openDatabase } from "../../src/storage/database.ts";
import { databasesOn } from "./postgres.ts";

export interface EmptyDatabase {
  readonly url: string;
  drop(): Promise<void>;
}

export async function createEmptyDatabase(): Promise<EmptyDatabase> {
  const databases = databasesOn(inject("postgresUrl"));
  return { url: await databases.fresh(), drop: () => databases.dropAll() };
}

/** Opened and migrated; `close` drops it. For a second process's view of it, `openDatabase` again with its `url`. */
export async function testDatabase(): Promise<Database> {
  const empty = await createEmptyDatabase();
  const log = pino({ level: "error" }, pino.destination(2));
  const database = await openDatabase({ dataDir: "", embeddedDatabase: false }, { databaseUrl: empty.url }, log);
  return {
    ...database,
    async close() {
      await database.close();
      await empty.drop();
    },
  };
}
