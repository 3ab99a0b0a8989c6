import { z } from "zod";
import { faultsOf, providerInput } from "../federation/provider.ts";
import { openProviderSecret, sealProviderSecret } from "../federation/provider-store.ts";
import type { ChangeFeed } from "../storage/change-feed.ts";
import type { Prisma } from "../storage/generated/client.ts";
import type { Sealer } from "../storage/seal.ts";
import { json, moment, type Noun, query, selectOf, words } from "./noun.ts";

const shape = {
  id: words(32),
  kind: words(20),
  name: words(60),
  issuer: words(500).nullable(),
  clientId: words(500),
  /** Sealed in the database; in the file it stands apart. */
  clientSecret: words(2_000).nullable(),
  options: json(),
  disabledAt: moment().nullable(),
  createdAt: moment(),
  updatedAt: moment(),
};
const schema = z.strictObject(shape);
export type ProviderRow = z.infer<typeof schema>;

/** Those of the database; what stands in a file of the operator's is there already. */
export function providerNoun(feed: Pick<ChangeFeed, "publish">, sealer: Sealer): Noun<ProviderRow> {
  return {
    name: "provider",
    schema,
    idOf: (row) => row.id,
    read: (db, which) =>
      db.identityProvider.findMany({ ...query("id", which), select: selectOf(shape) }) as unknown as Promise<ProviderRow[]>,
    takeSecrets(row) {
      const secret = openProviderSecret(row.id, row.clientSecret, sealer);
      return { row: { ...row, clientSecret: null }, secrets: secret === undefined ? {} : { client_secret: secret } };
    },
    putSecrets: (row, { client_secret }) =>
      client_secret === undefined ? row : { ...row, clientSecret: sealProviderSecret(row.id, client_secret, sealer) },
    faults({ id, kind, name, issuer, clientId, clientSecret, options }) {
      if (clientSecret !== null) return ["clientSecret: stands apart, sealed"];
      // GitHub asks for a secret, which is not here: it comes apart, or an operator sets it again.
      const placeholder = kind === "github" ? { client_secret: "apart" } : {};
      const { error } = providerInput.safeParse({
        ...(options as object),
        id,
        kind,
        name,
        ...(issuer !== null && { issuer }),
        client_id: clientId,
        ...placeholder,
      });
      return error === undefined ? [] : faultsOf(error);
    },
    claims: () => [],
    holders: async () => new Map(),
    async write(tx, rows, before, withSecrets) {
      for (const { id, clientSecret, options, ...columns } of rows) {
        const data = { ...columns, options: options as Prisma.InputJsonObject, ...(withSecrets && { clientSecret }) };
        if (before.has(id)) await tx.identityProvider.update({ where: { id }, data });
        else await tx.identityProvider.create({ data: { id, ...data } });
      }
      return {};
    },
    async written(rows) {
      for (const { id } of rows) await feed.publish("identity_provider", id);
    },
  };
}
