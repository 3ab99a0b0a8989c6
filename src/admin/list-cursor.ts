/** Where a list goes on, as one argument of the command line; and lists that begin with pages on which nothing was found. */
import type { Place } from "../storage/listing.ts";
import { isStorableTime } from "../storage/storable.ts";
import { UsageError } from "./commands.ts";

export const writeCursor = ({ at, id }: Place): string => Buffer.from(JSON.stringify([at.getTime(), id])).toString("base64url");

/** @throws {UsageError} when it is none that was printed */
export function readCursor(cursor: string): Place {
  try {
    const [at, id] = JSON.parse(Buffer.from(cursor, "base64url").toString()) as [unknown, unknown];
    if (isStorableTime(at) && typeof id === "string" && !id.includes("\0")) return { at: new Date(at), id };
  } catch {
    // answered below
  }
  throw new UsageError("--cursor is not one that a list has printed");
}

/**
 * The first page on which something was found, else the last one: each is looked for among a bounded number of rows, which whoever waits at a
 * terminal need not know.
 */
export async function firstFound<P extends { readonly next?: Place }>(
  list: (after: Place | undefined) => Promise<P>,
  isEmpty: (page: P) => boolean,
  from: Place | undefined,
): Promise<P> {
  let page = await list(from);
  while (page.next !== undefined && isEmpty(page)) page = await list(page.next);
  return page;
}
