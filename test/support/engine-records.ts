/**
 * What the engine's Adapter promises, whatever store is below it (issue 2, requirement 3). One suite; each arrangement of stores opens its own
 * `Opened` and passes it.
 */

import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect } from "node:net";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { Cluster, Redis } from "ioredis";
import type pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { lostRace } from "../../src/oidc/policies.ts";
import { Endings } from "../../src/storage/endings.ts";
import { EngineAdapter, type EngineAdapterOptions, type EngineModel } from "../../src/storage/engine-adapter.ts";
import { keyOf } from "../../src/storage/record-body.ts";
import type { RecordStore } from "../../src/storage/record-store.ts";
import type { RedisClient } from "../../src/storage/redis-client.ts";
import { type Payload, RequestScope, runInScope } from "../../src/storage/request-scope.ts";
import { createSealer } from "../../src/storage/seal.ts";
import { StatusListRegistry } from "../../src/storage/status-list-registry.ts";
import { waitFor } from "./wait-for.ts";

export interface Opened {
  store: RecordStore;
  pool: pg.Pool;
  /** A connection of the test's own, when the records are in Redis. */
  redis: RedisClient | undefined;
  close(): Promise<void>;
}

const ISSUER = "https://issuer.example";
const PARALLEL = 20;
const HOUR = 3_600;

const id = (): string => randomBytes(32).toString("base64url");
const inSeconds = (seconds: number): number => Math.floor(Date.now() / 1000) + seconds;

/** A complete access token of these tests: what stands for the JWT. */
const jwtOf = (jti: string): string => `complete.${jti}`;

export interface Adapters {
  readonly store: RecordStore;
  readonly endings: Endings;
  of(model: EngineModel): EngineAdapter;
}

export function adaptersOn(store: RecordStore): Adapters {
  const sealer = createSealer([Buffer.alloc(32, 7)]);
  const options: EngineAdapterOptions = {
    store,
    sealer,
    userCodeKeys: [Buffer.alloc(32, 9)],
    verifyAccessToken: async (jwt) => (jwt.startsWith("complete.") ? { jti: jwt.slice("complete.".length), aud: ISSUER } : undefined),
    issuer: ISSUER,
    refreshGrace: 0,
    grantTtl: HOUR,
    lostRace,
  };
  return { store, endings: new Endings({ store, sealer, longestLife: HOUR }), of: (model) => new EngineAdapter(model, options) };
}

/** One request: everything that `work` writes is committed together. @returns what the commit lost */
async function request(store: RecordStore, work: (scope: RequestScope) => Promise<void>, defersChecks = true) {
  const scope = new RequestScope({ defersChecks });
  await runInScope(scope, () => work(scope));
  return store.commit(scope.take());
}

/** What another request does meanwhile. */
const elsewhere = (work: () => Promise<void>): Promise<void> => runInScope(undefined as never, work);

/** How many of the calls succeed. */
async function successes(calls: readonly Promise<unknown>[]): Promise<number> {
  return (await Promise.allSettled(calls)).filter(({ status }) => status === "fulfilled").length;
}

