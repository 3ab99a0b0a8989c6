import { randomBytes } from "node:crypto";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { SIGNING_ALGS } from "../../src/keys/algorithms.ts";
import { createKeyRotation, type KeyEvent, type KeyRotation, type KeyRotationOptions } from "../../src/keys/key-rotation.ts";
import { listSigningKeys, openJwk, SigningKeyError } from "../../src/keys/key-rows.ts";
import type { KeyState, SigningKeyInfo } from "../../src/keys/key-schedule.ts";
import { currentKey, type KeyStore, openKeyStore } from "../../src/keys/signing-keys.ts";
import type { Database } from "../../src/storage/database.ts";
import { createSealer } from "../../src/storage/seal.ts";
import { longestTokenLife } from "../../src/tokens/longest-token-life.ts";
import { passKeyTime } from "../support/key-times.ts";
import { testDatabase } from "../support/test-database.ts";
import { waitFor } from "../support/wait-for.ts";

const HOUR = 3600;
const DAY = 24 * HOUR;
/** Processes that act at once. */
const MANY = 8;
const secret = randomBytes(32);
const sealer = createSealer([secret]);

let database: Database;
let events: KeyEvent[];
let stores: KeyStore[];

beforeEach(async () => {
  database = await testDatabase();
  events = [];
  stores = [];
});

afterEach(async () => {
  for (const store of stores) await store.close();
  await database.close();
});

const options = (overrides: Partial<KeyRotationOptions> = {}): KeyRotationOptions => ({
  database,
  feed: { publish: async () => {} },
  sealer,
  policy: { publishAhead: HOUR, rotationAge: 30 * DAY, retireSlack: 300 },
  longestToken: async () => HOUR,
  ...overrides,
});

const heard = (event: KeyEvent) => void events.push(event);
const tend = (rotation: KeyRotation) => rotation.tend(heard);
const happened = (name: KeyEvent["event"]) => events.filter(({ event }) => event === name);

/** A process of its own kind: what others publish does not reach it. */
async function deafStore(): Promise<KeyStore> {
  const feed = { publish: async () => {}, subscribe: () => () => {} };
  const store = await openKeyStore({ ...options(), feed, onEvent: heard, log: pino({ level: "silent" }) });
  stores.push(store);
  return store;
}

/** With the first keys made. */
async function rotationOfManyProcesses(): Promise<KeyRotation[]> {
  const processes = Array.from({ length: MANY }, () => createKeyRotation(options()));
  await tend(processes[0] as KeyRotation);
  events.length = 0;
  return processes;
}

async function keys(state: KeyState, alg = "RS256"): Promise<SigningKeyInfo[]> {
  return (await listSigningKeys(database)).filter((key) => key.state === state && key.alg === alg);
}

async function only(state: KeyState, alg = "RS256"): Promise<SigningKeyInfo> {
  const found = await keys(state, alg);
  expect(found).toHaveLength(1);
  return found[0] as SigningKeyInfo;
}

async function hasPrivateHalf(kid: string): Promise<boolean> {
  return openJwk(await database.prisma.signingKey.findUniqueOrThrow({ where: { kid } }), sealer).d !== undefined;
}

