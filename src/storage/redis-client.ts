/** One connection to Redis: a single server, Sentinel or Cluster, by the form of REDIS_URL (contract, "Environment"). */
import { Cluster, Redis, type RedisOptions } from "ioredis";
import type { Logger } from "../observability/logger.ts";
import { parseRedisUrl, type RedisAddress } from "../redis-url.ts";

export type RedisClient = Redis | Cluster;

/** A server that owes an answer for this long is given up, and the connection with it; the caller hears 503. One timer, not one per command. */
const SOCKET_TIMEOUT_MS = 3_000;
const CONNECT_TIMEOUT_MS = 3_000;
const MAX_RETRY_DELAY_MS = 1_000;
const SLOTS_REFRESH_MS = 5_000;

/** Commands of one tick travel together, in order, on a single server; per node on a cluster. */
const COMMON = {
  enableAutoPipelining: true,
  socketTimeout: SOCKET_TIMEOUT_MS,
  connectTimeout: CONNECT_TIMEOUT_MS,
  // None: when a connection breaks, whoever waits hears so at once. With more, ioredis 6 forgets commands that it may not send again,
  // and an auto-pipeline that waits for one of them holds up every later command for ever.
  maxRetriesPerRequest: 0,
  autoResendUnfulfilledCommands: false, // a consume that was sent twice would lose to itself
  connectionName: "grantor",
  disableClientInfo: true,
  retryStrategy: (attempt: number) => Math.min(attempt * 50, MAX_RETRY_DELAY_MS),
  // After a failover the old master answers READONLY until it is reconnected to.
  reconnectOnError: (error: Error) => (error.message.startsWith("READONLY") ? (2 as const) : false),
} satisfies RedisOptions;

/** @param url one of the forms of `REDIS_URL` @throws {TypeError} when it is none of them */
export function connectRedis(url: string, log: Logger): RedisClient {
  const address = parseRedisUrl(url);
  if (address === undefined) throw new TypeError("REDIS_URL has none of the forms that are known");
  const client = create(address);
  client.on("error", (error: Error) => log.warn({ err: { message: error.message } }, "redis connection trouble"));
  return client;
}

function create(address: RedisAddress): RedisClient {
  const { username, password } = address;
  const common = { ...COMMON, ...(username !== undefined && { username }), ...(password !== undefined && { password }) };
  const tls = address.kind !== "socket" && address.tls ? { tls: {} } : {};
  switch (address.kind) {
    case "socket":
      return new Redis({ ...common, path: address.path, db: address.database });
    case "single":
      return new Redis({ ...common, ...tls, ...address.node, db: address.database });
    case "sentinel": {
      const { nodes, master, database } = address;
      return new Redis({ ...common, ...tls, sentinels: [...nodes], name: master, db: database, enableTLSForSentinelMode: address.tls });
    }
    case "cluster":
      return new Cluster([...address.nodes], {
        enableAutoPipelining: true,
        scaleReads: "master",
        slotsRefreshInterval: SLOTS_REFRESH_MS,
        // None: what was under way on a lost connection is not sent again either.
        retryDelayOnFailover: 0,
        redisOptions: { ...common, ...tls },
      });
  }
}

/** What was sent is answered; who does not answer any more, such as a node of a cluster, is not waited for, nor looked for again. @param patience milliseconds */
export async function closeRedis(client: RedisClient, patience = SOCKET_TIMEOUT_MS): Promise<void> {
  const limit = AbortSignal.timeout(patience);
  const waitedEnough = new Promise((resolve) => limit.addEventListener("abort", resolve, { once: true }));
  await Promise.race([client.quit().catch(() => {}), waitedEnough]);
  client.disconnect();
}

/**
 * Refuses a Redis that may throw away live tokens when its memory is full.
 * @throws {Error} that says what to set, unless `accept` says that the operator knows
 */
export async function checkEviction(client: RedisClient, accept: boolean, log: Logger): Promise<void> {
  const policy = await evictionPolicy(client);
  if (policy === undefined) {
    log.warn("cannot read maxmemory-policy from Redis: make sure that it is noeviction");
    return;
  }
  if (policy === "noeviction" || accept) return;
  throw new Error(
    `Redis has maxmemory-policy ${policy}: under memory pressure it would drop sessions, revocations and single-use marks. ` +
      "Set `maxmemory-policy noeviction` in Redis, or REDIS_EVICTION=accept to run all the same.",
  );
}

async function evictionPolicy(client: RedisClient): Promise<string | undefined> {
  try {
    const node = client instanceof Cluster ? client.nodes("master")[0] : client;
    const memory = await node?.info("memory");
    return memory?.match(/^maxmemory_policy:(\S+)/m)?.[1];
  } catch (error) {
    if (error instanceof Error && /NOPERM|unknown command/i.test(error.message)) return undefined; // managed services hide INFO
    throw error;
  }
}
