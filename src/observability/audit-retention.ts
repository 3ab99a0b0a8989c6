/** What leaves the audit log: events whose time is over, by whole batches, and what is personal in the events of one account. */
import type pg from "pg";
import { type AuditEvent, insertEvents } from "./audit-log.ts";
import { changeLog } from "./audit-rows.ts";

/** Seconds between two removals, since each is recorded itself. */
const REMOVE_EVERY = 3_600;
/** Batches of a transaction. */
const AT_ONCE = 50;
/** Events of a transaction. */
const ERASED_AT_ONCE = 5_000;

export interface Removal {
  readonly batches: number;
  readonly events: number;
}

/**
 * Removes the events of batches whose newest one is older than the retention; what the batches say of them stays, with the checkpoints. Always
 * the oldest first, without a gap.
 * @param retention seconds; 0 keeps everything
 * @param every seconds: nothing is removed until so much is due
 */
export async function removeOldEvents(pool: pg.Pool, retention: number, every = Math.min(REMOVE_EVERY, retention / 24)): Promise<Removal> {
  const done = { batches: 0, events: 0 };
  if (retention === 0) return done;
  for (let slack = every; ; slack = 0) {
    const removed = await changeLog(pool, { doing: "remove", lock: "try" }, (client) => removeSome(client, retention, slack));
    if (removed === undefined || removed.batches === 0) return done;
    done.batches += removed.batches;
    done.events += removed.events;
    if (removed.batches < AT_ONCE) return done;
  }
}

async function removeSome(client: pg.PoolClient, retention: number, slack: number): Promise<Removal> {
  const { rows } = await client.query<{ number: string; count: number; is_old: boolean; is_due: boolean }>(
    `SELECT number, count, last_at < now() - make_interval(secs => $1) AS is_old, last_at < now() - make_interval(secs => $1 + $2) AS is_due
     FROM audit_batch WHERE removed_at IS NULL ORDER BY number LIMIT $3`,
    [retention, slack, AT_ONCE],
  );
  if (rows[0]?.is_due !== true) return { batches: 0, events: 0 };
  const young = rows.findIndex(({ is_old }) => !is_old);
  const old = young === -1 ? rows : rows.slice(0, young);
  const numbers = old.map(({ number }) => number);
  const events = old.reduce((sum, { count }) => sum + count, 0);
  await client.query("UPDATE audit_batch SET removed_at = now() WHERE number = ANY ($1)", [numbers]);
  await client.query("DELETE FROM audit_event WHERE batch = ANY ($1)", [numbers]);
  const detail = { through: Number(numbers.at(-1)), events };
  await insertEvents(client, [{ at: new Date(), event: "audit.removed", outcome: "success", detail }]);
  return { batches: old.length, events };
}

/**
 * Erases address and detail of what an account did and of what was done to it; that it was done, when and by whom stays, and the chain holds.
 * @param by what stands in the record of the erasure
 * @returns how many events held something; undefined when no event is about such an account
 */
export async function erasePersonalParts(
  pool: pg.Pool,
  accountId: string,
  by: Pick<AuditEvent, "actor" | "address" | "requestId">,
): Promise<number | undefined> {
  // No client and no command line stands there: neither can be erased.
  const { rowCount: known } = await pool.query("SELECT FROM audit_event WHERE account_id = $1 LIMIT 1", [accountId]);
  if (known === 0) return undefined;
  for (let erased = 0; ; ) {
    const count = await changeLog(pool, { doing: "erase", lock: "none" }, async (client) => {
      const { rowCount } = await client.query(
        `UPDATE audit_event SET address = NULL, detail = '{}', salt = NULL, erased_at = clock_timestamp() WHERE id = ANY (ARRAY(
           SELECT id FROM audit_event WHERE (account_id = $1 OR actor = $1) AND NOT (event = 'audit.erased' AND actor IS DISTINCT FROM $1)
             AND erased_at IS NULL AND (address IS NOT NULL OR detail <> '{}')
           ORDER BY id LIMIT $2 FOR UPDATE))`,
        [accountId, ERASED_AT_ONCE],
      );
      // Each time: whoever verifies looks for an order behind what was erased, and what is sealed meanwhile comes behind the first one.
      if ((rowCount ?? 0) > 0)
        await insertEvents(client, [{ at: new Date(), event: "audit.erased", outcome: "success", accountId, ...by }]);
      return rowCount ?? 0;
    });
    erased += count ?? 0;
    if (count === undefined || count < ERASED_AT_ONCE) return erased;
  }
}