/** Calls `test`: use it inside a `describe`. */
export function engineRecordsContract(open: () => Promise<Opened>): void {
  let opened: Opened;
  let adapters: Adapters;
  let watch: { commands: string[][]; stop(): void } | undefined;
  const of = (model: EngineModel) => adapters.of(model);
  const ended = async (model: EngineModel, value: string) => expect(await of(model).find(value)).toBeUndefined();

  beforeAll(async () => {
    opened = await open();
    adapters = adaptersOn(opened.store);
    watch = opened.redis && (await watchCommands(opened.redis));
  });
  afterAll(async () => {
    watch?.stop();
    await opened?.close();
  });

  async function grant(parts: Payload = {}, ttl = HOUR): Promise<string> {
    const grantId = id();
    await of("Grant").upsert(grantId, { kind: "Grant", jti: grantId, accountId: id(), clientId: id(), ...parts }, ttl);
    return grantId;
  }

  async function token(
    model: "AuthorizationCode" | "RefreshToken" | "AccessToken",
    grantId: string,
    parts: Payload = {},
    ttl = HOUR,
  ): Promise<string> {
    const jti = id();
    const payload = { kind: model, jti, grantId, clientId: "client", accountId: "account", exp: inSeconds(ttl), ...parts };
    await of(model).upsert(jti, model === "AccessToken" ? { aud: ISSUER, ...payload } : payload, ttl);
    return model === "AccessToken" ? jwtOf(jti) : jti;
  }

  async function session(parts: Payload = {}, ttl = HOUR): Promise<{ jti: string; uid: string; payload: Payload }> {
    const jti = id();
    const uid = id();
    const payload = { kind: "Session", jti, uid, exp: inSeconds(ttl), ...parts };
    await of("Session").upsert(jti, payload, ttl);
    return { jti, uid, payload };
  }

  const STRANGE = { unknown: { nested: [1, null, "ü‑✓", { deep: true }], empty: "" }, "with-dash": 'quote " and \\', future: ["x"] };

  test("what is put is found again, with fields that nobody knows", async () => {
    const grantId = await grant(STRANGE);
    expect(await of("Grant").find(grantId)).toMatchObject({ jti: grantId, ...STRANGE });
    for (const model of ["AuthorizationCode", "RefreshToken", "AccessToken"] as const) {
      const value = await token(model, grantId, STRANGE);
      expect(await of(model).find(value)).toMatchObject({ kind: model, grantId, ...STRANGE });
    }
    const { jti, payload } = await session(STRANGE);
    expect(await of("Session").find(jti)).toEqual(payload);
    for (const model of ["Interaction", "PushedAuthorizationRequest", "DeviceCode"] as const) {
      const value = id();
      const stored = { kind: model, jti: value, exp: inSeconds(HOUR), userCode: value.slice(0, 8), ...STRANGE };
      await of(model).upsert(value, stored, HOUR);
      expect(await of(model).find(value)).toEqual(stored);
    }
    const machine = id();
    await of("ClientCredentials").upsert(
      machine,
      { kind: "ClientCredentials", jti: machine, aud: ISSUER, clientId: "c", ...STRANGE },
      HOUR,
    );
    expect(await of("ClientCredentials").find(jwtOf(machine))).toMatchObject({ kind: "ClientCredentials", ...STRANGE });
  });

  test("a record is there until its time, and longer when it is renewed", async () => {
    const grantId = await grant();
    const brief = await token("RefreshToken", grantId, {}, 1);
    const renewed = await token("RefreshToken", grantId, {}, 1);
    const short = await session({}, 1);
    const kept = await session({}, 1);
    expect(await of("RefreshToken").find(brief)).toBeDefined();
    await of("RefreshToken").upsert(renewed, { kind: "RefreshToken", jti: renewed, grantId, exp: inSeconds(HOUR) }, HOUR);
    await of("Session").upsert(kept.jti, { ...kept.payload, exp: inSeconds(HOUR) }, HOUR);
    await waitFor(
      "records to expire",
      async () => (await of("RefreshToken").find(brief)) === undefined && (await of("Session").find(short.jti)) === undefined,
    );
    expect(await of("Session").findByUid(short.uid)).toBeUndefined();
    expect(await of("RefreshToken").find(renewed)).toBeDefined();
    expect((await of("Session").findByUid(kept.uid))?.jti).toBe(kept.jti);
  });

  test("a grant lives as long as what was issued under it, and keeps its first life beyond that", async () => {
    const brief = await grant({}, 1);
    const refreshToken = await token("RefreshToken", brief, {}, HOUR);
    const long = await grant({}, HOUR);
    await token("RefreshToken", long, {}, 1);
    await sleep(1_300);
    expect(await of("Grant").find(brief)).toBeDefined();
    expect(await of("RefreshToken").find(refreshToken)).toBeDefined();
    expect(await of("Grant").find(long)).toBeDefined();
  });

  test.each(["endAccount", "endClient"] as const)("a grant that outlived its first life is still found by %s", async (end) => {
    const owners = { accountId: id(), clientId: id() };
    const grantId = await grant(owners, 1);
    const refreshToken = await token("RefreshToken", grantId, owners, HOUR);
    const first = Date.now() + 1_000;
    await waitFor("the grant's first life to pass", () => Date.now() > first);
    await grant(owners); // what has expired leaves the index now
    await adapters.endings[end](end === "endAccount" ? owners.accountId : owners.clientId);
    await ended("Grant", grantId);
    await ended("RefreshToken", refreshToken);
  });

  test("ending an account ends a sign-in that has not gone on yet", async () => {
    const [accountId, uid, other] = [id(), id(), id()];
    await of("Interaction").upsert(uid, { jti: uid, exp: inSeconds(HOUR), result: { login: { accountId } } }, HOUR);
    await of("Interaction").upsert(other, { jti: other, exp: inSeconds(HOUR), params: {} }, HOUR);
    await adapters.endings.endAccount(accountId);
    await ended("Interaction", uid);
    expect(await of("Interaction").find(other)).toBeDefined();
  });

  test("nothing is issued under a grant that is not there", async () => {
    const gone = id();
    await expect(token("RefreshToken", gone)).rejects.toThrow();
    const grantId = await grant();
    await of("Grant").destroy(grantId);
    const jti = id();
    const lost = await request(adapters.store, () =>
      of("RefreshToken").upsert(jti, { kind: "RefreshToken", jti, grantId, exp: inSeconds(HOUR) }, HOUR),
    );
    expect(lost).toMatchObject({ op: "put" });
    await ended("RefreshToken", jti);
  });

  test("a session is found by its uid through every new id, in one request or several", async () => {
    const { jti, uid, payload } = await session();
    const next = id();
    await request(adapters.store, async () => {
      await of("Session").find(jti);
      await of("Session").destroy(jti);
      await of("Session").upsert(next, { ...payload, jti: next }, HOUR);
    });
    expect((await of("Session").findByUid(uid))?.jti).toBe(next);
    await ended("Session", jti);
    const third = id();
    await of("Session").destroy(next);
    await of("Session").upsert(third, { ...payload, jti: third }, HOUR);
    expect((await of("Session").findByUid(uid))?.jti).toBe(third);
    await of("Session").destroy(third);
    expect(await of("Session").findByUid(uid)).toBeUndefined();
  });

  test("two copies of one session never live side by side", async () => {
    const { jti, uid, payload } = await session({ accountId: "account" });
    const [left, right] = [id(), id()];
    await of("Session").upsert(left, { ...payload, jti: left }, HOUR);
    await of("Session").upsert(right, { ...payload, jti: right }, HOUR);
    expect((await of("Session").findByUid(uid))?.jti).toBe(right);
    await ended("Session", jti);
    await ended("Session", left);
    await adapters.endings.endSession(uid);
    await ended("Session", right);
  });

  test("a device code is found by its user code through every change, under the same id", async () => {
    const jti = id();
    const userCode = `BCDF${Math.floor(Math.random() * 10_000)}`;
    await of("DeviceCode").upsert(jti, { kind: "DeviceCode", jti, userCode, exp: inSeconds(HOUR) }, HOUR);
    const found = await of("DeviceCode").findByUserCode(userCode);
    expect(found).toMatchObject({ jti, userCode });
    await of("DeviceCode").upsert(jti, { ...found, accountId: "account" }, HOUR);
    expect(await of("DeviceCode").findByUserCode(userCode)).toMatchObject({ jti, accountId: "account" });
    expect(await of("DeviceCode").find(jti)).toMatchObject({ accountId: "account" });
    await of("DeviceCode").destroy(jti);
    await ended("DeviceCode", jti);
    expect(await of("DeviceCode").findByUserCode(userCode)).toBeUndefined();
  });

  test("one of many parallel calls consumes, and the record keeps its life", async () => {
    const grantId = await grant();
    for (const model of ["AuthorizationCode", "RefreshToken"] as const) {
      const atOnce = await token(model, grantId);
      const life = await expiryOf(atOnce, model);
      expect(await successes(Array.from({ length: PARALLEL }, () => of(model).consume(atOnce)))).toBe(1);
      expect(Math.abs((await expiryOf(atOnce, model)) - life)).toBeLessThanOrEqual(1);
      expect(await of(model).find(atOnce)).toHaveProperty("consumed");

      const together = await token(model, grantId);
      const redeem = async () => {
        const lost = await request(adapters.store, async () => {
          await of(model).find(together);
          await of(model).consume(together);
        });
        if (lost !== undefined) throw new Error(lost.op);
      };
      expect(await successes(Array.from({ length: PARALLEL }, redeem))).toBe(1);
    }
    for (const model of ["DeviceCode", "PushedAuthorizationRequest"] as const) {
      const value = id();
      await of(model).upsert(value, { kind: model, jti: value, userCode: value, exp: inSeconds(HOUR) }, HOUR);
      expect(await successes(Array.from({ length: PARALLEL }, () => of(model).consume(value)))).toBe(1);
    }
  });

  test("what is missing or has expired cannot be consumed", async () => {
    const grantId = await grant();
    const brief = await token("RefreshToken", grantId, {}, 1);
    await expect(of("RefreshToken").consume(id())).rejects.toThrow();
    expect(await request(adapters.store, () => of("RefreshToken").consume(id()))).toMatchObject({ op: "consume" });
    await waitFor("the token to expire", async () => (await of("RefreshToken").find(brief)) === undefined);
    await expect(of("RefreshToken").consume(brief)).rejects.toThrow();
  });

  test("what a lost commit has put is not left usable", async () => {
    const grantId = await grant();
    const code = await token("AuthorizationCode", grantId);
    const given = await Promise.all(
      Array.from({ length: PARALLEL }, async () => {
        const jti = id();
        const lost = await request(adapters.store, async () => {
          await of("AuthorizationCode").find(code);
          await of("AuthorizationCode").consume(code);
          await of("RefreshToken").upsert(jti, { kind: "RefreshToken", jti, grantId, exp: inSeconds(HOUR) }, HOUR);
        });
        return { jti, lost };
      }),
    );
    for (const { jti, lost } of given) expect((await of("RefreshToken").find(jti)) !== undefined).toBe(lost === undefined);
  });

  test("an assertion that was seen is refused by the claim, not by a look before it", async () => {
    const jti = id();
    const seen = { jti, iss: "somebody" };
    await of("ReplayDetection").upsert(jti, seen, HOUR);
    expect(await of("ReplayDetection").find(jti)).toBeUndefined();
    await expect(of("ReplayDetection").upsert(jti, seen, HOUR)).rejects.toThrow();
  });

  test("an assertion counts for the first comer alone, until it has expired", async () => {
    const [jti, brief] = [id(), id()];
    const claim = (jti: string, ttl: number) => of("ReplayDetection").upsert(jti, { kind: "ReplayDetection", jti, iss: "client" }, ttl);
    expect(await successes(Array.from({ length: PARALLEL }, () => claim(jti, HOUR)))).toBe(1);
    expect(await successes([claim(jti, HOUR)])).toBe(0);
    expect(await successes([claim(brief, 1)])).toBe(1);
    expect(await waitFor("the assertion to expire", async () => (await successes([claim(brief, HOUR)])) === 1)).toBe(true);
  });

  test("revoking a grant ends everything under it and nothing else", async () => {
    const [one, other] = [await grant({ accountId: "same", clientId: "same" }), await grant({ accountId: "same", clientId: "same" })];
    const issue = async (grantId: string) => ({
      code: await token("AuthorizationCode", grantId),
      refresh: await token("RefreshToken", grantId),
      access: await token("AccessToken", grantId),
    });
    const [mine, theirs] = [await issue(one), await issue(other)];
    await of("RefreshToken").consume(mine.refresh);
    await of("RefreshToken").revokeByGrantId(one);
    await ended("Grant", one);
    await ended("AuthorizationCode", mine.code);
    await ended("RefreshToken", mine.refresh);
    await ended("AccessToken", mine.access);
    expect(await of("Grant").find(other)).toBeDefined();
    expect(await of("AuthorizationCode").find(theirs.code)).toBeDefined();
    expect(await of("RefreshToken").find(theirs.refresh)).toBeDefined();
    expect(await of("AccessToken").find(theirs.access)).toBeDefined();
  });

  test("revoking one access token ends it alone", async () => {
    const grantId = await grant();
    const [one, other] = [await token("AccessToken", grantId), await token("AccessToken", grantId)];
    await of("AccessToken").destroy(one.slice("complete.".length));
    await ended("AccessToken", one);
    expect(await of("AccessToken").find(other)).toBeDefined();
    expect(await of("Grant").find(grantId)).toBeDefined();
  });

  test("whatever ends access tokens sets their bits in the same step, and no others", async () => {
    const { store, pool } = opened;
    const { list } = await new StatusListRegistry(pool, store).reserve(HOUR, Date.now());
    let next = 0;
    const issue = async (parts: Payload) => {
      const status = { list, idx: next++ };
      const { grantId, ...others } = parts;
      if (grantId !== undefined) return { status, value: await token("AccessToken", grantId as string, { ...others, status }) };
      const jti = id();
      await of("ClientCredentials").upsert(
        jti,
        { kind: "ClientCredentials", jti, aud: ISSUER, exp: inSeconds(HOUR), ...parts, status },
        HOUR,
      );
      return { status, value: jwtOf(jti) };
    };
    const set = async () => {
      const { bits } = (await store.readList(list)) as { bits: Buffer };
      return Array.from({ length: next }, (_, idx) => idx).filter((idx) => ((bits[idx >> 3] as number) >> (idx & 7)) & 1);
    };
    const grantOf = async (accountId: string, clientId: string) => ({ grantId: await grant({ accountId, clientId }), accountId, clientId });
    const [ada, bob, shop, mail] = [id(), id(), id(), id()];
    const [adaShop, adaMail, bobShop, bobMail] = [
      await grantOf(ada, shop),
      await grantOf(ada, mail),
      await grantOf(bob, shop),
      await grantOf(bob, mail),
    ];
    const { uid } = await session({ accountId: bob, authorizations: { [mail]: { grantId: bobMail.grantId } } });
    const [first, second] = [await issue(adaShop), await issue(adaShop)]; // 0, 1
    await issue(adaMail); // 2
    await issue(bobShop); // 3
    await issue(bobMail); // 4
    await issue({ clientId: shop }); // 5
    await issue({ clientId: mail }); // 6
    const third = await issue(bobShop); // 7
    const jtiOf = (value: string) => value.slice("complete.".length);
    expect(await set()).toEqual([]);

    await of("AccessToken").destroy(jtiOf(first.value)); // outside a request
    expect(await set()).toEqual([0]);
    const lost = await request(
      store,
      async () => {
        await of("AccessToken").openAccessToken(third.value);
        await of("AccessToken").destroy(jtiOf(third.value));
      },
      false,
    );
    expect([lost, await set()]).toEqual([undefined, [0, 7]]);
    await request(store, () => of("RefreshToken").revokeByGrantId(adaShop.grantId)); // as the engine does for a replay
    expect(await set()).toEqual([0, 1, 7]);
    await adapters.endings.endSession(uid);
    expect(await set()).toEqual([0, 1, 4, 7]);
    await adapters.endings.endConsent(bob, shop);
    expect(await set()).toEqual([0, 1, 3, 4, 7]);
    await adapters.endings.endAccount(ada);
    expect(await set()).toEqual([0, 1, 2, 3, 4, 7]);
    await adapters.endings.endClient(shop);
    expect(await set()).toEqual([0, 1, 2, 3, 4, 5, 7]);
    await ended("AccessToken", second.value);
  });

  test("a token that another client got by exchange ends with its grant, and with that client, which never had the grant", async () => {
    const [ada, shop, gateway] = [id(), id(), id()];
    const exchanged = async () => {
      const grantId = await grant({ accountId: ada, clientId: shop });
      return { grantId, value: await token("AccessToken", grantId, { accountId: ada, clientId: gateway, grantClientId: shop }) };
    };
    const [first, second] = [await exchanged(), await exchanged()];
    await adapters.endings.endClient(gateway);
    await ended("AccessToken", first.value);
    expect(await of("Grant").find(first.grantId)).toBeDefined();
    const third = await token("AccessToken", second.grantId, { accountId: ada, clientId: gateway, grantClientId: shop });
    expect(await of("AccessToken").find(third)).toBeDefined();
    await adapters.endings.endConsent(ada, gateway);
    expect(await of("AccessToken").find(third)).toBeDefined();
    await adapters.endings.endConsent(ada, shop);
    await ended("AccessToken", third);
  });

  test("what a request does with an access token stands only if that is still alive at its commit", async () => {
    const { store } = opened;
    for (const end of [
      async (_grantId: string, jti: string) => of("AccessToken").destroy(jti),
      async (grantId: string) => adapters.endings.endGrant(grantId),
    ]) {
      const grantId = await grant();
      const value = await token("AccessToken", grantId);
      const use = (meanwhile: () => Promise<void>) =>
        request(store, async () => {
          expect(await of("AccessToken").openAccessToken(value)).toBeDefined();
          await elsewhere(meanwhile);
        });
      expect(await use(async () => {})).toBeUndefined();
      expect(await use(() => end(grantId, value.slice("complete.".length)))).toMatchObject({ op: "require" });
    }
  });

  test("an access token that counts as it was issued is found by that string alone", async () => {
    const { store } = opened;
    const grantId = await grant();
    for (const issued of ["a.b.c.d.e", undefined]) {
      const jti = id();
      const value = issued ?? jwtOf(jti);
      const scope = new RequestScope({ defersChecks: true });
      await runInScope(scope, () =>
        of("AccessToken").record({ kind: "AccessToken", jti, grantId, aud: ISSUER, exp: inSeconds(HOUR), asIssued: true }),
      );
      expect(scope.foundAsIssued).toBe(keyOf("access-token", jti));
      const pointer = keyOf("issued-token", value);
      expect(await store.commit(scope.take().map((write) => (write.op === "put" ? { ...write, pointer } : write)))).toBeUndefined();
      expect(await of("AccessToken").openAccessToken(value)).toMatchObject({ jti, grantId });
      for (const other of [`${value}x`, "a.b.c.d.f", ...(issued === undefined ? [] : [jwtOf(jti)])])
        expect(await of("AccessToken").openAccessToken(other)).toBeUndefined();
      await of("AccessToken").destroy(jti);
      expect(await of("AccessToken").openAccessToken(value)).toBeUndefined();
    }
  });

  test("a token is put into a list that is there, and into no other", async () => {
    const { store } = opened;
    if (opened.redis === undefined) return; // lists of the database are its rows
    const [grantId, missing] = [await grant(), randomBytes(16).toString("base64url")];
    const jti = id();
    const issue = () =>
      of("AccessToken").upsert(
        jti,
        { kind: "AccessToken", jti, grantId, aud: ISSUER, exp: inSeconds(HOUR), status: { list: missing, idx: 1 } },
        HOUR,
      );
    expect(await request(store, issue)).toEqual({ op: "require", key: `status-list:${missing}` });
    await ended("AccessToken", jwtOf(jti));
  });

  test("ending an account, an application, a session or a consent ends all of it and nothing else", async () => {
    const signIn = async (accountId: string, clientId: string, persistsLogout = false) => {
      const grantId = await grant({ accountId, clientId });
      const { jti, uid } = await session({ accountId, authorizations: { [clientId]: { grantId, persistsLogout } } });
      const bound = { accountId, clientId, ...(!persistsLogout && { sessionUid: uid, expiresWithSession: true }) };
      return {
        grantId,
        jti,
        uid,
        access: await token("AccessToken", grantId, bound),
        refresh: await token("RefreshToken", grantId, bound),
      };
    };
    const alive = async (one: { grantId: string; jti: string; refresh: string; access: string }) => ({
      session: (await of("Session").find(one.jti)) !== undefined,
      grant: (await of("Grant").find(one.grantId)) !== undefined,
      refresh: (await of("RefreshToken").find(one.refresh)) !== undefined,
      access: (await of("AccessToken").find(one.access)) !== undefined,
    });
    const ALL = { session: true, grant: true, refresh: true, access: true };
    const NONE = { session: false, grant: false, refresh: false, access: false };

    const [ada, bob, shop, mail] = [id(), id(), id(), id()];
    const one = await signIn(ada, shop);
    const two = await signIn(ada, mail, true);
    const three = await signIn(bob, shop);
    const four = await signIn(bob, mail);
    const machine = id();
    await of("ClientCredentials").upsert(machine, { kind: "ClientCredentials", jti: machine, aud: ISSUER, clientId: shop }, HOUR);

    await adapters.endings.endConsent(bob, mail);
    expect(await alive(four)).toEqual({ ...NONE, session: true });
    expect(await alive(three)).toEqual(ALL);
    expect(await alive(two)).toEqual(ALL);
    await adapters.endings.endSession(two.uid);
    expect(await alive(two)).toEqual({ ...ALL, session: false });
    await adapters.endings.endAccount(ada);
    expect(await alive(one)).toEqual(NONE);
    expect(await alive(two)).toEqual(NONE);
    expect(await alive(three)).toEqual(ALL);
    expect(await of("ClientCredentials").find(jwtOf(machine))).toBeDefined();
    await adapters.endings.endClient(shop);
    expect(await alive(three)).toEqual({ ...NONE, session: true });
    await ended("ClientCredentials", jwtOf(machine));
  });

  test("an ended session takes along what is bound to it under a grant that goes on", async () => {
    const [accountId, clientId] = [id(), id()];
    const grantId = await grant({ accountId, clientId });
    const { uid } = await session({ accountId, authorizations: { [clientId]: { grantId, persistsLogout: true } } });
    const { uid: another } = await session({ accountId, authorizations: { [clientId]: { grantId, persistsLogout: true } } });
    const bound = await token("AccessToken", grantId, { accountId, clientId, sessionUid: uid, expiresWithSession: true });
    const elsewhere = await token("AccessToken", grantId, { accountId, clientId, sessionUid: another, expiresWithSession: true });
    const lasting = await token("AccessToken", grantId, { accountId, clientId, sessionUid: uid });
    const others = { accountId, clientId, sessionUid: uid, expiresWithSession: true };
    const [code, refreshToken] = [await token("AuthorizationCode", grantId, others), await token("RefreshToken", grantId, others)];
    await adapters.endings.endBoundTo(uid, [grantId]); // as for an application that is left while the session goes on
    const gone = [
      keyOf("access-token", bound.replace("complete.", "")),
      keyOf("authorization-code", code),
      keyOf("refresh-token", refreshToken),
    ];
    expect(await Promise.all(gone.map((key) => opened.store.read(key)))).toEqual([undefined, undefined, undefined]);
    const next = await token("AccessToken", grantId, others);
    await adapters.endings.endSession(uid);
    expect(await opened.store.read(keyOf("access-token", next.replace("complete.", "")))).toBeUndefined();
    for (const each of [elsewhere, lasting]) expect(await of("AccessToken").find(each)).toBeDefined();
  });

  test("an ending is remembered for as long as anything that it ended could have lived", async () => {
    const { redis, pool } = opened;
    if (redis === undefined) return; // what the database removed does not come back
    const grantId = await grant({});
    const life = 10 * HOUR; // a client's tokens may live longer than the settings let them
    await token("RefreshToken", grantId, {}, life);
    await adapters.endings.endGrant(grantId);
    const { rows } = await pool.query("SELECT extract(epoch FROM expires_at) AS until FROM revocation WHERE key = $1", [
      keyOf("grant", grantId),
    ]);
    expect(Number(rows[0]?.until)).toBeGreaterThanOrEqual(inSeconds(life) - 60);
  });

  test("a request that was under way when its session or grant was ended does not bring it back", async () => {
    const { jti, uid } = await session({ accountId: "account" });
    const grantId = await grant();
    const notBack = await request(adapters.store, async () => {
      const read = (await of("Session").find(jti)) as Payload;
      const readGrant = (await of("Grant").find(grantId)) as Payload;
      await elsewhere(async () => {
        await adapters.endings.endSession(uid);
        await adapters.endings.endGrant(grantId);
      });
      await of("Session").upsert(jti, { ...read, amr: ["pwd"] }, HOUR);
      await of("Grant").upsert(grantId, { ...readGrant, openid: { scope: "openid email" } }, HOUR);
    });
    expect(notBack).toMatchObject({ op: "put" });
    await ended("Session", jti);
    await ended("Grant", grantId);

    const renewed = await session({ accountId: "account" });
    const next = id();
    const lost = await request(adapters.store, async () => {
      const read = (await of("Session").find(renewed.jti)) as Payload;
      await elsewhere(() => adapters.endings.endSession(renewed.uid));
      await of("Session").destroy(renewed.jti);
      await of("Session").upsert(next, { ...read, jti: next }, HOUR);
    });
    expect(lost).toBeDefined();
    await ended("Session", next);
  });

  test("what is stored is never accepted as an id", async () => {
    const grantId = await grant();
    await token("AuthorizationCode", grantId);
    await token("RefreshToken", grantId);
    const access = await token("AccessToken", grantId);
    await session({ state: { secret: "s" } });
    const device = id();
    await of("DeviceCode").upsert(device, { kind: "DeviceCode", jti: device, userCode: "BCDFGHJK" }, HOUR);
    const interaction = id();
    await of("Interaction").upsert(interaction, { kind: "Interaction", jti: interaction, session: { cookie: id() } }, HOUR);
    await ended("AccessToken", access.slice("complete.".length));

    const stored = await everythingStored();
    expect(stored.length).toBeGreaterThan(10);
    const candidates = new Set(stored.flatMap((value) => [value, ...value.split(/[:{}",.[\]\s]+/)]).filter((value) => value.length > 15));
    const models: EngineModel[] = [
      "Session",
      "Grant",
      "AuthorizationCode",
      "RefreshToken",
      "DeviceCode",
      "PushedAuthorizationRequest",
      "Interaction",
    ];
    for (const candidate of candidates) {
      // A grant's id and a session's uid are names, not credentials: they stand in tokens and open nothing by themselves.
      for (const model of models.filter((name) => name !== "Grant"))
        expect(await of(model).find(candidate), `${model} ${candidate}`).toBeUndefined();
      expect(await of("AccessToken").find(candidate)).toBeUndefined();
      expect(await of("DeviceCode").findByUserCode(candidate)).toBeUndefined();
      await expect(of("RefreshToken").consume(candidate)).rejects.toThrow();
    }
  });

  test("whoever sweeps removes what has expired and nothing else", async () => {
    const grantId = await grant();
    const brief = await token("RefreshToken", grantId, {}, 1);
    const long = await token("RefreshToken", grantId);
    await waitFor("the token to expire", async () => (await of("RefreshToken").find(brief)) === undefined);
    await adapters.store.sweep();
    expect(await of("RefreshToken").find(long)).toBeDefined();
    if (opened.redis === undefined) {
      const { rows } = await opened.pool.query(
        "SELECT count(*)::int AS expired FROM engine_record WHERE expires_at <= now() - interval '1 second'",
      );
      expect(rows).toEqual([{ expired: 0 }]);
    }
  });

  test("every key has a TTL, and no command names keys of two hash slots", async () => {
    const { redis } = opened;
    if (redis === undefined) return;
    const immortal: string[] = [];
    for (const key of await allKeys(redis)) if ((await redis.pttl(key)) === -1) immortal.push(key);
    expect(immortal).toEqual([]);
    if (watch === undefined) return; // a cluster refuses by itself what touches two slots
    const { commands } = watch;
    await waitFor("the monitor", () => commands.length > 100);
    for (const command of commands) {
      const tags = new Set(command.filter((part) => part.startsWith("grantor:")).map((key) => /\{([^}]+)\}/.exec(key)?.[1] ?? key));
      expect(tags.size, command.join(" ")).toBeLessThanOrEqual(1);
    }
  });

  /** Seconds since the epoch. */
  async function expiryOf(value: string, model: "AuthorizationCode" | "RefreshToken"): Promise<number> {
    const key = keyOf(model === "RefreshToken" ? "refresh-token" : "authorization-code", value);
    if (opened.redis !== undefined) {
      const colon = key.indexOf(":");
      return (await opened.redis.pexpiretime(`grantor:${key.slice(0, colon)}:{${key.slice(colon + 1)}}`)) / 1000;
    }
    const { rows } = await opened.pool.query("SELECT extract(epoch FROM expires_at)::float8 AS at FROM engine_record WHERE key = $1", [
      key,
    ]);
    return rows[0].at;
  }

  async function everythingStored(): Promise<string[]> {
    const { rows } = await opened.pool.query<{ key: string; payload: string; pointer: string | null; grant_key: string | null }>(
      "SELECT key, payload, pointer, grant_key FROM engine_record WHERE expires_at > now() ORDER BY expires_at DESC LIMIT 40",
    );
    const values = rows.flatMap(({ key, payload, pointer, grant_key }) => [key, payload, pointer ?? "", grant_key ?? ""]);
    if (opened.redis === undefined) return values;
    for (const key of (await allKeys(opened.redis)).slice(0, 60)) {
      values.push(
        key,
        ...((await opened.redis.type(key)) === "string"
          ? [String(await opened.redis.get(key))]
          : await opened.redis.zrange(key, "0", "-1")),
      );
    }
    return values;
  }
}

/** Of every master. */
export async function allKeys(redis: RedisClient): Promise<string[]> {
  const keys: string[] = [];
  for (const node of redis instanceof Cluster ? redis.nodes("master") : [redis]) {
    for (let cursor = "0", first = true; first || cursor !== "0"; first = false) {
      const [next, found] = await node.scan(cursor, "COUNT", 1000);
      keys.push(...found);
      cursor = next;
    }
  }
  return keys;
}

/** What a single Redis is told, by whomever. On a socket of its own: ioredis loses count when commands arrive with the answer to MONITOR. */
async function watchCommands(redis: RedisClient): Promise<{ commands: string[][]; stop(): void } | undefined> {
  if (!(redis instanceof Redis) || redis.options.sentinels != null) return undefined; // the same commands as to a single one
  const { path, host, port } = redis.options;
  const socket = path ? connect(path) : connect(port ?? 6379, host ?? "127.0.0.1");
  const commands: string[][] = [];
  const lines = createInterface({ input: socket });
  lines.on("line", (line) => commands.push([...line.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, part = ""]) => part)));
  socket.write("MONITOR\r\n");
  await once(lines, "line");
  return { commands, stop: () => socket.destroy() };
}
