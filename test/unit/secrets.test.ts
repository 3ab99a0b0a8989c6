import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { expect, test } from "vitest";
import { ConfigError, loadConfig } from "../../src/config.ts";
import { deriveKeys, loadSecrets } from "../../src/secrets.ts";
import { tempDir } from "../support/temp-dir.ts";

const A = "a".repeat(32);
const B = "b".repeat(40);

const load = (env: Record<string, string>) => loadSecrets(loadConfig(env), env);

test("one secret is generated, readable by its owner alone, and found again", async () => {
  await using dir = tempDir();
  const dataDir = join(dir.path, "not", "there", "yet");
  const first = await load({ DATA_DIR: dataDir });
  const second = await load({ DATA_DIR: dataDir });
  expect(first.secretKeys).toHaveLength(1);
  expect(first.secretKeys[0]?.length).toBeGreaterThanOrEqual(32);
  expect(second.secretKeys).toEqual(first.secretKeys);
  expect(statSync(join(dataDir, "secret-key")).mode & 0o777).toBe(0o600);
  expect(readdirSync(dataDir)).toEqual(["secret-key"]);
});

test("20 at once in one process agree", async () => {
  await using dir = tempDir();
  const all = await Promise.all(Array.from({ length: 20 }, () => load({ DATA_DIR: dir.path })));
  expect(new Set(all.map((secrets) => secrets.secretKeys[0]?.toString()))).toHaveProperty("size", 1);
  expect(readdirSync(dir.path)).toEqual(["secret-key"]);
});

test("20 processes at once agree", { timeout: 60_000 }, async () => {
  await using dir = tempDir();
  const script = `
    import { loadConfig } from "./src/config.ts";
    import { deriveKeys, loadSecrets } from "./src/secrets.ts";
    const config = loadConfig(process.env);
    process.stdin.once("data", async () => {
      const secrets = await loadSecrets(config, process.env);
      process.stdout.write(deriveKeys(secrets, "grantor/test")[0].toString("hex"));
      process.exit();
    });
    process.stderr.write("ready");`;
  const children = Array.from({ length: 20 }, () =>
    spawn(process.execPath, ["--input-type=module-typescript", "--eval", script], {
      env: { PATH: process.env.PATH, DATA_DIR: dir.path },
      stdio: "pipe",
    }),
  );
  await Promise.all(children.map((child) => once(child.stderr, "data")));
  const answers = children.map((child) => text(child.stdout));
  for (const child of children) child.stdin.write("go\n");
  const keys = await Promise.all(answers);
  expect(keys[0]).toMatch(/^[0-9a-f]{64}$/);
  expect(new Set(keys).size).toBe(1);
  expect(readdirSync(dir.path)).toEqual(["secret-key"]);
});

test("SECRET_KEY goes before the file and keeps its order", async () => {
  await using dir = tempDir();
  const { secretKeys } = await load({ DATA_DIR: dir.path, SECRET_KEY: `${B} , ${A}` });
  expect(secretKeys.map(String)).toEqual([B, A]);
  expect(readdirSync(dir.path)).toEqual([]);
});

test("store addresses are handed on as they are", async () => {
  const env = { DATABASE_URL: "postgresql://u:p@h/d", REDIS_URL: "redis://:p@h", SMTP_URL: "smtps://u:p@h", SECRET_KEY: A };
  expect(await load(env)).toMatchObject({ databaseUrl: env.DATABASE_URL, redisUrl: env.REDIS_URL, smtpUrl: env.SMTP_URL });
});

test("a damaged file stops the start, without its content in the message", async () => {
  await using dir = tempDir();
  writeFileSync(join(dir.path, "secret-key"), "half-a-secret");
  const failure = load({ DATA_DIR: dir.path });
  await expect(failure).rejects.toThrow(ConfigError);
  await expect(failure).rejects.toThrow(/DATA_DIR: secret-key in it holds no secret of 32 bytes/);
  await expect(failure).rejects.not.toThrow(/half-a-secret/);
  expect(readFileSync(join(dir.path, "secret-key"), "utf8")).toBe("half-a-secret");
});

test("a directory that cannot be made is named as the setting that it is", async () => {
  await using dir = tempDir();
  writeFileSync(join(dir.path, "file"), "");
  await expect(load({ DATA_DIR: join(dir.path, "file", "data") })).rejects.toThrow(/DATA_DIR: make the directory .*ENOTDIR/);
});

test("each label and each secret has a key of its own", async () => {
  const secrets = await load({ SECRET_KEY: `${A},${B}` });
  const cookies = deriveKeys(secrets, "grantor/cookies");
  const seal = deriveKeys(secrets, "grantor/seal");
  expect([...cookies, ...seal].map((key) => key.length)).toEqual([32, 32, 32, 32]);
  expect(new Set([...cookies, ...seal].map((key) => key.toString("hex"))).size).toBe(4);
  expect(deriveKeys(secrets, "grantor/cookies")).toEqual(cookies);
  // Fixed for ever: a change of the derivation would lock every deployment out of its signing keys.
  expect(cookies[0]?.toString("hex")).toMatchInlineSnapshot(`"2409ca568909894e0c3a09b9fbdfb70232735e23ff533db37332620386e335c1"`);
});
