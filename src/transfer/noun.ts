/**
 * transfer/ takes accounts, roles, applications, resources and identity providers out of one server and into another, as a file. It owns the file's form and what may be in
 * it; who may order it, and where the file lies, is the command line's. What is short-lived (sessions, grants, tokens, links) and what makes a
 * server that server (signing keys, its audit log) never goes into a file.
 */
import { z } from "zod";
import type { Prisma, PrismaClient } from "../storage/generated/client.ts";
import { isStorable } from "../storage/storable.ts";

export type Db = PrismaClient | Prisma.TransactionClient;

/** In the order in which they are written: what is named by others comes before those that name it. */
export const NOUNS = ["role", "client", "resource", "provider", "account"] as const;
export type NounName = (typeof NOUNS)[number];

/** What is sealed in the database and stands apart in the file, by name. */
export type OpenSecrets = Readonly<Record<string, string>>;

/** Which ones, in the order of their ids. */
export type Which = { readonly after: string | undefined; readonly limit: number } | { readonly ids: readonly string[] };

/** Judges rows that replace what is here, in the order of the file, by what is here and what came before them: a sentence against, if there is one. */
export type Guard<Row> = (row: Row) => string | undefined;

/** One kind of thing that is carried. A row is what the database holds of it, with what belongs to it. */
export interface Noun<Row> {
  readonly name: NounName;
  /** Between the row without its secrets and its form in the file; strict. */
  readonly schema: z.ZodType<Row>;
  idOf(row: Row): string;
  read(db: Db, which: Which): Promise<Row[]>;
  /** @throws {Error} with the words that say what to do when a secret cannot be opened */
  takeSecrets(row: Row): { row: Row; secrets: OpenSecrets };
  /** Seals them for this server. */
  putSecrets(row: Row, secrets: OpenSecrets): Row;
  /** What a schema cannot say; sentences. */
  faults(row: Row): string[];
  /** Beside its id: what no other one may have, each with what people call it. */
  claims(row: Row): readonly string[];
  /** Who has these claims here. */
  holders(db: Db, claims: readonly string[]): Promise<Map<string, string>>;
  guard?(db: Db): Promise<Guard<Row>>;
  /**
   * Before the transaction: ends what may not go on. Behind it the rows are as the file says, so that an import which was interrupted there would not
   * look at them again; what came in between is ended then.
   */
  replacing?(rows: readonly Row[], before: ReadonlyMap<string, Row>): Promise<void>;
  /**
   * @param before those of the rows that are there, which are replaced @param withSecrets the rows say what secrets there are; else what is there stays
   * @returns how much was left out because it names what is not here, by what it names
   */
  write(
    tx: Prisma.TransactionClient,
    rows: readonly Row[],
    before: ReadonlyMap<string, Row>,
    withSecrets: boolean,
  ): Promise<Readonly<Record<string, number>>>;
  /** After the transaction, and of the same: tells every process and whom it concerns, and ends what has come meanwhile. */
  written(rows: readonly Row[], before: ReadonlyMap<string, Row>, withSecrets: boolean): Promise<void>;
}

/** As a noun is stored among others. */
// biome-ignore lint/suspicious/noExplicitAny: each noun is used with its own rows alone
export type AnyNoun = Noun<any>;

/** PostgreSQL knows no year 0. */
const TIME = z.iso
  .datetime("must be a time such as 2026-01-31T12:00:00.000Z")
  .refine((text) => !text.startsWith("0000"), "must be of the year 1 or later");

export const moment = () =>
  z.codec(TIME, z.date(), {
    decode: (text) => new Date(text),
    encode: (date) => date.toISOString(),
  });

export const bytes = (most: number) =>
  z.codec(z.base64url("must be base64url").max(Math.ceil((most * 4) / 3)), z.instanceof(Uint8Array), {
    decode: (text) => new Uint8Array(Buffer.from(text, "base64url")),
    encode: (content) => Buffer.from(content).toString("base64url"),
  });

export const bigNumber = () =>
  z.codec(z.string().regex(/^\d{1,18}$/, "must be digits"), z.bigint(), {
    decode: (text) => BigInt(text),
    encode: (number) => number.toString(),
  });

/** Text that PostgreSQL takes: without NUL and halves of surrogate pairs. */
export const words = (most: number) =>
  z
    .string()
    .max(most)
    .refine((text) => isStorable(text), "must be text");

/** JSON that PostgreSQL takes. */
export const json = () =>
  z.custom<z.core.util.JSONType>((value) => value !== undefined && isStorable(value), "must be text throughout, and not nested too deeply");

/** SHA-256, base64url. */
export const sha256 = () => z.string().regex(/^[\w-]{43}$/, "must be a SHA-256, base64url");

/** A token of 128 bits or more, or what an operator has chosen in its place. */
export const id = () => z.string().regex(/^[\x21-\x7E]{1,255}$/, "must be printable characters without spaces");

/** What Prisma selects so that a row has the members of a schema. */
export function selectOf(shape: Readonly<Record<string, z.ZodType>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(shape).map(([name, member]) => [
      name,
      member instanceof z.ZodArray && member.element instanceof z.ZodObject ? { select: selectOf(member.element.shape) } : true,
    ]),
  );
}

/** A page or some, of a table whose key is one column. */
export const query = (key: string, which: Which): { where: object; orderBy: object; take?: number } =>
  "ids" in which
    ? { where: { [key]: { in: [...which.ids] } }, orderBy: { [key]: "asc" } }
    : { where: which.after === undefined ? {} : { [key]: { gt: which.after } }, orderBy: { [key]: "asc" }, take: which.limit };

export const NO_SECRETS: OpenSecrets = {};
