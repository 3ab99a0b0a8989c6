import { pino } from "pino";
import { describe } from "vitest";
import { openDatabase } from "../../src/storage/database.ts";
import { DatabaseRecords } from "../../src/storage/database-records.ts";
import { connectRedis } from "../../src/storage/redis-client.ts";
import { RedisRecords } from "../../src/storage/redis-records.ts";
import { RevocationJournal } from "../../src/storage/revocation-journal.ts";
import { engineRecordsContract } from "../support/engine-records.ts";
import { stores } from "../support/stores.ts";

describe.each(stores)("the engine's records on $name", ({ open }) => {
  engineRecordsContract(async () => {
    const backing = await open();
    const log = pino({ level: "silent" });
    const { pool, close: closeDatabase } = await openDatabase(
      { dataDir: "", embeddedDatabase: false },
      { databaseUrl: backing.databaseUrl },
      log,
    );
    const connect = () => (backing.redisUrl === undefined ? undefined : connectRedis(backing.redisUrl, log));
    const [client, redis] = [connect(), connect()];
    const store = client === undefined ? new DatabaseRecords(pool) : new RedisRecords(client, new RevocationJournal(pool), 1_000);
    return {
      store,
      pool,
      redis,
      async close() {
        redis?.disconnect();
        await store.close();
        await closeDatabase();
        await backing.close();
      },
    };
  });
});
