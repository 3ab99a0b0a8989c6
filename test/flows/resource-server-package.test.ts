/** `grantor/resource-server` as others get it: packed, installed into an empty project, used from plain JavaScript and from TypeScript. */
import { execFile } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Grantor, post, startGrantor, type Tokens } from "../support/grantor.ts";
import { type Stores, stores } from "../support/stores.ts";
import { type TempDir, tempDir } from "../support/temp-dir.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const AUDIENCE = "https://things.example";
const run = promisify(execFile);

/** Gets issuer and tokens as arguments; prints what became of each. */
const CONSUMER = `
import { AccessTokenError, createVerifier } from "grantor/resource-server";

const [issuer, audience, ...tokens] = process.argv.slice(2);
const verifier = createVerifier({ issuer, audience });
for (const token of tokens) {
  try {
    const request = new Request("https://things.example/", { headers: { Authorization: "Bearer " + token } });
    const { client_id } = await verifier.verify(request, { scope: "things:read" });
    console.log("good", client_id);
  } catch (error) {
    if (!(error instanceof AccessTokenError)) throw error;
    console.log(error.status, error.code);
  }
}
`;

const TYPED_CONSUMER = `
import { type AccessTokenClaims, AccessTokenError, createVerifier, type ReplayStore, type Verifier } from "grantor/resource-server";
import * as express from "grantor/resource-server/express";
import * as fastify from "grantor/resource-server/fastify";
import * as hono from "grantor/resource-server/hono";
import * as koa from "grantor/resource-server/koa";

const replays: ReplayStore = { remember: async () => true };
export const verifier: Verifier = createVerifier({ issuer: "https://id.example", audience: "https://api.example", fetch, dpop: { replays } });
export async function subject(request: Request): Promise<string | undefined> {
  try {
    const claims: AccessTokenClaims = await verifier.verify(request, { scope: ["a", "b"], roles: "admin", acr: "x", maxAge: 60, dpop: true });
    return claims.sub;
  } catch (error) {
    if (error instanceof AccessTokenError) return error.wwwAuthenticate;
    throw error;
  }
}
// @ts-expect-error a misspelt requirement
export const wrong = () => verifier.verify("token", { scopes: "a" });
export const middleware = [express, fastify, hono, koa].map(({ requireAccess }) => requireAccess(verifier, { scope: "a" }));
`;

let dir: TempDir;
let tarball: string;
let grantor: Grantor;
let backing: Stores;

beforeAll(async () => {
  dir = tempDir("package");
  backing = await stores[0].open();
  grantor = await startGrantor(backing);
  await grantor.resource(AUDIENCE, { name: "Things", scopes: ["things:read"] });
  tarball = (await run(process.execPath, ["tools/pack-resource-server.ts", dir.path], { cwd: ROOT })).stdout.trim();
  // jose as we have it, so that no registry need be there.
  const { stdout: jose } = await run("npm", ["pack", "--silent", "--pack-destination", dir.path, join(ROOT, "node_modules/jose")]);
  writeFileSync(join(dir.path, "package.json"), '{ "name": "consumer", "private": true, "type": "module" }');
  await run("npm", ["install", "--offline", "--no-audit", "--no-fund", join(dir.path, jose.trim()), tarball], { cwd: dir.path });
});
afterAll(async () => {
  await grantor?.[Symbol.asyncDispose]();
  await backing?.close();
  dir.remove();
});

/** Every Node from 20 on that this machine has, ours first. */
async function nodes(): Promise<string[]> {
  const found = (process.env.PATH ?? "").split(delimiter).map((folder) => join(folder, "node"));
  const versions = new Map([[process.version, process.execPath]]);
  for (const path of found.filter((candidate) => existsSync(candidate))) {
    const version = (await run(path, ["--version"])).stdout.trim();
    if (Number(/^v(\d+)/.exec(version)?.[1]) >= 20 && !versions.has(version)) versions.set(version, path);
  }
  return [...versions.values()];
}

test("the package needs jose and nothing else, and has what it names", () => {
  const folder = join(dir.path, "node_modules/grantor");
  const described = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const ours = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  expect(Object.keys(described.dependencies)).toEqual(["jose"]);
  expect(described.version).toBe(ours.version);
  expect(readdirSync(join(dir.path, "node_modules")).filter((name) => !name.startsWith("."))).toEqual(["grantor", "jose"]);
  expect(Object.keys(described.exports)).toEqual(Object.keys(ours.exports));
  for (const { types, default: code } of Object.values<{ types: string; default: string }>(described.exports)) {
    for (const file of [types, code]) expect(existsSync(join(folder, file)), file).toBe(true);
  }
  for (const file of ["README.md", "LICENSE"]) expect(existsSync(join(folder, file)), file).toBe(true);
  expect(readdirSync(folder).filter((name) => /(?<!\.d)\.ts$/.test(name))).toEqual([]);
});

test("plain JavaScript verifies tokens of a real server with it, and sees which were revoked", async () => {
  const client = await grantor.client({ type: "service", metadata: { scope: "things:read" } });
  const issue = async () => {
    const answer = await post(`${grantor.url}/oauth/token`, client, {
      grant_type: "client_credentials",
      scope: "things:read",
      resource: AUDIENCE,
    });
    return ((await answer.json()) as Tokens).access_token;
  };
  const [good, revoked] = [await issue(), await issue()];
  expect((await post(`${grantor.url}/oauth/revoke`, client, { token: revoked })).status).toBe(200);
  writeFileSync(join(dir.path, "consumer.js"), CONSUMER);
  for (const node of await nodes()) {
    const { stdout } = await run(node, ["consumer.js", grantor.url, AUDIENCE, good, revoked, "abc"], { cwd: dir.path });
    expect(stdout.trim().split("\n"), node).toEqual([`good ${client.client_id}`, "401 invalid_token", "401 invalid_token"]);
  }
});

test("TypeScript takes its types, without those of Node", async () => {
  writeFileSync(join(dir.path, "consumer.ts"), TYPED_CONSUMER);
  const options = ["--ignoreConfig", "--noEmit", "--strict", "--exactOptionalPropertyTypes", "--module", "nodenext", "--target", "es2022"];
  const types = ["--lib", "es2022,dom,dom.iterable", "--types", "", "consumer.ts"];
  const { stdout } = await run(join(ROOT, "node_modules/.bin/tsc"), [...options, ...types], { cwd: dir.path }).catch((error: unknown) => {
    throw new Error((error as { stdout: string }).stdout);
  });
  expect(stdout).toBe("");
});
