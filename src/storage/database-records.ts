/** Records in PostgreSQL, for a server without Redis: one table, one transaction per commit. The same promises as Redis keeps. */
import type pg from "pg";
import { mustBeThere } from "./commit-order.ts";
import {
  type Lost,
  type Owner,
  type RecordKey,
  type RecordStore,
  type StoredRecord,
  StoreUnavailableError,
  type Tied,
  type Write,
} from "./record-store.ts";
import { LIST_BYTES, type ListContent } from "./status-bits.ts";

/** Rows that one sweep statement deletes at most, so that it never holds locks for long. */
const SWEEP_BATCH = 5_000;
const DEADLOCK_DETECTED = "40P01";

interface Row {
  key: RecordKey;
  payload: string;
  consumed_at: number | null;
}

/** Removes records and sets the bits of the access tokens among them, in one statement; `gone`: how many there were. */
function removing(which: string): string {
  return `WITH gone AS (DELETE FROM engine_record WHERE ${which} RETURNING status_list, status_idx, expires_at),
    ended AS (INSERT INTO status_entry (list_id, idx) SELECT status_list, status_idx FROM gone JOIN status_list ON id = status_list
      WHERE gone.expires_at > now() ORDER BY status_list, status_idx ON CONFLICT DO NOTHING)
    SELECT count(*)::int AS gone FROM gone`;
}

const OWNER_COLUMNS = { accountId: "account_id", clientId: "client_id", grant: "grant_key" };

type Query = (name: string, text: string, values: unknown[]) => Promise<pg.QueryResult>;

const SQL = {
  read: "SELECT key, payload, consumed_at FROM engine_record WHERE key = $1 AND expires_at > now()",
  readByPointer:
    "SELECT key, payload, consumed_at FROM engine_record WHERE pointer = $1 AND expires_at > now() ORDER BY expires_at DESC LIMIT 1",
  areAlive: `SELECT count(*)::int AS alive FROM unnest($1::text[]) AS wanted
    WHERE EXISTS (SELECT FROM engine_record WHERE key = wanted AND expires_at > now())
       OR EXISTS (SELECT FROM engine_record WHERE pointer = wanted AND expires_at > now())`,
  put: `INSERT INTO engine_record (key, payload, expires_at, pointer, grant_key, account_id, client_id, status_list, status_idx)
    VALUES ($1, $2, to_timestamp($3 / 1000.0), $4, $5, $6, $7, $8, $9)
    ON CONFLICT (key) DO UPDATE SET payload = excluded.payload, expires_at = excluded.expires_at, pointer = excluded.pointer,
      grant_key = excluded.grant_key, account_id = excluded.account_id, client_id = excluded.client_id,
      status_list = excluded.status_list, status_idx = excluded.status_idx, consumed_at = NULL, answer = NULL, answer_expires_at = NULL`,
  replace: `UPDATE engine_record SET payload = $2, expires_at = to_timestamp($3 / 1000.0), pointer = $4, grant_key = $5, account_id = $6,
    client_id = $7, status_list = $8, status_idx = $9, consumed_at = NULL, answer = NULL, answer_expires_at = NULL
    WHERE key = $1 AND expires_at > now() AND ($10::text IS NULL OR payload = $10)`,
  lockPointer: "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))",
  displace: "DELETE FROM engine_record WHERE pointer = $1 AND key <> $2",
  // Grants are locked before anything under them, by whoever issues and by whoever ends: no deadlock, and nothing is issued under an ended grant.
  keep: `WITH held AS (SELECT key FROM engine_record WHERE key = $1 AND expires_at > now() FOR UPDATE),
    kept AS (UPDATE engine_record SET expires_at = to_timestamp($2 / 1000.0) WHERE key IN (SELECT key FROM held) AND expires_at < to_timestamp($2 / 1000.0))
    SELECT count(*)::int AS alive FROM held`,
  anyLeft: `SELECT EXISTS (SELECT FROM engine_record WHERE key = ANY($1)) OR EXISTS (SELECT FROM engine_record WHERE grant_key = ANY($1)) AS left`,
  lock: "SELECT FROM engine_record WHERE key = $1 FOR UPDATE",
  remove: removing("key = $1 AND ($2::text IS NULL OR payload = $2)"),
  removeTied: removing("grant_key = $1"),
  removePointer: "DELETE FROM engine_record WHERE pointer = $1",
  consume: `UPDATE engine_record SET consumed_at = floor(extract(epoch FROM now()))::int, answer = $2, answer_expires_at = to_timestamp($3 / 1000.0)
    WHERE key = $1 AND consumed_at IS NULL AND expires_at > now()`,
  claim: `INSERT INTO engine_record (key, payload, expires_at) VALUES ($1, $3, to_timestamp($2 / 1000.0))
    ON CONFLICT (key) DO UPDATE SET payload = excluded.payload, expires_at = excluded.expires_at WHERE engine_record.expires_at <= now()`,
  dropAnswer: "UPDATE engine_record SET answer = NULL, answer_expires_at = NULL WHERE key = $1 AND answer IS NOT NULL",
  readAnswer: "SELECT answer FROM engine_record WHERE key = $1 AND answer_expires_at > now()",
} as const;

