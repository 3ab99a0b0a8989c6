/** One connection to Redis: a single server, Sentinel or Cluster, by the form of REDIS_URL (contract, "Environment"). */
import { Cluster, Redis, type RedisOptions } from "ioredis";
import type { Logger } from "../observability/logger.ts";

export type RedisClient = Redis | Cluster;

/** A command that takes this long has failed; the caller hears 503. */
const COMMAND_TIMEOUT_MS = 3_000;
const CONNECT_TIMEOUT_MS = 3_000;
const MAX_RETRY_DELAY_MS = 1_000;

/** Commands of one tick travel together, in order, on a single server; per node on a cluster. */
const COMMON = {
  enableAutoPipelining: true,
  commandTimeout: COMMAND_TIMEOUT_MS,
  connectTimeout: CONNECT_TIMEOUT_MS,
  maxRetriesPerRequest: 1,
  autoResendUnfulfilledCommands: false, // a consume that was sent twice would lose to itself
  connectionName: "grantor",
  disableClientInfo: true,
  retryStrategy: (attempt: number) => Math.min(attempt * 50, MAX_RETRY_DELAY_MS),
  // After a failover the old master answers READONLY until it is reconnected to.
  reconnectOnError: (error: Error) => (error.message.startsWith("READONLY") ? (2 as const) : false),
} satisfies RedisOptions;

/** @param url one of the forms of `REDIS_URL`, already validated */
export function connectRedis(url: string, log: Logger): RedisClient {
  const client = create(url);
  client.on("error", (error: Error) => log.warn({ err: { message: error.message } }, "redis connection trouble"));
  return client;
}

function create(url: string): RedisClient {
  if (url.startsWith("unix://")) return new Redis({ ...COMMON, path: url.slice("unix://".length) });
  const scheme = url.slice(0, url.indexOf("://"));
  const tls = scheme.startsWith("rediss") ? { tls: {} } : {};
  if (scheme.endsWith("+sentinel")) {
    const { nodes, path, credentials } = parseMany(url, 26379);
    const [name = "mymaster", db = "0"] = path.split("/");
    return new Redis({
      ...COMMON,
      ...credentials,
      ...tls,
      sentinels: nodes,
      name,
      db: Number(db),
      ...(scheme.startsWith("rediss") && { enableTLSForSentinelMode: true }),
    });
  }
  if (scheme.endsWith("+cluster")) {
    const { nodes, credentials } = parseMany(url, 6379);
    return new Cluster(nodes, { enableAutoPipelining: true, scaleReads: "master", redisOptions: { ...COMMON, ...credentials, ...tls } });
  }
  return new Redis(url, COMMON);
}

/** `scheme://[user:password@]h1:p1,h2:p2/path`: several hosts, which WHATWG URLs do not know. */
function parseMany(url: string, defaultPort: number) {
  const rest = url.slice(url.indexOf("://") + 3);
  const at = rest.lastIndexOf("@");
  const [user, password] = at === -1 ? [] : rest.slice(0, at).split(":").map(decodeURIComponent);
  const [hosts = "", ...path] = rest.slice(at + 1).split("/");
  const nodes = hosts.split(",").map((entry) => {
    const colon = entry.lastIndexOf(":");
    const hasPort = colon > entry.lastIndexOf("]");
    const host = (hasPort ? entry.slice(0, colon) : entry).replace(/^\[|\]$/g, "");
    return { host, port: hasPort ? Number(entry.slice(colon + 1)) : defaultPort };
  });
  return { nodes, path: path.join("/"), credentials: { ...(user && { username: user }), ...(password && { password }) } };
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
