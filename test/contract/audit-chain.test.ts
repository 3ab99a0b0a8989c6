/** The audit log: sealed by one process at a time, and whatever is done to it behind the application's back is found. */
import { randomBytes } from "node:crypto";
import pg from "pg";
import { pino } from "pino";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createKeyRotation, type KeyRotation } from "../../src/keys/key-rotation.ts";
import { listSigningKeys } from "../../src/keys/key-rows.ts";
import { checkpointKeys, createStatements } from "../../src/keys/statements.ts";
import { batchHash, eventHash, eventsHash, newSalt, personalHash } from "../../src/observability/audit-chain.ts";
import { type CheckpointKeys, checkpointsIn } from "../../src/observability/audit-checkpoints.ts";
import { type ExportRange, exportedChain, exportLines, storedChain } from "../../src/observability/audit-export.ts";
import { type AuditEvent, createAuditLog, insertEvents } from "../../src/observability/audit-log.ts";
import { erasePersonalParts, removeOldEvents } from "../../src/observability/audit-retention.ts";
import { createAuditSealer } from "../../src/observability/audit-sealer.ts";
import { createAuditTrail } from "../../src/observability/audit-trail.ts";
import { type ChainFault, verifyChain } from "../../src/observability/audit-verification.ts";
import type { Database } from "../../src/storage/database.ts";
import { createSealer } from "../../src/storage/seal.ts";
import { testDatabase } from "../support/test-database.ts";
import { waitFor } from "../support/wait-for.ts";

const ISSUER = "https://op.example";
const log = pino({ level: "silent" });
const DAY = 86_400;
/** Events of a batch here. */
const MOST = 5;

let database: Database;
let keys: CheckpointKeys;
let rotation: KeyRotation;

beforeAll(async () => {
  database = await testDatabase();
  const sealer = createSealer([randomBytes(32)]);
  rotation = createKeyRotation({
    database,
    feed: { publish: async () => {} },
    sealer,
    policy: { publishAhead: 3600, rotationAge: 30 * DAY, retireSlack: 300 },
    longestToken: async () => 3600,
  });
  await rotation.tend(() => {});
  keys = checkpointKeys(createStatements(database, sealer, ISSUER));
});

afterAll(() => database?.close());

/** What a test did to the log is undone: only who owns the tables can do it. */
beforeEach(() => behindItsBack("TRUNCATE audit_event, audit_batch RESTART IDENTITY"));

const sealerOf = (options: Partial<Parameters<typeof createAuditSealer>[0]> = {}) =>
  createAuditSealer({ pool: database.pool, keys, log, interval: 0, most: MOST, ...options });
const verify = (kept: readonly string[] = []) => verifyChain(storedChain(database.pool), { keys, kept, whole: true });
const record = (events: readonly AuditEvent[], at = new Date()) =>
  insertEvents(
    database.pool,
    events.map((event) => ({ at, ...event })),
  );

const some = (count: number, more: Partial<AuditEvent> = {}): AuditEvent[] =>
  Array.from({ length: count }, (_, index) => ({
    event: "sign_in",
    outcome: index % 3 === 0 ? "failure" : "success",
    actor: `person-${index}`,
    accountId: `person-${index}`,
    clientId: "client-1",
    address: `192.0.2.${index}`,
    requestId: `request-${index}`,
    detail: { amr: "pwd otp", tries: index + 0.5, known: true, "ünïcode \"'\\": "\u2028 💥" },
    ...more,
  }));

/** As the tables' owner, who can turn the triggers off. */
async function behindItsBack(...statements: string[]): Promise<void> {
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  try {
    await client.query("SET session_replication_role = replica");
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}

async function sealedBatches(batches: number): Promise<void> {
  for (let i = 0; i < batches; i++) await record(some(MOST));
  expect(await sealerOf().seal()).toBe(batches);
}

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
    const late = await database.pool.connect();
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
    const { events } = await createAuditTrail(database.pool).search({ prefix: "late" }, { limit: 1 });
    expect(events[0]?.batch).toBe(2);
  });

  test("one that fails half-way leaves nothing half-sealed, and the next one does all of it", async () => {
    await record(some(3));
    const sign = () => Promise.reject(new Error("no key"));
    await expect(sealerOf({ keys: { sign } }).seal()).rejects.toThrow("no key");
    const dying = await database.pool.connect();
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
    const { rows } = await database.pool.query("SELECT FROM audit_batch WHERE checkpoint IS NOT NULL");
    expect(rows).toHaveLength(3);
  });
});

