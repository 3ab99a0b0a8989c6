/** The audit log is sealed in batches, by one process at a time, and its checkpoints are signed. */
import { describe, expect, test } from "vitest";
import { insertEvents } from "../../src/observability/audit-log.ts";
import { createAuditTrail } from "../../src/observability/audit-trail.ts";
import { auditChain, MOST, some } from "../support/audit-chain.ts";
import { waitFor } from "../support/wait-for.ts";

const chain = auditChain();
const { sealerOf, verify, record } = chain;

describe("sealing", () => {
  test("everything comes into the chain once, in batches, and the chain holds", async () => {
    await record(some(12));
    expect(await sealerOf().seal()).toBe(3);
    await record(some(1));
    expect(await verify()).toMatchObject({ fault: undefined, batches: 3, events: 12, unsealed: 1, checkpoints: 1, first: 1, last: 3 });
    expect(await sealerOf().seal()).toBe(1);
    expect(await sealerOf().seal()).toBe(0);
    expect(await verify()).toMatchObject({ fault: undefined, batches: 4, events: 13, unsealed: 0 });
  });

  test("an empty log holds", async () => {
    expect(await sealerOf().seal()).toBe(0);
    expect(await sealerOf().checkpoint()).toBeUndefined();
    expect(await verify()).toMatchObject({ fault: undefined, batches: 0 });
  });

  test("of many processes each event is sealed by one, and writers are not held up", async () => {
    const processes = Array.from({ length: 6 }, () => sealerOf());
    const writing = Promise.all(Array.from({ length: 40 }, (_, index) => record(some(3, { requestId: `writer-${index}` }))));
    const sealing = Promise.all(
      processes.map(async (sealer) => {
        for (let i = 0; i < 5; i++) await sealer.seal();
      }),
    );
    await Promise.all([writing, sealing]);
    await waitFor("everything is sealed", async () => (await sealerOf().seal()) === 0);
    expect(await verify()).toMatchObject({ fault: undefined, events: 120, unsealed: 0 });
  });

  test("between two of them lies the interval, unless a batch is full", async () => {
    await record(some(1));
    const sealer = sealerOf({ interval: 3600 });
    expect(await sealer.seal()).toBe(1);
    await record(some(MOST - 1));
    expect(await sealer.seal()).toBe(0);
    await record(some(1));
    expect(await sealer.seal()).toBe(1);
  });

  test("an event whose transaction ends late comes into a later batch", async () => {
    const late = await chain.database.pool.connect();
    try {
      await late.query("BEGIN");
      await insertEvents(late, [{ at: new Date(), event: "late", outcome: "success" }]);
      await record(some(2));
      expect(await sealerOf().seal()).toBe(1);
      await late.query("COMMIT");
    } finally {
      late.release();
    }
    expect(await sealerOf().seal()).toBe(1);
    expect(await verify()).toMatchObject({ fault: undefined, batches: 2, events: 3 });
    const { events } = await createAuditTrail(chain.database.pool).search({ prefix: "late" }, { limit: 1 });
    expect(events[0]?.batch).toBe(2);
  });

  test("one that fails half-way leaves nothing half-sealed, and the next one does all of it", async () => {
    await record(some(3));
    const sign = () => Promise.reject(new Error("no key"));
    await expect(sealerOf({ keys: { sign } }).seal()).rejects.toThrow("no key");
    const dying = await chain.database.pool.connect();
    await dying.query("BEGIN");
    await dying.query("SELECT set_config('grantor.audit', 'seal', true)");
    await dying.query("UPDATE audit_event SET batch = NULL, position = 1 WHERE false");
    dying.release(true); // its connection ends without a word
    expect(await verify()).toMatchObject({ fault: undefined, batches: 0, unsealed: 3 });
    expect(await sealerOf().seal()).toBe(1);
    expect(await verify()).toMatchObject({ fault: undefined, batches: 1, events: 3 });
  });

  test("checkpoints are signed as time passes and on demand, and told", async () => {
    const told: unknown[] = [];
    const sealer = sealerOf({ log: { info: (...said: unknown[]) => void told.push(said[0]) } as never });
    await record(some(2));
    const first = await sealer.checkpoint();
    expect(first).toMatchObject({ number: 1, count: 2, checkpoint: expect.stringMatching(/^eyJ/) });
    expect(await sealer.checkpoint()).toEqual(first);
    await record(some(2));
    await sealer.seal();
    const second = await sealer.checkpoint();
    expect(second?.number).toBe(2);
    expect(told).toEqual([
      { batch: 1, checkpoint: first?.checkpoint },
      { batch: 2, checkpoint: second?.checkpoint },
    ]);
    expect(await verify([first?.checkpoint as string])).toMatchObject({ fault: undefined, checkpoints: 3 });
    const often = sealerOf({ checkpointEvery: 0 });
    await record(some(2));
    await often.seal();
    const { rows } = await chain.database.pool.query("SELECT FROM audit_batch WHERE checkpoint IS NOT NULL");
    expect(rows).toHaveLength(3);
  });
});
