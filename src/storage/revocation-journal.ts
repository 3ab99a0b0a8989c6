/**
 * What was ended, kept in PostgreSQL until the last token that it covers would have expired. It is written before an ending is acknowledged
 * and told again to a Redis that came back: a Redis that lost its last second, was restored or failed over brings nothing back to life.
 */
import type pg from "pg";
import { type RecordKey, StoreUnavailableError } from "./record-store.ts";

const BATCH = 1_000;

export class RevocationJournal {
  readonly #pool: pg.Pool;

  constructor(pool: pg.Pool) {
    this.#pool = pool;
  }

  /** @param until milliseconds since the epoch */
  async record(keys: readonly RecordKey[], until: number): Promise<void> {
    await this.#query(
      `INSERT INTO revocation (key, expires_at) SELECT unnest($1::text[]), to_timestamp($2 / 1000.0)
       ON CONFLICT (key) DO UPDATE SET expires_at = greatest(revocation.expires_at, excluded.expires_at), revoked_at = now()`,
      [keys, until],
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
