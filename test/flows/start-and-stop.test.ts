import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { startGuarded } from "../support/guarded-process.ts";
import { freePort } from "../support/ports.ts";
import { startServer } from "../support/server.ts";
import { stores } from "../support/stores.ts";
import { tempDir } from "../support/temp-dir.ts";

const MAIN = fileURLToPath(new URL("../../src/main.ts", import.meta.url));

const kids = async (url: string): Promise<string[]> => {
  const { keys } = (await (await fetch(`${url}/.well-known/jwks.json`)).json()) as { keys: { kid: string }[] };
  return keys.map((key) => key.kid);
};

test("with nothing but a directory it works, and finds its keys and its secret again", async () => {
  await using server = await startServer();
  const metadata = (await (await fetch(`${server.url}/.well-known/openid-configuration`)).json()) as { issuer: string };
  expect(metadata.issuer).toBe(server.url);
  const before = await kids(server.url);
  expect(before.length).toBeGreaterThan(0);
  expect(readdirSync(server.dataDir)).toContain("secret-key");
  await server.restart();
  expect(await kids(server.url)).toEqual(before);
});

test("a killed server starts again on what it had", async () => {
  await using server = await startServer();
  const before = await kids(server.url);
  await server.kill();
  await server.start();
  expect(await kids(server.url)).toEqual(before);
  await server.kill();
});

test.each(stores)("two servers on one set of stores sign with the same keys: $name", async ({ open }) => {
  await using opened = await open({ empty: true });
  await using one = await startServer({ env: opened.env });
  await using other = await startServer({ env: opened.env });
  expect(await kids(other.url)).toEqual(await kids(one.url));
});

test("a key under another SECRET_KEY stops the start and says so", async () => {
  await using opened = await stores[0].open();
  await using first = await startServer({ env: opened.env });
  await first.stop();
  const second = startServer({ env: { ...opened.env, SECRET_KEY: "another-secret-another-secret-another" } });
  await expect(second).rejects.toThrow(/SECRET_KEY/);
});

test("wrong settings stop the start with one message that names each, and nothing else happens", async () => {
  await using dir = tempDir("settings");
  const env = {
    PATH: process.env.PATH ?? "",
    DATA_DIR: `${dir.path}/data`,
    ISSUER: "http://id.example.com",
    PORT: "many",
    SIGN_UP: "perhaps",
    DATABASE_URL: "postgresql://u:hunter2@localhost/d",
  };
  const child = await startGuarded([process.execPath, MAIN], { env, cwd: dir.path });
  expect(await child.exited).toBe(1);
  for (const name of ["ISSUER", "PORT", "SIGN_UP", "SECRET_KEY"]) expect(child.output()).toMatch(new RegExp(`^ {2}${name}: set `, "m"));
  expect(child.output()).not.toContain("hunter2");
  expect(existsSync(env.DATA_DIR)).toBe(false);
});

test("a taken port is named", async () => {
  await using opened = await stores[0].open();
  await using server = await startServer({ env: opened.env });
  const child = await startGuarded([process.execPath, MAIN], { env: server.env, cwd: server.dataDir.replace(/\/data$/, "") });
  expect(await child.exited).toBe(1);
  expect(child.output()).toContain(`Port ${server.port} is in use`);
});

test(".env of the working directory is read", async () => {
  await using dir = tempDir("dotenv");

  writeFileSync(`${dir.path}/.env`, `PORT=${await freePort()}\nLOG_LEVEL=deafening\n`);
  const child = await startGuarded([process.execPath, MAIN], { env: { PATH: process.env.PATH ?? "" }, cwd: dir.path });
  expect(await child.exited).toBe(1);
  expect(child.output()).toMatch(/^ {2}LOG_LEVEL: set one of/m);
});