describe("by age", () => {
  test("many processes that look at once rotate once, and there is a next key again", async () => {
    const processes = await rotationOfManyProcesses();
    const [old, successor] = [await only("current"), await only("next")];
    await passKeyTime(database, 30 * DAY);
    for (const _round of [1, 2]) expect(await Promise.all(processes.map(tend))).toContain(true);
    expect(happened("key.rotated")).toHaveLength(SIGNING_ALGS.length);
    expect(happened("key.rotated")[0]?.detail).toEqual({ alg: "RS256", kid: successor.kid, previous_kid: old.kid, reason: "age" });
    expect(happened("key.published")).toHaveLength(SIGNING_ALGS.length);
    for (const alg of SIGNING_ALGS) await Promise.all([only("current", alg), only("next", alg), only("retired", alg)]);
    expect(await only("current")).toMatchObject({ kid: successor.kid });
    expect(await only("retired")).toMatchObject({ kid: old.kid });
  });

  test("each algorithm has its own", async () => {
    const [rotation] = (await rotationOfManyProcesses()) as [KeyRotation];
    await passKeyTime(database, 2 * HOUR);
    await database.prisma
      .$executeRaw`UPDATE signing_key SET activated_at = now() - interval '31 days' WHERE alg = 'EdDSA' AND state = 'current'`;
    await tend(rotation);
    expect(happened("key.rotated").map(({ detail }) => detail.alg)).toEqual(["EdDSA"]);
  });

  test("a retired key has no private half, and is published until its last token has expired", async () => {
    const [rotation] = (await rotationOfManyProcesses()) as [KeyRotation];
    const { kid } = await only("current");
    expect(await hasPrivateHalf(kid)).toBe(true);
    await passKeyTime(database, 30 * DAY);
    await tend(rotation);
    expect(await hasPrivateHalf(kid)).toBe(false);
    const { retiredAt, publishedUntil } = (await only("retired")) as Required<SigningKeyInfo>;
    expect(publishedUntil.getTime() - retiredAt.getTime()).toBe((HOUR + 300) * 1000);
    await passKeyTime(database, HOUR + 299);
    await tend(rotation);
    expect(await only("retired")).toMatchObject({ kid });
    await passKeyTime(database, 1);
    await tend(rotation);
    expect(await only("expired")).toMatchObject({ kid });
    expect(happened("key.expired")).toHaveLength(SIGNING_ALGS.length);
  });

  test("the longest token is that of any setting, resource, client or status list", async () => {
    const settings = { accessTokenTtl: 900, statusListTtl: 10, statusListOutage: 300 };
    expect(await longestTokenLife(database.prisma, settings)).toBe(HOUR); // an ID token's
    expect(await longestTokenLife(database.prisma, { ...settings, accessTokenTtl: 2 * HOUR })).toBe(2 * HOUR);
    expect(await longestTokenLife(database.prisma, { ...settings, statusListOutage: 2 * HOUR })).toBe(2 * HOUR + 10);
    await database.prisma.resource.create({ data: { audience: "https://api.example", accessTokenTtl: 3 * HOUR } });
    expect(await longestTokenLife(database.prisma, settings)).toBe(3 * HOUR);
    await database.prisma.client.create({ data: { id: "c", metadata: {}, accessTokenTtl: 4 * HOUR } });
    expect(await longestTokenLife(database.prisma, settings)).toBe(4 * HOUR);
    // Tokens were longer once: their list is still there.
    const [closesAt, expiresAt] = [new Date(), new Date(Date.now() + DAY * 1000)];
    await database.prisma.statusList.create({ data: { id: "l", seed: Buffer.alloc(16), longestLife: 5 * HOUR, closesAt, expiresAt } });
    expect(await longestTokenLife(database.prisma, settings)).toBe(5 * HOUR);
  });
});

