/** Opens what holds sessions, grants and tokens: Redis where REDIS_URL names one, else the database; and what ends them. */
import type { Config } from "../config.ts";
import type { Logger } from "../observability/logger.ts";
import { deriveKeys, type Secrets } from "../secrets.ts";
import type { Database } from "./database.ts";
import { DatabaseRecords } from "./database-records.ts";
import { Endings } from "./endings.ts";
import type { RecordStore } from "./record-store.ts";
import { checkEviction, connectRedis, type RedisClient } from "./redis-client.ts";
import { RedisRecords } from "./redis-records.ts";
import { RevocationJournal } from "./revocation-journal.ts";
import { createSealer, type Sealer } from "./seal.ts";
import { StatusListRegistry } from "./status-list-registry.ts";
import { type OperationTook, timedRecords } from "./timed-records.ts";

/** A grant is renewed by this share of its life beyond the newest token, so that few tokens have to renew it. */
const RENEWAL_SHARE = 1 / 16;
/** Milliseconds that a Redis may take to start together with this process. */
const START_PATIENCE = 10_000;

export interface OpenedRecords {
  readonly records: RecordStore;
  readonly recordSealer: Sealer;
  readonly endings: Endings;
  readonly statusLists: StatusListRegistry;
  /** The connection behind the records, for counters beside them; undefined: the database holds them. */
  readonly redis: RedisClient | undefined;
  /** Seconds that a grant lives after it was last used. */
  readonly grantTtl: number;
  /** Removes what has expired. */
  sweep(): Promise<void>;
  close(): Promise<void>;
}

/**
 * @param took hears of every operation
 * @throws {Error} with the words that say what to set or start
 */
export async function openRecords(
  config: Pick<Config, "refreshTokenTtl" | "sessionTtl" | "redisEviction">,
  secrets: Secrets,
  { pool }: Pick<Database, "pool">,
  log: Logger,
  took?: OperationTook,
): Promise<OpenedRecords> {
  const journal = new RevocationJournal(pool);
  const redis = secrets.redisUrl === undefined ? undefined : connectRedis(secrets.redisUrl, log);
  const longest = Math.max(config.refreshTokenTtl, config.sessionTtl);
  const renewal = Math.ceil(longest * RENEWAL_SHARE);
  const store = redis === undefined ? new DatabaseRecords(pool) : new RedisRecords(redis, journal, renewal * 1000);
  const records = took === undefined ? store : timedRecords(store, took);
  try {
    if (redis !== undefined) {
      await ready(redis);
      await checkEviction(redis, config.redisEviction === "accept", log);
    }
  } catch (error) {
    await records.close();
    throw error;
  }
  const recordSealer = createSealer(deriveKeys(secrets, "grantor/records"));
  const grantTtl = longest + renewal;
  const statusLists = new StatusListRegistry(pool, records);
  return {
    records,
    recordSealer,
    statusLists,
    endings: new Endings({ store: records, sealer: recordSealer, longestLife: grantTtl }),
    redis,
    grantTtl,
    async sweep() {
      await Promise.all([records.sweep(), journal.sweep(), statusLists.sweep()]);
    },
    close: () => records.close(),
  };
}

/** Waits for a Redis that is starting together with this process. @throws {Error} that says what to do */
async function ready(redis: RedisClient): Promise<void> {
  if (redis.status === "ready") return;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(() => reject(new Error("Redis does not answer. Start it, or check REDIS_URL.")), START_PATIENCE);
  redis.once("ready", resolve);
  await promise.finally(() => {
    clearTimeout(timer);
    redis.off("ready", resolve);
  });
}
