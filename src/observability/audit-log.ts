/**
 * Who did what to whom, when, from where, with what outcome. Written in batches behind the requests; it never throws into one. Sealed by
 * audit-sealer.ts; see docs/audit-log.md for every event.
 */
import type pg from "pg";
import { createTally } from "./audit-tally.ts";
import type { Logger } from "./logger.ts";

export interface AuditEvent {
  /** `sign_in`, `consent`, `grant.replayed`, … */
  event: string;
  outcome: "success" | "failure";
  /** Who did it: an account id, a client id or `operator`. */
  actor?: string | undefined;
  accountId?: string | undefined;
  clientId?: string | undefined;
  address?: string | undefined;
  requestId?: string | undefined;
  /** Further facts; never a secret. What is personal belongs here alone, where it can be erased. */
  detail?: Readonly<Record<string, string | number | boolean>>;
}

export type DatedEvent = AuditEvent & { at: Date };

export interface AuditLog {
  record(event: AuditEvent): void;
  /**
   * For what strangers can do as often as they like: the first is recorded at once, what is the same but for the time in the next minute as one,
   * with `times` in its detail.
   */
  tally(event: AuditEvent): void;
  /** Events that are not in the database yet. */
  waiting(): number;
  /** Writes what is waiting. */
  close(): Promise<void>;
}

export interface AuditLogOptions {
  /** Hears of each event, those that are tallied too; MUST not throw. */
  onRecord?: (event: AuditEvent) => void;
  /** Hears how many events will never be in the database; MUST not throw. */
  onLost?: (events: number) => void;
  /** Events kept while the database is away. */
  most?: number;
}

const FLUSH_AFTER_MS = 200;
const RETRY_AFTER_MS = 5_000;
/** Events kept while the database is away; older ones are then only in the log, and how many is recorded when it is back. */
const MAX_WAITING = 10_000;
/** Events of one statement. */
const AT_ONCE = 1_000;

export function createAuditLog(
  pool: pg.Pool,
  log: Logger,
  { onRecord = () => {}, onLost = () => {}, most = MAX_WAITING }: AuditLogOptions = {},
): AuditLog {
  let waiting: DatedEvent[] = [];
  let lost = 0;
  let timer: NodeJS.Timeout | undefined;
  let writing: Promise<void> = Promise.resolve();

  const flush = (): Promise<void> => {
    timer = undefined;
    writing = writing.then(writeAll);
    return writing;
  };

  async function writeAll(): Promise<void> {
    while (waiting.length > 0 || lost > 0) {
      const batch = waiting.splice(0, AT_ONCE);
      const missing = lost;
      if (missing > 0) batch.push({ at: new Date(), event: "audit.lost", outcome: "failure", detail: { events: missing } });
      lost = 0;
      try {
        await write(batch);
      } catch (err) {
        log.warn({ err, events: batch.length }, "audit events could not be written yet");
        lost += missing;
        waiting = [...(missing > 0 ? batch.slice(0, -1) : batch), ...waiting];
        makeRoom();
        timer ??= setTimeout(flush, RETRY_AFTER_MS).unref();
        return;
      }
    }
  }

  /** One that the database refuses for what it holds does not keep the others from being written. */
  async function write(batch: readonly DatedEvent[]): Promise<void> {
    try {
      await insertEvents(pool, batch);
    } catch (err) {
      if (!(err as { code?: string }).code?.startsWith("22")) throw err; // SQLSTATE class 22: data exception
      if (batch.length > 1) {
        for (const event of batch) await write([event]);
        return;
      }
      log.error({ err, audit: batch[0] }, "an audit event was refused by the database");
      lost += 1;
      onLost(1);
    }
  }

  function makeRoom(): void {
    const excess = waiting.length - most;
    if (excess <= 0) return;
    waiting.splice(0, excess);
    if (lost === 0) log.error({ kept: most }, "audit events are lost: the database has been away for too long");
    lost += excess;
    onLost(excess);
  }

  function put(event: AuditEvent): void {
    log.info({ audit: event }, event.event);
    waiting.push({ at: new Date(), ...event });
    makeRoom();
    timer ??= setTimeout(flush, FLUSH_AFTER_MS).unref();
  }

  const tally = createTally(put);
  return {
    record(event) {
      onRecord(event);
      put(event);
    },
    tally(event) {
      onRecord(event);
      tally.add(event);
    },
    waiting: () => waiting.length,
    async close() {
      tally.close();
      clearTimeout(timer);
      await flush();
    },
  };
}

/** In one statement. */
export async function insertEvents(client: Pick<pg.Pool, "query">, events: readonly DatedEvent[]): Promise<void> {
  await client.query(
    `INSERT INTO audit_event (at, event, outcome, actor, account_id, client_id, address, request_id, detail)
     SELECT e.at, e.event, e.outcome, e.actor, e."accountId", e."clientId", e.address, e."requestId", coalesce(e.detail, '{}')
     FROM jsonb_to_recordset($1) AS e(at timestamptz, event text, outcome text, actor text, "accountId" text, "clientId" text, address text, "requestId" text, detail jsonb)`,
    [JSON.stringify(events, (_name, value: unknown) => (typeof value === "string" ? storable(value) : value))],
  );
}

/** PostgreSQL keeps neither U+0000 nor half a surrogate pair. */
const storable = (text: string): string => text.toWellFormed().replaceAll("\0", "\u{FFFD}");