describe("append-only", () => {
  test.each([
    "UPDATE audit_event SET outcome = 'success'",
    "UPDATE audit_event SET at = now()",
    "UPDATE audit_event SET address = NULL",
    "UPDATE audit_event SET batch = NULL, position = NULL",
    "DELETE FROM audit_event",
    "TRUNCATE audit_event",
    "TRUNCATE audit_event, audit_batch",
    "UPDATE audit_batch SET hash = '\\x00'",
    "UPDATE audit_batch SET checkpoint = NULL",
    "UPDATE audit_batch SET removed_at = now()",
    "DELETE FROM audit_batch",
    "INSERT INTO audit_batch SELECT * FROM audit_batch",
  ])("%s is refused, whatever the transaction says of itself", async (statement) => {
    await sealedBatches(1);
    await record(some(1));
    for (const doing of ["", "seal", "erase", "remove"]) {
      if (doing === "remove" && statement.includes("removed_at")) continue; // that is what it is for
      const client = await database.pool.connect();
      try {
        await client.query("BEGIN");
        await client.query("SELECT set_config('grantor.audit', $1, true)", [doing]);
        await expect(client.query(statement), doing).rejects.toThrow(/append-only|duplicate key/);
      } finally {
        await client.query("ROLLBACK");
        client.release();
      }
    }
  });
});

