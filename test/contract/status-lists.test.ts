/** Which lists there are and what they hold, on both arrangements of stores; with several processes' worth of pools and connections. */
import { randomBytes } from "node:crypto";
import { Redis } from "ioredis";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Database, openDatabase } from "../../src/storage/database.ts";
import { DatabaseRecords } from "../../src/storage/database-records.ts";
import { Endings } from "../../src/storage/endings.ts";
import type { RecordStore, Write } from "../../src/storage/record-store.ts";
import { connectRedis } from "../../src/storage/redis-client.ts";
import { RedisRecords } from "../../src/storage/redis-records.ts";
import { RedisStatusLists } from "../../src/storage/redis-status-lists.ts";
import { RevocationJournal } from "../../src/storage/revocation-journal.ts";
import { createSealer } from "../../src/storage/seal.ts";
import { LIST_BYTES, LIST_CAPACITY, type StatusPlace } from "../../src/storage/status-bits.ts";
import { BLOCK_SIZE, StatusListRegistry } from "../../src/storage/status-list-registry.ts";
import { StatusPlaces } from "../../src/tokens/status-places.ts";
import { type Stores, stores } from "../support/stores.ts";

const log = pino({ level: "silent" });
const PROCESSES = 3;
const HOUR = 3_600_000;

interface Process {
  database: Database;
  store: RecordStore;
  registry: StatusListRegistry;
}

