/** The audit log's tables: how rows are read, and how a transaction says what it may change of what is append-only otherwise. */
import type pg from "pg";
import type { Batch } from "./audit-chain.ts";

/** Columns of a StoredEvent. */
export const EVENT_COLUMNS = "id::text, at, event, outcome, actor, account_id, client_id, request_id, address, detail, erased_at";
/** Columns of a SealedEvent. */
export const SEALED_COLUMNS = `${EVENT_COLUMNS}, position, personal_hash, salt`;

export interface BatchRow {
  number: string;
  count: number;
  first_at: Date;
  last_at: Date;
  events_hash: Buffer;
  hash: Buffer;
  sealed_at: Date;
  checkpoint: string | null;
  removed_at: Date | null;
}

export const toBatch = (row: BatchRow): Batch => ({
  number: Number(row.number),
  count: row.count,
  firstAt: row.first_at,
  lastAt: row.last_at,
  eventsHash: row.events_hash,
  hash: row.hash,
  sealedAt: row.sealed_at,
  checkpoint: row.checkpoint ?? undefined,
  removedAt: row.removed_at ?? undefined,
});

/** Held by whoever seals, removes or signs. Arbitrary, but for ever the same. */
const CHAIN_LOCK = 7_267_002;

export interface ChainOrder {
  /** What the transaction may do to the log; the triggers of the tables let nothing else pass. */
  readonly doing: "seal" | "erase" | "remove";
  /** Of the chain's lock: `try` gives up while another process holds it, `wait` waits, `none` needs none. */
  readonly lock: "try" | "wait" | "none";
}

/** Runs in one transaction. @returns undefined when another process is at it */
export async function changeLog<T>(
  pool: pg.Pool,
  { doing, lock }: ChainOrder,
  work: (client: pg.PoolClient) => Promise<T>,
): Promise<T | undefined> {
  const client = await pool.connect();
  let broken: unknown;
  try {
    await client.query("BEGIN");
    await client.query("SELECT set_config('grantor.audit', $1, true)", [doing]);
    if (lock === "wait") await client.query("SELECT pg_advisory_xact_lock($1)", [CHAIN_LOCK]);
    if (lock === "try") {
      const { rows } = await client.query<{ held: boolean }>("SELECT pg_try_advisory_xact_lock($1) AS held", [CHAIN_LOCK]);
      if (rows[0]?.held !== true) {
        await client.query("ROLLBACK");
        return undefined;
      }
    }
    const result = await work(client);
    await client.query("COMMIT");
    return result;
  } catch (error) {
    await client.query("ROLLBACK").catch((failed: unknown) => {
      broken = failed;
    });
    throw error;
  } finally {
    client.release(broken !== undefined);
  }
}
