/** Which accounts look after an application. Whether somebody may is asked here, at every order: nothing is cached. */
import type { Prisma, PrismaClient } from "../storage/generated/client.ts";
import { ClientError } from "./client-error.ts";
import type { ClientRecord } from "./client-record.ts";
import { fromRow, readCursor, writeCursor } from "./client-rows.ts";

const PAGE = 50;

export interface ClientOwner {
  readonly accountId: string;
  readonly since: Date;
}

/** A page of the applications that somebody owns. */
export interface OwnedClients {
  readonly clients: ClientRecord[];
  /** Where the following page begins. */
  readonly next?: string;
}

export interface ClientOwners {
  /** The longest first. */
  of(clientId: string): Promise<ClientOwner[]>;
  has(clientId: string, accountId: string): Promise<boolean>;
  /** How many applications somebody owns. */
  count(accountId: string): Promise<number>;
  /** The newest first. @param after `next` of the page before @throws {ClientError} when it is none that was given out */
  clientsOf(accountId: string, after?: string): Promise<OwnedClients>;
  /** Those that nobody else who can sign in owns, the oldest first. */
  ownedAloneBy(accountId: string): Promise<ClientRecord[]>;
  /** Scopes of the management API that the applications which somebody owns have, each once. */
  managementScopesOf(accountId: string): Promise<string[]>;
  /**
   * @param most how many applications the account may look after; absent: any number
   * @param provided comes first in the transaction; what it throws ends it
   * @returns false when they own it already @throws {ClientError} `not_found`: there is no such application or no such account; `too_many`
   */
  add(clientId: string, accountId: string, most?: number, provided?: (tx: Prisma.TransactionClient) => Promise<void>): Promise<boolean>;
  /**
   * Somebody who can sign in MUST remain, however many are taken away at once.
   * @returns false when they do not own it @throws {ClientError} `last_owner`
   */
  remove(clientId: string, accountId: string): Promise<boolean>;
  /** Puts these in place of all; none leaves it to operators. @throws {ClientError} `not_found` */
  replace(clientId: string, accountIds: readonly string[]): Promise<void>;
}

/** Of the application's row: who changes its owners waits for whoever does so already. */
const lock = (tx: Prisma.TransactionClient, clientId: string) =>
  tx.$queryRaw<{ id: string }[]>`SELECT id FROM client WHERE id = ${clientId} FOR NO KEY UPDATE`;

/**
 * That an account has room for one more application, however many it registers at once.
 * @param most how many it may look after  @throws {ClientError} `too_many`
 */
export async function requireRoom(tx: Prisma.TransactionClient, accountId: string, most: number): Promise<void> {
  await tx.$queryRaw`SELECT id FROM account WHERE id = ${accountId} FOR NO KEY UPDATE`;
  if ((await tx.clientOwner.count({ where: { accountId } })) >= most) throw noRoom(most);
}

export const noRoom = (most: number): ClientError => new ClientError("too_many", `one account looks after ${most} applications at most`);

/** @param now milliseconds since the epoch */
export function createClientOwners(prisma: PrismaClient, now: () => number = Date.now): ClientOwners {
  return {
    async of(clientId) {
      const rows = await prisma.clientOwner.findMany({ where: { clientId }, orderBy: [{ createdAt: "asc" }, { accountId: "asc" }] });
      return rows.map(({ accountId, createdAt }) => ({ accountId, since: createdAt }));
    },

    async has(clientId, accountId) {
      return (await prisma.clientOwner.findUnique({ where: { clientId_accountId: { clientId, accountId } } })) !== null;
    },

    count: (accountId) => prisma.clientOwner.count({ where: { accountId } }),

    async clientsOf(accountId, after) {
      const from = after === undefined ? undefined : readCursor(after);
      const rows = await prisma.client.findMany({
        where: {
          owners: { some: { accountId } },
          ...(from !== undefined && { OR: [{ createdAt: { lt: from.at } }, { createdAt: from.at, id: { lt: from.id } }] }),
        },
        orderBy: [{ createdAt: "desc" }, { id: "desc" }],
        take: PAGE + 1,
      });
      const clients = rows.slice(0, PAGE).map((row) => fromRow(row));
      const last = rows.length > PAGE ? clients.at(-1) : undefined;
      return { clients, ...(last !== undefined && { next: writeCursor(last) }) };
    },

    async ownedAloneBy(accountId) {
      const others = { accountId: { not: accountId }, account: { disabledAt: null, deleteAt: null } };
      const rows = await prisma.client.findMany({
        where: { AND: [{ owners: { some: { accountId } } }, { owners: { none: others } }] },
        orderBy: [{ createdAt: "asc" }, { id: "asc" }],
      });
      return rows.map((row) => fromRow(row));
    },

    async managementScopesOf(accountId) {
      const rows = await prisma.client.findMany({
        where: { owners: { some: { accountId } }, managementScopes: { isEmpty: false } },
        select: { managementScopes: true },
      });
      return [...new Set(rows.flatMap(({ managementScopes }) => managementScopes))];
    },

    async add(clientId, accountId, most, provided) {
      const pair = { clientId, accountId };
      return prisma
        .$transaction(async (tx) => {
          await provided?.(tx);
          if ((await tx.clientOwner.findUnique({ where: { clientId_accountId: pair } })) !== null) return false;
          if (most !== undefined) await requireRoom(tx, accountId, most);
          const { count } = await tx.clientOwner.createMany({ data: [{ ...pair, createdAt: new Date(now()) }], skipDuplicates: true });
          return count > 0;
        })
        .catch(notThere);
    },

    async remove(clientId, accountId) {
      return prisma.$transaction(async (tx) => {
        await lock(tx, clientId);
        const { count } = await tx.clientOwner.deleteMany({ where: { clientId, accountId } });
        const left = await tx.clientOwner.count({ where: { clientId, account: { disabledAt: null, deleteAt: null } } });
        if (count > 0 && left === 0) throw new ClientError("last_owner", "the last owner of an application stays");
        return count > 0;
      });
    },

    async replace(clientId, accountIds) {
      await prisma
        .$transaction(async (tx) => {
          if ((await lock(tx, clientId)).length === 0) throw new ClientError("not_found", "there is no such client");
          await tx.clientOwner.deleteMany({ where: { clientId, accountId: { notIn: [...accountIds] } } });
          const data = accountIds.map((accountId) => ({ clientId, accountId, createdAt: new Date(now()) }));
          await tx.clientOwner.createMany({ data, skipDuplicates: true });
        })
        .catch(notThere);
    },
  };
}

/** P2003: a foreign key names what is not there. */
function notThere(error: unknown): never {
  if ((error as { code?: unknown }).code === "P2003")
    throw new ClientError("not_found", "there is no such client or no such account", { cause: error });
  throw error;
}
