import { isDeepStrictEqual } from "node:util";

/** What changes by use alone. */
const BY_USE = new Set(["lastUsedAt", "usedStep", "counter", "updatedAt"]);

/** Whether two values are the same JSON, whatever the order of members. */
export const isSame = (one: unknown, other: unknown): boolean => isDeepStrictEqual(plain(one), plain(other));

/** The same, but for what using it changes. */
export const isSameButForUse = (one: unknown, other: unknown): boolean => isDeepStrictEqual(plain(one, BY_USE), plain(other, BY_USE));

const plain = (value: unknown, without: ReadonlySet<string> = new Set()): unknown =>
  JSON.parse(JSON.stringify(value, (name, member) => (without.has(name) ? undefined : member)));