describe.each(stores)("status lists on $name", ({ open, redis: withRedis }) => {
  let backing: Stores;
  let processes: Process[];
  let one: Process;
  let redis: Redis | undefined;

  beforeAll(async () => {
    backing = await open();
    const { databaseUrl, redisUrl } = backing;
    processes = [];
    for (let i = 0; i < PROCESSES; i++) {
      const database = await openDatabase({ dataDir: "", embeddedDatabase: false }, { databaseUrl }, log);
      const store =
        redisUrl === undefined
          ? new DatabaseRecords(database.pool)
          : new RedisRecords(connectRedis(redisUrl, log), new RevocationJournal(database.pool), 1_000);
      processes.push({ database, store, registry: new StatusListRegistry(database.pool, store) });
    }
    one = processes[0] as Process;
    redis = redisUrl === undefined ? undefined : new Redis(redisUrl.replace(/^unix:\/\//, ""));
  });
  afterAll(async () => {
    redis?.disconnect();
    for (const { store, database } of processes ?? []) {
      await store.close();
      await database.close();
    }
    await backing?.close();
  });

  const text = ({ list, idx }: StatusPlace) => `${list} ${idx}`;
  const places = ({ registry, store }: Process) => new StatusPlaces({ registry, bits: store, now: Date.now, onLost: () => {} });
  /** A token with a place, as the engine's adapter puts it. */
  async function token(status: StatusPlace, ties: { grant?: `grant:${string}`; clientId?: string } = {}, expiresAt = Date.now() + HOUR) {
    const key = `access-token:${randomBytes(16).toString("base64url")}` as const;
    const lost = await one.store.commit([{ op: "put", key, body: "{}", expiresAt, status, ties }]);
    return { key, lost };
  }
  async function grant() {
    const key = `grant:${randomBytes(16).toString("base64url")}` as const;
    await one.store.commit([{ op: "put", key, body: "{}", expiresAt: Date.now() + HOUR }]);
    return key;
  }
  const until = () => Date.now() + HOUR;
  async function isSet({ list, idx }: StatusPlace, { store } = one): Promise<boolean> {
    const { bits } = (await store.readList(list)) ?? {};
    return (((bits as Buffer)[idx >> 3] as number) & (1 << (idx & 7))) !== 0;
  }

  test("no index goes out twice, whoever asks: one list is opened, in blocks that nobody else has", async () => {
    const hands = [...processes, ...processes].map(places); // also two in one process
    const taken = (await Promise.all(hands.map(async (hand) => Promise.all(Array.from({ length: 700 }, () => hand.take(100)))))).flat();
    expect(new Set(taken.map(text)).size).toBe(taken.length);
    expect(new Set(taken.map(({ list }) => list)).size).toBe(1);
    const { rows } = await one.database.pool.query("SELECT count(*)::int AS lists FROM status_list WHERE longest_life = 128");
    expect(rows).toEqual([{ lists: 1 }]);
  });

  test("a list that is full is followed by the next, also when many find it full at once", async () => {
    const blocks = LIST_CAPACITY / BLOCK_SIZE;
    const { list } = await one.registry.reserve(256, Date.now());
    await one.database.pool.query("UPDATE status_list SET next_block = $2 WHERE id = $1", [list, blocks - 2]);
    const reserved = await Promise.all(
      Array.from({ length: 12 }, (_, i) => (processes[i % PROCESSES] as Process).registry.reserve(256, Date.now())),
    );
    const ofFirst = reserved.filter((each) => each.list === list);
    expect(ofFirst.map(({ block }) => block).sort()).toEqual([blocks - 2, blocks - 1]);
    const others = reserved.filter((each) => each.list !== list);
    expect(new Set(others.map((each) => each.list)).size).toBe(1);
    expect(others.map(({ block }) => block).sort((a, b) => a - b)).toEqual(Array.from({ length: 10 }, (_, i) => i));
  });

  test("a list is open for an hour or four lives, and there until its last token has expired", async () => {
    const now = Date.now();
    const short = await one.registry.reserve(64, now);
    const long = await one.registry.reserve(131_072, now);
    expect([short.closesAt, long.closesAt]).toEqual([now + HOUR, now + 4 * 131_072_000]);
    expect(await one.registry.expiryOf(short.list)).toBeGreaterThanOrEqual(short.closesAt + 64_000);
    expect(await one.registry.expiryOf(long.list)).toBeGreaterThanOrEqual(long.closesAt + 131_072_000);
    expect((await one.registry.reserve(64, short.closesAt - 1)).list).toBe(short.list);
    expect((await one.registry.reserve(64, short.closesAt)).list).not.toBe(short.list);
    expect(await one.registry.expiryOf("unknown")).toBeUndefined();
    expect(await one.registry.living(now)).toEqual(expect.arrayContaining([short.list, long.list]));
    expect(await one.registry.living(long.closesAt)).not.toContain(short.list);
  });

  test("a list that was closed is handed out from no more, and still answers", async () => {
    const first = await one.registry.reserve(512, Date.now());
    await one.registry.close(first.list);
    const next = await one.registry.reserve(512, Date.now());
    expect(next.list).not.toBe(first.list);
    expect(await one.store.listVersion(first.list)).toBeDefined();
    expect(await one.registry.living(Date.now())).toContain(first.list);
  });

  test("a new list has its full length, all 0; every process sees each bit at once, and a new version with it", async () => {
    const [place, other] = [await places(one).take(900), await places(one).take(900)];
    const fresh = await one.store.readList(place.list);
    expect(fresh?.bits.length).toBe(LIST_BYTES);
    expect(fresh?.version).toBe(await one.store.listVersion(place.list));
    const { key, lost } = await token(place, { clientId: randomBytes(8).toString("hex") });
    expect([lost, await isSet(place)]).toEqual([undefined, false]);
    await one.store.commit([{ op: "remove", key, until: until(), status: place }]);
    for (const each of processes) {
      expect(await isSet(place, each)).toBe(true);
      expect(await isSet(other, each)).toBe(false);
      expect(await each.store.listVersion(place.list)).not.toBe(fresh?.version);
      expect(await each.store.listVersion(place.list)).toBe((await one.store.readList(place.list))?.version);
    }
    const before = await one.store.listVersion(place.list);
    await one.store.commit([{ op: "remove", key, until: until(), status: place }]);
    expect(await one.store.listVersion(place.list)).toBe(before); // nothing changed
  });

  test("the bits of a grant's tokens, and of a client's, are set with their end, and no others", async () => {
    const hand = places(one);
    const [grantKey, otherGrant, clientId] = [await grant(), await grant(), randomBytes(8).toString("hex")];
    const take = () => hand.take(900);
    const [first, second, others, ofClient, expired] = [await take(), await take(), await take(), await take(), await take()];
    for (const status of [first, second]) await token(status, { grant: grantKey });
    await token(others, { grant: otherGrant });
    await token(ofClient, { clientId });
    await token(expired, { grant: grantKey }, Date.now() - 1);
    await one.store.commit([{ op: "remove", key: grantKey, until: until() }]);
    expect(await Promise.all([first, second, others, ofClient, expired].map((each) => isSet(each)))).toEqual([
      true,
      true,
      false,
      false,
      false,
    ]);
    const tied = await one.store.tiedTo({ clientId });
    await one.store.commit(tied.map((each) => ({ op: "remove", ...each, until: until() })));
    expect(await Promise.all([others, ofClient].map((each) => isSet(each)))).toEqual([false, true]);
  });

  test("an application ends with all its tokens, however many they are", async () => {
    const clientId = randomBytes(8).toString("hex");
    const { list } = await places(one).take(100_000);
    const all = Array.from({ length: 2_001 }, (_, idx) => ({ list, idx }));
    await one.store.commit(
      all.map((status) => ({
        op: "put",
        key: `access-token:${clientId}${status.idx}`,
        body: "{}",
        expiresAt: until(),
        status,
        ties: { clientId },
      })),
    );
    const sealer = createSealer([randomBytes(32)]);
    const sizes: number[] = [];
    const commit = (writes: readonly Write[]) => {
      sizes.push(writes.length);
      return one.store.commit(writes);
    };
    const store = new Proxy(one.store, { get: (target, name) => (name === "commit" ? commit : Reflect.get(target, name).bind(target)) });
    await new Endings({ store, sealer, longestLife: 3600 }).endClient(clientId);
    expect(sizes).toEqual([1000, 1000, 1]);
    expect(await Promise.all([0, 1000, 2000, 2001].map((idx) => isSet({ list, idx })))).toEqual([true, true, true, false]);
  });

  test("every ending is in the journal before it is acknowledged", async () => {
    const hand = places(one);
    const [status, grantKey] = [await hand.take(900), await grant()];
    await token(status, { grant: grantKey });
    await one.store.commit([{ op: "remove", key: grantKey, until: until() }]);
    const { rows } = await one.database.pool.query("SELECT list_id AS list, idx FROM status_entry WHERE list_id = $1 AND idx = $2", [
      status.list,
      status.idx,
    ]);
    expect(rows).toEqual([status]);
  });

  test("tokens that are issued while their grant is ended: each is refused, or its bit is set", async () => {
    const hand = places(one);
    for (let round = 0; round < 5; round++) {
      const grantKey = await grant();
      const issued: Promise<{ status: StatusPlace; lost: unknown }>[] = [];
      const issue = async () => {
        const status = await hand.take(900);
        return { status, lost: (await token(status, { grant: grantKey })).lost };
      };
      for (let i = 0; i < 10; i++) issued.push(issue());
      const ended = (processes[1] as Process).store.commit([{ op: "remove", key: grantKey, until: until() }]);
      for (let i = 0; i < 10; i++) issued.push(issue());
      await ended;
      for (const { status, lost } of await Promise.all(issued)) if (lost === undefined) expect(await isSet(status)).toBe(true);
    }
  });

  test("sweeping forgets lists whose last token has expired, and nothing else", async () => {
    const now = Date.now();
    const [living, past] = [(await one.registry.reserve(1, now)).list, (await one.registry.reserve(2, now)).list];
    const { pool } = one.database;
    await pool.query("INSERT INTO status_entry (list_id, idx) VALUES ($1, 5), ($2, 5)", [living, past]);
    await pool.query("UPDATE status_list SET expires_at = now() - interval '1 second' WHERE id = $1", [past]);
    await one.registry.sweep();
    expect(await one.registry.expiryOf(living)).toBeDefined();
    expect(await one.registry.expiryOf(past)).toBeUndefined();
    const { rows } = await pool.query("SELECT list_id FROM status_entry WHERE list_id = ANY($1)", [[living, past]]);
    expect(rows).toEqual([{ list_id: living }]);
  });

  if (withRedis) {
    const keyOf = (list: string) => `grantor:status-list:{${list}}`;

    test("a list that is missing, short or something else says nothing, takes no token and is not brought back by a late ending", async () => {
      const hand = places(one);
      const store = redis as Redis;
      const spoil: Record<string, (key: string) => Promise<unknown>> = {
        missing: (key) => store.del(key),
        short: (key) => store.set(key, "grantor1short", "EX", 60),
        "of another kind": async (key) => {
          await store.del(key);
          await store.zadd(key, 1, "member");
          await store.expire(key, 60);
        },
        "without its marker": (key) => store.setrange(key, 0, "x"),
      };
      for (const [what, how] of Object.entries(spoil)) {
        const [kept, refused] = [await hand.take(900), await hand.take(900)];
        const { key, lost } = await token(kept);
        expect(lost, what).toBeUndefined();
        await how(keyOf(kept.list));
        const before = await store.exists(keyOf(kept.list));
        expect(await one.store.listVersion(kept.list), what).toBeUndefined();
        expect(await one.store.readList(kept.list), what).toBeUndefined();
        if (what !== "without its marker") {
          const { lost: required } = await token(refused);
          expect(required, what).toEqual({ op: "require", key: `status-list:${kept.list}` });
        }
        await one.store.commit([{ op: "remove", key, until: until(), status: kept }]);
        expect(await store.exists(keyOf(kept.list)), what).toBe(before);
        expect(await one.store.listVersion(kept.list), what).toBeUndefined();
        await hand.forsake(kept.list);
      }
    });

    test("bits are set of as many tokens at once as one grant may have", async () => {
      const { list } = await places(one).take(200_000);
      const client = connectRedis(backing.redisUrl as string, log);
      await new RedisStatusLists(client).setBits(Array.from({ length: 150_000 }, (_, idx) => ({ list, idx })));
      expect(await Promise.all([0, 149_999, 150_000].map((idx) => isSet({ list, idx })))).toEqual([true, true, false]);
      client.disconnect();
    });

    test("bits lie as the draft counts them, behind a header, with an expiry", async () => {
      const list = randomBytes(16).toString("base64url");
      const expiresAt = Date.now() + HOUR;
      await one.store.createList(list, expiresAt);
      await one.database.pool.query(
        "INSERT INTO status_list (id, seed, longest_life, closes_at, expires_at) VALUES ($1, '\\x00', 1, now(), now() + interval '1 hour')",
        [list],
      );
      const indices = [0, 1, 7, 8, 1993, 1_000_345, LIST_CAPACITY - 1];
      for (const idx of indices) {
        const { key } = await token({ list, idx });
        await one.store.commit([{ op: "remove", key, until: until(), status: { list, idx } }]);
      }
      const expected = Buffer.alloc(LIST_BYTES);
      for (const idx of indices) expected[idx >> 3] = (expected[idx >> 3] as number) | (1 << (idx & 7));
      expect((await one.store.readList(list))?.bits.equals(expected)).toBe(true);
      expect(await (redis as Redis).pexpiretime(keyOf(list))).toBe(expiresAt);
      await one.store.createList(list, expiresAt); // never over one that is there
      expect((await one.store.readList(list))?.bits.equals(expected)).toBe(true);
    });

    test("a Redis that was set back is told every bit again before it is believed, and whatever a grant had issued by then", async () => {
      const hand = places(one);
      const [status, late, grantKey, lateGrant] = [await hand.take(900), await hand.take(900), await grant(), await grant()];
      const { key } = await token(status, { grant: grantKey });
      await token(late, { grant: lateGrant });
      const before = await (redis as Redis).getBuffer(keyOf(status.list));
      await one.store.commit([{ op: "remove", key, until: until(), status }]);
      // An ending that reached the journal and no Redis: what the grant had issued is found when it is told.
      await new RevocationJournal(one.database.pool).record([lateGrant], until(), []);
      await (redis as Redis).set(keyOf(status.list), before as Buffer, "KEEPTTL");
      expect([await isSet(status), await isSet(late)]).toEqual([false, false]);
      const again = new RedisRecords(connectRedis(backing.redisUrl as string, log), new RevocationJournal(one.database.pool), 1_000);
      await again.ping(); // believes it only when it was told
      expect([await isSet(status), await isSet(late)]).toEqual([true, true]);
      await again.close();
    });
  }
});
