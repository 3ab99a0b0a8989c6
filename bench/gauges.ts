/** What a target used: CPU time and memory of its process, commands and reads of Redis, transactions of PostgreSQL. */
import { readFileSync } from "node:fs";
import { Redis } from "ioredis";
import pg from "pg";

export interface Reading {
  /** Milliseconds of CPU, all threads, user and system. */
  cpu: number;
  /** Commands that clients sent, without those that scripts ran inside. */
  redisCommands: number;
  /** Reads from client sockets: what arrived together counts once. */
  redisRoundTrips: number;
  transactions: number;
}

/** Clock ticks a second in /proc: a constant of the kernel's interface on every supported Linux. */
const TICKS = 100;

export class Gauges {
  readonly #pid: number;
  readonly #redis: Redis | undefined;
  readonly #database: pg.Client | undefined;

  private constructor(pid: number, redis: Redis | undefined, database: pg.Client | undefined) {
    this.#pid = pid;
    this.#redis = redis;
    this.#database = database;
  }

  static async open(pid: number, stores: { redisUrl?: string | undefined; databaseUrl?: string | undefined } = {}): Promise<Gauges> {
    const { redisUrl, databaseUrl } = stores;
    const redis = redisUrl === undefined ? undefined : new Redis({ path: redisUrl.replace("unix://", "") });
    const database = databaseUrl === undefined ? undefined : new pg.Client({ connectionString: databaseUrl });
    await database?.connect();
    return new Gauges(pid, redis, database);
  }

  async read(): Promise<Reading> {
    const stats = (await this.#redis?.info("stats")) ?? "";
    const commands = (await this.#redis?.info("commandstats")) ?? "";
    const calls = Object.fromEntries(
      [...commands.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm)].map(([, name, count]) => [name as string, Number(count)]),
    );
    return {
      cpu: this.#cpu(),
      redisCommands:
        Object.entries(calls).reduce((sum, [name, count]) => sum + (name === "info" ? 0 : count), 0) - (await this.#insideScripts(calls)),
      redisRoundTrips: Number(/^total_reads_processed:(\d+)/m.exec(stats)?.[1] ?? 0),
      transactions: await this.#transactions(),
    };
  }

  /** Megabytes resident. */
  memory(): number {
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${this.#pid}/status`, "utf8"))?.[1]) / 1024;
  }

  async close(): Promise<void> {
    this.#redis?.disconnect();
    await this.#database?.end();
  }

  #cpu(): number {
    const stat = readFileSync(`/proc/${this.#pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return ((Number(fields[11]) + Number(fields[12])) / TICKS) * 1000;
  }

  /** Redis counts what a script calls like what a client sends; only scripts use these commands here. */
  async #insideScripts(calls: Record<string, number>): Promise<number> {
    return ["getrange", "setrange", "pexpiretime", "pexpireat", "zadd", "zcard", "zremrangebyscore", "del"].reduce(
      (sum, name) => sum + (calls[name] ?? 0),
      0,
    );
  }

  async #transactions(): Promise<number> {
    if (this.#database === undefined) return 0;
    await this.#database.query("SELECT pg_stat_clear_snapshot()");
    const { rows } = await this.#database.query(
      "SELECT xact_commit + xact_rollback AS count FROM pg_stat_database WHERE datname = current_database()",
    );
    return Number(rows[0].count);
  }
}
