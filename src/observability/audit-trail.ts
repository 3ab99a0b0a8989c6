/** What the audit log knows of one account, for its owner: newest first, a page at a time. */
import type pg from "pg";

export interface PastEvent {
  readonly id: string;
  readonly at: Date;
  readonly event: string;
  readonly outcome: "success" | "failure";
  readonly actor: string | undefined;
  readonly clientId: string | undefined;
  readonly address: string | undefined;
  readonly detail: Readonly<Record<string, string | number | boolean>>;
}

export interface TrailOptions {
  /** Older ones are left out. */
  readonly since: Date;
  /** Only of these kinds. */
  readonly events?: readonly string[];
  readonly limit: number;
  /** `next` of the page before. */
  readonly cursor?: string | undefined;
}

export interface AuditTrail {
  /** Events that were recorded in the last moment may be missing. @returns `next` when there are more */
  ofAccount(accountId: string, options: TrailOptions): Promise<{ events: PastEvent[]; next?: string }>;
}

interface Row {
  id: string;
  at: Date;
  event: string;
  outcome: "success" | "failure";
  actor: string | null;
  client_id: string | null;
  address: string | null;
  detail: PastEvent["detail"];
}

export function createAuditTrail(pool: pg.Pool): AuditTrail {
  return {
    async ofAccount(accountId, { since, events, limit, cursor }) {
      const [before, beforeId] = readCursor(cursor);
      const { rows } = await pool.query<Row>(
        `SELECT id::text, at, event, outcome, actor, client_id, address, detail FROM audit_event
         WHERE account_id = $1 AND at >= $2 AND ($3::text[] IS NULL OR event = ANY ($3))
           AND ($4::timestamptz IS NULL OR (at, id) < ($4, $5::bigint))
         ORDER BY at DESC, id DESC LIMIT $6`,
        [accountId, since, events ?? null, before ?? null, beforeId ?? null, limit + 1],
      );
      const page = rows.slice(0, limit).map(
        ({ id, at, event, outcome, actor, client_id, address, detail }): PastEvent => ({
          id,
          at,
          event,
          outcome,
          actor: actor ?? undefined,
          clientId: client_id ?? undefined,
          address: address ?? undefined,
          detail,
        }),
      );
      const last = page.at(-1);
      return rows.length > limit && last ? { events: page, next: `${last.at.getTime()}.${last.id}` } : { events: page };
    },
  };
}

/** Nothing for what is no cursor: the newest page. */
function readCursor(cursor: string | undefined): [Date?, string?] {
  const [, at, id] = /^(\d{1,14})\.(\d{1,18})$/.exec(cursor ?? "") ?? [];
  return at === undefined || id === undefined ? [] : [new Date(Number(at)), id];
}
