/**
 * The audit log as JSON lines: whole batches, each event with what its seal was made from, then the batch itself with the hash of the one
 * before, and at last what is not sealed yet. So whoever holds the file can check it as the database is checked.
 */
import type pg from "pg";
import { type Batch, BEGINNING, type SealedEvent, type StoredEvent } from "./audit-chain.ts";
import { type BatchRow, EVENT_COLUMNS, SEALED_COLUMNS, toBatch } from "./audit-rows.ts";
import type { ChainSource, FullBatch } from "./audit-verification.ts";

export interface ExportRange {
  /** Batches whose events are all older are left out. */
  readonly since?: Date | undefined;
  /** Batches whose events are all as new or newer are left out, and so is what is not sealed yet when it is. */
  readonly until?: Date | undefined;
}

/** One of the lines, in the field's own names. */
export type ExportLine = { readonly type: "event" | "batch" } & Readonly<Record<string, unknown>>;

/** Batches that are read at once; at most so many events are in memory. */
const PAGE = 20;
const UNSEALED_PAGE = 5_000;

/** Reads page after page, each by itself: what is sealed does not change, save by erasing and removing. */
export function storedChain(pool: pg.Pool, { since, until }: ExportRange = {}): ChainSource {
  return {
    async *batches() {
      for (let after = 0; ; ) {
        // One stretch of numbers, whatever the times of its events are: it has no gaps then.
        const { rows } = await pool.query<BatchRow>(
          `SELECT * FROM audit_batch WHERE number > $1
             AND ($2::timestamptz IS NULL OR number >= (SELECT min(number) FROM audit_batch WHERE last_at >= $2))
             AND ($3::timestamptz IS NULL OR number <= (SELECT max(number) FROM audit_batch WHERE first_at < $3))
           ORDER BY number LIMIT $4`,
          [after, since ?? null, until ?? null, PAGE],
        );
        const batches = rows.map(toBatch);
        const events = await pool.query<SealedEvent & { batch: string }>(
          `SELECT batch, ${SEALED_COLUMNS} FROM audit_event WHERE batch = ANY ($1) ORDER BY batch, position`,
          [batches.map(({ number }) => number)],
        );
        const byBatch = Map.groupBy(events.rows, ({ batch }) => Number(batch));
        for (const batch of batches) yield { batch, events: byBatch.get(batch.number) ?? [] };
        if (batches.length < PAGE) return;
        after = batches.at(-1)?.number as number;
      }
    },

    async *unsealed() {
      for (let after = "0"; ; ) {
        const { rows } = await pool.query<StoredEvent>(
          `SELECT ${EVENT_COLUMNS} FROM audit_event WHERE batch IS NULL AND id > $1
             AND ($2::timestamptz IS NULL OR at >= $2) AND ($3::timestamptz IS NULL OR at < $3) ORDER BY audit_event.id LIMIT $4`,
          [after, since ?? null, until ?? null, UNSEALED_PAGE],
        );
        yield* rows;
        if (rows.length < UNSEALED_PAGE) return;
        after = (rows.at(-1) as StoredEvent).id;
      }
    },
  };
}

/** @returns the lines in their order */
export async function* exportLines(pool: pg.Pool, range: ExportRange = {}): AsyncGenerator<ExportLine> {
  const source = storedChain(pool, range);
  let last: Batch | undefined;
  for await (const { batch, events } of source.batches()) {
    for (const event of events) yield eventLine(event, batch.number);
    yield batchLine(batch, last?.hash ?? (await hashOf(pool, batch.number - 1)));
    last = batch;
  }
  for await (const event of source.unsealed()) yield eventLine(event);
}

async function hashOf(pool: pg.Pool, number: number): Promise<Buffer> {
  if (number === 0) return BEGINNING;
  const { rows } = await pool.query<{ hash: Buffer }>("SELECT hash FROM audit_batch WHERE number = $1", [number]);
  return rows[0]?.hash ?? Buffer.alloc(0);
}

