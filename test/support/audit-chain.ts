/** An audit log on a database of its own, with keys that sign its checkpoints; empty before each test. */
import { randomBytes } from "node:crypto";
import pg from "pg";
import { pino } from "pino";
import { afterAll, beforeAll, beforeEach, expect } from "vitest";
import { createKeyRotation, type KeyRotation } from "../../src/keys/key-rotation.ts";
import { checkpointKeys, createStatements } from "../../src/keys/statements.ts";
import type { CheckpointKeys } from "../../src/observability/audit-checkpoints.ts";
import { storedChain } from "../../src/observability/audit-export.ts";
import { type AuditEvent, insertEvents } from "../../src/observability/audit-log.ts";
import { type AuditSealer, createAuditSealer } from "../../src/observability/audit-sealer.ts";
import { type ChainReport, verifyChain } from "../../src/observability/audit-verification.ts";
import type { Database } from "../../src/storage/database.ts";
import { createSealer } from "../../src/storage/seal.ts";
import { testDatabase } from "./test-database.ts";

export const ISSUER = "https://op.example";
/** Seconds. */
export const DAY = 86_400;
/** Events of a batch here. */
export const MOST = 5;

const log = pino({ level: "silent" });

export interface AuditChain {
  /** These are there from the first test on. */
  readonly database: Database;
  readonly keys: CheckpointKeys;
  readonly rotation: KeyRotation;
  sealerOf(options?: Partial<Parameters<typeof createAuditSealer>[0]>): AuditSealer;
  /** @param kept checkpoints that were kept elsewhere */
  verify(kept?: readonly string[]): Promise<ChainReport>;
  record(events: readonly AuditEvent[], at?: Date): Promise<void>;
  /** Full ones, of which the chain consists then. */
  sealedBatches(batches: number): Promise<void>;
  /** SQL of the tables' owner, who can turn the triggers off. */
  behindItsBack(...statements: string[]): Promise<void>;
}

/** For all tests of a file. */
export function auditChain(): AuditChain {
  const opened: { database: Database; keys: CheckpointKeys; rotation: KeyRotation } = {
    database: undefined as never,
    keys: undefined as never,
    rotation: undefined as never,
  };
  const chain: AuditChain = Object.assign(opened, {
    sealerOf: (options: Partial<Parameters<typeof createAuditSealer>[0]> = {}) =>
      createAuditSealer({ pool: opened.database.pool, keys: opened.keys, log, interval: 0, most: MOST, ...options }),
    verify: (kept: readonly string[] = []) => verifyChain(storedChain(opened.database.pool), { keys: opened.keys, kept, whole: true }),
    record: (events: readonly AuditEvent[], at = new Date()) =>
      insertEvents(
        opened.database.pool,
        events.map((event) => ({ at, ...event })),
      ),
    async sealedBatches(batches: number) {
      for (let i = 0; i < batches; i++) await chain.record(some(MOST));
      expect(await chain.sealerOf().seal()).toBe(batches);
    },
    async behindItsBack(...statements: string[]) {
      const client = new pg.Client({ connectionString: opened.database.url });
      await client.connect();
      try {
        await client.query("SET session_replication_role = replica");
        for (const statement of statements) await client.query(statement);
      } finally {
        await client.end();
      }
    },
  });

  beforeAll(async () => {
    opened.database = await testDatabase();
    const sealer = createSealer([randomBytes(32)]);
    opened.rotation = createKeyRotation({
      database: opened.database,
      feed: { publish: async () => {} },
      sealer,
      policy: { publishAhead: 3600, rotationAge: 30 * DAY, retireSlack: 300 },
      longestToken: async () => 3600,
    });
    await opened.rotation.tend(() => {});
    opened.keys = checkpointKeys(createStatements(opened.database, sealer, ISSUER));
  });
  afterAll(() => opened.database?.close());
  // What a test did to the log is undone: only who owns the tables can do it.
  beforeEach(() => chain.behindItsBack("TRUNCATE audit_event, audit_batch RESTART IDENTITY"));

  return chain;
}

/** Events of as many people. */
export const some = (count: number, more: Partial<AuditEvent> = {}): AuditEvent[] =>
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
