/**
 * What is durable and relational: PostgreSQL, embedded or named by DATABASE_URL, its migrations, and word between processes of what changed.
 * Beside it in this room: sessions, grants and tokens, on Redis or in a table. The room knows no account, client or protocol: whoever
 * owns a noun asks for its rows here and decides what they mean.
 */
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import type { Logger } from "pino";
import type { Config } from "../config.ts";
import type { Secrets } from "../secrets.ts";
import { DatabaseError, describeLoss, isUnavailable } from "./database-error.ts";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "./embedded-postgres.ts";
import type { PrismaClient } from "./generated/client.ts";
import { migrate } from "./migrations.ts";
import { createPrisma } from "./prisma.ts";
import { type StatementTook, timeStatements } from "./timed-statements.ts";

/** Connections of one process; PostgreSQL's own default allows 100 in all. */
const POOL_SIZE = 10;
const CONNECTION_TIMEOUT = 3000; // ms, to connect or to get a connection that is in use
const STATEMENT_TIMEOUT = 10_000; // ms, kept by the server
const ANSWER_TIMEOUT = 12_000; // ms, kept here: a server that is gone keeps no timeout
const KEEP_ALIVE_DELAY = 10_000; // ms
const START_PATIENCE = 10_000; // ms: a database that starts together with this process
const CLOSE_PATIENCE = 5000; // ms, for queries under way

export interface Database {
  prisma: PrismaClient;
  /** For SQL that Prisma cannot say. The same connections as Prisma's. Sessions speak UTC. */
  pool: pg.Pool;
  /** Connection string, for a connection of one's own; holds the password. */
  url: string;
  /** Names of the migrations that this opening applied. */
  applied: readonly string[];
  close(): Promise<void>;
}

/** Server, port and database, without user and password. */
function describe(url: string): string {
  const { hostname, port, pathname, searchParams } = new URL(url);
  return `${searchParams.get("host") ?? `${hostname}:${port || 5432}`}${pathname}`;
}

/** What pg cannot follow is refused, before it writes to the wrong place. */
function checkUrl(url: string): void {
  const schema = URL.canParse(url) ? new URL(url).searchParams.get("schema") : null;
  if (!URL.canParse(url)) throw new DatabaseError("refused", "DATABASE_URL is no URL: postgresql://user:password@host:5432/database");
  if (schema !== null && schema !== "public") {
    throw new DatabaseError(
      "refused",
      `DATABASE_URL asks for the schema "${schema}": give Grantor a database of its own and leave "schema" out`,
    );
  }
}

/** Waits for a server that is starting. @throws DatabaseError `unreachable` or `refused` */
async function waitForDatabase(url: string, patience: number, log: Logger): Promise<void> {
  const deadline = Date.now() + patience;
  for (let waited = false; ; waited = true) {
    const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: CONNECTION_TIMEOUT });
    client.on("error", () => {}); // the end of a connection that is about to be closed
    try {
      await client.connect();
      await client.end();
      return;
    } catch (cause) {
      const reason = cause instanceof Error && cause.message !== "" ? cause.message : ((cause as { code?: string }).code ?? String(cause));
      if (!isUnavailable(cause)) {
        throw new DatabaseError("refused", `The database at ${describe(url)} refused the connection: ${reason}. Check DATABASE_URL.`, {
          cause,
        });
      }
      if (Date.now() > deadline) {
        const message = `The database at ${describe(url)} did not answer within ${patience / 1000} s: ${reason}. Start it, or check DATABASE_URL.`;
        throw new DatabaseError("unreachable", message, { cause });
      }
      if (!waited) log.warn({ database: describe(url), reason }, "waiting for the database");
      await sleep(250);
    }
  }
}

/** A pool that never ends the process: every connection that it holds, idle or lent, has somebody who hears of its loss. */
function createPool(url: string, log: Logger, took: StatementTook | undefined): pg.Pool {
  const given = new URL(url).searchParams.get("options") ?? "";
  // @prisma/adapter-pg writes and reads times as UTC without saying so to the server.
  const pool = new pg.Pool({
    ...withoutOptions(url),
    options: `${given} -c TimeZone=UTC -c statement_timeout=${STATEMENT_TIMEOUT}`.trim(),
    application_name: "grantor",
    max: POOL_SIZE,
    connectionTimeoutMillis: CONNECTION_TIMEOUT,
    query_timeout: ANSWER_TIMEOUT,
    idleTimeoutMillis: 60_000,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_DELAY,
  });
  pool.on("error", (error) => log.warn(describeLoss(error), "a database connection was lost"));
  pool.on("connect", (client) => {
    client.on("error", (error) => log.debug(describeLoss(error), "a database connection failed"));
    if (took !== undefined) timeStatements(client, took);
  });
  return pool;
}

/** pg lets what the connection string says win over what is said beside it. */
function withoutOptions(url: string): { connectionString: string } {
  const bare = new URL(url);
  bare.searchParams.delete("options");
  return { connectionString: bare.href };
}

/** `end` resolves when the connections are told to close; here they have: an embedded server would otherwise end under them. */
async function endPool(pool: pg.Pool): Promise<void> {
  let open = pool.totalCount;
  const removed = new Promise<void>((resolve) => {
    pool.on("remove", () => {
      open -= 1;
      if (open === 0) resolve();
    });
    if (open === 0) resolve();
  });
  await Promise.all([pool.end(), removed]);
}

async function closePool(pool: pg.Pool, log: Logger): Promise<void> {
  const abort = new AbortController();
  const late = sleep(CLOSE_PATIENCE, true, { signal: abort.signal }).catch(() => false);
  if ((await Promise.race([endPool(pool), late])) === true) log.warn("database queries were still under way at the end");
  abort.abort();
}

/**
 * Opens the database: starts or joins the embedded one, or waits for the one that DATABASE_URL names, then migrates it.
 * Later losses of the database end nothing: connections are made anew when it is back.
 * @param took hears of every statement
 * @throws DatabaseError with the words that say what to do
 */
export async function openDatabase(
  config: Pick<Config, "dataDir" | "embeddedDatabase">,
  secrets: Pick<Secrets, "databaseUrl">,
  log: Logger,
  took?: StatementTook,
): Promise<Database> {
  let embedded: EmbeddedPostgres | undefined;
  if (config.embeddedDatabase || secrets.databaseUrl === undefined)
    embedded = await startEmbeddedPostgres({ dataDir: config.dataDir, log });
  const url = embedded?.url ?? (secrets.databaseUrl as string);
  let applied: string[];
  try {
    checkUrl(url);
    if (embedded === undefined) await waitForDatabase(url, START_PATIENCE, log);
    applied = await migrate(url, log);
  } catch (error) {
    await embedded?.stop();
    throw error;
  }
  const pool = createPool(url, log, took);
  const prisma = createPrisma(pool);
  let closed: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    await prisma.$disconnect();
    await closePool(pool, log);
    await embedded?.stop();
  };
  return {
    prisma,
    pool,
    url,
    applied,
    close() {
      closed ??= close();
      return closed;
    },
  };
}
