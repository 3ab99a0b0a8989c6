import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { withProcessLock } from "../../src/storage/process-lock.ts";
import { tempDir } from "../support/temp-dir.ts";

const HOLDER = fileURLToPath(new URL("../support/lock-holder.ts", import.meta.url));

test("lets one at a time in, of several processes and within one", async () => {
  await using dir = tempDir("lock");
  const lock = join(dir.path, "lock");
  const counter = join(dir.path, "counter");
  writeFileSync(counter, "0");
  const children = Array.from({ length: 4 }, () => spawn(process.execPath, [HOLDER, lock, counter, "10"], { stdio: "inherit" }));
  const here = Array.from({ length: 10 }, () =>
    withProcessLock(lock, 10_000, async () => {
      const count = Number(readFileSync(counter, "utf8"));
      await new Promise((resolve) => setTimeout(resolve, 1));
      writeFileSync(counter, String(count + 1));
    }),
  );
  await Promise.all([...children.map((child) => once(child, "exit")), ...here]);
  expect(readFileSync(counter, "utf8")).toBe("50");
  expect(readdirSync(dir.path).length).toBeLessThanOrEqual(3); // the counter and the newest lock files
});

test("is free as soon as its holder is killed", async () => {
  await using dir = tempDir("lock");
  const lock = join(dir.path, "lock");
  const counter = join(dir.path, "counter");
  writeFileSync(counter, "0");
  const holder = spawn(process.execPath, [HOLDER, lock, counter, "1", "hold"], { stdio: ["ignore", "pipe", "inherit"] });
  await once(holder.stdout, "data");
  await expect(withProcessLock(lock, 100, async () => {})).rejects.toThrow("Another process holds");
  holder.kill("SIGKILL");
  await once(holder, "exit");
  expect(await withProcessLock(lock, 1000, async () => "mine")).toBe("mine");
});

test("is released when the work fails", async () => {
  await using dir = tempDir("lock");
  const lock = join(dir.path, "lock");
  const failing = withProcessLock(lock, 1000, () => Promise.reject(new Error("no")));
  await expect(failing).rejects.toThrow("no");
  expect(await withProcessLock(lock, 1000, async () => 1)).toBe(1);
});
