/** What is stored about a person, and what happened to their account, as they may read it. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Account } from "../../src/accounts/account.ts";
import { createAuditLog } from "../../src/observability/audit-log.ts";
import { createAuditTrail } from "../../src/observability/audit-trail.ts";
import { createLogger } from "../../src/observability/logger.ts";
import { openPeople, PASSWORD, type TestPeople } from "../support/people.ts";
import { stores as arrangements, type Stores } from "../support/stores.ts";

const DAY = 86_400_000;

let stores: Stores;
let people: TestPeople;
let account: Account;
let serial = 0;

beforeAll(async () => {
  stores = await arrangements[0].open();
  people = await openPeople(stores);
});
afterAll(async () => {
  await people?.[Symbol.asyncDispose]();
  await stores?.close();
});
beforeEach(async () => {
  serial += 1;
  const passwordHash = await people.passwords.hash(PASSWORD);
  account = await people.accounts.create({ email: `care${serial}@example.com`, emailVerified: true, name: "Ada", passwordHash });
});

describe("what is stored", () => {
  test("about a person is theirs to read, without anything that opens the account", async () => {
    const { prisma } = people.database;
    const client = await prisma.client.create({
      data: {
        id: `app-${serial}`,
        metadata: { client_name: "Photos" },
        createdBy: account.id,
        owners: { create: { accountId: account.id } },
      },
    });
    await people.consents.remember(account.id, client.id, { openid: "openid email", resources: {} });
    await prisma.passkey.create({
      data: { id: `credential-${serial}`, accountId: account.id, publicKey: Buffer.from("key"), rpId: "localhost", name: "My phone" },
    });
    await prisma.recoveryCode.create({ data: { accountId: account.id, hash: "hash-of-a-code" } });
    await prisma.federatedIdentity.create({
      data: { issuer: "https://op.example", subject: `s${serial}`, accountId: account.id, label: "ada" },
    });
    const data = await people.data.of(account);
    expect(data).toMatchObject({
      profile: { sub: account.id, email: account.email, email_verified: true, name: "Ada" },
      ways_to_sign_in: [{ kind: "password" }],
      passkeys: [{ name: "My phone" }],
      recovery_codes_left: 1,
      other_providers: [{ issuer: "https://op.example", label: "ada" }],
      connected_applications: [{ client_id: client.id, name: "Photos", allowed: { openid: "openid email" } }],
      own_applications: [{ client_id: client.id, name: "Photos", only_owner: true }],
    });
    const text = JSON.stringify(data);
    for (const secret of ["argon2", "hash-of-a-code", Buffer.from("key").toString("base64")]) expect(text).not.toContain(secret);
  });

  test("what happened is read newest first, by pages without gap or repetition, and of this account alone", async () => {
    const audit = createAuditLog(people.database.pool, createLogger({ logLevel: "silent" }));
    const events = Array.from({ length: 7 }, (_, index) => (index % 2 === 0 ? "sign_in" : "consent"));
    for (const event of events) audit.record({ event, outcome: "success", accountId: account.id, address: "192.0.2.1" });
    audit.record({ event: "sign_in", outcome: "failure", accountId: "somebody-else" });
    await audit.close();
    const trail = createAuditTrail(people.database.pool);
    const accountId = account.id;
    const since = new Date(0);
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await trail.search({ accountId, since }, { limit: 3, cursor });
      expect(page.events.length).toBeLessThanOrEqual(3);
      seen.push(...page.events.map(({ id }) => id));
      cursor = page.next;
    } while (cursor !== undefined);
    expect(seen).toHaveLength(7);
    expect(new Set(seen).size).toBe(7);
    expect((await trail.search({ accountId, since, events: ["consent"] }, { limit: 10 })).events).toHaveLength(3);
    expect((await trail.search({ accountId, since: new Date(Date.now() + DAY) }, { limit: 10 })).events).toEqual([]);
    for (const junk of ["x", "1.2.3", "-1.1", "99999999999999999.1", "'; --"])
      expect((await trail.search({ accountId, since }, { limit: 1, cursor: junk })).events).toHaveLength(1);
  });
});
