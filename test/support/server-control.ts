/** Finds the embedded PostgreSQL's process and kills it, as a crash would. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";

/** @returns the first row's first column, on a connection of its own */
export async function ask(url: string, sql: string, values: unknown[] = []): Promise<unknown> {
  const client = new pg.Client({ connectionString: url });
  client.on("error", () => {});
  await client.connect();
  try {
    const { rows } = await client.query<unknown[]>({ text: sql, values, rowMode: "array" });
    return rows[0]?.[0];
  } finally {
    await client.end().catch(() => {});
  }
}

export async function serverPid(url: string): Promise<number> {
  const folder = (await ask(url, "SHOW data_directory")) as string;
  return Number.parseInt(readFileSync(join(folder, "postmaster.pid"), "utf8"), 10);
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z ");
  } catch {
    return false;
  }
}

/** Milliseconds until `condition` held. @throws after `patience` milliseconds */
export async function until(condition: () => boolean | Promise<boolean>, patience = 15_000): Promise<number> {
  const started = performance.now();
  while (!(await condition())) {
    if (performance.now() - started > patience) throw new Error(`not within ${patience} ms: ${condition}`);
    await sleep(10);
  }
  return performance.now() - started;
}

export const answers = (url: string): Promise<boolean> =>
  ask(url, "SELECT 1").then(
    () => true,
    () => false,
  );
