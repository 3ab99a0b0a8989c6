/**
 * Which status lists there are, and which of their indices were handed out: in PostgreSQL, since an index that was handed out twice would end
 * two tokens at once, and Redis may forget. Indices go out in blocks, so that a process asks once for many.
 */
import { randomBytes } from "node:crypto";
import type pg from "pg";
import { StoreUnavailableError } from "./record-store.ts";
import { LIST_CAPACITY, type StatusBits } from "./status-bits.ts";

/** Indices that a process takes at once. */
export const BLOCK_SIZE = 256;
const BLOCKS = LIST_CAPACITY / BLOCK_SIZE;
/** Seconds; lists are cut by the length of life of what is in them, in powers of two from here on. */
const SHORTEST_CLASS = 64;
/** A list takes in new tokens for this many lives of one, but for an hour at least. */
const OPEN_LIVES = 4;
const SHORTEST_OPEN = 3_600; // seconds
/** Seconds that a list is still there after its last token has expired, for whoever looks at a token with an allowance for clocks. */
const AFTERLIFE = 300;
/** Held while a list is made: of any number of processes one makes it. Arbitrary, but for ever the same; the second half is the class. */
const NEW_LIST_LOCK = 7_267_002;

/** Indices of one list that nobody else hands out: those that stand at `block * BLOCK_SIZE` and after it in the order that `seed` gives. */
export interface ReservedBlock {
  readonly list: string;
  readonly seed: Buffer;
  readonly block: number;
  /** Milliseconds since the epoch: nothing of it is handed out from then on. */
  readonly closesAt: number;
}

interface Row {
  id: string;
  seed: Buffer;
  block: number;
  closes_at: Date;
}

const TAKE_BLOCK = `UPDATE status_list SET next_block = next_block + 1
  WHERE id = (SELECT id FROM status_list WHERE longest_life = $1 AND closes_at > $2 AND next_block < ${BLOCKS} ORDER BY created_at DESC, id LIMIT 1)
    AND closes_at > $2 AND next_block < ${BLOCKS}
  RETURNING id, seed, next_block - 1 AS block, closes_at`;

/** The longest life, in seconds, of the tokens beside which one of this life is listed. */
export const lifeClass = (lifetime: number): number => Math.max(SHORTEST_CLASS, 2 ** Math.ceil(Math.log2(Math.max(1, lifetime))));

export class StatusListRegistry {
  readonly #pool: pg.Pool;
  readonly #bits: Pick<StatusBits, "createList">;

  constructor(pool: pg.Pool, bits: Pick<StatusBits, "createList">) {
    this.#pool = pool;
    this.#bits = bits;
  }

  /**
   * Takes the next block of an open list, or of a new one when none is open or the newest is full.
   * @param longestLife seconds, a `lifeClass`  @param now milliseconds since the epoch
   * @throws {StoreUnavailableError}
   */
  async reserve(longestLife: number, now: number): Promise<ReservedBlock> {
    try {
      const { rows } = await this.#pool.query<Row>(TAKE_BLOCK, [longestLife, new Date(now)]);
      return rows[0] === undefined ? await this.#reserveOfNew(longestLife, now) : reserved(rows[0]);
    } catch (error) {
      throw error instanceof StoreUnavailableError ? error : new StoreUnavailableError(error);
    }
  }

  /** Hands out nothing more of a list that a store has lost. */
  async close(list: string): Promise<void> {
    await this.#query("UPDATE status_list SET closes_at = to_timestamp(0) WHERE id = $1", [list]);
  }

  /** Milliseconds since the epoch until when a list is there; undefined: there is no such list. */
  async expiryOf(list: string): Promise<number | undefined> {
    const { rows } = await this.#query<{ expires_at: Date }>("SELECT expires_at FROM status_list WHERE id = $1", [list]);
    return rows[0]?.expires_at.getTime();
  }

  /** Lists that a token may still be in, newest first. @param now milliseconds since the epoch */
  async living(now: number): Promise<string[]> {
    const { rows } = await this.#query<{ id: string }>("SELECT id FROM status_list WHERE expires_at > $1 ORDER BY created_at DESC, id", [
      new Date(now),
    ]);
    return rows.map(({ id }) => id);
  }

  /** Forgets lists whose last token has expired, with all that they said. */
  async sweep(): Promise<void> {
    await this.#query("DELETE FROM status_list WHERE expires_at <= now()", []);
  }

  /** The row and the bits come into being together: a list without bits would be one that was lost. */
  async #reserveOfNew(longestLife: number, now: number): Promise<ReservedBlock> {
    const client = await this.#pool.connect();
    try {
      await client.query("BEGIN");
      await client.query("SELECT pg_advisory_xact_lock($1, $2)", [NEW_LIST_LOCK, longestLife]);
      const { rows } = await client.query<Row>(TAKE_BLOCK, [longestLife, new Date(now)]);
      const block = rows[0] === undefined ? await this.#create(client, longestLife, now) : reserved(rows[0]);
      await client.query("COMMIT");
      client.release();
      return block;
    } catch (error) {
      client.release(true); // the transaction ends with its connection
      throw error;
    }
  }

  async #create(client: pg.PoolClient, longestLife: number, now: number): Promise<ReservedBlock> {
    const [list, seed] = [randomBytes(16).toString("base64url"), randomBytes(32)];
    const closesAt = now + Math.max(OPEN_LIVES * longestLife, SHORTEST_OPEN) * 1000;
    const expiresAt = closesAt + (longestLife + AFTERLIFE) * 1000;
    await client.query(
      "INSERT INTO status_list (id, seed, longest_life, next_block, created_at, closes_at, expires_at) VALUES ($1, $2, $3, 1, $4, $5, $6)",
      [list, seed, longestLife, new Date(now), new Date(closesAt), new Date(expiresAt)],
    );
    await this.#bits.createList(list, expiresAt);
    return { list, seed, block: 0, closesAt };
  }

  async #query<R extends pg.QueryResultRow>(text: string, values: unknown[]): Promise<pg.QueryResult<R>> {
    try {
      return await this.#pool.query<R>(text, values);
    } catch (error) {
      throw new StoreUnavailableError(error);
    }
  }
}

const reserved = ({ id, seed, block, closes_at }: Row): ReservedBlock => ({ list: id, seed, block, closesAt: closes_at.getTime() });
