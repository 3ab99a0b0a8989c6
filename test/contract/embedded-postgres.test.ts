import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { chownSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { removeCluster } from "../../src/storage/embedded-cluster.ts";
import { startEmbeddedPostgres } from "../../src/storage/embedded-postgres.ts";
import { answers, ask, isAlive, serverPid, until } from "../support/server-control.ts";
import { type TempDir, tempDir } from "../support/temp-dir.ts";

const log = pino({ level: "silent" });
const USER = fileURLToPath(new URL("../support/embedded-user.ts", import.meta.url));

type User = ChildProcessByStdio<Writable, Readable, null> & { url: string };

let dir: TempDir;
let children: User[];

beforeEach(() => {
  dir = tempDir("embedded");
  children = [];
});

afterEach(async () => {
  await Promise.all(children.map(leave));
  removeCluster(dir.path);
  dir.remove();
});

/** Another process that joins, or starts, the database of `dir`. */
async function join(): Promise<User> {
  const child = spawn(process.execPath, [USER, dir.path], { stdio: ["pipe", "pipe", "inherit"] });
  const user = Object.assign(child, { url: "" });
  children.push(user);
  const output = await Promise.race([once(child.stdout, "data"), once(child, "exit")]);
  user.url = String(output[0]).trim();
  expect(user.url).toMatch(/^postgresql:/);
  return user;
}

async function leave(user: User): Promise<void> {
  if (user.exitCode !== null || user.signalCode !== null) return;
  user.stdin.end();
  await once(user, "exit");
}

async function crash(user: User): Promise<void> {
  user.kill("SIGKILL");
  await once(user, "exit");
}

describe("embedded PostgreSQL", () => {
  test("starts, keeps what it was given and ends with its only user", async () => {
    const first = await startEmbeddedPostgres({ dataDir: dir.path, log });
    const pid = await serverPid(first.url);
    await ask(first.url, "CREATE TABLE t AS SELECT 42 AS n");
    await first.stop();
    expect(isAlive(pid)).toBe(false);

    const second = await startEmbeddedPostgres({ dataDir: dir.path, log });
    expect(second.url).toBe(first.url);
    expect(await ask(second.url, "SELECT n FROM t")).toBe(42);
    await second.stop();
    await second.stop();
  });

  test("opens no TCP port and answers in UTC", async () => {
    const server = await startEmbeddedPostgres({ dataDir: dir.path, log });
    expect(await ask(server.url, "SHOW listen_addresses")).toBe("");
    expect(await ask(server.url, "SHOW timezone")).toBe("UTC");
    await server.stop();
  });

  test("is one server for processes that start at once on an empty folder", async () => {
    const users = await Promise.all(Array.from({ length: 8 }, join));
    expect(new Set(users.map(({ url }) => url)).size).toBe(1);
    const pids = await Promise.all(users.map(({ url }) => serverPid(url)));
    expect(new Set(pids).size).toBe(1);
    await Promise.all(users.map(leave));
    expect(isAlive(pids[0] as number)).toBe(false);
  });

  test("stays for those who remain when the process that started it leaves or is killed", async () => {
    const starter = await join();
    const second = await join();
    const pid = await serverPid(starter.url);
    await leave(starter);
    expect(await answers(second.url)).toBe(true);
    const third = await join();
    await crash(second);
    expect(await answers(third.url)).toBe(true);
    expect(await serverPid(third.url)).toBe(pid);
    await leave(third);
    expect(isAlive(pid)).toBe(false);
  });

  test("ends after a crash of its last user, and loses no row", async () => {
    const user = await join();
    const pid = await serverPid(user.url);
    await ask(user.url, "CREATE TABLE t (n int)");
    for (let n = 0; n < 20; n++) await ask(user.url, "INSERT INTO t VALUES ($1)", [n]);
    await crash(user);
    expect(await until(() => !isAlive(pid))).toBeLessThan(15_000);

    const next = await join();
    expect(await ask(next.url, "SELECT count(*)::int FROM t")).toBe(20);
  });

  test("is started again within a second, by one of its users, when it is killed, and loses no row", async () => {
    const users = [await join(), await join(), await join()];
    const url = users[0]?.url as string;
    await ask(url, "CREATE TABLE t (n int)");
    for (let round = 1; round <= 3; round++) {
      await ask(url, "INSERT INTO t VALUES ($1)", [round]);
      const pid = await serverPid(url);
      process.kill(pid, "SIGKILL");
      await until(() => !isAlive(pid));
      expect(await until(() => answers(url))).toBeLessThan(8000); // within a second on an idle machine
      expect(await ask(url, "SELECT count(*)::int FROM t")).toBe(round);
      expect(await serverPid(url)).not.toBe(pid);
    }
    const last = await serverPid(url);
    await Promise.all(users.map(leave));
    expect(isAlive(last)).toBe(false);
  });

  test("starts afresh when the folder is deleted", async () => {
    const first = await startEmbeddedPostgres({ dataDir: dir.path, log });
    await ask(first.url, "CREATE TABLE t ()");
    await first.stop();
    removeCluster(dir.path);
    rmSync(dir.path, { recursive: true });

    const second = await startEmbeddedPostgres({ dataDir: dir.path, log });
    expect(await ask(second.url, "SELECT to_regclass('t')")).toBeNull();
    await second.stop();
  });

  test("takes a folder whose path is too long for a socket", async () => {
    const dataDir = `${dir.path}/${"deep/".repeat(30)}`;
    const server = await startEmbeddedPostgres({ dataDir, log });
    expect(await answers(server.url)).toBe(true);
    await server.stop();
    removeCluster(dataDir);
  });

  test("does not take another program for the server that left its process id behind", async () => {
    const first = await startEmbeddedPostgres({ dataDir: dir.path, log });
    const data = (await ask(first.url, "SHOW data_directory")) as string;
    const pid = await serverPid(first.url);
    await first.stop();
    writeFileSync(`${data}/postmaster.pid`, `${process.pid}\n${data}\n1\n5432\n\n\n`, { mode: 0o600 });
    if (process.getuid?.() === 0) chownSync(`${data}/postmaster.pid`, 65534, 65534);

    const second = await startEmbeddedPostgres({ dataDir: dir.path, log });
    expect(await serverPid(second.url)).not.toBe(pid);
    await second.stop();
  });

  test("asks for DATABASE_URL where there are no binaries", async () => {
    const platform = vi.spyOn(process, "platform", "get").mockReturnValue("win32");
    try {
      await expect(startEmbeddedPostgres({ dataDir: dir.path, log })).rejects.toMatchObject({
        code: "unsupported_platform",
        message: expect.stringContaining("DATABASE_URL"),
      });
      platform.mockReturnValue("sunos");
      await expect(startEmbeddedPostgres({ dataDir: dir.path, log })).rejects.toThrow("DATABASE_URL");
    } finally {
      platform.mockRestore();
    }
  });

  test.runIf(existsSync("/proc"))("does not hand its environment to the server", async () => {
    vi.stubEnv("SECRET_KEY", "must not be seen");
    const server = await startEmbeddedPostgres({ dataDir: dir.path, log });
    vi.unstubAllEnvs();
    expect(readFileSync(`/proc/${await serverPid(server.url)}/environ`, "utf8")).not.toContain("SECRET_KEY");
    await server.stop();
  });
});
