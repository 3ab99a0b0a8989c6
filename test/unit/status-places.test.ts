import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { LIST_CAPACITY, type StatusPlace } from "../../src/storage/status-bits.ts";
import { BLOCK_SIZE, lifeClass, type ReservedBlock } from "../../src/storage/status-list-registry.ts";
import { permutationOf } from "../../src/tokens/status-permutation.ts";
import { StatusPlaces } from "../../src/tokens/status-places.ts";

const seeds = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes));
const index = fc.nat(LIST_CAPACITY - 1);
const BLOCKS = LIST_CAPACITY / BLOCK_SIZE;

/** Hands out blocks as the registry does, without a database. */
function registry({ blocksPerList = BLOCKS, openFor = Number.POSITIVE_INFINITY, now = (): number => 0 } = {}) {
  const lists: { id: string; seed: Buffer; next: number; closesAt: number }[] = [];
  const calls = { reserve: 0, fail: false, closed: [] as string[] };
  return {
    lists,
    calls,
    async reserve(_longestLife: number): Promise<ReservedBlock> {
      calls.reserve += 1;
      await Promise.resolve();
      if (calls.fail) throw new Error("the database is away");
      let list = lists.find(({ next, closesAt }) => next < blocksPerList && closesAt > now());
      if (list === undefined) {
        list = { id: `list-${lists.length}`, seed: randomBytes(32), next: 0, closesAt: now() + openFor };
        lists.push(list);
      }
      const block = list.next++;
      return { list: list.id, seed: list.seed, block, closesAt: list.closesAt };
    },
    async close(id: string) {
      calls.closed.push(id);
      for (const list of lists) if (list.id === id) list.closesAt = 0;
    },
  };
}

const whole = { listVersion: async () => "1" };
const text = ({ list, idx }: StatusPlace) => `${list} ${idx}`;

describe("the order of indices", () => {
  test("holds every index of a list exactly once, whatever the seed", () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const place = permutationOf(seed);
        const seen = new Uint8Array(LIST_CAPACITY);
        for (let position = 0; position < LIST_CAPACITY; position++) {
          const at = place(position);
          if (seen[at] !== 0) return false; // also undefined: out of range
          seen[at] = 1;
        }
        return true;
      }),
      { numRuns: 3 },
    );
  });

  test("is the same for the same seed and another for another", () => {
    fc.assert(
      fc.property(seeds, index, (seed, position) => permutationOf(seed)(position) === permutationOf(Buffer.from(seed))(position)),
      { numRuns: 20 },
    );
    const [one, other] = [permutationOf(randomBytes(32)), permutationOf(randomBytes(32))];
    const same = Array.from({ length: 1000 }, (_, i) => i).filter((i) => one(i) === other(i));
    expect(same.length).toBeLessThan(10);
  });

  test("tells nothing about what came before: neighbours are spread over the whole list", () => {
    const place = permutationOf(randomBytes(32));
    const first = Array.from({ length: 4096 }, (_, i) => place(i));
    for (const bit of Array.from({ length: 20 }, (_, i) => i)) {
      const ones = first.filter((at) => (at >>> bit) & 1).length;
      expect(Math.abs(ones - 2048), `bit ${bit}`).toBeLessThan(8 * 32); // eight standard deviations
    }
    const rising = first.filter((at, i) => i > 0 && at > (first[i - 1] as number)).length;
    expect(Math.abs(rising - 2048)).toBeLessThan(8 * 20);
  });
});

