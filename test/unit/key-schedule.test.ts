import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SIGNING_ALGS } from "../../src/keys/algorithms.ts";
import { type KeyPolicy, keyPolicy, keysDue, later, nextState, type SigningKeyInfo } from "../../src/keys/key-schedule.ts";

const START = new Date("2026-01-01T00:00:00Z");
const HOUR = 3600;
const DAY = 24 * HOUR;
const policy: KeyPolicy = { publishAhead: HOUR, rotationAge: 30 * DAY, retireSlack: 300 };
const plus = (seconds: number) => later(START, seconds);

/** As after the first start, for every algorithm. */
const atStart = (): SigningKeyInfo[] =>
  SIGNING_ALGS.flatMap((alg) => [
    { kid: `${alg} 0`, alg, state: "current", createdAt: START, activatedAt: START },
    { kid: `${alg} 1`, alg, state: "next", createdAt: START },
  ]);

/** Carries out what is due, as the rotation does in the database. */
function carryOut(keys: readonly SigningKeyInfo[], at: Date, made: { count: number }, longest = HOUR, using = policy): SigningKeyInfo[] {
  let result = [...keys];
  const change = (kid: string, changes: Partial<SigningKeyInfo>) => {
    result = result.map((key) => (key.kid === kid ? { ...key, ...changes } : key));
  };
  for (const { alg, retire, activate, makeCurrent, makeNext, expire } of keysDue(keys, using, at)) {
    if (retire !== undefined) change(retire, { state: "retired", retiredAt: at, publishedUntil: later(at, longest + using.retireSlack) });
    if (activate !== undefined) change(activate, { state: "current", activatedAt: at });
    if (makeCurrent) result.push({ kid: `made ${made.count++}`, alg, state: "current", createdAt: at, activatedAt: at });
    if (makeNext) result.push({ kid: `made ${made.count++}`, alg, state: "next", createdAt: at });
    for (const kid of expire) change(kid, { state: "expired" });
  }
  return result;
}

describe("what is due", () => {
  test("at the first start: a current and a next key for every algorithm; afterwards nothing", () => {
    expect(keysDue([], policy, START)).toEqual(SIGNING_ALGS.map((alg) => ({ alg, makeCurrent: true, makeNext: true, expire: [] })));
    expect(keysDue(atStart(), policy, START)).toEqual([]);
  });

  test("after an upgrade from a release with current keys alone: the next ones", () => {
    const current = atStart().filter(({ state }) => state === "current");
    expect(keysDue(current, policy, plus(90 * DAY))).toEqual(
      SIGNING_ALGS.map((alg) => ({ alg, makeCurrent: false, makeNext: true, expire: [] })),
    );
  });

  test("by age: not a millisecond before, and each algorithm by its own", () => {
    const keys = atStart().map((key) =>
      key.kid === "ES256 0" ? { ...key, createdAt: plus(-10 * DAY), activatedAt: plus(-10 * DAY) } : key,
    );
    expect(keysDue(keys, policy, new Date(plus(20 * DAY).getTime() - 1))).toEqual([]);
    expect(keysDue(keys, policy, plus(20 * DAY))).toEqual([
      { alg: "ES256", retire: "ES256 0", activate: "ES256 1", makeCurrent: false, makeNext: true, expire: [] },
    ]);
    expect(keysDue(keys, policy, plus(30 * DAY)).map(({ alg }) => alg)).toEqual([...SIGNING_ALGS]);
  });

  test("by order: as soon as the next key has been published for long enough", () => {
    const keys = atStart().map((key) => (key.kid === "RS256 0" ? { ...key, replaceAt: plus(60) } : key));
    expect(keysDue(keys, policy, plus(61))).toEqual([]);
    expect(keysDue(keys, policy, plus(HOUR)).map(({ alg, activate }) => [alg, activate])).toEqual([["RS256", "RS256 1"]]);
  });

  test("a key is old, its next one young: the next one has its time first", () => {
    const keys = atStart().map((key) => (key.state === "next" ? { ...key, createdAt: plus(40 * DAY) } : key));
    expect(keysDue(keys, policy, plus(40 * DAY + HOUR - 1))).toEqual([]);
    expect(keysDue(keys, policy, plus(40 * DAY + HOUR))).toHaveLength(SIGNING_ALGS.length);
  });

  test("without a current key the next one signs at once, whatever its age", () => {
    const keys = atStart().filter(({ kid }) => kid !== "RS256 0");
    expect(keysDue(keys, policy, START)).toEqual([{ alg: "RS256", activate: "RS256 1", makeCurrent: false, makeNext: true, expire: [] }]);
  });

  test("a retired key leaves when what it signed has expired", () => {
    const keys = [...atStart(), { kid: "old", alg: "RS256", state: "retired", createdAt: plus(-DAY), publishedUntil: plus(HOUR) } as const];
    expect(keysDue(keys, policy, new Date(plus(HOUR).getTime() - 1))).toEqual([]);
    expect(keysDue(keys, policy, plus(HOUR))).toEqual([{ alg: "RS256", makeCurrent: false, makeNext: false, expire: ["old"] }]);
  });
});