describe("what is done behind the application's back shows", () => {
  const faultAfter = async (...statements: string[]): Promise<ChainFault | undefined> => {
    await sealedBatches(4);
    await behindItsBack(...statements);
    return (await verify()).fault;
  };

  test.each([
    "at = at + '1 ms'",
    "event = 'x'",
    "outcome = 'x'",
    "actor = 'x'",
    "account_id = NULL",
    "client_id = 'x'",
    "request_id = NULL",
  ])("a fact is changed: %s", async (change) => {
    expect(await faultAfter(`UPDATE audit_event SET ${change} WHERE batch = 2 AND position = 3`)).toMatchObject({ batch: 2 });
  });

  test.each(["address = '198.51.100.1'", "detail = '{}'", "salt = '\\x00'", "personal_hash = '\\x00'"])(
    "what is personal is changed: %s",
    async (change) => {
      const fault = await faultAfter(`UPDATE audit_event SET ${change} WHERE batch = 2 AND position = 3`);
      expect(fault).toMatchObject({ batch: 2, position: 3 });
    },
  );

  test("an event is erased without an order", async () => {
    const erase = "address = NULL, detail = '{}', salt = NULL, erased_at = now()";
    const fault = await faultAfter(`UPDATE audit_event SET ${erase} WHERE batch = 2 AND position = 3`);
    expect(fault).toMatchObject({ batch: 2, position: 3, message: expect.stringContaining("no order") });
  });

  test("an event is deleted", async () => {
    expect(await faultAfter("DELETE FROM audit_event WHERE batch = 3 AND position = 2")).toMatchObject({ batch: 3, position: 2 });
  });

  test("an event is put between others", async () => {
    const fault = await faultAfter(
      "UPDATE audit_event SET position = position + 10 WHERE batch = 2 AND position > 2",
      "INSERT INTO audit_event (event, outcome, batch, position, personal_hash, salt) VALUES ('x', 'success', 2, 3, '\\x00', NULL)",
      "UPDATE audit_event SET position = position - 9 WHERE batch = 2 AND position > 10",
    );
    expect(fault).toMatchObject({ batch: 2 });
  });

  test("two events change places", async () => {
    const fault = await faultAfter(
      "UPDATE audit_event SET position = 99 WHERE batch = 2 AND position = 1",
      "UPDATE audit_event SET position = 1 WHERE batch = 2 AND position = 2",
      "UPDATE audit_event SET position = 2 WHERE batch = 2 AND position = 99",
    );
    expect(fault).toMatchObject({ batch: 2, message: expect.stringContaining("places") });
  });

  test("a batch is deleted", async () => {
    const fault = await faultAfter("DELETE FROM audit_event WHERE batch = 2", "DELETE FROM audit_batch WHERE number = 2");
    expect(fault).toMatchObject({ batch: 2, message: expect.stringContaining("missing") });
  });

  test("the first batches are deleted", async () => {
    const fault = await faultAfter("DELETE FROM audit_event WHERE batch < 3", "DELETE FROM audit_batch WHERE number < 3");
    expect(fault).toMatchObject({ batch: 1, message: expect.stringContaining("missing") });
  });

  test("batches are removed as though their time were over", async () => {
    const mark = (where: string) => [
      `UPDATE audit_batch SET removed_at = now() WHERE ${where}`,
      `DELETE FROM audit_event WHERE batch IN (SELECT number FROM audit_batch WHERE ${where})`,
    ];
    expect(await faultAfter(...mark("number = 3"))).toMatchObject({ batch: 3 });
    expect(await faultAfterAgain(...mark("number < 3"))).toMatchObject({ batch: 1, message: expect.stringContaining("not recorded") });
  });
  const faultAfterAgain = async (...statements: string[]) => {
    await behindItsBack("TRUNCATE audit_event, audit_batch RESTART IDENTITY");
    return faultAfter(...statements);
  };

  test("the end is cut off: against a checkpoint that was kept elsewhere", async () => {
    await sealedBatches(3);
    const kept = (await sealerOf().checkpoint())?.checkpoint as string;
    expect((await verify([kept])).fault).toBeUndefined();
    await behindItsBack("DELETE FROM audit_event WHERE batch = 3", "DELETE FROM audit_batch WHERE number = 3");
    expect((await verify()).fault).toBeUndefined(); // nothing here remembers it
    expect((await verify([kept])).fault).toMatchObject({ batch: 3, message: expect.stringContaining("cut off") });
    await record(some(4));
    await sealerOf().seal();
    expect((await verify([kept])).fault).toMatchObject({ batch: 3, message: expect.stringContaining("changed") });
  });

  test("the whole chain is made anew, by somebody who has no key", async () => {
    await sealedBatches(4);
    await behindItsBack("UPDATE audit_event SET outcome = 'success'");
    await rebuild(4);
    expect((await verify()).fault).toMatchObject({ batch: 1, message: expect.stringContaining("signed") });
    await behindItsBack("UPDATE audit_batch SET checkpoint = NULL");
    expect((await verify()).fault).toMatchObject({ batch: 1, message: expect.stringContaining("no checkpoint") });
    const { checkpoint } = (await sealerOf().checkpoint()) as { checkpoint: string };
    const [head, body, tail = ""] = checkpoint.split(".");
    const forged = [head, body, `${tail[0] === "A" ? "B" : "A"}${tail.slice(1)}`].join(".");
    await behindItsBack(`UPDATE audit_batch SET checkpoint = '${forged}' WHERE number = 1`);
    expect((await verify()).fault).toMatchObject({ batch: 1, message: expect.stringContaining("not signed") });
  });

  test("a key that somebody put into the database signs nothing", async () => {
    await sealedBatches(1);
    const strange = await testDatabase();
    try {
      const sealer = createSealer([randomBytes(32)]);
      const options = { policy: { publishAhead: 3600, rotationAge: DAY, retireSlack: 300 }, longestToken: async () => 3600 };
      await createKeyRotation({ database: strange, feed: { publish: async () => {} }, sealer, ...options }).tend(() => {});
      const theirs = checkpointKeys(createStatements(strange, sealer, ISSUER));
      const { rows } = await database.pool.query<{ hash: Buffer; sealed_at: Date }>("SELECT hash, sealed_at FROM audit_batch");
      const forged = await theirs.sign({
        number: 1,
        hash: rows[0]?.hash.toString("base64url"),
        sealed_at: rows[0]?.sealed_at.toISOString(),
      });
      expect((await verify([forged])).fault).toMatchObject({ message: expect.stringContaining("not signed by this server") });
      for (const row of await strange.prisma.signingKey.findMany())
        await database.prisma.signingKey.create({ data: { ...row, publicJwk: row.publicJwk as object, state: "expired" } });
      await expect(verify([forged])).rejects.toThrow("SECRET_KEY");
    } finally {
      await strange.close();
      await database.prisma.signingKey.deleteMany({ where: { state: "expired" } });
    }
  });

  test("what was signed with a key that is revoked counts, and is said", async () => {
    await sealedBatches(1);
    const current = (await listSigningKeys(database)).find(({ alg, state }) => alg === "RS256" && state === "current");
    await rotation.rotate({ kids: [current?.kid as string], now: true }, () => {});
    expect(await verify()).toMatchObject({ fault: undefined, checkpoints: 1, checkpointsOfRevokedKeys: 1 });
  });

  /** As the application would have made it, without signatures. */
  async function rebuild(batches: number): Promise<void> {
    let previous: Buffer = Buffer.alloc(32);
    for (let number = 1; number <= batches; number++) {
      const found = [];
      for await (const full of storedChain(database.pool).batches()) if (full.batch.number === number) found.push(full);
      const { batch, events } = found[0] as (typeof found)[number];
      const made = events.map((event) => {
        const salt = newSalt();
        return { event, salt, personal: personalHash(event, salt) };
      });
      const facts = { ...batch, eventsHash: eventsHash(made.map(({ event, personal }) => eventHash(event, personal))) };
      const hash = batchHash(facts, previous);
      const hex = (bytes: Buffer) => `'\\x${bytes.toString("hex")}'`;
      await behindItsBack(
        `UPDATE audit_batch SET events_hash = ${hex(facts.eventsHash)}, hash = ${hex(hash)} WHERE number = ${number}`,
        ...made.map(
          ({ event, salt, personal }) =>
            `UPDATE audit_event SET salt = ${hex(salt)}, personal_hash = ${hex(personal)} WHERE id = ${event.id}`,
        ),
      );
      previous = hash;
    }
  }
});

