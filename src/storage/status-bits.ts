/**
 * Token status lists as the stores hold them: one bit for each access token, 1 when it was ended before its time. This half of the room knows
 * bits; what a list says to others is made in tokens/.
 * @see draft-ietf-oauth-status-list §4
 */

/** Indices of one list: always all of them, so that its length tells nothing. */
export const LIST_CAPACITY = 2 ** 20;
export const LIST_BYTES = LIST_CAPACITY / 8;

/** Where the bit of an access token is. */
export interface StatusPlace {
  readonly list: string;
  readonly idx: number;
}

export interface ListContent {
  /** Changes with every bit that is set; the same in every process. */
  readonly version: string;
  /** `LIST_BYTES` long; index i is bit i mod 8 of byte i div 8, counted from the least significant (§4.1). */
  readonly bits: Buffer;
}

/** Bits are set by the removal of a token, or of what takes it along (record-store.ts), on lists that are whole; never on others. */
export interface StatusBits {
  /** With all bits 0. `expiresAt` in milliseconds since the epoch. */
  createList(list: string, expiresAt: number): Promise<void>;
  /** @returns undefined when the list is missing or not whole: nothing is known then of what it said */
  listVersion(list: string): Promise<string | undefined>;
  /** @returns undefined when the list is missing or not whole */
  readList(list: string): Promise<ListContent | undefined>;
}

/** Places by their list. */
export function byList(places: readonly StatusPlace[]): Map<string, number[]> {
  const lists = new Map<string, number[]>();
  for (const { list, idx } of places) {
    const indices = lists.get(list);
    if (indices === undefined) lists.set(list, [idx]);
    else indices.push(idx);
  }
  return lists;
}
