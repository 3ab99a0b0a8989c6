/** WORKERS > 1: one port, workers that are replaced when they die, one orderly end. */
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { get, type IncomingMessage } from "node:http";
import { afterAll, beforeAll, expect, it } from "vitest";
import { freePort } from "../support/ports.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { waitFor } from "../support/wait-for.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startServer({ env: { WORKERS: "2", LOG_LEVEL: "info", OPS_PORT: `${await freePort()}` } });
});
afterAll(() => server?.[Symbol.asyncDispose]());

/** Children of the primary that run the program, as the kernel tells. */
const workers = (): number[] => {
  const { pid } = server.process;
  return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8")
    .split(" ")
    .map(Number)
    .filter((child) => child > 0 && commandOf(child).includes("main.ts"));
};

/** Nothing, of a process that has ended. */
function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    return "";
  }
}

/** Sockets that listen on the server's port, as the kernel tells: each worker has one of its own, and gets it after it has become a process. */
const listening = (): number => {
  const port = Number(new URL(server.url).port).toString(16).toUpperCase().padStart(4, "0");
  return ["tcp", "tcp6"]
    .flatMap((table) => readFileSync(`/proc/net/${table}`, "utf8").split("\n"))
    .filter((row) => new RegExp(`^ *\\d+: \\w+:${port} \\w+:0000 0A `).test(row)).length;
};

/** On a connection of its own: one that is kept may be the dying worker's. */
async function isReady(): Promise<boolean> {
  const [response] = (await once(get(`${server.url}/health/ready`, { agent: false }), "response")) as [IncomingMessage];
  response.resume();
  return response.statusCode === 200;
}

it("replaces a worker that dies, while the other goes on answering", async () => {
  const before = await waitFor("two workers that listen", () => workers().length === 2 && listening() === 2 && workers(), 20_000);
  const dying = before[0] as number;
  process.kill(dying, "SIGKILL");
  // Until its sockets are closed, which comes after its memory is gone, the kernel still gives it connections, which it takes along.
  await waitFor("its end", () => !existsSync(`/proc/${dying}`));
  expect(await isReady()).toBe(true);
  await waitFor("a new worker", () => workers().length === 2 && listening() === 2 && !workers().includes(dying), 20_000);
  expect(await isReady()).toBe(true);
});

it("tells the metrics of all workers in one place, and that one was replaced", async () => {
  const ops = (path: string) => fetch(`http://127.0.0.1:${server.env.OPS_PORT}${path}`);
  const counted = async () =>
    Number(/^grantor_http_requests_total{.*route="\/sign-up",status="200"} (\d+)$/m.exec(await (await ops("/metrics")).text())?.[1]);
  for (let i = 0; i < 10; i++) {
    const [response] = (await once(get(`${server.url}/sign-up`, { agent: false }), "response")) as [IncomingMessage];
    response.resume();
    await once(response, "end");
  }
  // An answer is counted when its connection has closed, by whichever worker it was.
  await waitFor("all of them to be counted", async () => (await counted()) === 10);
  const text = await (await ops("/metrics")).text();
  expect(text).toMatch(/^grantor_workers 2$/m);
  expect(text).toMatch(/^grantor_worker_restarts_total 1$/m);
  expect((await ops("/health/ready")).status).toBe(200);
});

it("ends with all its workers on SIGTERM", async () => {
  await server.stop();
  expect(server.logs()).not.toContain("did not drain in time");
});
