/** What the management API promises of its stores: a request that is repeated is carried out once, and of two who change one thing at once one hears of it. */
import { setTimeout as sleep } from "node:timers/promises";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createRoles } from "../../src/accounts/roles.ts";
import { entityTag, expectationOf } from "../../src/api/entity-tags.ts";
import { Problem } from "../../src/api/problems.ts";
import { openResourceStore } from "../../src/clients/resource-store.ts";
import { createProviderStore } from "../../src/federation/provider-store.ts";
import { type Claim, createIdempotentRequests } from "../../src/operations/idempotent-requests.ts";
import { type ChangeFeed, openChangeFeed } from "../../src/storage/change-feed.ts";
import type { Database } from "../../src/storage/database.ts";
import type { Expectation } from "../../src/storage/expectation.ts";
import { createSealer } from "../../src/storage/seal.ts";
import { testDatabase } from "../support/test-database.ts";

const log = pino({ level: "silent" });
const sealer = createSealer([Buffer.alloc(32, 1)]);

let database: Database;
let feed: ChangeFeed;
const cleanUp: (() => unknown)[] = [];

beforeAll(async () => {
  database = await testDatabase();
  cleanUp.push(() => database.close());
  feed = await openChangeFeed(database, log);
  cleanUp.push(() => feed.close());
});
afterAll(async () => {
  for (const each of cleanUp.reverse()) await each();
});

