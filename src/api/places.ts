/** Places in lists that are in the order of creation, as cursors hold them. */
import type { Position } from "./endpoint.ts";

interface Place {
  readonly at: Date;
  readonly id: string;
}

/** @param after of a cursor, which nobody else can make */
export function listPlace(after: Position | undefined): { after?: Place } {
  if (after === undefined) return {};
  const [at, id] = after as [number, string];
  return { after: { at: new Date(at), id } };
}

export const placePosition = (place: Place | undefined): Position | undefined => place && [place.at.getTime(), place.id];
