/**
 * Applies `prisma/migrations` at start, as `prisma migrate deploy` would: under its advisory lock, into its table, with its checksums.
 * A migration runs in one transaction with its record, so nothing that cannot (CREATE INDEX CONCURRENTLY) may stand in one.
 */
import { createHash, randomUUID } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import pg from "pg";
import type { Logger } from "pino";
import { DatabaseError, describeLoss } from "./database-error.ts";

/** The key that Prisma's own command takes on PostgreSQL, so that the two exclude each other. */
const PRISMA_LOCK = 72707369;

const PRISMA_TABLE = `CREATE TABLE IF NOT EXISTS _prisma_migrations (
  id                  VARCHAR(36) PRIMARY KEY NOT NULL,
  checksum            VARCHAR(64) NOT NULL,
  finished_at         TIMESTAMPTZ,
  migration_name      VARCHAR(255) NOT NULL,
  logs                TEXT,
  rolled_back_at      TIMESTAMPTZ,
  started_at          TIMESTAMPTZ NOT NULL DEFAULT now(),
  applied_steps_count INTEGER NOT NULL DEFAULT 0
)`;

const MIGRATIONS = new URL("../../prisma/migrations/", import.meta.url);

interface Migration {
  name: string;
  sql: string;
  /** SHA-256, hex. */
  checksum: string;
}

interface AppliedMigration {
  migration_name: string;
  checksum: string;
  finished_at: Date | null;
}

async function readMigrations(folder: URL): Promise<Migration[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  return Promise.all(
    names.sort().map(async (name) => {
      const sql = await readFile(new URL(`${name}/migration.sql`, folder), "utf8");
      return { name, sql, checksum: createHash("sha256").update(sql).digest("hex") };
    }),
  );
}

/** @returns the migrations that are still to be applied */
function pendingMigrations(migrations: readonly Migration[], applied: readonly AppliedMigration[], log: Logger): Migration[] {
  const known = new Set(migrations.map(({ name }) => name));
  const unknown = applied.map((row) => row.migration_name).filter((name) => !known.has(name));
  // A newer release has migrated already: during a rolling upgrade this one goes on, and migrations are written so that it can.
  if (unknown.length > 0) log.warn({ migrations: unknown }, "the database has migrations that this release does not know");
  const rows = new Map(applied.map((row) => [row.migration_name, row]));
  return migrations.filter(({ name, checksum }) => {
    const row = rows.get(name);
    if (row === undefined) return true;
    if (row.finished_at === null) {
      throw new DatabaseError("migration_failed", `Migration ${name} failed earlier: repair the database, then "prisma migrate resolve"`);
    }
    if (row.checksum !== checksum) {
      throw new DatabaseError(
        "migration_failed",
        `Migration ${name} is not the one that was applied to this database: install the release unchanged`,
      );
    }
    return false;
  });
}

async function apply(client: pg.Client, { name, sql, checksum }: Migration): Promise<void> {
  await client.query("BEGIN");
  try {
    await client.query(sql);
    await client.query(
      `INSERT INTO _prisma_migrations (id, checksum, migration_name, started_at, finished_at, applied_steps_count)
       VALUES ($1, $2, $3, now(), clock_timestamp(), 1)`,
      [randomUUID(), checksum, name],
    );
    await client.query("COMMIT");
  } catch (cause) {
    await client.query("ROLLBACK").catch(() => {}); // the connection may be what failed
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new DatabaseError("migration_failed", `Migration ${name} failed, nothing of it was applied: ${reason}`, { cause });
  }
}

/**
 * Brings the database up to this release. Any number of processes may do so at once: one applies, the others wait for it.
 * @param url connection string of a session, not of a pooler that shares connections between transactions
 * @returns the names of the migrations that this call applied
 * @throws DatabaseError `migration_failed`; the driver's error when the database cannot be reached
 */
export async function migrate(url: string, log: Logger, folder = MIGRATIONS): Promise<string[]> {
  const migrations = await readMigrations(folder);
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5000, application_name: "grantor migrate" });
  client.on("error", (error) => log.warn(describeLoss(error), "the database connection was lost while migrating")); // the query reports it too
  await client.connect();
  try {
    await client.query("SELECT pg_advisory_lock($1)", [PRISMA_LOCK]);
    await client.query(PRISMA_TABLE);
    const applied = await client.query<AppliedMigration>(
      "SELECT migration_name, checksum, finished_at FROM _prisma_migrations WHERE rolled_back_at IS NULL",
    );
    const pending = pendingMigrations(migrations, applied.rows, log);
    for (const migration of pending) {
      await apply(client, migration);
      log.info({ migration: migration.name }, "migration applied");
    }
    return pending.map(({ name }) => name);
  } finally {
    await client.end();
  }
}
