import { randomUUID } from "node:crypto";
import { linkSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { basename, dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** Where a process's start time cannot be read, a lock this old belongs to a process that died and whose id was given again. Milliseconds. */
const OLDEST_HOLDER = 120_000;

const POLL = 25; // ms

/**
 * Names a process so that another one with the same id, later, is told apart; `undefined` when it is gone or a zombie.
 * Linux knows when it started (`/proc/PID/stat`, field 22); elsewhere the id has to do.
 */
function processMark(pid: number): string | undefined {
  if (process.platform === "linux") {
    try {
      const [state, ...rest] = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.split(" ") ?? [];
      return state === "Z" || state === "X" ? undefined : `${pid} ${rest[18]}`;
    } catch {
      return undefined;
    }
  }
  try {
    process.kill(pid, 0);
    return `${pid}`;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM" ? `${pid}` : undefined;
  }
}

/** A released lock is empty; one whose holder was killed names a process that is no more. */
function isFree(file: string): boolean {
  try {
    const mark = readFileSync(file, "utf8");
    if (mark === "" || processMark(Number.parseInt(mark, 10)) !== mark) return true;
    return process.platform !== "linux" && Date.now() - statSync(file).mtimeMs > OLDEST_HOLDER;
  } catch {
    return false; // another process took the next number and tidied up
  }
}

function newestNumber(path: string): number {
  const prefix = `${basename(path)}.`;
  const numbers = readdirSync(dirname(path)).flatMap((name) => (name.startsWith(prefix) ? [Number(name.slice(prefix.length))] : []));
  return Math.max(0, ...numbers.filter(Number.isSafeInteger));
}

/** @returns the number under which the lock is held now, `undefined` when another process holds it */
function tryAcquire(path: string): number | undefined {
  const newest = newestNumber(path);
  if (newest > 0 && !isFree(`${path}.${newest}`)) return undefined;
  const mine = newest + 1;
  const draft = `${path}.${randomUUID()}`;
  writeFileSync(draft, processMark(process.pid) ?? "", { mode: 0o600 });
  try {
    linkSync(draft, `${path}.${mine}`); // fails when the number is taken: exactly one process gets it
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return undefined;
    throw error;
  } finally {
    rmSync(draft, { force: true });
  }
  if (newestNumber(path) !== mine) {
    rmSync(`${path}.${mine}`, { force: true }); // the view was old: the lock has changed hands meanwhile
    return undefined;
  }
  for (let number = newest; number > 0 && number > newest - 3; number--) rmSync(`${path}.${number}`, { force: true });
  return mine;
}

/**
 * Runs `work` while no other process on this machine runs under the same lock. The lock of a process that was killed is free at once.
 *
 * The lock is a file `PATH.N`, where each holder takes the next number and the newest file is never removed: a stale lock is thus
 * passed by, not deleted, and two processes that find the same stale lock cannot both win.
 *
 * @throws Error after `timeout` milliseconds of waiting
 */
export async function withProcessLock<T>(path: string, timeout: number, work: () => Promise<T>): Promise<T> {
  const deadline = Date.now() + timeout;
  let held = tryAcquire(path);
  while (held === undefined) {
    if (Date.now() > deadline) throw new Error(`Another process holds ${path} since ${timeout / 1000} s`);
    await sleep(POLL);
    held = tryAcquire(path);
  }
  try {
    return await work();
  } finally {
    truncateSync(`${path}.${held}`);
  }
}
