/** What `prisma/schema.prisma` says beyond `prisma/migrations`, found by Prisma's own schema engine without its downloaded binary. */
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { type MigrationList, SchemaEngine } from "@prisma/schema-engine-wasm";
import { migrationAdapter } from "./migration-adapter.ts";

const SCHEMA = new URL("../prisma/schema.prisma", import.meta.url);
export const MIGRATIONS = new URL("../prisma/migrations/", import.meta.url);
const LOCK_FILE = "migration_lock.toml";

async function migrationNames(): Promise<string[]> {
  if (!existsSync(MIGRATIONS)) return [];
  const entries = await readdir(MIGRATIONS, { withFileTypes: true });
  return entries
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort();
}

async function readMigrations(names: readonly string[]): Promise<MigrationList> {
  const lockFile = new URL(LOCK_FILE, MIGRATIONS);
  return {
    baseDir: fileURLToPath(MIGRATIONS),
    lockfile: { path: LOCK_FILE, content: existsSync(lockFile) ? await readFile(lockFile, "utf8") : null },
    shadowDbInitScript: "",
    migrationDirectories: await Promise.all(
      names.map(async (name) => ({
        path: name,
        migrationFile: {
          path: "migration.sql",
          content: { tag: "ok" as const, value: await readFile(new URL(`${name}/migration.sql`, MIGRATIONS), "utf8") },
        },
      })),
    ),
  };
}

/**
 * @param url a PostgreSQL whose user may create databases
 * @returns the SQL that leads from the migrations to the schema; `undefined` when they agree
 */
export async function schemaDifference(url: string): Promise<string | undefined> {
  const content = await readFile(SCHEMA, "utf8");
  const path = fileURLToPath(SCHEMA);
  const names = await migrationNames();
  const { factory, close } = migrationAdapter(url);
  try {
    const engine = await SchemaEngine.new({ datamodels: [[path, content]] }, () => {}, factory);
    const { exitCode, stdout } = await engine.diff({
      from: names.length > 0 ? { tag: "migrations", ...(await readMigrations(names)) } : { tag: "empty" },
      to: { tag: "schemaDatamodel", files: [{ path, content }] },
      script: true,
      exitCode: true,
      filters: { externalTables: [], externalEnums: [] },
    });
    return exitCode === 0 ? undefined : (stdout ?? "");
  } finally {
    await close();
  }
}
