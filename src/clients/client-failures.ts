/**
 * The requests of applications that were refused in the last day, for those who build them. Anybody can make requests in an application's name, so
 * that what is kept is bounded: the same failure within a minute is one row, a minute has so many different ones, and of one kind so many stay.
 */
import type pg from "pg";
import type { Logger } from "../observability/logger.ts";

export type FailureDetail = Readonly<Record<string, string>>;

export interface ClientFailure {
  readonly clientId: string;
  /** `authorization`, `token`, … */
  readonly endpoint: string;
  /** The protocol's error code. */
  readonly error: string;
  /** What was sent that matters; never a secret, a token or a code. */
  readonly detail: FailureDetail;
}

/** The same failure, however often. */
export interface RepeatedFailure extends Omit<ClientFailure, "clientId"> {
  readonly count: number;
  readonly last: Date;
}

export interface ClientFailures {
  /** Written behind the request; it never throws into one. */
  record(failure: ClientFailure): void;
  /** Of the last day, what happened last first. Those of the last moment may be missing. */
  recent(clientId: string): Promise<RepeatedFailure[]>;
  /** Removes what is older than a day. */
  sweep(): Promise<void>;
  /** Writes what is waiting. */
  close(): Promise<void>;
}

/** Milliseconds. */
const MINUTE = 60_000;
const KEPT = 86_400_000;
const FLUSH_AFTER = 500;
/** Of one application, in a minute and in one process: different failures, and among them different ones of a kind. The others are counted. */
const MOST_OF_CLIENT = 30;
const MOST_OF_KIND = 5;
/** Different failures of all applications that wait in one process. */
const MOST_WAITING = 2_000;
/** Rows of one application and kind that stay. */
const MOST_KEPT = 200;
const SHOWN = 50;

interface Counted extends ClientFailure {
  count: number;
  at: number;
  /** Or on its way there. */
  written: boolean;
}

/** A minute's failures of one application. */
interface Minute {
  readonly different: Map<string, Counted>;
  readonly ofKind: Map<string, number>;
}

/** @param now milliseconds since the epoch */
export function createClientFailures(pool: pg.Pool, log: Logger, now: () => number = Date.now): ClientFailures {
  let minute = 0;
  let clients = new Map<string, Minute>();
  let waiting = new Set<Counted>();
  let timer: NodeJS.Timeout | undefined;
  let writing: Promise<void> = Promise.resolve();

  function flush(): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    const batch = [...waiting].map(({ written, ...each }) => ({ ...each, at: new Date(each.at) }));
    for (const each of waiting) each.count = 0; // what follows within the minute is another row, at its end
    waiting = new Set();
    if (batch.length > 0) writing = writing.then(() => write(batch));
    return writing;
  }

  async function write(batch: readonly (ClientFailure & { count: number; at: Date })[]): Promise<void> {
    try {
      // The application may be gone by now. Of its newest failures of a kind so many stay.
      await pool.query(
        `WITH given AS (
           SELECT f.* FROM jsonb_to_recordset($1) AS f("clientId" text, at timestamptz, endpoint text, error text, detail jsonb, count int)
           JOIN client ON client.id = f."clientId"
         ), kinds AS (SELECT DISTINCT "clientId", endpoint, error FROM given),
         gone AS (
           DELETE FROM client_failure WHERE id IN (
             SELECT old.id FROM kinds CROSS JOIN LATERAL (
               SELECT f.id FROM client_failure f
               WHERE f.client_id = kinds."clientId" AND f.endpoint = kinds.endpoint AND f.error = kinds.error
               ORDER BY f.at DESC, f.id DESC OFFSET $2) old)
         )
         INSERT INTO client_failure (client_id, at, endpoint, error, detail, count)
         SELECT "clientId", at, endpoint, error, detail, count FROM given`,
        [JSON.stringify(batch), MOST_KEPT],
      );
    } catch (err) {
      log.warn({ err, failures: batch.length }, "failed requests of applications could not be noted");
    }
  }

  /** Where a failure is counted; undefined: there are too many. */
  function counted(failure: ClientFailure, at: number): Counted | undefined {
    const { clientId, endpoint, error } = failure;
    const of = clients.get(clientId) ?? { different: new Map<string, Counted>(), ofKind: new Map<string, number>() };
    const kind = `${endpoint} ${error}`;
    const key = `${kind} ${JSON.stringify(failure.detail)}`;
    const known = of.different.get(key);
    if (known !== undefined) return known;
    const crowded = (of.ofKind.get(kind) ?? 0) >= MOST_OF_KIND;
    const place = crowded ? of.different.get(kind) : undefined;
    if (place !== undefined) return place;
    if (of.different.size >= MOST_OF_CLIENT || waiting.size >= MOST_WAITING) return undefined;
    const made: Counted = { clientId, endpoint, error, detail: crowded ? {} : failure.detail, count: 0, at, written: false };
    of.different.set(crowded ? kind : key, made);
    of.ofKind.set(kind, (of.ofKind.get(kind) ?? 0) + 1);
    clients.set(clientId, of);
    return made;
  }

  return {
    record(failure) {
      const at = now();
      if (Math.floor(at / MINUTE) !== minute) {
        minute = Math.floor(at / MINUTE);
        void flush();
        clients = new Map();
      }
      const place = counted(failure, at);
      if (place === undefined) return;
      place.count += 1;
      place.at = at;
      waiting.add(place);
      // The first one is seen soon; those that follow are written when the minute is over, or with another first one.
      if (place.written) timer ??= setTimeout(flush, MINUTE).unref();
      else {
        place.written = true;
        clearTimeout(timer);
        timer = setTimeout(flush, FLUSH_AFTER).unref();
      }
    },

    async recent(clientId) {
      const { rows } = await pool.query<RepeatedFailure>(
        `SELECT endpoint, error, detail, sum(count)::int AS count, max(at) AS last FROM client_failure
         WHERE client_id = $1 AND at > $2 GROUP BY endpoint, error, detail ORDER BY last DESC LIMIT $3`,
        [clientId, new Date(now() - KEPT), SHOWN],
      );
      return rows;
    },

    async sweep() {
      await pool.query("DELETE FROM client_failure WHERE at <= $1", [new Date(now() - KEPT)]);
    },

    async close() {
      await flush();
    },
  };
}
