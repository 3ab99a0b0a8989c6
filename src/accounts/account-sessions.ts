/**
 * A person's sessions as they are shown to them: what lives say the engine's records; from which device and address, and when last, a row
 * beside each. Rows are written behind the answer, and nobody waits for them or fails with them. They are personal data, and go with the session.
 */
import { createHash } from "node:crypto";
import { LRUCache } from "lru-cache";
import type { Logger } from "../observability/logger.ts";
import type { Database } from "../storage/database.ts";
import type { LiveSession } from "../storage/live-sessions.ts";
import { type Device, deviceOf, LONGEST_USER_AGENT } from "./user-agent.ts";

/** Milliseconds for which a process does not write again that a session is used. */
const SEEN_EVERY = 300_000;
/** Sessions that a process remembers to have written. */
const REMEMBERED = 50_000;
/** Characters of an address; the longest there is has 45. */
const LONGEST_ADDRESS = 64;

export interface UsedSession {
  readonly uid: string;
  readonly accountId: string;
  /** Seconds since the epoch. */
  readonly expiresAt: number;
}

export interface SessionOrigin {
  readonly userAgent: string;
  readonly address: string;
}

export interface AccountSession extends LiveSession {
  /** For forms: SHA-256 of the uid. */
  readonly id: string;
  readonly device: Device;
  /** Of the last use; undefined: not known. */
  readonly address: string | undefined;
  readonly lastUsedAt: Date | undefined;
}

export interface AccountSessions {
  /** Notes that a session is used, behind the answer; most of the time this does nothing. */
  seen(session: UsedSession, origin: SessionOrigin): void;
  /** The sessions that live, the one that was used last first. */
  list(accountId: string): Promise<AccountSession[]>;
  /** Forgets what was noted of a session that has ended; this never throws. */
  forget(uid: string): Promise<void>;
  /** Forgets what was noted of sessions that are over. */
  sweep(): Promise<void>;
  /** Waits for what is being written. */
  close(): Promise<void>;
}

export interface AccountSessionsOptions {
  database: Pick<Database, "prisma" | "pool">;
  live(accountId: string): Promise<LiveSession[]>;
  log: Logger;
  /** Milliseconds since the epoch. */
  now?: () => number;
}

const idOf = (uid: string): string => createHash("sha256").update(uid).digest("base64url");

// An account that is gone has no sessions to note.
const WRITE = `INSERT INTO account_session (id, account_id, user_agent, address, created_at, last_used_at, expires_at)
  SELECT $1, id, $3, $4, $5, $5, $6 FROM account WHERE id = $2
  ON CONFLICT (id) DO UPDATE SET user_agent = excluded.user_agent, address = excluded.address,
    last_used_at = greatest(account_session.last_used_at, excluded.last_used_at), expires_at = excluded.expires_at`;

export function createAccountSessions({ database, live, log, now = Date.now }: AccountSessionsOptions): AccountSessions {
  const { prisma, pool } = database;
  /** By uid: when this process has written last. */
  const written = new LRUCache<string, number>({ max: REMEMBERED });
  const writing = new Set<Promise<unknown>>();

  return {
    seen({ uid, accountId, expiresAt }, { userAgent, address }) {
      const at = now();
      if (at - (written.get(uid) ?? 0) < SEEN_EVERY) return;
      written.set(uid, at);
      const values = [
        idOf(uid),
        accountId,
        userAgent.slice(0, LONGEST_USER_AGENT),
        address.slice(0, LONGEST_ADDRESS),
        new Date(at),
        new Date(expiresAt * 1000),
      ];
      const write = pool
        .query(WRITE, values)
        .catch((err: unknown) => log.warn({ err }, "the use of a session could not be noted"))
        .finally(() => writing.delete(write));
      writing.add(write);
    },
    async list(accountId) {
      const [sessions, rows] = await Promise.all([live(accountId), prisma.accountSession.findMany({ where: { accountId } })]);
      const noted = new Map(rows.map((row) => [row.id, row]));
      return sessions
        .map((session) => {
          const id = idOf(session.uid);
          const row = noted.get(id);
          return {
            ...session,
            id,
            device: deviceOf(row?.userAgent ?? ""),
            address: row?.address || undefined,
            lastUsedAt: row?.lastUsedAt,
          };
        })
        .sort((one, other) => (other.lastUsedAt?.getTime() ?? 0) - (one.lastUsedAt?.getTime() ?? 0));
    },
    async forget(uid) {
      try {
        await Promise.all(writing);
        await prisma.accountSession.deleteMany({ where: { id: idOf(uid) } });
      } catch (err) {
        log.warn({ err }, "what was noted of a session that has ended goes when it would have expired");
      }
    },
    async sweep() {
      await prisma.accountSession.deleteMany({ where: { expiresAt: { lt: new Date(now()) } } });
    },
    async close() {
      await Promise.all(writing);
    },
  };
}
