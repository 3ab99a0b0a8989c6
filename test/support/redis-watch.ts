/** What lies in Redis, and what it is told. */
import { once } from "node:events";
import { connect } from "node:net";
import { createInterface } from "node:readline";
import { Cluster, Redis } from "ioredis";
import type { RedisClient } from "../../src/storage/redis-client.ts";

/** Of every master. */
export async function allKeys(redis: RedisClient): Promise<string[]> {
  const keys: string[] = [];
  for (const node of redis instanceof Cluster ? redis.nodes("master") : [redis]) {
    for (let cursor = "0", first = true; first || cursor !== "0"; first = false) {
      const [next, found] = await node.scan(cursor, "COUNT", 1000);
      keys.push(...found);
      cursor = next;
    }
  }
  return keys;
}

/** What a single Redis is told, by whomever. On a socket of its own: ioredis loses count when commands arrive with the answer to MONITOR. */
export async function watchCommands(redis: RedisClient): Promise<{ commands: string[][]; stop(): void } | undefined> {
  if (!(redis instanceof Redis) || redis.options.sentinels != null) return undefined; // the same commands as to a single one
  const { path, host, port } = redis.options;
  const socket = path ? connect(path) : connect(port ?? 6379, host ?? "127.0.0.1");
  const commands: string[][] = [];
  const lines = createInterface({ input: socket });
  lines.on("line", (line) => commands.push([...line.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, part = ""]) => part)));
  socket.write("MONITOR\r\n");
  await once(lines, "line");
  return { commands, stop: () => socket.destroy() };
}
