/**
 * What was ended, kept in PostgreSQL until the last token that it covers would have expired. It is written before an ending is acknowledged
 * and told again to a Redis that came back: a Redis that lost its last second, was restored or failed over brings nothing back to life.
 */
import type pg from "pg";
import { type RecordKey, StoreUnavailableError } from "./record-store.ts";
import type { StatusPlace } from "./status-bits.ts";

const BATCH = 1_000;

/** In one order, so that two endings of the same tokens wait for each other and not both. */
const INSERT_PLACES = `INSERT INTO status_entry (list_id, idx)
  SELECT list, idx FROM unnest($3::text[], $4::int[]) AS place (list, idx) JOIN status_list ON id = list WHERE expires_at > now() ORDER BY list, idx
  ON CONFLICT DO NOTHING`;

export class RevocationJournal {
  readonly #pool: pg.Pool;

  constructor(pool: pg.Pool) {
    this.#pool = pool;
  }

  /**
   * @param until milliseconds since the epoch, for the keys  @param places of the access tokens that are ended with them; they count until
   * their list expires
   */
  async record(keys: readonly RecordKey[], until: number, places: readonly StatusPlace[]): Promise<void> {
    await this.#query(
      `WITH ended AS (${INSERT_PLACES})
       INSERT INTO revocation (key, expires_at) SELECT unnest($1::text[]), to_timestamp($2 / 1000.0)
       ON CONFLICT (key) DO UPDATE SET expires_at = greatest(revocation.expires_at, excluded.expires_at), revoked_at = now()`,
      [keys, until, places.map(({ list }) => list), places.map(({ idx }) => idx)],
    );
  }

  /** The time of the journal's own clock. */
  async now(): Promise<Date> {
    const { rows } = await this.#query<{ now: Date }>("SELECT now()", []);
    return rows[0]?.now as Date;
  }

  /** Everything that was ended since then, or ever, and is still worth telling; newest first, in batches. */
  async *replay(since?: Date): AsyncGenerator<RecordKey[]> {
    for (let before: { revoked_at: Date; key: string } | undefined; ; ) {
      const { rows } = await this.#query<{ key: RecordKey; revoked_at: Date }>(
        `SELECT key, revoked_at FROM revocation WHERE expires_at > now() AND revoked_at >= $3 AND ($1::timestamptz IS NULL OR (revoked_at, key) < ($1, $2))
         ORDER BY revoked_at DESC, key DESC LIMIT ${BATCH}`,
        [before?.revoked_at ?? null, before?.key ?? "", since ?? new Date(0)],
      );
      if (rows.length > 0) yield rows.map(({ key }) => key);
      before = rows.at(-1);
      if (before === undefined || rows.length < BATCH) return;
    }
  }

  /** The places of all access tokens that were ended since then, or ever, in lists that are still there; in batches. */
  async *replayPlaces(since?: Date): AsyncGenerator<StatusPlace[]> {
    for (let after: { ended_at: Date; list: string; idx: number } | undefined; ; ) {
      const { rows } = await this.#query<StatusPlace & { ended_at: Date }>(
        `SELECT list_id AS list, idx, ended_at FROM status_entry JOIN status_list ON id = list_id
         WHERE expires_at > now() AND ended_at >= $1 AND ($2::timestamptz IS NULL OR (ended_at, list_id, idx) > ($2, $3, $4))
         ORDER BY ended_at, list_id, idx LIMIT ${BATCH}`,
        [since ?? new Date(0), after?.ended_at ?? null, after?.list ?? "", after?.idx ?? 0],
      );
      if (rows.length > 0) yield rows;
      after = rows.at(-1);
      if (after === undefined || rows.length < BATCH) return;
    }
  }

  async sweep(): Promise<void> {
    await this.#query("DELETE FROM revocation WHERE expires_at <= now()", []);
  }

  async #query<Row extends pg.QueryResultRow>(text: string, values: unknown[]): Promise<pg.QueryResult<Row>> {
    try {
      return await this.#pool.query<Row>(text, values);
    } catch (error) {
      throw new StoreUnavailableError(error);
    }
  }
}
