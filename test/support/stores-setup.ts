/** Once per test run, before any worker: one PostgreSQL for all of them, and a redis-server that is there. */
import type { TestProject } from "vitest/node";
import { startPostgres } from "./postgres.ts";
import { prepareDatabase } from "./prepared-database.ts";
import { findRedis } from "./redis.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** Of somebody who may create databases: `DATABASE_URL` of the test run, else a server of its own. */
    postgresUrl: string;
    /** The name of a database there, to be copied; see prepared-database.ts. */
    preparedDatabase: string;
  }
}

interface Shared {
  url: string;
  prepared: string;
  close(): Promise<void>;
}

/** Every project of the run loads this file; they share one server, which the last of them stops. */
let shared: Promise<Shared> | undefined;
let users = 0;

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  if (!process.env.REDIS_URL) findRedis();
  users += 1;
  shared ??= open();
  const { url, prepared, close } = await shared;
  project.provide("postgresUrl", url);
  project.provide("preparedDatabase", prepared);
  return async () => {
    users -= 1;
    if (users > 0) return;
    shared = undefined;
    await close();
  };
}

async function open(): Promise<Shared> {
  const server = process.env.DATABASE_URL ? undefined : await startPostgres();
  const url = server?.url ?? (process.env.DATABASE_URL as string);
  const { name, drop } = await prepareDatabase(url).catch(async (error: unknown) => {
    await server?.stop();
    throw error;
  });
  const close = async () => {
    await drop();
    await server?.stop();
  };
  return { url, prepared: name, close };
}
