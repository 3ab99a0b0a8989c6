/** Who did what, when, from where, with what outcome. Written in batches behind the requests; it never throws into one. */
import type pg from "pg";
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
  /** Further facts; never a secret. */
  detail?: Readonly<Record<string, string | number | boolean>>;
}

export interface AuditLog {
  record(event: AuditEvent): void;
  /** Events that are not written yet. */
  waiting(): number;
  /** Writes what is waiting. */
  close(): Promise<void>;
}

const FLUSH_AFTER_MS = 200;
/** Events kept while the database is away; older ones are then only in the log. */
const MAX_WAITING = 10_000;

/** @param onRecord hears of each event; MUST not throw */
export function createAuditLog(pool: pg.Pool, log: Logger, onRecord: (event: AuditEvent) => void = () => {}): AuditLog {
  let waiting: (AuditEvent & { at: Date })[] = [];
  let timer: NodeJS.Timeout | undefined;
  let writing: Promise<void> = Promise.resolve();

  const flush = (): Promise<void> => {
    timer = undefined;
    const batch = waiting;
    waiting = [];
    if (batch.length > 0) writing = writing.then(() => write(batch));
    return writing;
  };

  async function write(batch: typeof waiting): Promise<void> {
    try {
      await pool.query(
        `INSERT INTO audit_event (at, event, outcome, actor, account_id, client_id, address, request_id, detail)
         SELECT e.at, e.event, e.outcome, e.actor, e."accountId", e."clientId", e.address, e."requestId", coalesce(e.detail, '{}')
         FROM jsonb_to_recordset($1) AS e(at timestamptz, event text, outcome text, actor text, "accountId" text, "clientId" text, address text, "requestId" text, detail jsonb)`,
        [JSON.stringify(batch)],
      );
    } catch (err) {
      log.warn({ err, events: batch.length }, "audit events could not be written yet");
      waiting = [...batch, ...waiting].slice(-MAX_WAITING);
      timer ??= setTimeout(flush, 5_000).unref();
    }
  }

  return {
    record(event) {
      log.info({ audit: event }, event.event);
      onRecord(event);
      waiting.push({ at: new Date(), ...event });
      if (waiting.length > MAX_WAITING) waiting.shift();
      timer ??= setTimeout(flush, FLUSH_AFTER_MS).unref();
    },
    waiting: () => waiting.length,
    async close() {
      clearTimeout(timer);
      await flush();
    },
  };
}
