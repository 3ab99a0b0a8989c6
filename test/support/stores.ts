/**
 * The two arrangements of stores that Grantor supports, for suites that run on both:
 * `describe.each(stores)("$name", ({ open }) => …)`. For tests under vitest alone; elsewhere see postgres.ts and redis.ts.
 */
import { inject } from "vitest";
import { databasesOn } from "./postgres.ts";
import { startRedis } from "./redis.ts";
import { TEST_SECRET_KEY } from "./secret-key.ts";

export interface Stores {
  /** A database of its own. */
  readonly databaseUrl: string;
  /** Undefined: sessions, grants and tokens are kept in the database. */
  readonly redisUrl: string | undefined;
  /** The same for a server's environment, with a SECRET_KEY. */
  readonly env: Record<string, string>;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface OpenOptions {
  /** Nothing has been started on the database: every table is missing. Otherwise a server has been there, with the SECRET_KEY of tests. */
  empty?: boolean;
}

async function open(withRedis: boolean, { empty = false }: OpenOptions = {}): Promise<Stores> {
  const databases = databasesOn(inject("postgresUrl"));
  const databaseUrl = await databases.fresh(empty ? undefined : inject("preparedDatabase"));
  const redis = withRedis && !process.env.REDIS_URL ? await startRedis() : undefined;
  const redisUrl = withRedis ? (redis?.url ?? process.env.REDIS_URL) : undefined;
  const close = async () => {
    await redis?.stop();
    await databases.dropAll();
  };
  return {
    databaseUrl,
    redisUrl,
    env: { DATABASE_URL: databaseUrl, SECRET_KEY: TEST_SECRET_KEY, ...(redisUrl !== undefined && { REDIS_URL: redisUrl }) },
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** The server of the first is the embedded PostgreSQL of the test run: starting one for every suite would only cost time. */
export const stores = [
  { name: "database alone", redis: false, open: (options?: OpenOptions) => open(false, options) },
  { name: "PostgreSQL and Redis", redis: true, open: (options?: OpenOptions) => open(true, options) },
] as const;