describe("the policy", () => {
  test("publishes ahead for longer than any cache and any process may lag behind", () => {
    const settings = { jwksMaxAge: 300, keyPublishAhead: 3600, keyRotationAge: DAY };
    expect(keyPolicy(settings)).toMatchObject({ publishAhead: 3600, rotationAge: DAY });
    expect(keyPolicy({ ...settings, keyPublishAhead: 300 }).publishAhead).toBeGreaterThan(300);
  });
});

describe("what becomes of a key", () => {
  test("is said before it happens", () => {
    const made = { count: 0 };
    const start = atStart();
    const of = (keys: SigningKeyInfo[], kid: string) => nextState(keys.find((key) => key.kid === kid) as SigningKeyInfo, keys, policy);
    expect(of(start, "RS256 0")).toEqual({ state: "retired", at: plus(30 * DAY) });
    expect(of(start, "RS256 1")).toEqual({ state: "current", at: plus(30 * DAY) });
    const rotated = carryOut(start, plus(30 * DAY), made);
    expect(of(rotated, "RS256 0")).toEqual({ state: "expired", at: plus(30 * DAY + HOUR + 300) });
    expect(of(carryOut(rotated, plus(31 * DAY), made), "RS256 0")).toBeUndefined();
  });
});

test("whatever the settings and whenever somebody looks: one current and one next key each, ready before it signs, published while it counts", () => {
  const looks = fc.array(fc.tuple(fc.integer({ min: 1, max: 3 * DAY }), fc.boolean(), fc.integer({ min: 1, max: DAY })), { maxLength: 60 });
  const settings = fc.record({
    publishAhead: fc.integer({ min: 1, max: 2 * DAY }),
    rotationAge: fc.integer({ min: 1, max: 5 * DAY }),
    retireSlack: fc.integer({ min: 0, max: HOUR }),
  });
  fc.assert(
    fc.property(looks, settings, (steps, using) => {
      const made = { count: 0 };
      let seconds = 0;
      let keys = atStart();
      for (const [pause, ordered, longest] of steps) {
        seconds += pause;
        const at = plus(seconds);
        if (ordered) keys = keys.map((key) => (key.state === "current" && key.replaceAt === undefined ? { ...key, replaceAt: at } : key));
        const before = keys;
        keys = carryOut(keys, at, made, longest, using);
        expect(keysDue(keys, using, at)).toEqual([]);
        for (const alg of SIGNING_ALGS)
          for (const state of ["current", "next"] as const)
            expect(keys.filter((key) => key.alg === alg && key.state === state)).toHaveLength(1);
        for (const key of keys) {
          const earlier = before.find(({ kid }) => kid === key.kid)?.state;
          if (earlier === "next" && key.state === "current")
            expect(at.getTime()).toBeGreaterThanOrEqual(later(key.createdAt, using.publishAhead).getTime());
          if (earlier === "current") expect(["current", "retired"]).toContain(key.state);
          if (earlier === "retired" && key.state === "expired") expect(at >= (key.publishedUntil as Date)).toBe(true);
        }
      }
    }),
    { numRuns: 100 },
  );
});
