import { beforeEach, expect, test } from "vitest";
import { createLookupCache, type LookupCache } from "../../src/storage/lookup-cache.ts";

let now: number;
let stored: Map<string, { value: number }>;
let loads: string[];
let gate: Promise<void>;
let cache: LookupCache<{ value: number }>;

beforeEach(() => {
  now = 1000;
  stored = new Map([["a", { value: 1 }]]);
  loads = [];
  gate = Promise.resolve();
  cache = createLookupCache({
    max: 10,
    ttl: 60_000,
    absentTtl: 5_000,
    now: () => now,
    async load(key) {
      loads.push(key);
      const value = stored.get(key);
      await gate;
      return value;
    },
  });
});

test("an answer is kept for its time, and so is the answer that there is none, for less", async () => {
  for (const key of ["a", "a", "b", "b"]) await cache.get(key);
  expect(loads).toEqual(["a", "b"]);
  now += 5_001;
  for (const key of ["a", "b"]) await cache.get(key);
  expect(loads).toEqual(["a", "b", "b"]);
  now += 60_001;
  await cache.get("a");
  expect(loads).toEqual(["a", "b", "b", "a"]);
});

test("those who miss at once share one load", async () => {
  const answers = await Promise.all(Array.from({ length: 10 }, () => cache.get("a")));
  expect(answers).toEqual(Array(10).fill({ value: 1 }));
  expect(loads).toEqual(["a"]);
});

test("a load that a change overtook is not kept", async () => {
  let open = (): void => {};
  gate = new Promise((resolve) => {
    open = resolve;
  });
  const early = cache.get("a");
  stored.set("a", { value: 2 });
  cache.forget("a");
  const late = cache.get("a");
  open();
  expect(await early).toEqual({ value: 1 });
  expect(await late).toEqual({ value: 2 });
  expect(await cache.get("a")).toEqual({ value: 2 });
});

test("forgetting everything forgets the absent too", async () => {
  await cache.get("b");
  stored.set("b", { value: 3 });
  cache.forget(undefined);
  expect(await cache.get("b")).toEqual({ value: 3 });
});

test("a failed load is not kept", async () => {
  gate = Promise.reject(new Error("lost"));
  await expect(cache.get("a")).rejects.toThrow("lost");
  gate = Promise.resolve();
  expect(await cache.get("a")).toEqual({ value: 1 });
});
