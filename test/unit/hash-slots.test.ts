import { expect, test } from "vitest";
import { SLOTS, slotOf, tagOf } from "../../src/storage/hash-slots.ts";

test("slots are those of the cluster specification", () => {
  // CLUSTER KEYSLOT of a Redis 7.
  expect(slotOf("123456789")).toBe(0x31c3);
  expect(slotOf("foo")).toBe(12182);
  expect(slotOf("")).toBe(0);
});

test("what belongs to one hash tag lies in one slot", () => {
  expect(slotOf("grantor:grant:{foo}")).toBe(slotOf("foo"));
  expect(slotOf("grantor:grant:{foo}:members")).toBe(slotOf("foo"));
  expect(slotOf("foo{}{bar}")).not.toBe(slotOf("bar"));
  expect(slotOf("foo{{bar}}zap")).toBe(slotOf("{bar"));
});

test("every slot has a tag, always the same", () => {
  for (const slot of [0, 1, 5461, 8192, SLOTS - 1]) {
    expect(slotOf(`a:{${tagOf(slot)}}:b`)).toBe(slot);
    expect(tagOf(slot)).toBe(tagOf(slot));
  }
});
