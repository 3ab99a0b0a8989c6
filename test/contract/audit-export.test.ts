/** What is read of the audit log: an export that can be checked by itself, and what a search finds. */
import { pino } from "pino";
import { describe, expect, test } from "vitest";
import { checkpointsIn } from "../../src/observability/audit-checkpoints.ts";
import { type ExportRange, exportedChain, exportLines } from "../../src/observability/audit-export.ts";
import { createAuditLog } from "../../src/observability/audit-log.ts";
import { createAuditTrail } from "../../src/observability/audit-trail.ts";
import { verifyChain } from "../../src/observability/audit-verification.ts";
import { auditChain, MOST, some } from "../support/audit-chain.ts";

const chain = auditChain();
const { sealerOf, record, sealedBatches } = chain;

describe("an export", () => {
  async function exported(range: ExportRange = {}): Promise<string[]> {
    const lines: string[] = [];
    for await (const line of exportLines(chain.database.pool, range)) lines.push(JSON.stringify(line));
    return lines;
  }
  const check = async (lines: readonly string[], kept: readonly string[] = []) =>
    verifyChain(
      await exportedChain(
        (async function* () {
          yield* lines;
        })(),
      ),
      { keys: chain.keys, kept, whole: false },
    );

  test("can be checked by itself, whole or in part", async () => {
    await record(some(MOST), new Date("2026-01-01T12:00:00Z"));
    await record(some(MOST), new Date("2026-01-02T12:00:00Z"));
    await record(some(MOST), new Date("2026-01-03T12:00:00Z"));
    await sealerOf().seal();
    await record(some(1), new Date("2026-01-04T12:00:00Z"));
    const lines = await exported();
    expect(lines).toHaveLength(19);
    expect(await check(lines)).toMatchObject({ fault: undefined, first: 1, last: 3, events: 15, checkpoints: 1 });
    const middle = await exported({ since: new Date("2026-01-02T00:00:00Z"), until: new Date("2026-01-03T00:00:00Z") });
    expect(middle).toHaveLength(6);
    expect(await check(middle)).toMatchObject({ fault: undefined, first: 2, last: 2, events: 5 });
    expect(checkpointsIn(lines.join("\n"))).toHaveLength(1);
    expect((await check(lines, checkpointsIn(lines.join("\n")))).fault).toBeUndefined();
    expect((await check(lines.slice(0, 6), [(await sealerOf().checkpoint())?.checkpoint as string])).fault).toMatchObject({
      message: expect.stringContaining("cut off"),
    });
  });

  test("that was changed, shortened inside or is none, is found", async () => {
    await sealedBatches(2);
    const lines = await exported();
    const changed = lines.map((line, index) => (index === 2 ? line.replace('"sign_in"', '"sign_out"') : line));
    expect((await check(changed)).fault).toMatchObject({ batch: 1 });
    expect((await check(lines.map((line) => line.replace("192.0.2.3", "192.0.2.4")))).fault).toMatchObject({ batch: 1, position: 4 });
    expect((await check(lines.toSpliced(3, 1))).fault).toMatchObject({ batch: 1, position: 4 });
    expect((await check(lines.toSpliced(5, 6))).fault).toBeDefined();
    await expect(check(lines.slice(0, -1))).rejects.toThrow("middle of a batch");
    for (const junk of ["{", "null", "[]", '{"type":"event","batch":1,"at":"x"}', '{"type":"x"}', '"text"'])
      await expect(check([...lines, junk]), junk).rejects.toThrow(/Line 13/);
    expect(await check([])).toMatchObject({ fault: undefined, batches: 0 });
  });
});

describe("search", () => {
  test("by everything, and by pages", async () => {
    const audit = createAuditLog(chain.database.pool, pino({ level: "silent" }));
    audit.record({ event: "client.created", outcome: "success", actor: "operator", clientId: "one", requestId: "r1" });
    audit.record({ event: "client.deleted", outcome: "success", actor: "ada", clientId: "two", address: "192.0.2.7" });
    audit.record({ event: "clients", outcome: "failure", actor: "ada", accountId: "bob" });
    await audit.close();
    const trail = createAuditTrail(chain.database.pool);
    const found = async (filter: Parameters<typeof trail.search>[0]) =>
      (await trail.search(filter, { limit: 10 })).events.map(({ event }) => event);
    expect(await found({ prefix: "client." })).toEqual(["client.deleted", "client.created"]);
    expect(await found({ prefix: "client" })).toHaveLength(3);
    expect(await found({ prefix: "none" })).toEqual([]);
    expect(await found({ actor: "ada" })).toEqual(["clients", "client.deleted"]);
    expect(await found({ actor: "ada", outcome: "success" })).toEqual(["client.deleted"]);
    expect(await found({ accountId: "bob" })).toEqual(["clients"]);
    expect(await found({ clientId: "one" })).toEqual(["client.created"]);
    expect(await found({ address: "192.0.2.7" })).toEqual(["client.deleted"]);
    expect(await found({ since: new Date(Date.now() + 60_000) })).toEqual([]);
    expect(await found({ until: new Date(Date.now() - 60_000) })).toEqual([]);
    const { events } = await trail.search({}, { limit: 1 });
    expect(await trail.find(events[0]?.id as string)).toEqual(events[0]);
    for (const id of ["0", "x", "99999999999999999999"]) expect(await trail.find(id)).toBeUndefined();
  });
});
