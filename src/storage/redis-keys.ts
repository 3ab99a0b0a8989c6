/** How keys and members of sorted sets are named in Redis (redis-records.ts says which there are). */
import type { Owner, RecordKey, Tied, Write } from "./record-store.ts";
import { listName } from "./redis-status-lists.ts";
import type { StatusPlace } from "./status-bits.ts";

/** A place in one word, so that two can be compared. */
export const toText = ({ list, idx }: StatusPlace): string => `${list} ${idx}`;

/** A record as the member of a sorted set: whoever finds it there knows where its bit is without reading it. */
export const memberOf = ({ key, status }: Tied): string => (status === undefined ? key : `${key} ${toText(status)}`);

export function parseMember(member: string): Tied {
  const [key, list, idx] = member.split(" ") as [RecordKey, string?, string?];
  return list === undefined ? { key } : { key, status: { list, idx: Number(idx) } };
}

/** The key of a record. Record and all that belongs to it share one hash tag. */
export const name = (key: RecordKey): string => {
  const colon = key.indexOf(":");
  return `grantor:${key.slice(0, colon)}:{${key.slice(colon + 1)}}`;
};

/** Every key that a write touches, but those of a grant's members. */
export function namesOf(write: Write): string[] {
  const { grant, accountId, clientId } = (write.op === "put" && write.ties) || {};
  const pointer = "pointer" in write ? write.pointer : undefined;
  return [
    name(write.key),
    ...(pointer ? [name(pointer)] : []),
    ...(grant ? [name(grant)] : []),
    ...(accountId ? [index({ accountId })] : []),
    ...(clientId ? [index({ clientId })] : []),
    ...("status" in write && write.status ? [listName(write.status.list)] : []),
  ];
}

/** The sorted set of what belongs to somebody, or was issued under a grant. */
export function index(owner: Owner): string {
  if ("grant" in owner) return `${name(owner.grant)}:members`;
  return "accountId" in owner ? `grantor:account:{${owner.accountId}}` : `grantor:client:{${owner.clientId}}`;
}
