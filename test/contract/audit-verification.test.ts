/** The audit log is only ever added to, and whatever is done to it behind the application's back is found. */
import { randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import { createKeyRotation } from "../../src/keys/key-rotation.ts";
import { listSigningKeys } from "../../src/keys/key-rows.ts";
import { checkpointKeys, createStatements } from "../../src/keys/statements.ts";
import { batchHash, eventHash, eventsHash, newSalt, personalHash } from "../../src/observability/audit-chain.ts";
import { storedChain } from "../../src/observability/audit-export.ts";
import type { ChainFault } from "../../src/observability/audit-verification.ts";
import { createSealer } from "../../src/storage/seal.ts";
import { auditChain, DAY, ISSUER, some } from "../support/audit-chain.ts";
import { testDatabase } from "../support/test-database.ts";

const chain = auditChain();
const { sealerOf, verify, record, sealedBatches, behindItsBack } = chain;

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
      const client = await chain.database.pool.connect();
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
      const { rows } = await chain.database.pool.query<{ hash: Buffer; sealed_at: Date }>("SELECT hash, sealed_at FROM audit_batch");
      const forged = await theirs.sign({
        number: 1,
        hash: rows[0]?.hash.toString("base64url"),
        sealed_at: rows[0]?.sealed_at.toISOString(),
      });
      expect((await verify([forged])).fault).toMatchObject({ message: expect.stringContaining("not signed by this server") });
      for (const row of await strange.prisma.signingKey.findMany())
        await chain.database.prisma.signingKey.create({ data: { ...row, publicJwk: row.publicJwk as object, state: "expired" } });
      await expect(verify([forged])).rejects.toThrow("SECRET_KEY");
    } finally {
      await strange.close();
      await chain.database.prisma.signingKey.deleteMany({ where: { state: "expired" } });
    }
  });

  test("what was signed with a key that is revoked counts, and is said", async () => {
    await sealedBatches(1);
    const current = (await listSigningKeys(chain.database)).find(({ alg, state }) => alg === "RS256" && state === "current");
    await chain.rotation.rotate({ kids: [current?.kid as string], now: true }, () => {});
    expect(await verify()).toMatchObject({ fault: undefined, checkpoints: 1, checkpointsOfRevokedKeys: 1 });
  });

  /** As the application would have made it, without signatures. */
  async function rebuild(batches: number): Promise<void> {
    let previous: Buffer = Buffer.alloc(32);
    for (let number = 1; number <= batches; number++) {
      const found = [];
      for await (const full of storedChain(chain.database.pool).batches()) if (full.batch.number === number) found.push(full);
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
