/** What the engine's Adapter promises of sessions that several requests change at once. Part of engine-records.ts. */
import { expect, test } from "vitest";
import { BrowserSessions } from "../../src/storage/browser-sessions.ts";
import type { Payload } from "../../src/storage/request-scope.ts";
import { elsewhere, HOUR, id, inSeconds, PARALLEL, type RecordFixtures, request } from "./record-fixtures.ts";

/** Calls `test`: use it inside a `describe`. */
export function sessionsContract(fixtures: RecordFixtures): void {
  const { of, ended, session } = fixtures;

  test("of many requests that carry a session on under another id at once, one does, and the session stays whole", async () => {
    const { jti, uid } = await session({ accountId: "account" });
    const nexts = Array.from({ length: PARALLEL }, id);
    const carriedOn: string[] = [];
    await Promise.all(
      nexts.map(async (next) => {
        let read: Payload | undefined;
        const lost = await request(
          fixtures.adapters.store,
          async () => {
            read = await of("Session").find(jti);
            if (read === undefined) return; // another was faster
            await of("Session").destroy(jti);
            await of("Session").upsert(next, { ...read, jti: next }, HOUR);
          },
          false,
        );
        if (read !== undefined && lost === undefined) carriedOn.push(next);
      }),
    );
    expect(carriedOn).toHaveLength(1);
    expect((await of("Session").findByUid(uid))?.jti).toBe(carriedOn[0]);
    await ended("Session", jti);
    for (const next of nexts) expect((await of("Session").find(next)) !== undefined).toBe(next === carriedOn[0]);
  });

  test("what one request adds to a session is not forgotten by another that changes it, carries it on or ends it", async () => {
    const add = (clientId: string) => async (read: Payload) => {
      await of("Session").upsert(
        read.jti as string,
        { ...read, authorizations: { ...(read.authorizations as object), [clientId]: { grantId: id() } } },
        HOUR,
      );
    };
    const changes: ((read: Payload) => Promise<void>)[] = [
      add("other"),
      async (read) => {
        const next = id();
        await of("Session").destroy(read.jti as string);
        await of("Session").upsert(next, { ...read, jti: next }, HOUR);
      },
      async (read) => of("Session").destroy(read.jti as string),
    ];
    for (const change of changes) {
      const { jti, uid } = await session({ accountId: "account" });
      const lost = await request(
        fixtures.adapters.store,
        async () => {
          const read = (await of("Session").find(jti)) as Payload;
          await elsewhere(
            async () => void (await request(fixtures.adapters.store, async () => add("one")((await of("Session").find(jti)) as Payload))),
          );
          await change(read);
        },
        false,
      );
      expect(lost).toBeDefined();
      expect(Object.keys((await of("Session").findByUid(uid))?.authorizations as object)).toEqual(["one"]);
    }
  });

  test("of many sessions that a person begins at once in one browser, one comes into being", async () => {
    const browser = new BrowserSessions(fixtures.adapters.store, fixtures.adapters.sealer);
    const [mark, accountId] = [id(), id()];
    const begin = async (marks: string[]) => {
      const begun = { kind: "Session", jti: id(), uid: id(), accountId, exp: inSeconds(HOUR) };
      let joined = false;
      const lost = await request(
        fixtures.adapters.store,
        async () => {
          joined = (await browser.find(marks, accountId)) !== undefined; // one that came later than the first had ended
          if (!joined) await of("Session").upsert(begun.jti, begun, HOUR);
        },
        false,
      );
      return joined || lost !== undefined ? undefined : begun;
    };
    const begun = (await Promise.all(Array.from({ length: PARALLEL }, () => begin([mark])))).filter((each) => each !== undefined);
    expect(begun).toHaveLength(1);
    expect(await browser.find([id(), mark], accountId)).toBe(begun[0]?.jti);
    expect(await browser.find([mark], id())).toBeUndefined(); // another person
    expect(await browser.find([id()], accountId)).toBeUndefined(); // another browser
    await fixtures.adapters.endings.endSession(begun[0]?.uid as string);
    expect(await browser.find([mark], accountId)).toBeUndefined();
    expect(await begin([mark])).toBeDefined();
  });
}
