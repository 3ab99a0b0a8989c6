/**
 * Seals the audit log: what was recorded since the last time becomes the next batch of the chain. One process at a time does it, in one
 * transaction for each batch, so that one that dies leaves nothing half-sealed. Writers wait for nobody: an event whose transaction was not
 * visible yet comes into a later batch.
 */
import type pg from "pg";
import { type Batch, BEGINNING, batchHash, eventHash, eventsHash, newSalt, personalHash, type StoredEvent } from "./audit-chain.ts";
import { CHECKPOINT_EVERY, type CheckpointKeys, checkpointClaims } from "./audit-checkpoints.ts";
import { type BatchRow, changeLog, EVENT_COLUMNS, toBatch } from "./audit-rows.ts";
import type { Logger } from "./logger.ts";

/** Events of a batch, at most: about 10 ms of hashing. */
const MOST = 1_000;

export interface AuditSealer {
  /** Seals everything that is visible now. @returns how many batches came into being; undefined: another process is at it */
  seal(): Promise<number | undefined>;
  /** Seals everything and signs the newest batch. @returns undefined while nothing was ever recorded */
  checkpoint(): Promise<(Batch & { checkpoint: string }) | undefined>;
}

export interface SealerOptions {
  pool: pg.Pool;
  keys: Pick<CheckpointKeys, "sign">;
  log: Pick<Logger, "info">;
  /** Seconds: AUDIT_SEAL_INTERVAL. Until so much has passed since a batch was sealed, `seal` leaves fewer events than fill one to wait. */
  interval: number;
  /** Milliseconds. */
  checkpointEvery?: number;
  /** Events of a batch. */
  most?: number;
}

interface Newest extends BatchRow {
  now: Date;
  signed_at: Date | null;
}

export function createAuditSealer(options: SealerOptions): AuditSealer {
  const { pool, keys, log, interval, checkpointEvery = CHECKPOINT_EVERY, most = MOST } = options;
  /** Timers are a little early now and then. */
  const pause = interval * 1000 * 0.9;

  async function sealBatch(client: pg.PoolClient, now: Date, newest: Batch | undefined, signedAt: Date | null): Promise<Batch | undefined> {
    const { rows: events } = await client.query<StoredEvent>(
      `SELECT ${EVENT_COLUMNS} FROM audit_event WHERE batch IS NULL ORDER BY audit_event.id LIMIT $1 FOR UPDATE`,
      [most],
    );
    if (events.length === 0) return undefined;
    const times = events.map(({ at }) => at.getTime());
    const salts = events.map(newSalt);
    const personal = events.map((event, index) => personalHash(event, salts[index] as Buffer));
    const facts = {
      number: (newest?.number ?? 0) + 1,
      count: events.length,
      firstAt: new Date(Math.min(...times)),
      lastAt: new Date(Math.max(...times)),
      sealedAt: now,
      eventsHash: eventsHash(events.map((event, index) => eventHash(event, personal[index] as Buffer))),
    };
    const hash = batchHash(facts, newest?.hash ?? BEGINNING);
    const isDue = signedAt === null || now.getTime() - signedAt.getTime() >= checkpointEvery;
    const checkpoint = isDue ? await keys.sign(checkpointClaims({ ...facts, hash })) : undefined;
    const { number, count, firstAt, lastAt, sealedAt } = facts;
    await client.query(
      `INSERT INTO audit_batch (number, count, first_at, last_at, sealed_at, events_hash, hash, checkpoint)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
      [number, count, firstAt, lastAt, sealedAt, facts.eventsHash, hash, checkpoint ?? null],
    );
    await client.query(
      `UPDATE audit_event e SET batch = $1, position = s.position, personal_hash = s.personal_hash, salt = s.salt
       FROM unnest($2::bigint[], $3::bytea[], $4::bytea[]) WITH ORDINALITY AS s(id, personal_hash, salt, position) WHERE e.id = s.id`,
      [number, events.map(({ id }) => id), personal, salts],
    );
    return { ...facts, hash, checkpoint, removedAt: undefined };
  }

  /** @param demanded now, whatever the interval says, and signed */
  const next = (demanded: boolean) =>
    changeLog(pool, { doing: "seal", lock: demanded ? "wait" : "try" }, async (client) => {
      const { rows } = await client.query<Newest>(
        `SELECT date_trunc('milliseconds', clock_timestamp()) AS now, b.*,
           (SELECT sealed_at FROM audit_batch WHERE checkpoint IS NOT NULL ORDER BY number DESC LIMIT 1) AS signed_at
         FROM (SELECT) one LEFT JOIN (SELECT * FROM audit_batch ORDER BY number DESC LIMIT 1) b ON true`,
      );
      const { now, signed_at, ...row } = rows[0] as Newest;
      const newest = row.number === null ? undefined : toBatch(row);
      if (!demanded && newest !== undefined && now.getTime() - newest.sealedAt.getTime() < pause && !(await fillsABatch(client)))
        return { sealed: undefined, newest };
      const sealed = await sealBatch(client, now, newest, signed_at);
      return { sealed, newest: sealed ?? newest };
    });

  async function fillsABatch(client: pg.PoolClient): Promise<boolean> {
    const { rowCount } = await client.query("SELECT FROM audit_event WHERE batch IS NULL OFFSET $1 LIMIT 1", [most - 1]);
    return rowCount === 1;
  }

  function tell({ number, checkpoint }: Batch): void {
    if (checkpoint !== undefined) log.info({ batch: number, checkpoint }, "audit log checkpoint");
  }

  return {
    async seal() {
      for (let batches = 0; ; batches++) {
        const done = await next(false);
        if (done === undefined) return batches > 0 ? batches : undefined;
        if (done.sealed === undefined) return batches;
        tell(done.sealed);
      }
    },

    async checkpoint() {
      let newest: Batch | undefined;
      for (let more = true; more; ) {
        const done = await next(true);
        newest = done?.newest;
        more = done?.sealed?.count === most;
        if (done?.sealed !== undefined) tell(done.sealed);
      }
      if (newest === undefined) return undefined;
      const { number } = newest;
      return changeLog(pool, { doing: "seal", lock: "wait" }, async (client) => {
        const { rows } = await client.query<BatchRow>("SELECT * FROM audit_batch WHERE number = $1", [number]);
        const batch = toBatch(rows[0] as BatchRow);
        const checkpoint = batch.checkpoint ?? (await keys.sign(checkpointClaims(batch)));
        if (batch.checkpoint === undefined) {
          await client.query("UPDATE audit_batch SET checkpoint = $2 WHERE number = $1", [number, checkpoint]);
          tell({ ...batch, checkpoint });
        }
        return { ...batch, checkpoint };
      });
    },
  };
}