describe("by order", () => {
  test("many at once, for the same key that is due: one rotation, and the same answer to all", async () => {
    const processes = await rotationOfManyProcesses();
    const [old, successor] = [await only("current"), await only("next")];
    await passKeyTime(database, HOUR);
    const order = { kids: [old.kid], now: false };
    const results = await Promise.all(processes.map((rotation) => rotation.rotate(order, heard)));
    for (const [result] of results)
      expect(result).toMatchObject({ outcome: "replaced", alg: "RS256", previousKid: old.kid, kid: successor.kid });
    expect(happened("key.rotated").map(({ detail }) => detail.reason)).toEqual(["order"]);
    expect(await keys("current", "ES256")).toHaveLength(1);
    expect(await keys("retired", "ES256")).toHaveLength(0);
  });

  test("too early: it is said when, and happens by itself", async () => {
    const [rotation] = (await rotationOfManyProcesses()) as [KeyRotation];
    const [old, successor] = [await only("current"), await only("next")];
    const order = { kids: [old.kid], now: false };
    const at = new Date(successor.createdAt.getTime() + HOUR * 1000);
    const expected = [{ outcome: "scheduled", alg: "RS256", previousKid: old.kid, kid: successor.kid, at }];
    expect(await rotation.rotate(order, heard)).toEqual(expected);
    expect(await rotation.rotate(order, heard)).toEqual(expected);
    await passKeyTime(database, HOUR - 60);
    await tend(rotation);
    expect(await only("current")).toMatchObject({ kid: old.kid });
    await passKeyTime(database, 60);
    await tend(rotation);
    expect(await only("current")).toMatchObject({ kid: successor.kid });
    expect(happened("key.rotated").map(({ detail }) => detail)).toEqual([
      { alg: "RS256", kid: successor.kid, previous_kid: old.kid, reason: "order" },
    ]);
  });

  test("a compromised key, by many at once: revoked once, its successor signs at once, and there is a next one", async () => {
    const processes = await rotationOfManyProcesses();
    const [old, successor] = [await only("current"), await only("next")];
    const results = await Promise.all(processes.map((rotation) => rotation.rotate({ kids: [old.kid], now: true }, heard)));
    for (const [result] of results) expect(result).toMatchObject({ outcome: "revoked", previousKid: old.kid, kid: successor.kid });
    expect(await only("revoked")).toMatchObject({ kid: old.kid, revokedAt: expect.any(Date) });
    expect(await only("current")).toMatchObject({ kid: successor.kid });
    expect((await only("next")).kid).not.toBe(successor.kid);
    expect(await hasPrivateHalf(old.kid)).toBe(false);
    expect(happened("key.revoked")).toHaveLength(1);
    expect(happened("key.published")).toHaveLength(1);
  });

  test("a compromised key that does not sign: the one that does goes on", async () => {
    const [rotation] = (await rotationOfManyProcesses()) as [KeyRotation];
    const [current, next] = [await only("current"), await only("next")];
    await rotation.rotate({ kids: [next.kid], now: true }, heard);
    expect(await only("current")).toMatchObject({ kid: current.kid });
    expect((await only("next")).kid).not.toBe(next.kid);
    await passKeyTime(database, HOUR);
    await rotation.rotate({ kids: [current.kid], now: false }, heard);
    const before = await only("current");
    const [result] = await rotation.rotate({ kids: [current.kid], now: true }, heard);
    expect(result).toMatchObject({ outcome: "revoked", previousKid: current.kid, kid: before.kid });
    expect(await keys("retired")).toHaveLength(0);
    expect(await keys("revoked")).toHaveLength(2);
  });

  test("for what is no key that signs it is refused, and nothing changes", async () => {
    const [rotation] = (await rotationOfManyProcesses()) as [KeyRotation];
    const before = await listSigningKeys(database);
    const { kid } = await only("next");
    await expect(rotation.rotate({ kids: ["none"], now: true }, heard)).rejects.toThrow('There is no signing key "none".');
    await expect(rotation.rotate({ kids: [kid], now: false }, heard)).rejects.toThrow(`The key ${kid} does not sign: it is next.`);
    expect(await listSigningKeys(database)).toEqual(before);
    expect(events).toEqual([]);
  });

  test("with another SECRET_KEY than the servers': refused, or nobody could sign any more", async () => {
    await rotationOfManyProcesses();
    const stranger = createKeyRotation(options({ sealer: createSealer([randomBytes(32)]) }));
    const before = await listSigningKeys(database);
    const { kid } = await only("current");
    await expect(stranger.rotate({ kids: [kid], now: true }, heard)).rejects.toThrow(SigningKeyError);
    await passKeyTime(database, 30 * DAY);
    await expect(tend(stranger)).rejects.toThrow(/SECRET_KEY/);
    expect((await listSigningKeys(database)).map(({ kid: id, state }) => [id, state])).toEqual(
      before.map(({ kid: id, state }) => [id, state]),
    );
  });
});

describe("a process", () => {
  test("that hears nothing finds the change within seconds, and signs with no key before it is current", async () => {
    const [here, there] = [await deafStore(), await deafStore()];
    const old = currentKey(here.snapshot(), "RS256").kid;
    const successor = await only("next");
    await here.rotation.rotate({ kids: [old], now: true }, heard);
    const seen = await waitFor("the other process to look", () => {
      const snapshot = there.snapshot();
      return currentKey(snapshot, "RS256").kid === successor.kid && snapshot;
    });
    expect(seen.keys.some(({ kid }) => kid === old)).toBe(false);
    expect(seen.keys.map(({ state }) => state)).toEqual([...SIGNING_ALGS.map(() => "current"), ...SIGNING_ALGS.map(() => "next")]);
  });

  test("rotates by itself when it is time, also on the database of a release that knew current keys alone", async () => {
    const [rotation] = (await rotationOfManyProcesses()) as [KeyRotation];
    await database.prisma.signingKey.deleteMany({ where: { state: "next" } });
    await passKeyTime(database, 40 * DAY);
    const store = await deafStore();
    const { kid: old } = currentKey(store.snapshot(), "RS256");
    const { kid: successor } = await only("next");
    expect(await keys("retired")).toEqual([]);
    await passKeyTime(database, HOUR);
    await waitFor("the process to rotate", () => currentKey(store.snapshot(), "RS256").kid === successor);
    const { keys: published } = store.snapshot();
    expect(published.find(({ kid }) => kid === old)).toMatchObject({ state: "retired", privateJwk: undefined });
    await tend(rotation);
    expect(happened("key.rotated")).toHaveLength(SIGNING_ALGS.length);
  });
});
