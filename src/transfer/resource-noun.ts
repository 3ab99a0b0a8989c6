import { z } from "zod";
import { audienceFault, parseResource } from "../clients/resource-input.ts";
import { openResourceSecret, sealResourceSecret } from "../clients/resource-secrets.ts";
import type { ChangeFeed } from "../storage/change-feed.ts";
import { Prisma } from "../storage/generated/client.ts";
import type { Sealer } from "../storage/seal.ts";
import { id, json, moment, type Noun, query, selectOf, words } from "./noun.ts";

const shape = {
  audience: words(500),
  name: words(100),
  scopes: z.array(z.strictObject({ name: words(200), description: words(500) })).max(200),
  accessTokenTtl: z.int().positive().nullable(),
  signingAlg: words(20),
  /** Sealed in the database; in the file it stands apart. */
  hmacSecret: words(500).nullable(),
  encryptionAlg: words(40).nullable(),
  encryptionEnc: words(40).nullable(),
  encryptionJwk: json().nullable(),
  scopesByRole: z.boolean(),
  includeRoles: z.boolean(),
  createdAt: moment(),
  updatedAt: moment(),
  introspectors: z.array(z.strictObject({ clientId: id() })).max(1_000),
};
const schema = z.strictObject(shape);
export type ResourceRow = z.infer<typeof schema>;

/** `scopes` is JSON, and not rows of their own. */
const select = { ...selectOf(shape), scopes: true };

export function resourceNoun(feed: Pick<ChangeFeed, "publish">, sealer: Sealer, issuer: string): Noun<ResourceRow> {
  return {
    name: "resource",
    schema,
    idOf: ({ audience }) => audience,
    read: (db, which) => db.resource.findMany({ ...query("audience", which), select }) as unknown as Promise<ResourceRow[]>,
    takeSecrets(row) {
      if (row.hmacSecret === null) return { row, secrets: {} };
      const hmac = openResourceSecret(sealer, row.audience, row.hmacSecret).export().toString("utf8");
      return { row: { ...row, hmacSecret: null }, secrets: { hmac } };
    },
    putSecrets: (row, { hmac }) => (hmac === undefined ? row : { ...row, hmacSecret: sealResourceSecret(sealer, row.audience, hmac) }),
    faults(row) {
      const { audience, scopes, accessTokenTtl, signingAlg, encryptionAlg, encryptionEnc, encryptionJwk, hmacSecret } = row;
      const fault = audienceFault(audience, issuer);
      if (fault !== undefined) return [`audience: ${fault}`];
      if (hmacSecret !== null) return ["hmacSecret: stands apart, sealed"];
      const encrypted = [encryptionAlg, encryptionEnc, encryptionJwk].filter((each) => each !== null).length;
      if (encrypted !== 0 && encrypted !== 3) return ["encryptionAlg, encryptionEnc and encryptionJwk: belong together"];
      const encryption = encrypted === 0 ? null : { alg: encryptionAlg as string, enc: encryptionEnc as string, jwk: encryptionJwk };
      try {
        parseResource({ name: row.name, scopes, accessTokenTtl, signingAlg, encryption });
        return [];
      } catch (error) {
        return [(error as Error).message];
      }
    },
    // A client is registered for names of scopes alone: one name is one resource's.
    claims: ({ scopes }) => scopes.map(({ name }) => name),
    async holders(db, claims) {
      if (claims.length === 0) return new Map();
      const rows = await db.$queryRaw<{ name: string; audience: string }[]>`
        SELECT scope->>'name' AS name, audience FROM resource, jsonb_array_elements(scopes) scope WHERE scope->>'name' = ANY(${[...claims]})`;
      return new Map(rows.map(({ name, audience }) => [name, audience]));
    },
    async write(tx, rows, before, withSecrets) {
      await tx.$executeRaw`SELECT pg_advisory_xact_lock(hashtext('grantor/resources'))`;
      const clients = rows.flatMap(({ introspectors }) => introspectors.map(({ clientId }) => clientId));
      const known = new Set((await tx.client.findMany({ where: { id: { in: clients } }, select: { id: true } })).map((each) => each.id));
      for (const { audience, introspectors, hmacSecret, encryptionJwk, ...columns } of rows) {
        const data = {
          ...columns,
          encryptionJwk: encryptionJwk === null ? Prisma.DbNull : (encryptionJwk as Prisma.InputJsonObject),
          ...((withSecrets || columns.signingAlg !== "HS256") && { hmacSecret }),
        };
        const links = introspectors.filter(({ clientId }) => known.has(clientId));
        if (before.has(audience))
          await tx.resource.update({ where: { audience }, data: { ...data, introspectors: { deleteMany: {}, create: links } } });
        else await tx.resource.create({ data: { audience, ...data, introspectors: { create: links } } });
      }
      return { client: clients.filter((each) => !known.has(each)).length };
    },
    async written(rows) {
      for (const { audience } of rows) await feed.publish("resource", audience);
    },
  };
}
