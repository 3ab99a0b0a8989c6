/** SIGTERM under load: what was sent is answered, and the program ends in order. And many servers that begin at once. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { Agent as HttpAgent, request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { createRemoteJWKSet, jwtVerify } from "jose";
import { describe, expect, test } from "vitest";
import { answerOf, introspect, post, type SeededClient, signIn, startGrantor, type Tokens, userinfo } from "../support/grantor.ts";
import { freePort } from "../support/ports.ts";
import { startServer } from "../support/server.ts";
import { type Stores, stores } from "../support/stores.ts";
import { tempDir } from "../support/temp-dir.ts";
import { waitFor } from "../support/wait-for.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const USERS = 24;
/** Milliseconds of load before the signal. */
const WARM_UP = 1_000;
/** Milliseconds in which the program must have ended. */
const LIMIT = 30_000;
const SERVERS = 4;

interface Load {
  readonly answered: Map<number, number>;
  /** Requests that were written to an open connection and never answered. */
  readonly lost: string[];
  /** Resolves when nobody can connect any more. */
  readonly ended: Promise<unknown>;
}

/** A closed loop: each user keeps a connection, connects again when it was closed, and stops when nobody listens any more. */
function startLoad(url: string, client: SeededClient): Load {
  const answered = new Map<number, number>();
  const lost: string[] = [];
  const authorization = `Basic ${Buffer.from(`${client.client_id}:${client.client_secret}`).toString("base64")}`;
  const form = { authorization, "content-type": "application/x-www-form-urlencoded" };
  const kinds = [
    { method: "POST", path: "/oauth/token", headers: form, body: "grant_type=client_credentials" },
    { method: "GET", path: "/.well-known/openid-configuration", headers: {}, body: "" },
    { method: "GET", path: "/", headers: { accept: "text/html" }, body: "" },
  ];
  const user = async (number: number) => {
    const agent = new HttpAgent({ keepAlive: true, maxSockets: 1 });
    for (let i = number; ; i++) {
      const { method, path, headers, body } = kinds[i % kinds.length] as (typeof kinds)[number];
      const outcome = await new Promise<number | NodeJS.ErrnoException>((resolve) => {
        const sent = request(`${url}${path}`, { agent, method, headers }, (response) => {
          response
            .resume()
            .on("end", () => resolve(response.statusCode ?? 0))
            .on("error", resolve);
        });
        // A connection that nobody had accepted yet when the server stopped listening is like one that was refused: nobody has seen the request.
        sent.on("error", (error: NodeJS.ErrnoException) => resolve(sent.reusedSocket ? error : { ...error, syscall: "connect" })).end(body);
      });
      if (typeof outcome === "number") answered.set(outcome, (answered.get(outcome) ?? 0) + 1);
      else if (outcome.syscall === "connect")
        break; // nothing was sent: nobody listens any more
      else lost.push(`${method} ${path}: ${outcome.code} ${outcome.message}`);
      await sleep(Math.random() * 10);
    }
    agent.destroy();
  };
  return { answered, lost, ended: Promise.all(Array.from({ length: USERS }, (_, number) => user(number))) };
}

function expectNothingLost({ answered, lost }: Load): void {
  expect(lost).toEqual([]);
  expect([...answered.keys()]).toEqual([200]);
  expect(answered.get(200)).toBeGreaterThan(USERS);
}

async function serviceOf(backing: Stores): Promise<SeededClient> {
  const grantor = await startGrantor(backing);
  const client = await grantor.client({ type: "service" });
  await grantor[Symbol.asyncDispose]();
  return client;
}

describe.each(stores)("SIGTERM under load, on $name", ({ open }) => {
  test.each([{ workers: "1" }, { workers: "2" }])("answers all that was sent, with $workers worker(s)", async ({ workers }) => {
    await using backing = await open({ empty: true });
    const client = await serviceOf(backing);
    await using server = await startServer({ env: { ...backing.env, WORKERS: workers } });
    const load = startLoad(server.url, client);
    await sleep(WARM_UP);
    const started = performance.now();
    server.process.signal("SIGTERM");
    await waitFor("the server to say that it is leaving", async () => {
      const answer = await fetch(`${server.url}/health/ready`, { headers: { Connection: "close" } });
      return answer.status === 503 && (await answerOf(answer)).body.status === "draining";
    });
    expect(await server.process.exited, server.logs()).toBe(0);
    expect(performance.now() - started).toBeLessThan(LIMIT);
    await load.ended;
    expectNothingLost(load);
  });
});

describe("npm start", () => {
  test.each([{ whom: "npm alone" }, { whom: "the whole process group" }])("ends in order when SIGTERM goes to $whom", async ({ whom }) => {
    await using backing = await stores[1].open();
    const client = await serviceOf(backing);
    await using dir = tempDir("npm-start");
    const port = await freePort();
    const url = `http://localhost:${port}`;
    const npm = spawn("npm", ["start"], {
      cwd: ROOT,
      detached: true,
      env: { PATH: process.env.PATH, HOME: dir.path, PORT: `${port}`, DATA_DIR: `${dir.path}/data`, ...backing.env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    for (const stream of [npm.stdout, npm.stderr]) {
      stream.on("data", (chunk) => {
        output += chunk;
      });
    }
    const exited = once(npm, "exit");
    try {
      await waitFor("the server to be ready", async () => (await fetch(`${url}/health/ready`)).status === 200);
      const load = startLoad(url, client);
      await sleep(WARM_UP);
      const started = performance.now();
      process.kill(whom === "npm alone" ? (npm.pid as number) : -(npm.pid as number), "SIGTERM");
      const [status, signal] = await exited;
      expect([status, signal], output).toEqual([0, null]);
      expect(performance.now() - started).toBeLessThan(LIMIT);
      await load.ended;
      expectNothingLost(load);
    } finally {
      try {
        process.kill(-(npm.pid as number), "SIGKILL");
      } catch {} // all have ended
    }
  });
});

test.each(stores)("servers that begin at once on empty stores agree: $name", async ({ open }) => {
  await using backing = await open();
  const ports = await Promise.all(Array.from({ length: SERVERS }, freePort));
  const issuer = `http://localhost:${ports[0]}`;
  const servers = await Promise.all(ports.map((port) => startServer({ env: { ...backing.env, ISSUER: issuer, PORT: `${port}` } })));
  try {
    const keySets = await Promise.all(servers.map(async ({ url }) => (await answerOf(fetch(`${url}/.well-known/jwks.json`))).body));
    for (const keys of keySets) expect(keys).toEqual(keySets[0]);
    const links = () => servers.filter((server) => server.logs().includes("/bootstrap?token=")).length;
    await waitFor("the link for the first administrator", () => links() > 0);

    await using grantor = await startGrantor(backing, { ISSUER: issuer });
    const client = await grantor.client();
    const { tokens } = await signIn({ url: issuer }, client, await grantor.person());
    const service = await grantor.client({ type: "service" });
    for (const { url } of servers) {
      expect((await userinfo({ url }, tokens.access_token)).status).toBe(200);
      const issued = (await answerOf(post(`${url}/oauth/token`, service, { grant_type: "client_credentials" }))).body as unknown as Tokens;
      for (const other of servers) {
        expect(await introspect({ url: other.url }, service, issued.access_token)).toMatchObject({ active: true });
        const keys = createRemoteJWKSet(new URL(`${other.url}/.well-known/jwks.json`));
        await jwtVerify(issued.access_token, keys, { issuer, audience: issuer });
      }
    }
    expect(links()).toBe(1);
  } finally {
    for (const server of servers) await server[Symbol.asyncDispose]();
  }
});
