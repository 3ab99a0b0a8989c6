/**
 * Cursors: where a list goes on, sealed with a MAC that binds it to the list and its filters, so that nobody makes one up, and one of another list is
 * none here. They are not secret: they hold what the page itself shows.
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import type { Position } from "./endpoint.ts";
import { Problem } from "./problems.ts";

/** 128 bits. */
const MAC_BYTES = 16;
/** Characters: ids and addresses are far shorter. */
const LONGEST = 2_000;

export interface Cursors {
  /** @param list the operation and its filters */
  make(position: Position, list: string): string;
  /** @throws {Problem} `invalid-cursor` */
  open(cursor: string, list: string): Position;
}

/** @param keys the first makes, all are accepted */
export function createCursors(keys: readonly Buffer[]): Cursors {
  const mac = (key: Buffer, body: string, list: string) =>
    createHmac("sha256", key).update(`${body}\n${list}`).digest().subarray(0, MAC_BYTES);
  return {
    make(position, list) {
      const body = Buffer.from(JSON.stringify(position)).toString("base64url");
      return `${body}.${mac(keys[0] as Buffer, body, list).toString("base64url")}`;
    },
    open(cursor, list) {
      const [body = "", tail = "", more] = cursor.length > LONGEST ? [] : cursor.split(".");
      const given = Buffer.from(tail, "base64url");
      const fits = given.length === MAC_BYTES && keys.some((key) => timingSafeEqual(mac(key, body, list), given));
      if (more !== undefined || !fits)
        throw new Problem("invalid-cursor", "This cursor was not given out for this list with these filters. Begin without one.", {
          errors: [{ field: "query/cursor", message: "must be `next` of a page of the same list" }],
        });
      return JSON.parse(Buffer.from(body, "base64url").toString("utf8")) as Position;
    },
  };
}
