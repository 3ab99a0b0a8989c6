/** Where a list goes on, as one argument of the command line. */
import type { Place } from "../storage/listing.ts";
import { UsageError } from "./commands.ts";

export const writeCursor = ({ at, id }: Place): string => Buffer.from(JSON.stringify([at.getTime(), id])).toString("base64url");

/** @throws {UsageError} when it is none that was printed */
export function readCursor(cursor: string): Place {
  try {
    const [at, id] = JSON.parse(Buffer.from(cursor, "base64url").toString()) as [unknown, unknown];
    if (typeof at === "number" && !Number.isNaN(new Date(at).getTime()) && typeof id === "string" && !id.includes("\0"))
      return { at: new Date(at), id };
  } catch {
    // answered below
  }
  throw new UsageError("--cursor is not one that a list has printed");
}
