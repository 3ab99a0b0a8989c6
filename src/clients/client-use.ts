/** Which applications are used, to the day; and that those which strangers registered and nobody ever used do not stay. */
import { LRUCache } from "lru-cache";
import type { Logger } from "../observability/logger.ts";
import type { PrismaClient } from "../storage/generated/client.ts";
import type { ClientStore } from "./client-store.ts";
import { STRANGER } from "./own-changes.ts";

const DAY = 86_400_000;
/** Milliseconds: time enough to build an application, and too little to fill a database. */
const UNUSED_TTL = 30 * DAY;
/** Removed at a time: the next sweep goes on. */
const MOST_REMOVED = 100;
/** Applications of which a process remembers that it has noted their use. */
const REMEMBERED = 10_000;

export interface ClientUse {
  /** It got tokens. Written behind the request, and once a day. */
  used(clientId: string): void;
  /** Removes registrations of strangers that nobody used in their first thirty days, unless somebody vouches for them, owns or allows them by now. */
  removeUnused(): Promise<void>;
  /** Waits for what is being written. */
  close(): Promise<void>;
}

export function createClientUse(options: {
  prisma: PrismaClient;
  clients: Pick<ClientStore, "delete">;
  onRemoved(clientId: string): void;
  log: Logger;
  /** Milliseconds since the epoch. */
  now?: () => number;
}): ClientUse {
  const { prisma, clients, onRemoved, log, now = Date.now } = options;
  const noted = new LRUCache<string, number>({ max: REMEMBERED });
  const writing = new Set<Promise<void>>();

  async function note(clientId: string, at: number): Promise<void> {
    try {
      // Beside Prisma's model, which would say that somebody has changed the application.
      await prisma.$executeRaw`UPDATE client SET last_used_at = ${new Date(at)}
        WHERE id = ${clientId} AND (last_used_at IS NULL OR last_used_at < ${new Date(at - DAY)})`;
    } catch (err) {
      noted.delete(clientId);
      log.warn({ err, clientId }, "that an application was used could not be noted yet");
    }
  }

  return {
    used(clientId) {
      const at = now();
      if (at - (noted.get(clientId) ?? 0) < DAY) return;
      noted.set(clientId, at);
      const write = note(clientId, at).finally(() => writing.delete(write));
      writing.add(write);
    },

    async removeUnused() {
      const unused = await prisma.client.findMany({
        where: {
          createdBy: STRANGER,
          lastUsedAt: null,
          createdAt: { lt: new Date(now() - UNUSED_TTL) },
          verified: false,
          firstParty: false,
          owners: { none: {} },
          consents: { none: {} },
          introspects: { none: {} },
        },
        select: { id: true },
        take: MOST_REMOVED,
      });
      for (const { id } of unused) if (await clients.delete(id)) onRemoved(id);
    },

    close: async () => void (await Promise.all(writing)),
  };
}
