/**
 * What the engine's Adapter promises, whatever store is below it (issue 2, requirement 3). One suite; each arrangement of stores opens its own
 * `Opened` and passes it.
 */

import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import type { EngineModel } from "../../src/storage/engine-models.ts";
import { keyOf } from "../../src/storage/record-body.ts";
import { endingsContract } from "./ending-records.ts";
import { HOUR, ISSUER, id, inSeconds, jwtOf, type Opened, PARALLEL, recordFixtures, request, successes } from "./record-fixtures.ts";
import { allKeys } from "./redis-watch.ts";
import { sessionsContract } from "./session-records.ts";
import { waitFor } from "./wait-for.ts";

/** Calls `test`: use it inside a `describe`. */
export function engineRecordsContract(open: () => Promise<Opened>): void {
  const fixtures = recordFixtures(open);
  const { of, ended, grant, token, session } = fixtures;
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
    await fixtures.adapters.endings[end](end === "endAccount" ? owners.accountId : owners.clientId);
    await ended("Grant", grantId);
    await ended("RefreshToken", refreshToken);
  });

  test("ending an account ends a sign-in that has not gone on yet", async () => {
    const [accountId, uid, other] = [id(), id(), id()];
    await of("Interaction").upsert(uid, { jti: uid, exp: inSeconds(HOUR), result: { login: { accountId } } }, HOUR);
    await of("Interaction").upsert(other, { jti: other, exp: inSeconds(HOUR), params: {} }, HOUR);
    await fixtures.adapters.endings.endAccount(accountId);
    await ended("Interaction", uid);
    expect(await of("Interaction").find(other)).toBeDefined();
  });

  test("nothing is issued under a grant that is not there", async () => {
    const gone = id();
    await expect(token("RefreshToken", gone)).rejects.toThrow();
    const grantId = await grant();
    await of("Grant").destroy(grantId);
    const jti = id();
    const lost = await request(fixtures.adapters.store, () =>
      of("RefreshToken").upsert(jti, { kind: "RefreshToken", jti, grantId, exp: inSeconds(HOUR) }, HOUR),
    );
    expect(lost).toMatchObject({ op: "put" });
    await ended("RefreshToken", jti);
  });

  test("a session is found by its uid through every new id, in one request or several", async () => {
    const { jti, uid, payload } = await session();
    const next = id();
    await request(fixtures.adapters.store, async () => {
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
    await fixtures.adapters.endings.endSession(uid);
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
        const lost = await request(fixtures.adapters.store, async () => {
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
    expect(await request(fixtures.adapters.store, () => of("RefreshToken").consume(id()))).toMatchObject({ op: "consume" });
    await waitFor("the token to expire", async () => (await of("RefreshToken").find(brief)) === undefined);
    await expect(of("RefreshToken").consume(brief)).rejects.toThrow();
  });

  test("what a lost commit has put is not left usable", async () => {
    const grantId = await grant();
    const code = await token("AuthorizationCode", grantId);
    const given = await Promise.all(
      Array.from({ length: PARALLEL }, async () => {
        const jti = id();
        const lost = await request(fixtures.adapters.store, async () => {
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
  endingsContract(fixtures);
  sessionsContract(fixtures);

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
    await fixtures.adapters.store.sweep();
    expect(await of("RefreshToken").find(long)).toBeDefined();
    if (fixtures.opened.redis === undefined) {
      const { rows } = await fixtures.opened.pool.query(
        "SELECT count(*)::int AS expired FROM engine_record WHERE expires_at <= now() - interval '1 second'",
      );
      expect(rows).toEqual([{ expired: 0 }]);
    }
  });

  test("every key has a TTL, and no command names keys of two hash slots", async () => {
    const { redis } = fixtures.opened;
    if (redis === undefined) return;
    const immortal: string[] = [];
    for (const key of await allKeys(redis)) if ((await redis.pttl(key)) === -1) immortal.push(key);
    expect(immortal).toEqual([]);
    const { watch } = fixtures;
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
    if (fixtures.opened.redis !== undefined) {
      const colon = key.indexOf(":");
      return (await fixtures.opened.redis.pexpiretime(`grantor:${key.slice(0, colon)}:{${key.slice(colon + 1)}}`)) / 1000;
    }
    const { rows } = await fixtures.opened.pool.query(
      "SELECT extract(epoch FROM expires_at)::float8 AS at FROM engine_record WHERE key = $1",
      [key],
    );
    return rows[0].at;
  }

  async function everythingStored(): Promise<string[]> {
    const { rows } = await fixtures.opened.pool.query<{ key: string; payload: string; pointer: string | null; grant_key: string | null }>(
      "SELECT key, payload, pointer, grant_key FROM engine_record WHERE expires_at > now() ORDER BY expires_at DESC LIMIT 40",
    );
    const values = rows.flatMap(({ key, payload, pointer, grant_key }) => [key, payload, pointer ?? "", grant_key ?? ""]);
    if (fixtures.opened.redis === undefined) return values;
    for (const key of (await allKeys(fixtures.opened.redis)).slice(0, 60)) {
      values.push(
        key,
        ...((await fixtures.opened.redis.type(key)) === "string"
          ? [String(await fixtures.opened.redis.get(key))]
          : await fixtures.opened.redis.zrange(key, "0", "-1")),
      );
    }
    return values;
  }
}
