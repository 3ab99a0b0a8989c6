/** What leaves the audit log: whole batches when their time is over, and what is personal by order. The chain holds. */
import { describe, expect, test } from "vitest";
import { erasePersonalParts, removeOldEvents } from "../../src/observability/audit-retention.ts";
import { createAuditTrail } from "../../src/observability/audit-trail.ts";
import { auditChain, DAY, MOST, some } from "../support/audit-chain.ts";
import { waitFor } from "../support/wait-for.ts";

const chain = auditChain();
const { sealerOf, verify, record, behindItsBack } = chain;

describe("retention", () => {
  const old = new Date(Date.now() - 10 * DAY * 1000);

  test("whole batches go, the oldest first; their hashes stay, and the chain says what is gone", async () => {
    for (let i = 0; i < 3; i++) await record(some(MOST), old);
    await sealerOf().seal();
    await record([...some(2), { event: "new", outcome: "success" }]);
    await record(some(2), old); // beside new ones they stay
    await sealerOf().seal();
    expect(await removeOldEvents(chain.database.pool, 0)).toEqual({ batches: 0, events: 0 });
    expect(await removeOldEvents(chain.database.pool, 11 * DAY)).toEqual({ batches: 0, events: 0 });
    expect(await removeOldEvents(chain.database.pool, 5 * DAY)).toEqual({ batches: 3, events: 15 });
    expect(await removeOldEvents(chain.database.pool, 5 * DAY)).toEqual({ batches: 0, events: 0 });
    const expected = { fault: undefined, batches: 4, events: 5, removed: { batches: 3, events: 15 } };
    expect(await verify()).toMatchObject({ ...expected, unsealed: 1 });
    await sealerOf().seal();
    expect(await verify()).toMatchObject({ ...expected, batches: 5, events: 6, unsealed: 0 });
    await behindItsBack("UPDATE audit_batch SET last_at = last_at + '1 day' WHERE number = 2");
    expect((await verify()).fault).toMatchObject({ batch: 2 });
  });
});

describe("erasing", () => {
  test("address and detail of one person go, sealed or not; who did what to whom stays, and the chain holds", async () => {
    await record(some(7));
    await sealerOf().seal();
    await record([{ event: "account.updated", outcome: "success", actor: "admin", accountId: "person-3", address: "192.0.2.99" }]);
    await record([{ event: "account.updated", outcome: "success", actor: "person-3", accountId: "person-1", detail: { what: "name" } }]);
    expect(await erasePersonalParts(chain.database.pool, "person-3", { actor: "operator" })).toBe(3);
    expect(await erasePersonalParts(chain.database.pool, "person-3", { actor: "operator" })).toBe(0);
    for (const nobody of ["operator", "client-1", "unknown"])
      expect(await erasePersonalParts(chain.database.pool, nobody, { actor: "operator" })).toBeUndefined();
    expect(await verify()).toMatchObject({ fault: undefined, erased: 1 });
    await sealerOf().seal();
    expect(await verify()).toMatchObject({ fault: undefined, unsealed: 0 });
    const { events } = await createAuditTrail(chain.database.pool).search({ accountId: "person-3" }, { limit: 10 });
    expect(events.map(({ event, address, detail }) => ({ event, address, detail }))).toEqual([
      { event: "audit.erased", address: undefined, detail: {} },
      { event: "account.updated", address: undefined, detail: {} },
      { event: "sign_in", address: undefined, detail: {} },
    ]);
    expect((await createAuditTrail(chain.database.pool).search({ address: "192.0.2.2" }, { limit: 10 })).events).toHaveLength(1);

    // The order stands for what was there when it was given.
    await record([{ event: "sign_in", outcome: "success", actor: "person-3", accountId: "person-3", address: "192.0.2.66" }]);
    await sealerOf().seal();
    expect((await verify()).fault).toBeUndefined();
    await behindItsBack(
      "UPDATE audit_event SET address = NULL, detail = '{}', salt = NULL, erased_at = now() WHERE address = '192.0.2.66'",
    );
    expect((await verify()).fault).toMatchObject({ message: expect.stringContaining("no order") });
  });

  test("raced with sealing, nothing is lost and nothing stays", async () => {
    for (let round = 0; round < 5; round++) {
      await record(some(12, { accountId: `person ${round}` }));
      await Promise.all([
        sealerOf().seal(),
        erasePersonalParts(chain.database.pool, `person ${round}`, { actor: "operator" }),
        sealerOf().seal(),
      ]);
    }
    await waitFor("everything is sealed", async () => (await sealerOf().seal()) === 0);
    expect(await verify()).toMatchObject({ fault: undefined, unsealed: 0, events: 65 });
    const { rows } = await chain.database.pool.query("SELECT FROM audit_event WHERE address IS NOT NULL");
    expect(rows).toHaveLength(0);
  });
});
