/** A Redis Cluster and a Redis under Sentinel of a test's own, small and quick to fail over. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Redis } from "ioredis";
import { type GuardedProcess, startGuarded } from "./guarded-process.ts";
import { freePort } from "./ports.ts";
import { findRedis } from "./redis.ts";
import { type TempDir, tempDir } from "./temp-dir.ts";
import { waitFor } from "./wait-for.ts";

const SLOTS = 16_384;
const MASTERS = 3;
/** Milliseconds after which a node that does not answer is given up. */
const NODE_TIMEOUT = 1_000;
const NOTHING_SAVED = ["--save", "", "--appendonly", "no", "--repl-diskless-sync-delay", "0"];

export interface RedisNode {
  readonly port: number;
  /** A connection of the test's own. */
  readonly client: Redis;
  readonly process: GuardedProcess;
}

export interface Topology {
  /** For `REDIS_URL`. */
  readonly url: string;
  readonly nodes: readonly RedisNode[];
  /** Kills a master whose replica has not seen its newest writes since `cutOff`; resolves when the replica has taken its place. */
  failOver(): Promise<void>;
  /** From now on the replica hears nothing of its master, as on a network that is about to break. */
  cutOff(): Promise<void>;
  stop(): Promise<void>;
}

async function startNode(dir: TempDir, port: number, args: readonly string[]): Promise<RedisNode> {
  const process = await startGuarded([findRedis(), "--dir", dir.path, "--bind", "127.0.0.1", "--port", `${port}`, ...args], { env: {} });
  const client = new Redis({ host: "127.0.0.1", port, retryStrategy: () => 50, maxRetriesPerRequest: null });
  client.on("error", () => {});
  await waitFor("redis-server to answer", async () => (await client.ping()) === "PONG");
  return { port, client, process };
}

/** Breaks the replication, and lets it not begin again. */
async function cutReplication(master: Redis): Promise<void> {
  await master.call("ACL", "SETUSER", "default", "-psync", "-sync");
  await master.call("CLIENT", "KILL", "TYPE", "replica");
}

async function stopAll(nodes: readonly RedisNode[], others: readonly GuardedProcess[], dir: TempDir): Promise<void> {
  for (const { client } of nodes) client.disconnect();
  for (const each of [...nodes.map((node) => node.process), ...others]) {
    each.signal("SIGKILL");
    await each.exited;
  }
  dir.remove();
}

/** Three masters; the first has a replica. */
export async function startCluster(): Promise<Topology> {
  const dir = tempDir("cluster");
  const nodes: RedisNode[] = [];
  for (let i = 0; i <= MASTERS; i++) {
    const [port, busPort] = [await freePort(), await freePort()];
    const args = ["--cluster-enabled", "yes", "--cluster-port", `${busPort}`, "--cluster-config-file", `nodes-${i}.conf`];
    const timing = ["--cluster-node-timeout", `${NODE_TIMEOUT}`, "--cluster-replica-validity-factor", "0"];
    nodes.push(await startNode(dir, port, [...args, ...timing, ...NOTHING_SAVED, "--dbfilename", `dump-${i}.rdb`]));
  }
  const [master, , , replica] = nodes as [RedisNode, RedisNode, RedisNode, RedisNode];
  const busPortOf = async ({ client }: RedisNode) => (await client.call("CONFIG", "GET", "cluster-port")) as [string, string];
  for (const [i, { client }] of nodes.entries()) {
    await client.call("CLUSTER", "SET-CONFIG-EPOCH", `${i + 1}`);
    if (i > 0) await master.client.call("CLUSTER", "MEET", "127.0.0.1", `${nodes[i]?.port}`, (await busPortOf(nodes[i] as RedisNode))[1]);
    if (i >= MASTERS) continue;
    const [first, last] = [Math.ceil((i * SLOTS) / MASTERS), Math.ceil(((i + 1) * SLOTS) / MASTERS) - 1];
    await client.call("CLUSTER", "ADDSLOTSRANGE", `${first}`, `${last}`);
  }
  const masterId = (await master.client.call("CLUSTER", "MYID")) as string;
  await waitFor("the replica to know its master", async () => {
    await replica.client.call("CLUSTER", "REPLICATE", masterId);
    return true;
  });
  const isWhole = async ({ client }: RedisNode) =>
    /cluster_state:ok[\s\S]*cluster_known_nodes:4/.test((await client.call("CLUSTER", "INFO")) as string);
  await waitFor("the cluster to form", async () => (await Promise.all(nodes.map(isWhole))).every(Boolean));
  await waitFor("the replica to be in step", async () => /master_link_status:up/.test(await replica.client.info("replication")));
  return {
    url: `redis+cluster://${nodes.map(({ port }) => `127.0.0.1:${port}`).join(",")}`,
    nodes,
    cutOff: () => cutReplication(master.client),
    async failOver() {
      master.process.signal("SIGKILL");
      await waitFor("the replica to take over", async () => /role:master/.test(await replica.client.info("replication")));
    },
    stop: () => stopAll(nodes, [], dir),
  };
}

/** One master, one replica, one sentinel. */
export async function startSentinel(): Promise<Topology> {
  const dir = tempDir("sentinel");
  const [masterPort, replicaPort, sentinelPort] = [await freePort(), await freePort(), await freePort()];
  const master = await startNode(dir, masterPort, [...NOTHING_SAVED, "--dbfilename", "master.rdb"]);
  const replica = await startNode(dir, replicaPort, [
    ...NOTHING_SAVED,
    "--dbfilename",
    "replica.rdb",
    "--replicaof",
    `127.0.0.1 ${masterPort}`,
  ]);
  await waitFor("the replica to be in step", async () => /master_link_status:up/.test(await replica.client.info("replication")));
  const file = join(dir.path, "sentinel.conf");
  const lines = [
    `bind 127.0.0.1`,
    `port ${sentinelPort}`,
    `dir ${dir.path}`,
    `sentinel monitor grantor 127.0.0.1 ${masterPort} 1`,
    `sentinel down-after-milliseconds grantor ${NODE_TIMEOUT}`,
    `sentinel failover-timeout grantor 5000`,
  ];
  writeFileSync(file, `${lines.join("\n")}\n`);
  const sentinel = await startGuarded([findRedis(), file, "--sentinel"], { env: {} });
  const watcher = new Redis({ host: "127.0.0.1", port: sentinelPort, retryStrategy: () => 50, maxRetriesPerRequest: null });
  watcher.on("error", () => {});
  await waitFor(
    "the sentinel to know the replica",
    async () => ((await watcher.call("SENTINEL", "REPLICAS", "grantor")) as unknown[]).length === 1,
  );
  const named = async () => ((await watcher.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "grantor")) as [string, string])[1];
  return {
    url: `redis+sentinel://127.0.0.1:${sentinelPort}/grantor`,
    nodes: [master, replica],
    cutOff: () => cutReplication(master.client),
    async failOver() {
      master.process.signal("SIGKILL");
      await waitFor(
        "the replica to take over",
        async () => (await named()) === `${replicaPort}` && /role:master/.test(await replica.client.info("replication")),
      );
    },
    async stop() {
      watcher.disconnect();
      await stopAll([master, replica], [sentinel], dir);
    },
  };
}
