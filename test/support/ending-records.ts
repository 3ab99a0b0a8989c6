/** What ends with what, in the records: the part of the stores' contract that revocation stands on (engine-records.ts). */
import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { type LiveGrant, liveGrants } from "../../src/storage/live-grants.ts";
import { keyOf } from "../../src/storage/record-body.ts";
import { type Payload, RequestScope, runInScope } from "../../src/storage/request-scope.ts";
import { StatusListRegistry } from "../../src/storage/status-list-registry.ts";
import { elsewhere, HOUR, ISSUER, id, inSeconds, jwtOf, type RecordFixtures, request } from "./record-fixtures.ts";

/** Calls `test`: use it inside a `describe`. */
export function endingsContract(fixtures: RecordFixtures): void {
  const { of, ended, grant, token, session } = fixtures;

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
    const { store, pool } = fixtures.opened;
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
    await fixtures.adapters.endings.endSession(uid);
    expect(await set()).toEqual([0, 1, 4, 7]);
    await fixtures.adapters.endings.endConsent(bob, shop);
    expect(await set()).toEqual([0, 1, 3, 4, 7]);
    await fixtures.adapters.endings.endAccount(ada);
    expect(await set()).toEqual([0, 1, 2, 3, 4, 7]);
    await fixtures.adapters.endings.endClient(shop);
    expect(await set()).toEqual([0, 1, 2, 3, 4, 5, 7]);
    await ended("AccessToken", second.value);
  });

  test("what applications hold of an account is listed page by page, without what has ended, and ended by the name that it is listed with", async () => {
    const { adapters, opened } = fixtures;
    const held = liveGrants(opened.store, adapters.sealer);
    const [ada, bob, shop] = [id(), id(), id()];
    const parts = { openid: { scope: "openid email" }, resources: { "https://api.example": "read" }, iat: 1_700_000_000 };
    const made = await Promise.all([1, 2, 3, 4].map(() => grant({ accountId: ada, clientId: shop, ...parts })));
    await grant({ accountId: bob, clientId: shop });
    await session({ accountId: ada });
    const all = async (limit: number) => {
      const seen: LiveGrant[] = [];
      for (let after: string | undefined; ; ) {
        const { grants, next } = await held.page(ada, { after, limit });
        expect(grants.length).toBeLessThanOrEqual(limit);
        seen.push(...grants);
        if (next === undefined) return seen;
        after = next;
      }
    };
    const named = new Map(made.map((grantId) => [keyOf("grant", grantId).slice("grant:".length), grantId]));
    for (const limit of [1, 3, 4, 9]) expect((await all(limit)).map((each) => each.id)).toEqual([...named.keys()].sort());
    const [first] = await all(4);
    expect(first).toMatchObject({
      accountId: ada,
      clientId: shop,
      openid: "openid email",
      resources: parts.resources,
      grantedAt: parts.iat,
    });
    const { id: name } = first as LiveGrant;
    expect(await held.find(ada, name)).toEqual(first);
    for (const [account, other] of [
      [bob, name],
      [ada, named.get(name)],
      [ada, ""],
      [ada, "\u0000"],
    ] as [string, string][])
      expect(await held.find(account, other)).toBeUndefined();

    await adapters.endings.endLiveGrant(name);
    await ended("Grant", named.get(name) as string);
    expect(await held.find(ada, name)).toBeUndefined();
    expect((await all(2)).map((each) => each.id)).toEqual([...named.keys()].sort().slice(1));
  });

  test("a token that another client got by exchange ends with its grant, and with that client, which never had the grant", async () => {
    const [ada, shop, gateway] = [id(), id(), id()];
    const exchanged = async () => {
      const grantId = await grant({ accountId: ada, clientId: shop });
      return { grantId, value: await token("AccessToken", grantId, { accountId: ada, clientId: gateway, grantClientId: shop }) };
    };
    const [first, second] = [await exchanged(), await exchanged()];
    await fixtures.adapters.endings.endClient(gateway);
    await ended("AccessToken", first.value);
    expect(await of("Grant").find(first.grantId)).toBeDefined();
    const third = await token("AccessToken", second.grantId, { accountId: ada, clientId: gateway, grantClientId: shop });
    expect(await of("AccessToken").find(third)).toBeDefined();
    await fixtures.adapters.endings.endConsent(ada, gateway);
    expect(await of("AccessToken").find(third)).toBeDefined();
    await fixtures.adapters.endings.endConsent(ada, shop);
    await ended("AccessToken", third);
  });

  test("what a request does with an access token stands only if that is still alive at its commit", async () => {
    const { store } = fixtures.opened;
    for (const end of [
      async (_grantId: string, jti: string) => of("AccessToken").destroy(jti),
      async (grantId: string) => fixtures.adapters.endings.endGrant(grantId),
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
    const { store } = fixtures.opened;
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
    const { store } = fixtures.opened;
    if (fixtures.opened.redis === undefined) return; // lists of the database are its rows
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

    await fixtures.adapters.endings.endConsent(bob, mail);
    expect(await alive(four)).toEqual({ ...NONE, session: true });
    expect(await alive(three)).toEqual(ALL);
    expect(await alive(two)).toEqual(ALL);
    await fixtures.adapters.endings.endSession(two.uid);
    expect(await alive(two)).toEqual({ ...ALL, session: false });
    await fixtures.adapters.endings.endAccount(ada);
    expect(await alive(one)).toEqual(NONE);
    expect(await alive(two)).toEqual(NONE);
    expect(await alive(three)).toEqual(ALL);
    expect(await of("ClientCredentials").find(jwtOf(machine))).toBeDefined();
    await fixtures.adapters.endings.endClient(shop);
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
    await fixtures.adapters.endings.endBoundTo(uid, [grantId]); // as for an application that is left while the session goes on
    const gone = [
      keyOf("access-token", bound.replace("complete.", "")),
      keyOf("authorization-code", code),
      keyOf("refresh-token", refreshToken),
    ];
    expect(await Promise.all(gone.map((key) => fixtures.opened.store.read(key)))).toEqual([undefined, undefined, undefined]);
    const next = await token("AccessToken", grantId, others);
    await fixtures.adapters.endings.endSession(uid);
    expect(await fixtures.opened.store.read(keyOf("access-token", next.replace("complete.", "")))).toBeUndefined();
    for (const each of [elsewhere, lasting]) expect(await of("AccessToken").find(each)).toBeDefined();
  });

  test("an ending is remembered for as long as anything that it ended could have lived", async () => {
    const { redis, pool } = fixtures.opened;
    if (redis === undefined) return; // what the database removed does not come back
    const grantId = await grant({});
    const life = 10 * HOUR; // a client's tokens may live longer than the settings let them
    await token("RefreshToken", grantId, {}, life);
    await fixtures.adapters.endings.endGrant(grantId);
    const { rows } = await pool.query("SELECT extract(epoch FROM expires_at) AS until FROM revocation WHERE key = $1", [
      keyOf("grant", grantId),
    ]);
    expect(Number(rows[0]?.until)).toBeGreaterThanOrEqual(inSeconds(life) - 60);
  });

  test("a request that was under way when its session or grant was ended does not bring it back", async () => {
    const { jti, uid } = await session({ accountId: "account" });
    const grantId = await grant();
    const notBack = await request(fixtures.adapters.store, async () => {
      const read = (await of("Session").find(jti)) as Payload;
      const readGrant = (await of("Grant").find(grantId)) as Payload;
      await elsewhere(async () => {
        await fixtures.adapters.endings.endSession(uid);
        await fixtures.adapters.endings.endGrant(grantId);
      });
      await of("Session").upsert(jti, { ...read, amr: ["pwd"] }, HOUR);
      await of("Grant").upsert(grantId, { ...readGrant, openid: { scope: "openid email" } }, HOUR);
    });
    expect(notBack).toMatchObject({ op: "put" });
    await ended("Session", jti);
    await ended("Grant", grantId);

    const renewed = await session({ accountId: "account" });
    const next = id();
    const lost = await request(fixtures.adapters.store, async () => {
      const read = (await of("Session").find(renewed.jti)) as Payload;
      await elsewhere(async () => void (await fixtures.adapters.endings.endSession(renewed.uid)));
      await of("Session").destroy(renewed.jti);
      await of("Session").upsert(next, { ...read, jti: next }, HOUR);
    });
    expect(lost).toBeDefined();
    await ended("Session", next);
  });
}
