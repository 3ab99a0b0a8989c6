/** The commands of README.md work as they stand there, when they are copied one after the other. */
import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { findProgram } from "../support/programs.ts";
import { startServer } from "../support/server.ts";
import { stores } from "../support/stores.ts";
import { tempDir } from "../support/temp-dir.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const README = readFileSync(`${ROOT}README.md`, "utf8");

function commandsUnder(heading: string): string {
  const section = README.split(/^## /m).find((text) => text.startsWith(`${heading}\n`)) ?? "";
  return [...section.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(([, block]) => block).join("\n");
}

test("registering applications, as the README says", async () => {
  findProgram(["curl"], "curl");
  await using home = tempDir("readme");
  await using backing = await stores[1].open({ empty: true });
  await using server = await startServer({ env: backing.env });
  const script = commandsUnder("Register an application").replaceAll("http://localhost:3000", server.url);
  const { stdout } = await promisify(execFile)("sh", ["-euc", script], {
    cwd: ROOT,
    env: { ...server.env, HOME: home.path },
    timeout: 50_000,
  });
  expect(stdout).toContain("https://orders.example.com");
  expect(stdout).toMatch(/client_secret/);
  expect(stdout).toMatch(/"access_token":"[^"]+","expires_in":900,"scope":"orders:read","token_type":"Bearer"/);
  expect(stdout).toMatch(/"registration_access_token":"[^"]+"/);
});

test("what the README links to is there", () => {
  const linked = [...README.matchAll(/\]\(((?!https?:)[^)#]+)\)|(?:src|srcset)="([^"]+)"/g)].map(
    ([, link, image]) => (link ?? image) as string,
  );
  expect(linked.length).toBeGreaterThan(10);
  expect(linked.filter((path) => !existsSync(`${ROOT}${path}`))).toEqual([]);
});