describe("handing out", () => {
  test("no place twice, over whole lists, by any number of processes in any order", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 4 }),
        fc.array(fc.tuple(fc.nat(3), fc.integer({ min: 1, max: 400 })), { minLength: 1, maxLength: 25 }),
        async (processes, takings) => {
          const shared = registry({ blocksPerList: 5 });
          const all = Array.from(
            { length: processes },
            () => new StatusPlaces({ registry: shared, bits: whole, now: () => 0, onLost: () => {} }),
          );
          const taken = await Promise.all(
            takings.map(([by, count]) => Promise.all(Array.from({ length: count }, () => (all[by % processes] as StatusPlaces).take(900)))),
          );
          const places = taken.flat();
          expect(new Set(places.map(text)).size).toBe(places.length);
          for (const { idx } of places) expect(idx >= 0 && idx < LIST_CAPACITY).toBe(true);
        },
      ),
      { numRuns: 15 },
    );
  });

  test("a whole list of 2^20 indices, each once, and then the next list", async () => {
    const shared = registry();
    const places = new StatusPlaces({ registry: shared, bits: whole, now: () => 0, onLost: () => {} });
    const seen = new Uint8Array(LIST_CAPACITY);
    let twice = 0;
    for (let taken = 0; taken < LIST_CAPACITY; taken++) {
      const { list, idx } = await places.take(900);
      if (list !== "list-0" || seen[idx] === 1) twice += 1;
      seen[idx] = 1;
    }
    expect(twice).toBe(0);
    expect((await places.take(900)).list).toBe("list-1");
  });

  test("blocks are taken ahead of need: one for each 256 tokens, and nobody waits for it", async () => {
    const shared = registry();
    const places = new StatusPlaces({ registry: shared, bits: whole, now: () => 0, onLost: () => {} });
    await places.take(900);
    expect(shared.calls.reserve).toBe(1);
    for (let taken = 1; taken < 200; taken++) await places.take(900);
    await new Promise(setImmediate);
    expect(shared.calls.reserve).toBe(2);
    shared.calls.fail = true; // what is in memory is handed out all the same
    for (let taken = 200; taken < 2 * BLOCK_SIZE; taken++) await places.take(900);
    await expect(places.take(900)).rejects.toThrow("the database is away");
    shared.calls.fail = false;
    await places.take(900);
  });

  test("nothing of a list that has closed meanwhile", async () => {
    let now = 1_000;
    const shared = registry({ openFor: 5_000, now: () => now });
    const places = new StatusPlaces({ registry: shared, bits: whole, now: () => now, onLost: () => {} });
    expect((await places.take(900)).list).toBe("list-0");
    now += 5_000;
    expect((await places.take(900)).list).toBe("list-1");
  });

  test("nothing more of a list that the store has lost, which is looked at once a second; a store that is away is not one that lost", async () => {
    let now = 10_000;
    const state = { version: "1" as string | undefined, fail: false };
    const asked: string[] = [];
    const bits = {
      async listVersion(list: string) {
        asked.push(list);
        if (state.fail) throw new Error("away");
        return list === "list-0" ? state.version : "1";
      },
    };
    const shared = registry({ now: () => now });
    const places = new StatusPlaces({ registry: shared, bits, now: () => now, onLost: () => {} });
    const several = async () => new Set((await Promise.all(Array.from({ length: 10 }, () => places.take(900)))).map(({ list }) => list));
    expect([await several(), asked]).toEqual([new Set(["list-0"]), ["list-0"]]);
    state.fail = true;
    now += 1_000;
    expect([await several(), asked.length, shared.calls.closed]).toEqual([new Set(["list-0"]), 2, []]);
    [state.fail, state.version] = [false, undefined];
    expect(await several()).toEqual(new Set(["list-0"])); // seen a moment ago; the commit finds it out
    now += 1_000;
    expect(await several()).toEqual(new Set(["list-1"]));
    expect(new Set(shared.calls.closed)).toEqual(new Set(["list-0"]));
    await places.forsake("list-1");
    expect(await several()).toEqual(new Set(["list-2"]));
  });

  test("tokens of different lives are in different lists", async () => {
    const classes: number[] = [];
    const shared = registry();
    const reserve = (longestLife: number) => {
      classes.push(longestLife);
      return shared.reserve(longestLife);
    };
    const places = new StatusPlaces({ registry: { ...shared, reserve }, bits: whole, now: () => 0, onLost: () => {} });
    for (const lifetime of [1, 60, 64, 900, 1024, 1025, 86_400]) await places.take(lifetime);
    expect(classes).toEqual([64, 1024, 2048, 131_072]);
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 86_400 * 365 }),
        (life) => lifeClass(life) >= life && (life <= 64 || lifeClass(life) < 2 * life),
      ),
    );
  });
});