describe("retention", () => {
  const old = new Date(Date.now() - 10 * DAY * 1000);

  test("whole batches go, the oldest first; their hashes stay, and the chain says what is gone", async () => {
    for (let i = 0; i < 3; i++) await record(some(MOST), old);
    await sealerOf().seal();
    await record([...some(2), { event: "new", outcome: "success" }]);
    await record(some(2), old); // beside new ones they stay
    await sealerOf().seal();
    expect(await removeOldEvents(database.pool, 0)).toEqual({ batches: 0, events: 0 });
    expect(await removeOldEvents(database.pool, 11 * DAY)).toEqual({ batches: 0, events: 0 });
    expect(await removeOldEvents(database.pool, 5 * DAY)).toEqual({ batches: 3, events: 15 });
    expect(await removeOldEvents(database.pool, 5 * DAY)).toEqual({ batches: 0, events: 0 });
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
    expect(await erasePersonalParts(database.pool, "person-3", { actor: "operator" })).toBe(3);
    expect(await erasePersonalParts(database.pool, "person-3", { actor: "operator" })).toBe(0);
    for (const nobody of ["operator", "client-1", "unknown"])
      expect(await erasePersonalParts(database.pool, nobody, { actor: "operator" })).toBeUndefined();
    expect(await verify()).toMatchObject({ fault: undefined, erased: 1 });
    await sealerOf().seal();
    expect(await verify()).toMatchObject({ fault: undefined, unsealed: 0 });
    const { events } = await createAuditTrail(database.pool).search({ accountId: "person-3" }, { limit: 10 });
    expect(events.map(({ event, address, detail }) => ({ event, address, detail }))).toEqual([
      { event: "audit.erased", address: undefined, detail: {} },
      { event: "account.updated", address: undefined, detail: {} },
      { event: "sign_in", address: undefined, detail: {} },
    ]);
    expect((await createAuditTrail(database.pool).search({ address: "192.0.2.2" }, { limit: 10 })).events).toHaveLength(1);

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
        erasePersonalParts(database.pool, `person ${round}`, { actor: "operator" }),
        sealerOf().seal(),
      ]);
    }
    await waitFor("everything is sealed", async () => (await sealerOf().seal()) === 0);
    expect(await verify()).toMatchObject({ fault: undefined, unsealed: 0, events: 65 });
    const { rows } = await database.pool.query("SELECT FROM audit_event WHERE address IS NOT NULL");
    expect(rows).toHaveLength(0);
  });
});

describe("an export", () => {
  async function exported(range: ExportRange = {}): Promise<string[]> {
    const lines: string[] = [];
    for await (const line of exportLines(database.pool, range)) lines.push(JSON.stringify(line));
    return lines;
  }
  const check = async (lines: readonly string[], kept: readonly string[] = []) =>
    verifyChain(
      await exportedChain(
        (async function* () {
          yield* lines;
        })(),
      ),
      { keys, kept, whole: false },
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
    const audit = createAuditLog(database.pool, log);
    audit.record({ event: "client.created", outcome: "success", actor: "operator", clientId: "one", requestId: "r1" });
    audit.record({ event: "client.deleted", outcome: "success", actor: "ada", clientId: "two", address: "192.0.2.7" });
    audit.record({ event: "clients", outcome: "failure", actor: "ada", accountId: "bob" });
    await audit.close();
    const trail = createAuditTrail(database.pool);
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
