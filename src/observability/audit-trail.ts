/** What the audit log knows: newest first, a page at a time. For its owner, of one account; for operators, of all. */
import type pg from "pg";

export interface PastEvent {
  readonly id: string;
  readonly at: Date;
  readonly event: string;
  readonly outcome: "success" | "failure";
  readonly actor: string | undefined;
  readonly accountId: string | undefined;
  readonly clientId: string | undefined;
  readonly address: string | undefined;
  readonly requestId: string | undefined;
  readonly detail: Readonly<Record<string, string | number | boolean>>;
  /** The number of the batch in which it is sealed. */
  readonly batch: number | undefined;
  /** Its address and detail were erased. */
  readonly erasedAt: Date | undefined;
}

export interface EventFilter {
  readonly accountId?: string | undefined;
  readonly clientId?: string | undefined;
  readonly actor?: string | undefined;
  readonly address?: string | undefined;
  readonly outcome?: "success" | "failure" | undefined;
  /** Only of these kinds. */
  readonly events?: readonly string[] | undefined;
  /** Only of kinds that begin so, such as `client.`. */
  readonly prefix?: string | undefined;
  readonly since?: Date | undefined;
  /** Later ones are left out, and those of this very moment. */
  readonly until?: Date | undefined;
}

export interface TrailOptions {
  readonly limit: number;
  /** `next` of the page before. */
  readonly cursor?: string | undefined;
}

export interface AuditTrail {
  /** Events that were recorded in the last moment may be missing. @returns `next` when there are more */
  search(filter: EventFilter, options: TrailOptions): Promise<{ events: PastEvent[]; next?: string }>;
  /** @param id as PastEvent has it */
  find(id: string): Promise<PastEvent | undefined>;
}

interface Row {
  id: string;
  at: Date;
  event: string;
  outcome: "success" | "failure";
  actor: string | null;
  account_id: string | null;
  client_id: string | null;
  address: string | null;
  request_id: string | null;
  detail: PastEvent["detail"];
  batch: string | null;
  erased_at: Date | null;
}

const COLUMNS = "id::text, at, event, outcome, actor, account_id, client_id, address, request_id, detail, batch, erased_at";

export function createAuditTrail(pool: pg.Pool): AuditTrail {
  /** Kinds are few and events many: each step of the recursion is one look into the index. */
  async function kinds(prefix: string): Promise<string[]> {
    const { rows } = await pool.query<{ event: string }>(
      `WITH RECURSIVE kind AS (
         SELECT min(event) AS event FROM audit_event
         UNION ALL SELECT (SELECT min(event) FROM audit_event WHERE event > kind.event) FROM kind WHERE kind.event IS NOT NULL
       ) SELECT event FROM kind WHERE event IS NOT NULL`,
    );
    return rows.map(({ event }) => event).filter((event) => event.startsWith(prefix));
  }

  return {
    async search({ accountId, clientId, actor, address, outcome, events, prefix, since, until }, { limit, cursor }) {
      const [before, beforeId] = readCursor(cursor);
      const named = prefix === undefined ? events : (await kinds(prefix)).filter((event) => events?.includes(event) ?? true);
      const conditions: string[] = [];
      const values: unknown[] = [];
      const where = (value: unknown, condition: (parameter: string) => string) => {
        if (value !== undefined) conditions.push(condition(`$${values.push(value)}`));
      };
      where(accountId, (p) => `account_id = ${p}`);
      where(clientId, (p) => `client_id = ${p}`);
      where(actor, (p) => `actor = ${p}`);
      where(address, (p) => `address = ${p}`);
      where(outcome, (p) => `outcome = ${p}`);
      where(named, (p) => `event = ANY (${p})`);
      where(since, (p) => `at >= ${p}`);
      where(until, (p) => `at < ${p}`);
      where(before, (p) => `(at, id) < (${p}, $${values.push(beforeId)}::bigint)`);
      const { rows } = await pool.query<Row>(
        `SELECT ${COLUMNS} FROM audit_event ${conditions.length > 0 ? `WHERE ${conditions.join(" AND ")}` : ""}
         ORDER BY at DESC, audit_event.id DESC LIMIT $${values.push(limit + 1)}`,
        values,
      );
      const page = rows.slice(0, limit).map(toEvent);
      const last = page.at(-1);
      return rows.length > limit && last ? { events: page, next: `${last.at.getTime()}.${last.id}` } : { events: page };
    },

    async find(id) {
      if (!/^\d{1,18}$/.test(id)) return undefined;
      const { rows } = await pool.query<Row>(`SELECT ${COLUMNS} FROM audit_event WHERE id = $1`, [id]);
      return rows[0] && toEvent(rows[0]);
    },
  };
}

const toEvent = ({ id, at, event, outcome, detail, ...row }: Row): PastEvent => ({
  ...{ id, at, event, outcome, detail },
  actor: row.actor ?? undefined,
  accountId: row.account_id ?? undefined,
  clientId: row.client_id ?? undefined,
  address: row.address ?? undefined,
  requestId: row.request_id ?? undefined,
  batch: row.batch === null ? undefined : Number(row.batch),
  erasedAt: row.erased_at ?? undefined,
});

/** Nothing for what is no cursor: the newest page. */
function readCursor(cursor: string | undefined): [Date?, string?] {
  const [, at, id] = /^(\d{1,14})\.(\d{1,18})$/.exec(cursor ?? "") ?? [];
  return at === undefined || id === undefined ? [] : [new Date(Number(at)), id];
}
