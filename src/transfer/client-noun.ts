import { z } from "zod";
import { parseClientMetadata } from "../clients/client-metadata.ts";
import { isClientId } from "../clients/client-record.ts";
import { fromRow, type Row as StoredClient } from "../clients/client-rows.ts";
import { checkSettings } from "../clients/operator-settings.ts";
import { checkLimits } from "../clients/registration-limits.ts";
import { statementIssuer } from "../clients/software-statements.ts";
import type { ChangeFeed } from "../storage/change-feed.ts";
import { putRows } from "./many-rows.ts";
import { id, json, moment, NO_SECRETS, type Noun, query, selectOf, sha256, words } from "./noun.ts";
import { isSame } from "./same.ts";

const seconds = () => z.int().positive().nullable();
const names = () => z.array(words(500)).max(1_000);
const shape = {
  id: id(),
  metadata: json(),
  secretHash: sha256().nullable(),
  secretCreatedAt: moment().nullable(),
  previousSecretHash: sha256().nullable(),
  previousSecretUntil: moment().nullable(),
  requirePkce: z.boolean(),
  firstParty: z.boolean(),
  verified: z.boolean(),
  suspendedAt: moment().nullable(),
  accessTokenTtl: seconds(),
  refreshTokenTtl: seconds(),
  refreshTokenMaxAge: seconds(),
  requiresSecondFactor: z.boolean(),
  branding: z.strictObject({ color: z.string() }).nullable(),
  tokenExchange: z.strictObject({ audiences: names(), scopes: z.record(words(200), names()), impersonation: z.boolean() }).nullable(),
  managementScopes: z.array(z.string()).max(1_000),
  createdBy: words(255),
  registrationLimits: z.strictObject({ scopes: names().optional(), redirectHosts: names().optional() }).nullable(),
  softwareStatement: words(100_000).nullable(),
  lastUsedAt: moment().nullable(),
  createdAt: moment(),
  updatedAt: moment(),
};
const schema = z.strictObject(shape);
export type ClientRow = z.infer<typeof schema>;

/** Hashes are all that there is of a client's secrets. Its owners come with their accounts. */
export function clientNoun(feed: Pick<ChangeFeed, "publish">, endClient: (clientId: string) => Promise<void>): Noun<ClientRow> {
  const endSuspended = async (rows: readonly ClientRow[], before: ReadonlyMap<string, ClientRow>) => {
    for (const { id: own, suspendedAt } of rows) if (suspendedAt !== null && before.has(own)) await endClient(own);
  };
  return {
    name: "client",
    schema,
    idOf: (row) => row.id,
    read: (db, which) => db.client.findMany({ ...query("id", which), select: selectOf(shape) }) as unknown as Promise<ClientRow[]>,
    takeSecrets: (row) => ({ row, secrets: NO_SECRETS }),
    putSecrets: (row) => row,
    faults,
    claims: () => [],
    holders: async () => new Map(),
    replacing: endSuspended,
    async write(tx, rows, before) {
      await putRows(tx, "client", rows, before);
      return {};
    },
    async written(rows, before) {
      for (const { id: own } of rows) if (before.has(own)) await feed.publish("client", own);
      await endSuspended(rows, before);
    },
  };
}

function faults(row: ClientRow): string[] {
  if (!isClientId(row.id)) return ["id: is no client id"];
  try {
    const metadata = parseClientMetadata(row.metadata as Record<string, unknown>);
    if (!isSame(metadata, row.metadata)) return ["metadata: holds what is no metadata of a client, or leaves out what is always there"];
    const client = fromRow(row as unknown as StoredClient);
    checkSettings(metadata, client);
    if (client.registrationLimits !== undefined && !isSame(checkLimits(client.registrationLimits), row.registrationLimits))
      return ["registrationLimits: are not in the form in which they are kept"];
    if (client.softwareStatement !== undefined) statementIssuer(client.softwareStatement);
    return [];
  } catch (error) {
    return [String((error as { error_description?: string }).error_description ?? (error as Error).message)];
  }
}
