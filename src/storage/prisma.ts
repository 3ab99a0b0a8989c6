/** The Prisma client as the rooms get it: a database that cannot be reached is a StoreUnavailableError, like every other store. */
import { PrismaPg } from "@prisma/adapter-pg";
import type pg from "pg";
import { isUnavailable } from "./database-error.ts";
import { PrismaClient } from "./generated/client.ts";
import { StoreUnavailableError } from "./record-store.ts";

/** @param pool its connections are Prisma's too */
export function createPrisma(pool: pg.Pool): PrismaClient {
  const client = new PrismaClient({ adapter: new PrismaPg(pool), errorFormat: "minimal" });
  const extended = client.$extends({ query: { $allOperations: ({ args, query }) => told(query(args)) } }) as unknown as PrismaClient;
  // Beginning and ending a transaction is no operation to an extension.
  const $transaction = extended.$transaction.bind(extended) as (...args: unknown[]) => Promise<unknown>;
  return new Proxy(extended, {
    get: (target, name) => (name === "$transaction" ? (...args: unknown[]) => told($transaction(...args)) : Reflect.get(target, name)),
  });
}

async function told<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw isUnavailable(error) ? new StoreUnavailableError(error) : error;
  }
}
