/**
 * Many rows in one statement and one parameter, as JSON: where every value is a parameter of its own, the database takes most of its time to read the
 * statement. Names of tables and columns come from the schemas of the nouns, never from a file.
 */
import { Prisma } from "../storage/generated/client.ts";

/** What was looked at before is not there any more. */
export class ChangedMeanwhileError extends Error {
  override readonly name = "ChangedMeanwhileError";
}

/** @param rows with the same members, which are called as their columns but for capitals */
export async function insertRows(tx: Prisma.TransactionClient, table: string, rows: readonly object[]): Promise<void> {
  const { names, into, from } = statementOf(table, rows);
  if (names.length > 0) await tx.$executeRaw`INSERT INTO ${into} (${Prisma.join(names)}) SELECT ${Prisma.join(names)} FROM ${from}`;
}

/**
 * Puts rows in the place of those that are there, in the order of ids as whoever else locks several does, and adds the others.
 * @param rows as `insertRows`; each with its id @param before by id @throws {ChangedMeanwhileError} when one of them is not there any more
 */
export async function putRows(
  tx: Prisma.TransactionClient,
  table: string,
  rows: readonly { readonly id: string }[],
  before: ReadonlyMap<string, unknown>,
): Promise<void> {
  const there = rows.filter(({ id }) => before.has(id));
  if (there.length > 0) {
    const { names, into, from } = statementOf(table, there);
    await tx.$queryRaw`SELECT id FROM ${into} WHERE id = ANY(${there.map(({ id }) => id)}) ORDER BY id FOR UPDATE`;
    const changes = names.map((name) => Prisma.sql`${name} = said.${name}`);
    const changed = await tx.$executeRaw`UPDATE ${into} SET ${Prisma.join(changes)} FROM ${from} AS said WHERE ${into}.id = said.id`;
    if (changed !== there.length) throw new ChangedMeanwhileError(`${there.length - changed} rows of ${table} are gone`);
  }
  await insertRows(
    tx,
    table,
    rows.filter(({ id }) => !before.has(id)),
  );
}

function statementOf(table: string, rows: readonly object[]) {
  const into = Prisma.raw(`"${table}"`);
  const columns = rows.map((row) => Object.fromEntries(Object.entries(row).map(([name, value]) => [columnOf(name), cell(value)])));
  const names = Object.keys(columns[0] ?? {}).map((name) => Prisma.raw(`"${name}"`));
  return { names, into, from: Prisma.sql`json_populate_recordset(NULL::${into}, ${JSON.stringify(columns)}::json)` };
}

const columnOf = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/** As PostgreSQL reads it from JSON. */
function cell(value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  return value instanceof Uint8Array ? `\\x${Buffer.from(value).toString("hex")}` : value;
}
