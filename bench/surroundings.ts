/** Stores and servers for benches that are about resource servers. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { type Instances, startInstances } from "../test/support/instances.ts";
import { startPostgres } from "../test/support/postgres.ts";
import { startRedis } from "../test/support/redis.ts";
import { TEST_SECRET_KEY } from "../test/support/secret-key.ts";

setFlagsFromString("--expose-gc");
export const collectGarbage = runInNewContext("gc") as () => void;

export interface Surroundings extends AsyncDisposable {
  readonly instances: Instances;
  readonly redisUrl: string;
}

/** Servers of one issuer on PostgreSQL and Redis. */
export async function startSurroundings(servers: number, env: Record<string, string> = {}): Promise<Surroundings> {
  const postgres = await startPostgres();
  const redis = await startRedis();
  const databaseUrl = await postgres.fresh();
  const stores = {
    databaseUrl,
    redisUrl: redis.url,
    env: { DATABASE_URL: databaseUrl, SECRET_KEY: TEST_SECRET_KEY, LOG_LEVEL: "warn", REDIS_URL: redis.url },
    close: async () => {},
    [Symbol.asyncDispose]: async () => {},
  };
  const instances = await startInstances(stores, servers, env);
  return {
    instances,
    redisUrl: redis.url,
    async [Symbol.asyncDispose]() {
      await instances[Symbol.asyncDispose]();
      await redis.stop();
      await postgres.stop();
    },
  };
}

/** Of numbers, which it sorts. */
export function quantile(values: number[], q: number): number {
  values.sort((a, b) => a - b);
  return values[Math.min(values.length - 1, Math.floor(values.length * q))] ?? Number.NaN;
}
