/** The audit log's writer: nothing that happens to the database or stands in an event keeps the others from being written. */
import type pg from "pg";
import { pino } from "pino";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { batchHash, canonical, eventHash, eventsHash, personalHash, type StoredEvent } from "../../src/observability/audit-chain.ts";
import { type AuditEvent, createAuditLog, type DatedEvent } from "../../src/observability/audit-log.ts";

const log = pino({ level: "silent" });
let written: DatedEvent[];
/** What the database answers an insertion; undefined: it takes it. */
let trouble: (events: readonly DatedEvent[]) => Error | undefined;

const pool = {
  async query(_sql: string, [json]: [string]) {
    const events = JSON.parse(json) as DatedEvent[];
    const error = trouble(events);
    if (error !== undefined) throw error;
    written.push(...events);
  },
} as unknown as pg.Pool;

beforeEach(() => {
  vi.useFakeTimers();
  written = [];
  trouble = () => undefined;
});
afterEach(() => vi.useRealTimers());

const event = (name: string, more: Partial<AuditEvent> = {}): AuditEvent => ({ event: name, outcome: "success", ...more });
const names = () => written.map((each) => each.event);

test("events are written in their order, behind the one who records them", async () => {
  const audit = createAuditLog(pool, log);
  for (let i = 0; i < 2500; i++) audit.record(event(`e${i}`));
  expect(audit.waiting()).toBe(2500);
  await vi.advanceTimersByTimeAsync(300);
  expect(names()).toEqual(Array.from({ length: 2500 }, (_, i) => `e${i}`));
  expect(audit.waiting()).toBe(0);
});

test("while the database is away the newest wait, and how many are lost is recorded when it is back", async () => {
  const audit = createAuditLog(pool, log, { most: 10 });
  trouble = () => new Error("away");
  for (let i = 0; i < 8; i++) audit.record(event(`e${i}`));
  await vi.advanceTimersByTimeAsync(300);
  for (let i = 8; i < 15; i++) audit.record(event(`e${i}`));
  trouble = () => undefined;
  await vi.advanceTimersByTimeAsync(6_000);
  expect(names()).toEqual([...Array.from({ length: 10 }, (_, i) => `e${i + 5}`), "audit.lost"]);
  expect(written.at(-1)).toMatchObject({ outcome: "failure", detail: { events: 5 } });
});

test("one that the database refuses for what it holds is lost alone", async () => {
  const audit = createAuditLog(pool, log);
  trouble = (events) => (events.some((each) => each.event === "bad") ? Object.assign(new Error("no"), { code: "22P05" }) : undefined);
  for (const name of ["a", "bad", "b"]) audit.record(event(name));
  await audit.close();
  expect(names()).toEqual(["a", "b", "audit.lost"]);
});

test("what PostgreSQL cannot store is replaced", async () => {
  const audit = createAuditLog(pool, log);
  audit.record(event("x", { address: "a\0b", detail: { half: "\ud800", whole: "💥" } }));
  await audit.close();
  expect(written[0]).toMatchObject({ address: "a\u{FFFD}b", detail: { half: "\u{FFFD}", whole: "💥" } });
});

test("what is repeated is recorded once at once, then counted for a minute; the request does not tell it apart", async () => {
  const heard: string[] = [];
  const audit = createAuditLog(pool, log, { onRecord: ({ event: name }) => void heard.push(name) });
  for (let i = 0; i < 100; i++) audit.tally(event("refused", { address: "192.0.2.1", requestId: `r${i}` }));
  audit.tally(event("refused", { address: "192.0.2.2" }));
  await vi.advanceTimersByTimeAsync(1_000);
  expect(written).toMatchObject([{ address: "192.0.2.1", requestId: "r0" }, { address: "192.0.2.2" }]);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(written.slice(2)).toMatchObject([{ address: "192.0.2.1", detail: { times: 99 } }]);
  expect(heard).toHaveLength(101);
  audit.tally(event("refused", { address: "192.0.2.1" }));
  audit.tally(event("refused", { address: "192.0.2.1" }));
  await audit.close();
  expect(written.slice(3)).toMatchObject([{ address: "192.0.2.1" }, { address: "192.0.2.1", detail: { times: 1 } }]);
});

test("many strangers write no more than a bounded number of records", async () => {
  const audit = createAuditLog(pool, log);
  for (let i = 0; i < 5_000; i++) audit.tally(event("refused", { address: `192.0.${i >> 8}.${i & 255}` }));
  await audit.close();
  expect(written.length).toBeLessThan(510);
  expect(written.at(-1)).toMatchObject({ event: "refused", detail: { more: true, times: 4499 } });
});

test("the canonical form does not change", () => {
  expect(canonical({ b: [1, 0.5, true, null, "\u2028é\n"], a: { "€": 1, "\r": 2, "1": 3 } })).toBe(
    '{"a":{"\\r":2,"1":3,"€":1},"b":[1,0.5,true,null,"\u2028é\\n"]}',
  );
  const stored: StoredEvent = {
    ...{ id: "7", at: new Date("2026-01-02T03:04:05.678Z"), event: "sign_in", outcome: "success", actor: "ada" },
    ...{ account_id: "ada", client_id: null, request_id: "r", address: "192.0.2.1", detail: { amr: "pwd" }, erased_at: null },
  };
  const personal = personalHash(stored, Buffer.alloc(16, 1));
  const events = eventsHash([eventHash(stored, personal)]);
  const { at } = stored;
  const hash = batchHash({ number: 1, count: 1, firstAt: at, lastAt: at, sealedAt: at, eventsHash: events }, Buffer.alloc(32));
  // A chain that was sealed by an earlier release must hold for ever.
  expect(hash.toString("base64url")).toMatchInlineSnapshot(`"Al-7mkbKmMFpMec2YJWVyK2nHbkeyUQjbdzzbWxSlj0"`);
});