function eventLine(event: StoredEvent & Partial<Pick<SealedEvent, "position" | "personal_hash" | "salt">>, batch?: number): ExportLine {
  const { id, at, event: name, outcome, actor, account_id, client_id, request_id, address, detail, erased_at } = event;
  return {
    type: "event",
    ...{ id, at: at.toISOString(), event: name, outcome, actor, account_id, client_id, request_id, address, detail },
    ...(erased_at !== null && { erased_at: erased_at.toISOString() }),
    ...(batch !== undefined && { batch, position: event.position, personal_hash: text(event.personal_hash), salt: text(event.salt) }),
  };
}

function batchLine({ number, count, firstAt, lastAt, sealedAt, removedAt, ...batch }: Batch, previous: Buffer): ExportLine {
  return {
    type: "batch",
    ...{ number, count, first_at: firstAt.toISOString(), last_at: lastAt.toISOString(), sealed_at: sealedAt.toISOString() },
    ...{ events_hash: text(batch.eventsHash), previous_hash: text(previous), hash: text(batch.hash) },
    ...(batch.checkpoint !== undefined && { checkpoint: batch.checkpoint }),
    ...(removedAt !== undefined && { removed_at: removedAt.toISOString() }),
  };
}

const text = (hash: Buffer | null | undefined): string | null => hash?.toString("base64url") ?? null;
const bytes = (given: unknown): Buffer | null => (typeof given === "string" ? Buffer.from(given, "base64url") : null);
const date = (given: unknown): Date | null => (given === undefined || given === null ? null : new Date(given as string));

/** An export that cannot be read; the message says where. */
class ExportError extends Error {
  override readonly name = "ExportError";
}

/**
 * What an export says, for verifyChain. Nothing in it is trusted.
 * @param lines JSON, one document each
 * @throws {ExportError} while it is read
 */
export async function exportedChain(lines: AsyncIterable<string>): Promise<ChainSource> {
  const full = fullBatches(lines);
  const first = await full.next();
  return {
    previous: first.done === true ? undefined : first.value.previous,
    async *batches() {
      if (first.done === true) return;
      yield first.value;
      yield* full;
    },
    // Whoever wrote the file could have written anything here: no hash stands for it.
    async *unsealed() {},
  };
}

async function* fullBatches(lines: AsyncIterable<string>): AsyncGenerator<FullBatch & { previous: Buffer }> {
  let events: SealedEvent[] = [];
  let number = 0;
  for await (const line of lines) {
    number += 1;
    if (line.trim() === "") continue;
    const value = parse(line, number);
    if (value.type === "event") {
      if (value.batch !== undefined) events.push(sealedEvent(value));
    } else if (value.type === "batch") {
      yield { batch: batchOf(value), events, previous: bytes(value.previous_hash) ?? Buffer.alloc(0) };
      events = [];
    } else throw new ExportError(`Line ${number} is neither an event nor a batch of the audit log.`);
  }
  if (events.length > 0) throw new ExportError(`The export ends in the middle of a batch, behind line ${number}.`);
}

function parse(line: string, number: number): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value === "object" && value !== null) {
      checkTimes(value as Record<string, unknown>);
      return value as Record<string, unknown>;
    }
  } catch {
    // said below
  }
  throw new ExportError(`Line ${number} of the export cannot be read.`);
}

function checkTimes(value: Record<string, unknown>): void {
  for (const name of ["at", "first_at", "last_at", "sealed_at"]) if (name in value) new Date(value[name] as string).toISOString();
}

function sealedEvent(line: Record<string, unknown>): SealedEvent {
  const { id, at, event, outcome, actor, account_id, client_id, request_id, address, detail, erased_at, position } =
    line as unknown as SealedEvent;
  return {
    ...{ id, event, outcome, actor, account_id, client_id, request_id, address, detail, position },
    at: new Date(at),
    erased_at: date(erased_at),
    personal_hash: bytes(line.personal_hash),
    salt: bytes(line.salt),
  };
}

const batchOf = (line: Record<string, unknown>): Batch => ({
  number: line.number as number,
  count: line.count as number,
  firstAt: new Date(line.first_at as string),
  lastAt: new Date(line.last_at as string),
  sealedAt: new Date(line.sealed_at as string),
  eventsHash: bytes(line.events_hash) ?? Buffer.alloc(0),
  hash: bytes(line.hash) ?? Buffer.alloc(0),
  checkpoint: line.checkpoint as string | undefined,
  removedAt: date(line.removed_at) ?? undefined,
});
