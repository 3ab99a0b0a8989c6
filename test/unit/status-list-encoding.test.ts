import { inflateSync } from "node:zlib";
import { StatusList } from "@sd-jwt/jwt-status-list";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { LIST_BYTES, LIST_CAPACITY } from "../../src/storage/status-bits.ts";
import { encodeBits } from "../../src/tokens/status-lists.ts";

/** draft-ietf-oauth-status-list-21, §4.1 and §4.2. */
const SIXTEEN = { statuses: [1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1], bytes: [0xb9, 0xa3], lst: "eNrbuRgAAhcBXQ" };
/** Appendix C.1: a list of 2^20 indices, of which these are 1. */
const MILLION = {
  set: [0, 1993, 25_460, 159_495, 495_669, 554_353, 645_645, 723_232, 854_545, 934_534, 1_000_345],
  lst: [
    "eNrt3AENwCAMAEGogklACtKQPg9LugC9k_ACvreiogE",
    "AAKkeCQAAAAAAAAAAAAAAAAAAAIBylgQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "AAAAAAAAAAAAAAAAAAAXG9IAAAAAAAAAPwsJAAAAAAAAAAAAAAAvhsSAAAAAAAAAAA",
    "A7KpLAAAAAAAAAAAAAAAAAAAAAJsLCQAAAAAAAAAAADjelAAAAAAAAAAAKjDMAQAAA",
    "ACAZC8L2AEb",
  ].join(""),
};

/** The bits of a list as the stores keep them. */
function bitsOf(indices: Iterable<number>, length = LIST_BYTES): Uint8Array {
  const bits = new Uint8Array(length);
  for (const idx of indices) bits[idx >> 3] = (bits[idx >> 3] as number) | (1 << (idx & 7));
  return bits;
}

describe("the encoding of a list", () => {
  test("gives the draft's own example, byte for byte", async () => {
    const bits = bitsOf(
      SIXTEEN.statuses.flatMap((status, idx) => (status === 1 ? [idx] : [])),
      2,
    );
    expect([...bits]).toEqual(SIXTEEN.bytes);
    expect(await encodeBits(bits)).toBe(SIXTEEN.lst);
  });

  test("says the same as the draft's list of 2^20 indices", async () => {
    const ours = await encodeBits(bitsOf(MILLION.set));
    expect(inflateSync(Buffer.from(ours, "base64url")).equals(inflateSync(Buffer.from(MILLION.lst, "base64url")))).toBe(true);
    expect(ours.length).toBeLessThanOrEqual(MILLION.lst.length);
  });

  test("is read back by another implementation, whatever is set", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(fc.nat(LIST_CAPACITY - 1), { maxLength: 400 }), async (set) => {
        const list = StatusList.decompressStatusList(await encodeBits(bitsOf(set)), 1);
        const found: number[] = [];
        for (let idx = 0; idx < LIST_CAPACITY; idx++) if (list.getStatus(idx) !== 0) found.push(idx);
        expect(found).toEqual([...set].sort((a, b) => a - b));
      }),
      { numRuns: 3 },
    );
  });

  test("is what another implementation makes of the same bits", async () => {
    const set = new Set(MILLION.set);
    const theirs = new StatusList(
      Array.from({ length: LIST_CAPACITY }, (_, idx) => (set.has(idx) ? 1 : 0)),
      1,
    );
    const inflated = inflateSync(Buffer.from(theirs.compressStatusList(), "base64url"));
    expect(inflated.equals(Buffer.from(bitsOf(set)))).toBe(true);
  });
});
