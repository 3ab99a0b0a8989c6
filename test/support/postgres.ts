/** A real PostgreSQL for tests, from the embedded binaries, and empty databases in it. */
import { randomBytes } from "node:crypto";
import pg from "pg";
import { pino } from "pino";
import { removeCluster } from "../../src/storage/embedded-cluster.ts";
import { startEmbeddedPostgres } from "../../src/storage/embedded-postgres.ts";
import { tempDir } from "./temp-dir.ts";
import { waitFor } from "./wait-for.ts";

/** Databases of a test's own on a server that runs already. */
export interface Databases {
  /** @param template what it is a copy of, with nobody connected; without it the database is empty @returns its `DATABASE_URL` */
  fresh(template?: string): Promise<string>;
  /** Nobody can connect to the database any more, so that it can be copied. */
  freeze(name: string): Promise<void>;
  /** Drops all that `fresh` created, whoever is still connected. */
  dropAll(): Promise<void>;
}

export interface TestPostgres extends Databases {
  /** Of a superuser, in a database that is not to be used. */
  readonly url: string;
  /** Kills the server as a power cut would; resolves when it has come back and answers. */
  crash(): Promise<void>;
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** @param adminUrl of somebody who may create databases */
export function databasesOn(adminUrl: string): Databases {
  const names: string[] = [];
  return {
    // template0: nobody can be connected to it, which would make CREATE DATABASE fail.
    async fresh(template = "template0") {
      const name = `grantor_test_${randomBytes(8).toString("hex")}`;
      await query(adminUrl, `CREATE DATABASE ${name} TEMPLATE ${template}`);
      names.push(name);
      const url = new URL(adminUrl);
      url.pathname = `/${name}`;
      return url.href;
    },
    async freeze(name) {
      await query(adminUrl, `ALTER DATABASE ${name} ALLOW_CONNECTIONS false`);
      await waitFor("everybody to have left the database", async () => {
        const left = await query(adminUrl, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${name}'`);
        return left.length === 0;
      });
    },
    async dropAll() {
      for (const name of names.splice(0)) await query(adminUrl, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
    },
  };
}

/** A server of the test's own; about three seconds. Suites that only need a database take one of the run's server, see stores.ts. */
export async function startPostgres(): Promise<TestPostgres> {
  const dir = tempDir("pg");
  const server = await startEmbeddedPostgres({ dataDir: dir.path, log: pino({ level: "silent" }) }).catch((error: unknown) => {
    dir.remove();
    throw error;
  });
  const { url } = server;
  const stop = async () => {
    await server.stop();
    removeCluster(dir.path);
    dir.remove();
  };
  return {
    url,
    ...databasesOn(url),
    async crash() {
      const before = await postmaster(url);
      process.kill(before, "SIGKILL");
      await waitFor("PostgreSQL to come back", async () => (await postmaster(url)) !== before);
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

async function postmaster(url: string): Promise<number> {
  const [row] = await query(url, "SELECT split_part(pg_read_file('postmaster.pid'), E'\\n', 1)::int AS pid");
  return row?.pid as number;
}

async function query(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5000 });
  client.on("error", () => {}); // of a server that is killed meanwhile; the query reports its own
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}
