import { z } from "zod";
import { checkRoleName } from "../accounts/roles.ts";
import { english } from "../i18n/messages.ts";
import type { ChangeFeed } from "../storage/change-feed.ts";
import { NO_SECRETS, type Noun, query, selectOf, words } from "./noun.ts";

const shape = {
  name: words(64),
  description: words(500),
  permissions: z.array(z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,200}$/, "must be a scope name")).max(1_000),
  requiresSecondFactor: z.boolean(),
};
const schema = z.strictObject(shape);
export type RoleRow = z.infer<typeof schema>;

export function roleNoun(feed: Pick<ChangeFeed, "publish">): Noun<RoleRow> {
  return {
    name: "role",
    schema,
    idOf: ({ name }) => name,
    read: (db, which) => db.role.findMany({ ...query("name", which), select: selectOf(shape) }) as unknown as Promise<RoleRow[]>,
    takeSecrets: (row) => ({ row, secrets: NO_SECRETS }),
    putSecrets: (row) => row,
    faults: ({ name }) => checkRoleName(name).map(({ message }) => english(message)),
    claims: () => [],
    holders: async () => new Map(),
    async write(tx, rows, before) {
      for (const { name, ...data } of rows)
        if (before.has(name)) await tx.role.update({ where: { name }, data });
        else await tx.role.create({ data: { name, ...data } });
      return {};
    },
    async written(rows) {
      for (const { name } of rows) await feed.publish("role", name);
    },
  };
}
