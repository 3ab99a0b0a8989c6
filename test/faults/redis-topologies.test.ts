/** The records on a Redis Cluster and under Sentinel: the same contract, and what a failover that loses writes must not bring back. */
import { randomBytes } from "node:crypto";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Database } from "../../src/storage/database.ts";
import { connectRedis } from "../../src/storage/redis-client.ts";
import { RedisRecords } from "../../src/storage/redis-records.ts";
import { RevocationJournal } from "../../src/storage/revocation-journal.ts";
import { engineRecordsContract } from "../support/engine-records.ts";
import { type Adapters, adaptersOn } from "../support/record-fixtures.ts";
import { startCluster, startSentinel, type Topology } from "../support/redis-topologies.ts";
import { testDatabase } from "../support/test-database.ts";
import { waitFor } from "../support/wait-for.ts";

const log = pino({ level: "silent" });
const HOUR = 3_600;
/** Enough for some of them to lie on each master. */
const GRANTS = 40;
/** Milliseconds after the new master is there. */
const RECOVERY = 5_000;

const id = () => randomBytes(32).toString("base64url");

describe.each([
  { name: "Redis Cluster", start: startCluster },
  { name: "Redis under Sentinel", start: startSentinel },
])("$name", ({ start }) => {
  let topology: Topology;
  let database: Database;
  beforeAll(async () => {
    [topology, database] = await Promise.all([start(), testDatabase()]);
  });
  afterAll(async () => {
    await database?.close();
    await topology?.stop();
  });

  const openStore = () => new RedisRecords(connectRedis(topology.url, log), new RevocationJournal(database.pool), 1_000);

  describe("the engine's records", () => {
    engineRecordsContract(async () => {
      const store = openStore();
      const redis = connectRedis(topology.url, log);
      return {
        store,
        pool: database.pool,
        redis,
        async close() {
          redis.disconnect();
          await store.close();
        },
      };
    });
  });

  test("a failover that loses the newest writes brings nothing back that was ended", async () => {
    const [one, other] = [openStore(), openStore()];
    try {
      const here = adaptersOn(one);
      const issued = await Promise.all(Array.from({ length: GRANTS }, () => issue(here)));
      const session = { kind: "Session", jti: id(), uid: id(), exp: Date.now() / 1000 + HOUR, accountId: "account" };
      await here.of("Session").upsert(session.jti, session, HOUR);
      await waitFor("the replica to be in step", async () => {
        const [master, replica] = await Promise.all(
          topology.nodes.map(({ client }) => client.dbsize()).filter((_, i, all) => i === 0 || i === all.length - 1),
        );
        return master === replica;
      });

      await topology.cutOff();
      const ended = issued.slice(0, GRANTS / 2);
      await Promise.all(ended.map(({ grantId }) => here.endings.endGrant(grantId)));
      await here.endings.endSession(session.uid);
      const failing = topology.failOver();
      let failedOver = false;
      failing.then(() => {
        failedOver = true;
      });

      const there = adaptersOn(other);
      let asked = 0;
      const isEnded = async (adapters: Adapters) => {
        for (const { refresh, access, grantId } of ended) {
          expect(await adapters.of("RefreshToken").find(refresh)).toBeUndefined();
          expect(await adapters.of("AccessToken").find(access)).toBeUndefined();
          expect(await adapters.of("Grant").find(grantId)).toBeUndefined();
          asked += 3;
        }
        expect(await adapters.of("Session").find(session.jti)).toBeUndefined();
      };
      // Asked all the time: before, during and after the failover there is an error, or the right answer.
      while (!failedOver) await Promise.all([here, there].map((adapters) => isEnded(adapters).catch(onlyUnavailable)));
      await failing;
      await waitFor(
        "both to answer again",
        async () => {
          await Promise.all([here, there].map(isEnded));
          for (const { refresh } of issued.slice(GRANTS / 2)) {
            if ((await there.of("RefreshToken").find(refresh)) === undefined) return false;
          }
          return true;
        },
        RECOVERY,
      );
      expect(asked).toBeGreaterThan(GRANTS);
      await Promise.all([here, there].map(isEnded));
      // And single use goes on.
      const survivor = issued.at(-1)?.refresh as string;
      const uses = await Promise.allSettled(
        Array.from({ length: 20 }, (_, i) => [here, there][i % 2]?.of("RefreshToken").consume(survivor)),
      );
      expect(uses.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    } finally {
      await Promise.all([one.close(), other.close()]);
    }
  });
});

async function issue({ of }: Adapters) {
  const [grantId, refresh, jti] = [id(), id(), id()];
  await of("Grant").upsert(grantId, { kind: "Grant", jti: grantId, accountId: "account", clientId: "client" }, HOUR);
  const under = { grantId, clientId: "client", accountId: "account", exp: Math.floor(Date.now() / 1000) + HOUR };
  await of("RefreshToken").upsert(refresh, { kind: "RefreshToken", jti: refresh, ...under }, HOUR);
  await of("AccessToken").upsert(jti, { kind: "AccessToken", jti, aud: "https://issuer.example", ...under }, HOUR);
  return { grantId, refresh, access: `complete.${jti}` };
}

function onlyUnavailable(error: unknown): void {
  if (!(error instanceof Error) || error.name !== "StoreUnavailableError") throw error;
}
