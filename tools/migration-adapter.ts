/**
 * Lets Prisma's schema engine speak to PostgreSQL through `pg`. Its own `@prisma/adapter-pg` 7.10 does not do: it rejects the `"char"`
 * columns of pg_catalog, and splits scripts at every semicolon, which breaks functions.
 */
import { randomUUID } from "node:crypto";
import {
  bindMigrationAwareSqlAdapterFactory,
  type ColumnType,
  ColumnTypeEnum,
  DriverAdapterError,
  type ErrorCapturingSqlMigrationAwareDriverAdapterFactory,
  type SqlDriverAdapter,
  type SqlQuery,
} from "@prisma/driver-adapter-utils";
import pg from "pg";

/** Type oids that occur in pg_catalog and information_schema. */
const COLUMN_TYPES: Record<number, ColumnType> = {
  16: ColumnTypeEnum.Boolean,
  18: ColumnTypeEnum.Character,
  19: ColumnTypeEnum.Text,
  20: ColumnTypeEnum.Int64,
  21: ColumnTypeEnum.Int32,
  23: ColumnTypeEnum.Int32,
  25: ColumnTypeEnum.Text,
  26: ColumnTypeEnum.Int64,
  700: ColumnTypeEnum.Float,
  701: ColumnTypeEnum.Double,
  1000: ColumnTypeEnum.BooleanArray,
  1002: ColumnTypeEnum.CharacterArray,
  1003: ColumnTypeEnum.TextArray,
  1005: ColumnTypeEnum.Int32Array,
  1007: ColumnTypeEnum.Int32Array,
  1009: ColumnTypeEnum.TextArray,
  1015: ColumnTypeEnum.TextArray,
  1042: ColumnTypeEnum.Text,
  1043: ColumnTypeEnum.Text,
  1114: ColumnTypeEnum.DateTime,
  1184: ColumnTypeEnum.DateTime,
  2950: ColumnTypeEnum.Uuid,
};

const TEXT_ARRAY = 1009;
const asString = (value: string): string => value;
const asIsoTime = (value: string): string => new Date(value).toISOString();

/** The engine wants 64-bit numbers as strings, times in ISO 8601 and arrays of names as arrays. */
const getTypeParser: typeof pg.types.getTypeParser = (oid: number, format?: unknown) => {
  if (oid === 20 || oid === 26) return asString;
  if (oid === 1114 || oid === 1184) return asIsoTime;
  return pg.types.getTypeParser(oid === 1002 || oid === 1003 ? TEXT_ARRAY : oid, format as "text");
};

function columnType(field: pg.FieldDef): ColumnType {
  const type = COLUMN_TYPES[field.dataTypeID];
  if (type === undefined) throw new Error(`The column ${field.name} has a type (oid ${field.dataTypeID}) that COLUMN_TYPES does not name`);
  return type;
}

function asAdapterError(error: unknown): unknown {
  if (!(error instanceof pg.DatabaseError)) return error;
  const { code = "", message, severity = "ERROR", detail, column, hint } = error;
  const original = { originalCode: code, originalMessage: message };
  if (code === "42P01")
    return new DriverAdapterError({ kind: "TableDoesNotExist", table: /relation "(.+?)"/.exec(message)?.[1] ?? "", ...original });
  return new DriverAdapterError({ kind: "postgres", code, severity, message, detail, column, hint, ...original });
}

async function openAdapter(url: string, dispose: (client: pg.Client) => Promise<void>): Promise<SqlDriverAdapter> {
  const client = new pg.Client({ connectionString: url, types: { getTypeParser } });
  await client.connect();
  const run = async (query: SqlQuery): Promise<pg.QueryArrayResult<unknown[]>> => {
    try {
      return await client.query<unknown[]>({ text: query.sql, values: query.args, rowMode: "array" });
    } catch (error) {
      throw asAdapterError(error);
    }
  };
  return {
    provider: "postgres",
    adapterName: "grantor-migration",
    async queryRaw(query) {
      const { fields, rows } = await run(query);
      return { columnNames: fields.map(({ name }) => name), columnTypes: fields.map(columnType), rows };
    },
    executeRaw: async (query) => (await run(query)).rowCount ?? 0,
    async executeScript(script) {
      await client.query(script);
    },
    startTransaction: () => Promise.reject(new Error("The schema engine opens its transactions by SQL")),
    getConnectionInfo: () => ({ schemaName: "public", supportsRelationJoins: true }),
    dispose: () => dispose(client),
  };
}

/** The engine does not close what it opened: `close` does. */
interface MigrationAdapter {
  factory: ErrorCapturingSqlMigrationAwareDriverAdapterFactory;
  close(): Promise<void>;
}

/** @param url any PostgreSQL whose user may create databases: a shadow database is made and dropped beside the one named */
export function migrationAdapter(url: string): MigrationAdapter {
  const open = new Set<SqlDriverAdapter>();
  const openTracked = async (at: string, afterwards: () => Promise<void>): Promise<SqlDriverAdapter> => {
    const adapter = await openAdapter(at, async (client) => {
      open.delete(adapter);
      await client.end();
      await afterwards();
    });
    open.add(adapter);
    return adapter;
  };
  const factory = bindMigrationAwareSqlAdapterFactory({
    provider: "postgres",
    adapterName: "grantor-migration",
    connect: () => openTracked(url, () => Promise.resolve()),
    async connectToShadowDb() {
      const name = `prisma_migrate_shadow_db_${randomUUID()}`;
      const admin = new pg.Client({ connectionString: url });
      await admin.connect();
      await admin.query(`CREATE DATABASE "${name}"`);
      const shadow = new URL(url);
      shadow.pathname = `/${name}`;
      return openTracked(shadow.href, async () => {
        await admin.query(`DROP DATABASE "${name}"`);
        await admin.end();
      });
    },
  });
  return {
    factory,
    async close() {
      for (const adapter of [...open]) await adapter.dispose();
    },
  };
}
