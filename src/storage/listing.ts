/**
 * Pages of tables with a million rows, in the order of creation, at a cost that is bounded whatever is asked for. A word may be in one row or in all
 * of them, at the beginning or at the end alone, and the database cannot know which: its plan for the one is ruinous for the other. So a page is
 * looked for in steps: among the next rows in order, which finds what is common; by the index of what is asked for, which finds what is rare; and
 * among more of the next rows, after which a page is given as it is, perhaps short, with the place where the following one goes on.
 */
import { Prisma, type PrismaClient } from "./generated/client.ts";

/** Rows. */
interface Stretches {
  /** Looked through in order before an index is asked: a few milliseconds. */
  readonly first: number;
  /** Looked through in order for one page at most: a tenth of a second. */
  readonly long: number;
  /** Taken from an index for one page at most: a tenth of a second. */
  readonly found: number;
}
const STRETCHES: Stretches = { first: 4_000, long: 40_000, found: 12_000 };

/** A place in the order of creation: that of a row. */
export interface Place {
  readonly at: Date;
  readonly id: string;
}

export interface ListQuestion {
  /** It has the columns `id`, `created_at` and an index on both. */
  readonly table: "account" | "client";
  /** What must hold of a row `t`. */
  readonly filters: readonly Prisma.Sql[];
  /** A further one that an index answers. */
  readonly indexed?: Prisma.Sql | undefined;
  /** The ids that come into question, when they are known and few. */
  readonly among?: readonly string[] | undefined;
  readonly after?: Place | undefined;
  /** Ids at most. */
  readonly limit: number;
}

export interface PageOfIds {
  readonly ids: readonly string[];
  /** Where the following page begins; undefined: this is the last. A page that has one may be short, or empty. */
  readonly next: Place | undefined;
}

interface Row {
  id: string;
  created_at: Date;
}

/** What matches every word of a question, the last one as a beginning; nothing when there is no word in it. */
export const matchesWords = (question: string): Prisma.Sql =>
  Prisma.sql`t.search @@ (SELECT string_agg(quote_literal(word), ' & ' ORDER BY n) || ':*'
    FROM unnest(search_words(${question})) WITH ORDINALITY AS words(word, n))::tsquery`;

export async function pageOfIds(prisma: PrismaClient, question: ListQuestion, stretches = STRETCHES): Promise<PageOfIds> {
  const { table, filters, indexed, among, after, limit } = question;
  const name = Prisma.raw(table);
  const beyond = after === undefined ? Prisma.sql`true` : Prisma.sql`(t.created_at, t.id) > (${after.at}, ${after.id})`;
  const all = indexed === undefined ? filters : [...filters, indexed];
  const fits = (conditions: readonly Prisma.Sql[]) => (conditions.length === 0 ? Prisma.sql`true` : Prisma.join([...conditions], " AND "));

  /** Those that fit among the next rows, one more than the page holds. */
  const stretch = (rows: number): Promise<Row[]> => prisma.$queryRaw<Row[]>`
    SELECT t.id, t.created_at FROM (SELECT * FROM ${name} t WHERE ${beyond} ORDER BY t.created_at, t.id LIMIT ${rows}) t
    WHERE ${fits(all)} ORDER BY t.created_at, t.id LIMIT ${limit + 1}`;
  /** The last one of the next rows; undefined: there are fewer. */
  const endOf = async (rows: number): Promise<Row | undefined> =>
    (
      await prisma.$queryRaw<Row[]>`
        SELECT t.id, t.created_at FROM ${name} t WHERE ${beyond} ORDER BY t.created_at, t.id LIMIT 1 OFFSET ${rows - 1}`
    )[0];

  if (among !== undefined) {
    const rows = await prisma.$queryRaw<Row[]>`
      SELECT t.id, t.created_at FROM ${name} t WHERE t.id = ANY(${[...among]}) AND ${beyond} AND ${fits(all)}
      ORDER BY t.created_at, t.id LIMIT ${limit + 1}`;
    return full(rows, limit);
  }
  if (all.length === 0) return full(await stretch(limit + 1), limit);

  const near = await stretch(stretches.first);
  if (near.length > limit || (await endOf(stretches.first)) === undefined) return full(near, limit);

  /** How many rows of the table an index would give, if they are spread as among the next ones. */
  const expected = async (condition: Prisma.Sql): Promise<number> => {
    const [row] = await prisma.$queryRaw<{ rows: number }[]>`
      SELECT count(*)::float8 / ${stretches.first}::float8 * (SELECT reltuples FROM pg_class WHERE oid = ${table}::regclass)::float8 AS rows
      FROM (SELECT * FROM ${name} t WHERE ${beyond} ORDER BY t.created_at, t.id LIMIT ${stretches.first}) t WHERE ${condition}`;
    return row?.rows ?? 0;
  };

  // What is in every other row is nothing that an index finds sooner.
  if (indexed !== undefined && (await expected(indexed)) <= 2 * stretches.found) {
    const [, , [answer]] = await prisma.$transaction([
      // Whether the index is worth its while is decided here, and not by statistics that know nothing of rare words.
      prisma.$executeRaw`SET LOCAL enable_seqscan = off`,
      prisma.$executeRaw`SET LOCAL max_parallel_workers_per_gather = 0`,
      prisma.$queryRaw<{ found: number; page: { id: string; created_at: string }[] }[]>`
        WITH found AS MATERIALIZED (
          SELECT t.id, t.created_at, ${fits([...filters, beyond])} AS fits FROM ${name} t WHERE ${indexed} LIMIT ${stretches.found + 1})
        SELECT (SELECT count(*)::int FROM found) AS found, coalesce((
          SELECT json_agg(p) FROM (
            SELECT id, created_at FROM found WHERE fits ORDER BY created_at, id LIMIT ${limit + 1}) p), '[]') AS page`,
    ]);
    if (answer !== undefined && answer.found <= stretches.found)
      return full(
        answer.page.map(({ id, created_at }) => ({ id, created_at: new Date(created_at) })),
        limit,
      );
  }

  const far = await stretch(stretches.long);
  if (far.length > limit) return full(far, limit);
  const end = await endOf(stretches.long);
  return { ids: far.map(({ id }) => id), next: end && placeOf(end) };
}

const placeOf = ({ created_at, id }: Row): Place => ({ at: created_at, id });

/** @param rows one more than the page holds, when there are more */
function full(rows: readonly Row[], limit: number): PageOfIds {
  const shown = rows.slice(0, limit);
  const last = rows.length > limit ? shown.at(-1) : undefined;
  return { ids: shown.map(({ id }) => id), next: last && placeOf(last) };
}
