/** Once per test run, before any worker: one PostgreSQL for all of them, and a redis-server that is there. */
import type { TestProject } from "vitest/node";
import { startPostgres, type TestPostgres } from "./postgres.ts";
import { findRedis } from "./redis.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** Of somebody who may create databases: `DATABASE_URL` of the test run, else a server of its own. */
    postgresUrl: string;
  }
}

/** Every project of the run loads this file; they share one server, which the last of them stops. */
let shared: Promise<TestPostgres> | undefined;
let users = 0;

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  if (!process.env.REDIS_URL) findRedis();
  if (process.env.DATABASE_URL) {
    project.provide("postgresUrl", process.env.DATABASE_URL);
    return async () => {};
  }
  users += 1;
  shared ??= startPostgres();
  const server = await shared;
  project.provide("postgresUrl", server.url);
  return async () => {
    users -= 1;
    if (users > 0) return;
    shared = undefined;
    await server.stop();
  };
}
