import { LRUCache } from "lru-cache";
import { text } from "../i18n/messages.ts";
import type { ChangeFeed } from "../storage/change-feed.ts";
import { Prisma, type PrismaClient } from "../storage/generated/client.ts";
import { createLookupCache } from "../storage/lookup-cache.ts";
import { AccountError } from "./account-error.ts";

const CACHE_MS = 60_000;
const CACHED_CONSENTS = 10_000;
/** Milliseconds: who uses what, and when exactly, is nobody's business. */
const HOUR = 3_600_000;

/** What a person allowed a client: space-separated scopes (RFC 6749 §3.3), those of OpenID apart from those of each resource. */
export interface ConsentScopes {
  readonly openid: string;
  /** By audience. */
  readonly resources: Readonly<Record<string, string>>;
}

export interface Consent extends ConsentScopes {
  readonly clientId: string;
  readonly createdAt: Date;
  readonly updatedAt: Date;
  /** When the client last got tokens, to the hour; undefined: not since this is noted. */
  readonly lastUsedAt: Date | undefined;
}

/** A consent, with whose it is. */
export interface GivenConsent extends Consent {
  readonly accountId: string;
}

/** What is absent does not matter. */
export interface ConsentQuestion {
  readonly accountId?: string | undefined;
  readonly clientId?: string | undefined;
  /** The last one of the page before. */
  readonly after?: { readonly accountId: string; readonly clientId: string } | undefined;
  readonly limit: number;
}

/** Remembered consent, beside the grants that come and go. */
export interface ConsentStore {
  find(accountId: string, clientId: string): Promise<Consent | undefined>;
  /** Everything that a person allowed, newest first. */
  list(accountId: string): Promise<Consent[]>;
  /** In the order of accounts and clients, at a cost that does not depend on how many there are. `more`: others follow. */
  page(question: ConsentQuestion): Promise<{ consents: GivenConsent[]; more: boolean }>;
  /** Adds to what was allowed before; two at once both count. @throws AccountError `unknown_client` when either side is gone */
  remember(accountId: string, clientId: string, scopes: ConsentScopes): Promise<Consent>;
  /** Notes that a client has got tokens for a person, behind the answer; most of the time this does nothing. */
  used(accountId: string, clientId: string): void;
  /** Ending the grants is the caller's. @returns whether there was anything */
  withdraw(accountId: string, clientId: string): Promise<boolean>;
  /** Waits for what is being written. */
  close(): Promise<void>;
}

/** @param now milliseconds since the epoch */
export function createConsentStore(prisma: PrismaClient, feed: ChangeFeed, now: () => number = Date.now): ConsentStore {
  const kept = createLookupCache<Consent>({
    max: CACHED_CONSENTS,
    ttl: CACHE_MS,
    load: async (key) => {
      const [accountId, clientId] = JSON.parse(key) as [string, string];
      const row = await prisma.consent.findUnique({ where: { accountId_clientId: { accountId, clientId } } });
      return row === null ? undefined : fromStored(row);
    },
  });
  // Ids of accounts and clients are never given again, so what is kept of deleted ones answers nobody.
  const unsubscribe = feed.subscribe("consent", kept.forget);

  const noted = new LRUCache<string, number>({ max: CACHED_CONSENTS });
  const writing = new Set<Promise<unknown>>();

  const changed = (key: string) => feed.publish("consent", key);

  return {
    find: (accountId, clientId) => kept.get(keyOf(accountId, clientId)),
    async list(accountId) {
      const rows = await prisma.consent.findMany({ where: { accountId }, orderBy: { updatedAt: "desc" } });
      return rows.map(fromStored);
    },
    async page({ accountId, clientId, after, limit }) {
      const rows = await prisma.consent.findMany({
        where: {
          ...(accountId !== undefined && { accountId }),
          ...(clientId !== undefined && { clientId }),
          ...(after !== undefined && {
            accountId: { gte: after.accountId, ...(accountId !== undefined && { equals: accountId }) },
            NOT: { accountId: after.accountId, clientId: { lte: after.clientId } },
          }),
        },
        orderBy: [{ accountId: "asc" }, { clientId: "asc" }],
        take: limit + 1,
      });
      const consents = rows.slice(0, limit).map((row) => ({ ...fromStored(row), accountId: row.accountId }));
      return { consents, more: rows.length > limit };
    },
    async remember(accountId, clientId, scopes) {
      const at = new Date(now());
      const row = await prisma
        .$transaction(async (tx) => {
          // The insert locks the row, so that parallel consents are merged one after the other.
          const [before] = await tx.$queryRaw<{ scopes: ConsentScopes }[]>`
            INSERT INTO consent (account_id, client_id, scopes, created_at, updated_at)
            VALUES (${accountId}, ${clientId}, '{"openid":"","resources":{}}', ${at}, ${at})
            ON CONFLICT (account_id, client_id) DO UPDATE SET updated_at = ${at}
            RETURNING scopes`;
          const merged = merge(before?.scopes ?? { openid: "", resources: {} }, scopes);
          return tx.consent.update({
            where: { accountId_clientId: { accountId, clientId } },
            data: { scopes: merged as unknown as Prisma.InputJsonObject, updatedAt: at },
          });
        })
        .catch(translate);
      await changed(keyOf(accountId, clientId));
      return fromStored(row);
    },
    used(accountId, clientId) {
      const hour = Math.floor(now() / HOUR) * HOUR;
      const key = keyOf(accountId, clientId);
      if (noted.get(key) === hour) return;
      noted.set(key, hour);
      const lastUsedAt = new Date(hour);
      const earlier = { OR: [{ lastUsedAt: null }, { lastUsedAt: { lt: lastUsedAt } }] };
      const write = prisma.consent
        .updateMany({ where: { accountId, clientId, ...earlier }, data: { lastUsedAt } })
        .catch(() => noted.delete(key)) // the next token tries again
        .finally(() => writing.delete(write));
      writing.add(write);
    },
    async withdraw(accountId, clientId) {
      const { count } = await prisma.consent.deleteMany({ where: { accountId, clientId } });
      await changed(keyOf(accountId, clientId));
      return count > 0;
    },
    async close() {
      unsubscribe();
      await Promise.all(writing);
    },
  };
}

function keyOf(accountId: string, clientId: string): string {
  return JSON.stringify([accountId, clientId]);
}

function merge(before: ConsentScopes, more: ConsentScopes): ConsentScopes {
  const resources: Record<string, string> = { ...before.resources };
  for (const [audience, scopes] of Object.entries(more.resources)) resources[audience] = union(resources[audience] ?? "", scopes);
  return { openid: union(before.openid, more.openid), resources };
}

function union(some: string, others: string): string {
  return [...new Set(`${some} ${others}`.split(" ").filter((scope) => scope !== ""))].join(" ");
}

type Row = Pick<Consent, "clientId" | "createdAt" | "updatedAt"> & { scopes: unknown; lastUsedAt: Date | null };

function fromStored({ clientId, scopes, createdAt, updatedAt, lastUsedAt }: Row): Consent {
  const { openid, resources } = scopes as ConsentScopes;
  return { clientId, openid, resources, createdAt, updatedAt, lastUsedAt: lastUsedAt ?? undefined };
}

function translate(error: unknown): never {
  const missing =
    error instanceof Prisma.PrismaClientKnownRequestError && (error.code === "P2003" || JSON.stringify(error.meta ?? {}).includes("23503"));
  if (missing) throw new AccountError("unknown_client", text("errors:client_gone"), { cause: error });
  throw error;
}