export class DatabaseRecords implements RecordStore {
  readonly #pool: pg.Pool;
  /** The newest commit of this process that contends for a record that only one may have, or that all may end. */
  readonly #turns = new Map<RecordKey, Promise<Lost | undefined>>();

  constructor(pool: pg.Pool) {
    this.#pool = pool;
  }

  async read(key: RecordKey): Promise<StoredRecord | undefined> {
    return toRecord((await this.#ask("read", SQL.read, [key])).rows[0]);
  }

  async readByPointer(pointer: RecordKey): Promise<(StoredRecord & { key: RecordKey }) | undefined> {
    const row: Row | undefined = (await this.#ask("read-by-pointer", SQL.readByPointer, [pointer])).rows[0];
    const record = toRecord(row);
    return row && record && { ...record, key: row.key };
  }

  async areAlive(keys: readonly RecordKey[]): Promise<boolean> {
    const wanted = [...new Set(keys)];
    return (await this.#ask("are-alive", SQL.areAlive, [wanted])).rows[0].alive === wanted.length;
  }

  async commit(writes: readonly Write[]): Promise<Lost | undefined> {
    if (writes.length === 0) return undefined;
    const contended = writes.find(({ op, key }) => op === "consume" || (op === "remove" && key.startsWith("grant:")))?.key;
    return contended === undefined ? this.#commit(writes) : this.#inTurn(contended, () => this.#commit(writes));
  }

  /**
   * One after another within this process, so that a race for one record takes one connection of the pool and not all of them: whoever comes
   * next finds it decided by a read. When the store cannot be reached, it could not be for those who wait either.
   */
  async #inTurn(key: RecordKey, commit: () => Promise<Lost | undefined>): Promise<Lost | undefined> {
    const before = this.#turns.get(key);
    const turn = before === undefined ? commit() : before.then(commit);
    this.#turns.set(key, turn);
    try {
      return await turn;
    } finally {
      if (this.#turns.get(key) === turn) this.#turns.delete(key);
    }
  }

  async #commit(writes: readonly Write[]): Promise<Lost | undefined> {
    const late = await this.#comesLate(writes);
    if (late !== undefined) return late;
    if (await this.#isDone(writes)) return undefined;
    try {
      return await this.#transact(writes);
    } catch (error) {
      if (error instanceof StoreUnavailableError && (error.cause as { code?: string }).code === DEADLOCK_DETECTED)
        return this.#transact(writes);
      throw error;
    }
  }

  async readAnswer(key: RecordKey): Promise<string | undefined> {
    return (await this.#ask("read-answer", SQL.readAnswer, [key])).rows[0]?.answer ?? undefined;
  }

  async tiedTo(owner: Owner): Promise<Tied[]> {
    const [[whose, id]] = Object.entries(owner) as [[keyof typeof OWNER_COLUMNS, string]];
    const column = OWNER_COLUMNS[whose];
    // In one order, grants first: several processes may end the same at once, while tokens are issued under it.
    const text = `SELECT key FROM engine_record WHERE ${column} = $1 AND expires_at > now() ORDER BY key LIKE 'grant:%' DESC, key`;
    const { rows } = await this.#ask(`tied-to-${column}`, text, [id]);
    return rows; // the table knows the places of tokens by itself
  }

  /** What is in no row of `status_entry` is 0. */
  async createList(): Promise<void> {}

  /** Rows are only ever added: their number says which. */
  async listVersion(list: string): Promise<string> {
    return (await this.#ask("list-version", "SELECT count(*) AS version FROM status_entry WHERE list_id = $1", [list])).rows[0].version;
  }

  async readList(list: string): Promise<ListContent> {
    const { rows } = await this.#ask("read-list", "SELECT idx FROM status_entry WHERE list_id = $1", [list]);
    const bits = Buffer.alloc(LIST_BYTES);
    for (const { idx } of rows as { idx: number }[]) bits[idx >>> 3] = (bits[idx >>> 3] as number) | (1 << (idx & 7));
    return { version: `${rows.length}`, bits };
  }

  async sweep(): Promise<void> {
    const text = `DELETE FROM engine_record WHERE key IN (SELECT key FROM engine_record WHERE expires_at <= now() LIMIT ${SWEEP_BATCH})`;
    for (let swept = SWEEP_BATCH; swept === SWEEP_BATCH; ) swept = (await this.#ask("sweep", text, [])).rowCount ?? 0;
  }

  async ping(): Promise<void> {
    await this.#ask("ping", "SELECT 1", []);
  }

  /** The pool belongs to whoever opened the database. */
  async close(): Promise<void> {}

  /** What was consumed already: most losers of a race need not queue for the locks that the next ones wait for. */
  async #comesLate(writes: readonly Write[]): Promise<Lost | undefined> {
    for (const write of writes) {
      if (write.op !== "consume") continue;
      const record = await this.read(write.key);
      if (record === undefined || record.consumedAt !== undefined) return write;
    }
    return undefined;
  }

  /** Of many that end the same grant at once, most find nothing left to end. */
  async #isDone(writes: readonly Write[]): Promise<boolean> {
    if (!writes.every((write) => write.op === "remove" && !mustBeThere(write) && write.key.startsWith("grant:"))) return false;
    return !(await this.#ask("any-left", SQL.anyLeft, [writes.map(({ key }) => key)])).rows[0].left;
  }

  async #transact(writes: readonly Write[]): Promise<Lost | undefined> {
    const client = await this.#pool.connect().catch((cause: unknown) => {
      throw new StoreUnavailableError(cause);
    });
    const query: Query = (name, text, values) => client.query({ name, text, values });
    try {
      await client.query("BEGIN");
      const lost = await carryOut(query, writes);
      await client.query(lost === undefined ? "COMMIT" : "ROLLBACK");
      client.release();
      return lost;
    } catch (error) {
      // Without an SQLSTATE it is not the server that spoke: the connection is gone or hangs, and so would a ROLLBACK.
      const isSaid = /^[0-9A-Z]{5}$/.test(String((error as { code?: unknown }).code));
      const isClean = isSaid && (await client.query("ROLLBACK").catch(() => undefined)) !== undefined;
      client.release(!isClean);
      throw new StoreUnavailableError(error);
    }
  }

  async #ask(name: string, text: string, values: unknown[]): Promise<pg.QueryResult> {
    try {
      return await this.#pool.query({ name, text, values });
    } catch (error) {
      throw new StoreUnavailableError(error);
    }
  }
}

async function carryOut(query: Query, writes: readonly Write[]): Promise<Lost | undefined> {
  const replaced = new Set(writes.flatMap((write) => (write.op === "put" && write.pointer ? [write.pointer] : [])));
  const grants = new Map<RecordKey, { put: Lost; latest: number }>();
  for (const write of writes) {
    if (write.op !== "put" || write.ties?.grant === undefined) continue;
    grants.set(write.ties.grant, { put: write, latest: Math.max(write.expiresAt, grants.get(write.ties.grant)?.latest ?? 0) });
  }
  const inOrder = [...writes].sort((a, b) => ORDER[a.op] - ORDER[b.op]);
  // A grant that this commit itself puts is not there to be locked yet.
  const ownGrants = writes.filter((write) => write.op === "put" && grants.has(write.key));
  for (const grant of ownGrants) await carryOutOne(query, grant, replaced);
  for (const [grant, { put, latest }] of [...grants].sort()) {
    if ((await query("keep", SQL.keep, [grant, latest])).rows[0].alive === 0) return put;
  }
  for (const write of inOrder) {
    if (ownGrants.includes(write)) continue;
    if (!(await carryOutOne(query, write, replaced))) return write as Lost;
  }
  return undefined;
}

/** Endings first, and what decides a race before what is put for its winner. */
const ORDER: Record<Write["op"], number> = { remove: 0, claim: 1, require: 2, consume: 3, "drop-answer": 4, put: 5 };

async function carryOutOne(query: Query, write: Write, replaced: ReadonlySet<RecordKey>): Promise<boolean> {
  switch (write.op) {
    case "put": {
      const { grant = null, accountId = null, clientId = null } = write.ties ?? {};
      const { key, body, expiresAt, pointer = null } = write;
      const values = [key, body, expiresAt, pointer, grant, accountId, clientId, write.status?.list ?? null, write.status?.idx ?? null];
      if (write.onlyIfThere) return (await query("replace", SQL.replace, [...values, write.replaces ?? null])).rowCount === 1;
      if (pointer !== null) {
        await query("lock-pointer", SQL.lockPointer, [pointer]); // of two that take its place at once, the later one sees the other
        await query("displace", SQL.displace, [pointer, key]);
      }
      await query("put", SQL.put, values);
      return true;
    }
    case "remove":
      if (write.key.startsWith("grant:")) {
        await query("lock", SQL.lock, [write.key]);
        await query("remove-tied", SQL.removeTied, [write.key]);
      }
      if ((await query("remove", SQL.remove, [write.key, write.as ?? null])).rows[0].gone === 0 && mustBeThere(write)) return false;
      if (write.pointer !== undefined && !replaced.has(write.pointer)) await query("remove-pointer", SQL.removePointer, [write.pointer]);
      return true;
    case "require":
      return (await query("are-alive", SQL.areAlive, [[write.key]])).rows[0].alive === 1;
    case "consume":
      return (
        (await query("consume", SQL.consume, [write.key, write.answer?.sealed ?? null, write.answer?.expiresAt ?? null])).rowCount === 1
      );
    case "claim":
      return (await query("claim", SQL.claim, [write.key, write.expiresAt, write.body ?? "{}"])).rowCount === 1;
    case "drop-answer":
      await query("drop-answer", SQL.dropAnswer, [write.key]);
      return true;
  }
}

const toRecord = (row: Row | undefined): StoredRecord | undefined => row && { body: row.payload, consumedAt: row.consumed_at ?? undefined };