describe("a request with a key", () => {
  let time = Date.now();
  const at = (sealing = sealer) => createIdempotentRequests(database.prisma, sealing, () => time);
  const requests = () => [at(), at(), at()];
  type Mine = Extract<Claim, { state: "mine" }>;
  const claimed = async (key: string, request = "r"): Promise<Mine> => {
    const claim = await at().claim("client", key, request);
    if (claim.state !== "mine") throw new Error(`it is ${claim.state}`);
    return claim;
  };
  const stateOf = async (key: string, request = "r", asker = "client") => (await at().claim(asker, key, request)).state;

  test("is carried out by one of any number at once, at whatever process; the others hear that it is under way", async () => {
    for (let round = 0; round < 10; round++) {
      const claims = await Promise.all(requests().flatMap((one) => [1, 2, 3].map(() => one.claim("client", `race-${round}`, "r"))));
      expect(claims.map(({ state }) => state).sort()).toEqual(["mine", ...Array(8).fill("running")].sort());
    }
  });

  test("is answered alike from then on, for a day; its answer is sealed", async () => {
    const claim = await claimed("answered");
    await claim.finish({ status: 201, answer: '{"client_secret":"shown-once"}' });
    expect(await at().claim("client", "answered", "r")).toMatchObject({
      state: "answered",
      status: 201,
      answer: '{"client_secret":"shown-once"}',
    });
    const rows = await database.prisma.idempotentRequest.findMany();
    expect(JSON.stringify(rows)).not.toMatch(/shown-once|"client"|answered"/);
    const fresh = createSealer([Buffer.alloc(32, 9)]);
    expect((await at(fresh).claim("client", "answered", "r")).state).toBe("other");
    time += 86_401_000;
    expect(await stateOf("answered")).toBe("mine");
  });

  test("is another's affair for whoever else chose the same key, and no other request of one's own", async () => {
    await claimed("shared");
    expect(await stateOf("shared", "another request")).toBe("other");
    expect(await stateOf("shared", "r", "another client")).toBe("mine");
  });

  test("may be repeated when it failed, and when who carried it out is gone", async () => {
    await (await claimed("failed")).abandon();
    expect(await stateOf("failed")).toBe("mine");
    const dead = await claimed("dead");
    time += 119_000;
    expect(await stateOf("dead")).toBe("running");
    time += 2_000;
    const next = await claimed("dead", "r");
    // Who was only slow changes nothing of what the next one does.
    await dead.finish({ status: 500, answer: "late" });
    await dead.abandon();
    expect(await stateOf("dead")).toBe("running");
    await next.finish({ status: 200, answer: "right" });
    expect(await at().claim("client", "dead", "r")).toMatchObject({ state: "answered", answer: "right" });
  });

  test("names what it makes alike whenever it is carried out within a day, and no other request does", async () => {
    const first = await claimed("making");
    expect(first.id).toMatch(/^[\w][\w-]{21}$/);
    await first.abandon();
    const dead = await claimed("making");
    time += 1_000_000;
    const sweeping = await at().claim("client", "sweeps", "r");
    const again = await claimed("making");
    expect([dead.id, again.id]).toEqual([first.id, first.id]);
    expect((sweeping as Mine).id).not.toBe(first.id);
    await again.finish({ status: 201, answer: "{}" });
    time += 86_401_000;
    const next = await claimed("making");
    await next.abandon();
    const other = await claimed("making", "another request");
    expect(new Set([first.id, next.id, other.id]).size).toBe(3);
  });

  test("is forgotten in time", async () => {
    await claimed("old");
    time += 200_000_000;
    const sweeping = at();
    await sweeping.claim("client", "new", "r");
    for (;;) {
      const left = await database.prisma.idempotentRequest.count({ where: { expiresAt: { lte: new Date(time) } } });
      if (left === 0) break;
      await sleep(10);
    }
    expect(await database.prisma.idempotentRequest.count()).toBe(1);
  });
});

describe("of two who change one thing at once, having seen the same, one hears of it:", () => {
  /** Both begin before either is done. */
  async function race<T>(seen: T, change: (expect: Expectation<T>, which: number) => Promise<unknown>): Promise<void> {
    const expectation = () => expectationOf(entityTag(seen)) as Expectation<T>;
    const outcomes = await Promise.allSettled([1, 2].map((which) => change(expectation(), which)));
    expect(outcomes.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    const { reason } = outcomes.find(({ status }) => status === "rejected") as PromiseRejectedResult;
    const { problem, code } = reason as Partial<Problem> & { code?: string };
    expect(["precondition-failed", "changed_meanwhile", "not_found"]).toContain(problem ?? code);
  }

  test("a resource", async () => {
    const opened = await Promise.all(
      [1, 2].map(() => openResourceStore({ prisma: database.prisma, feed, issuer: "https://id.example", sealer })),
    );
    const [here, there] = opened as [(typeof opened)[0], (typeof opened)[0]];
    for (const each of opened) cleanUp.push(() => each.close());
    for (let round = 0; round < 5; round++) {
      const audience = `https://api.example/${round}`;
      await race(await here.create(audience, { name: "first" }), (expect, which) =>
        (which === 1 ? here : there).update(audience, { name: `changed ${which}` }, expect),
      );
      const seen = (await here.list({ limit: 100 })).resources.find((each) => each.audience === audience);
      await expect(
        there.delete(audience, () => {
          throw new Problem("precondition-failed", "no");
        }),
      ).rejects.toThrow("no");
      expect(seen?.name).toMatch(/^changed [12]$/);
      await there.delete(audience, expectationOf(entityTag(seen)));
    }
  });

  test("a role", async () => {
    const roles = createRoles(database.prisma, feed);
    for (let round = 0; round < 5; round++) {
      const name = `role-${round}`;
      await race(await roles.create(name, { description: "first" }), (expect, which) =>
        roles.update(name, { description: `changed ${which}` }, expect),
      );
      await race(await roles.get(name), (expect, which) =>
        which === 1 ? roles.remove(name, expect) : roles.update(name, { description: "last" }, expect),
      );
    }
  });

  test("a provider", async () => {
    const providers = createProviderStore({ prisma: database.prisma, feed, sealer, configured: [] });
    cleanUp.push(() => providers.close());
    for (let round = 0; round < 5; round++) {
      const id = `p-${round}`;
      const made = await providers.create({ id, kind: "oidc", name: "first", issuer: "https://login.example", client_id: "c" });
      await race(made, (expect, which) => providers.update(id, { name: `changed ${which}` }, expect));
      const [now] = (await providers.list()).filter((each) => each.id === id);
      await race(now, (expect, which) =>
        which === 1 ? providers.delete(id, expect as never) : providers.update(id, { name: "last" }, expect as never),
      );
    }
  });
});
