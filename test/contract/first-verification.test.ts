/** What the first proof of an address makes void: everything that was there before it. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openPeople, PASSWORD, type TestPeople } from "../support/people.ts";
import { stores as arrangements, type Stores } from "../support/stores.ts";

const ADDRESS = "192.0.2.1";
const _BROWSER = "b".repeat(43);
const CHOSEN = "another few words of mine";
const _ORIGIN = { address: ADDRESS };

describe("the first verification of an address", () => {
  let stores: Stores;
  let people: TestPeople;
  const ended: string[] = [];
  beforeAll(async () => {
    stores = await (arrangements[0] as (typeof arrangements)[number]).open();
    people = await openPeople(stores, { endAccount: async (accountId) => void ended.push(accountId) });
  });
  afterAll(async () => {
    await people?.[Symbol.asyncDispose]();
    await stores?.close();
  });

  /** An account in which somebody prepared everything there is. */
  async function prepared(email: string, emailVerified = false) {
    const { prisma } = people.database;
    const { id } = await people.accounts.create({
      email,
      name: "Ada",
      roles: ["editor"],
      emailVerified,
      passwordHash: await people.passwords.hash(PASSWORD),
    });
    const accountId = id;
    const expiresAt = new Date(Date.now() + 60_000);
    await prisma.credential.create({ data: { accountId, kind: "totp", secret: "sealed" } });
    await prisma.passkey.create({ data: { id: `key-of-${id}`, accountId, publicKey: Buffer.of(1), rpId: "localhost", name: "Key" } });
    await prisma.recoveryCode.create({ data: { accountId, hash: "hash" } });
    await prisma.federatedIdentity.create({ data: { accountId, issuer: "https://upstream.example", subject: id } });
    await prisma.accountSession.create({ data: { id: `session-of-${id}`, accountId, expiresAt } });
    await prisma.oneTimeToken.create({ data: { hash: `link-of-${id}`, purpose: "change-email", accountId, expiresAt } });
    const clientId = `client-of-${id}`;
    await prisma.client.create({ data: { id: clientId, metadata: {} } });
    await prisma.consent.create({ data: { accountId, clientId, scopes: {} } });
    return id;
  }

  async function holdings(accountId: string) {
    const { prisma } = people.database;
    const where = { accountId };
    const credentials = (await prisma.credential.findMany({ where })).map(({ kind }) => kind).sort();
    const others = await Promise.all([
      prisma.passkey.count({ where }),
      prisma.recoveryCode.count({ where }),
      prisma.federatedIdentity.count({ where }),
      prisma.accountSession.count({ where }),
      prisma.consent.count({ where }),
      prisma.oneTimeToken.count({ where: { ...where, usedAt: null } }),
    ]);
    return { credentials, others };
  }
  const ALL = { credentials: ["password", "totp"], others: [1, 1, 1, 1, 1, 1] };
  const NONE = [0, 0, 0, 0, 0, 0];

  test("by a link leaves what was chosen with it, and what an operator gave", async () => {
    const id = await prepared("link@example.com");
    expect(await holdings(id)).toEqual(ALL);
    await people.verification.resend(id);
    const link = (await people.mailTo("link@example.com")).token ?? "";
    const { account } = await people.verification.confirm(link, { password: CHOSEN });
    expect(account).toMatchObject({ emailVerified: true, name: "Ada", roles: ["editor"] });
    expect(await holdings(id)).toEqual({ credentials: ["password"], others: NONE });
    expect(ended).toContain(id);
    expect(await people.accountPasswords.isRight(id, CHOSEN)).toBe(true);
  });

  test("by another proof leaves nothing, and counts once", async () => {
    const id = await prepared("elsewhere@example.com");
    const firsts = await Promise.all(Array.from({ length: 5 }, () => people.verification.verified(id)));
    expect(firsts.filter(Boolean)).toHaveLength(1);
    expect(await holdings(id)).toEqual({ credentials: [], others: NONE });
    expect((await people.accounts.get(id)).emailVerified).toBe(true);
    expect(ended).toContain(id);
  });

  test("is not the second: whoever is verified keeps everything", async () => {
    const id = await prepared("again@example.com", true);
    expect(await people.verification.verified(id)).toBe(false);
    expect(await holdings(id)).toEqual(ALL);
    expect(ended).not.toContain(id);
  });

  test("nor is there one of a disabled account", async () => {
    const id = await prepared("disabled@example.com");
    await people.accounts.disable(id);
    expect(await people.verification.verified(id)).toBe(false);
    expect(await holdings(id)).toEqual(ALL);
    expect((await people.accounts.get(id)).emailVerified).toBe(false);
  });
});
