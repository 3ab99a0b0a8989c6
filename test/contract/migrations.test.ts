import { execFile } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { migrate } from "../../src/storage/migrations.ts";
import { schemaDifference } from "../../tools/schema-difference.ts";
import { ask } from "../support/server-control.ts";
import { type TempDir, tempDir } from "../support/temp-dir.ts";
import { createEmptyDatabase, type EmptyDatabase } from "../support/test-database.ts";

const PROCESS = fileURLToPath(new URL("../support/migrating-process.ts", import.meta.url));
const log = pino({ level: "silent" });

let database: EmptyDatabase;
let dir: TempDir;
let folder: URL;

beforeEach(async () => {
  database = await createEmptyDatabase();
  dir = tempDir("migrations");
  folder = pathToFileURL(`${dir.path}/`);
});

afterEach(async () => {
  await database.drop();
  dir.remove();
});

function write(name: string, sql: string): void {
  mkdirSync(new URL(`${name}/`, folder), { recursive: true });
  writeFileSync(new URL(`${name}/migration.sql`, folder), sql);
}

test("the migrations make what prisma/schema.prisma says", async () => {
  expect(await schemaDifference(database.url)).toBeUndefined();
});

describe("migrate", () => {
  test("applies what this release brings, then nothing", async () => {
    expect((await migrate(database.url, log))[0]).toMatch(/^\d{14}_initial$/);
    expect(await migrate(database.url, log)).toEqual([]);
    expect(await ask(database.url, "SELECT to_regclass('account')::text")).toBe("account");
  });

  test("applies each once when 20 processes start at once", async () => {
    write("1_first", "CREATE TABLE first (); SELECT pg_sleep(0.2);");
    write("2_second", "CREATE TABLE second ();");
    const runs = await Promise.all(
      Array.from({ length: 20 }, () => promisify(execFile)(process.execPath, [PROCESS, database.url, folder.href])),
    );
    const applied = runs.flatMap(({ stdout }) => JSON.parse(stdout) as string[]);
    expect(applied.sort()).toEqual(["1_first", "2_second"]);
    expect(await ask(database.url, "SELECT count(*)::int FROM _prisma_migrations WHERE finished_at IS NOT NULL")).toBe(2);
  });

  test("leaves nothing of a migration that fails, says why, and applies it when it is repaired", async () => {
    write("1_first", "CREATE TABLE first ();");
    write("2_second", "CREATE TABLE second (); CREATE TABLE first ();");
    await expect(migrate(database.url, log, folder)).rejects.toMatchObject({
      code: "migration_failed",
      message: expect.stringMatching(/2_second.*relation "first" already exists/),
    });
    expect(await ask(database.url, "SELECT to_regclass('second')")).toBeNull();
    write("2_second", "CREATE TABLE second ();");
    expect(await migrate(database.url, log, folder)).toEqual(["2_second"]);
  });

  test("refuses a migration that was changed after it was applied", async () => {
    write("1_first", "CREATE TABLE first ();");
    await migrate(database.url, log, folder);
    write("1_first", "CREATE TABLE first (n int);");
    await expect(migrate(database.url, log, folder)).rejects.toThrow(/1_first is not the one that was applied/);
  });

  test("refuses to go on after a migration that Prisma's command left half applied, until it is resolved", async () => {
    write("1_first", "CREATE TABLE first ();");
    await migrate(database.url, log, folder);
    await ask(database.url, "UPDATE _prisma_migrations SET finished_at = NULL");
    await expect(migrate(database.url, log, folder)).rejects.toThrow(/1_first failed earlier/);
    await ask(database.url, "UPDATE _prisma_migrations SET rolled_back_at = now()");
    await ask(database.url, "DROP TABLE first");
    expect(await migrate(database.url, log, folder)).toEqual(["1_first"]);
  });

  test("goes on, with a warning, when a newer release has migrated", async () => {
    write("1_first", "CREATE TABLE first ();");
    await migrate(database.url, log, folder);
    await ask(database.url, "UPDATE _prisma_migrations SET migration_name = '9_newer'");
    await ask(database.url, "DROP TABLE first");
    const lines: string[] = [];
    const warnings = pino({ level: "warn" }, { write: (line: string) => lines.push(line) });
    expect(await migrate(database.url, warnings, folder)).toEqual(["1_first"]);
    expect(lines.join()).toContain("9_newer");
  });
});
