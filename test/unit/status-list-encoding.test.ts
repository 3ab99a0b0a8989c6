import { randomInt } from "node:crypto";
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
  const inflated = (lst: string) => inflateSync(Buffer.from(lst, "base64url"));

  test("says the same as the draft's example of 16 indices", async () => {
    const bits = bitsOf(
      SIXTEEN.statuses.flatMap((status, idx) => (status === 1 ? [idx] : [])),
      2,
    );
    expect([...bits]).toEqual(SIXTEEN.bytes);
    const lst = await encodeBits(bits);
    expect([...inflated(lst)]).toEqual([...inflated(SIXTEEN.lst)]);
    const list = StatusList.decompressStatusList(lst, 1);
    expect(SIXTEEN.statuses.map((_, idx) => list.getStatus(idx))).toEqual(SIXTEEN.statuses);
  });

  test("says the same as the draft's list of 2^20 indices, in no more bytes", async () => {
    const lst = await encodeBits(bitsOf(MILLION.set));
    expect(inflated(lst).equals(inflated(MILLION.lst))).toBe(true);
    expect(lst.length).toBeLessThanOrEqual(MILLION.lst.length);
  });

  test("is in the ZLIB format, unpadded (RFC 1950)", async () => {
    const lst = await encodeBits(bitsOf([1]));
    const [cmf = 0, flg = 0] = Buffer.from(lst, "base64url");
    expect([cmf & 0x0f, (cmf * 256 + flg) % 31]).toEqual([8, 0]); // DEFLATE, and the header's own check
    expect(lst).toMatch(/^[A-Za-z0-9_-]+$/);
  });

  test("of a million tokens, one in a hundred ended, takes 21 kB", async () => {
    const set = new Set<number>();
    while (set.size < LIST_CAPACITY / 100) set.add(randomInt(LIST_CAPACITY));
    expect((await encodeBits(bitsOf(set))).length).toBeLessThan(22_000);
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
    expect(inflated(theirs.compressStatusList()).equals(Buffer.from(bitsOf(set)))).toBe(true);
  });
});
