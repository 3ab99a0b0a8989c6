/** Authenticator apps and recovery codes: what counts, and that it counts once, however many ask at a time. */
import { generateSync } from "otplib";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { loadConfig } from "../../src/config.ts";
import { createSecondFactors, type SecondFactors } from "../../src/factors/second-factors.ts";
import type { TotpSetUp } from "../../src/factors/totp.ts";
import { openPeople, type TestPeople } from "../support/people.ts";
import { TEST_SECRET_KEY } from "../support/secret-key.ts";
import { stores as arrangements, type Stores } from "../support/stores.ts";

const OLD_KEY = Buffer.from(TEST_SECRET_KEY);
const NEW_KEY = Buffer.from("another secret of thirty-two bytes and more");
const ISSUER = "https://id.example.org";

describe("second factors", () => {
  let stores: Stores;
  let people: TestPeople;
  let accountId: string;
  let serial = 0;
  /** Milliseconds since the epoch. */
  let time = Date.UTC(2026, 0, 1);
  let second: SecondFactors;

  const withKeys = (...secretKeys: Buffer[]): SecondFactors =>
    createSecondFactors(
      people.database.prisma,
      { databaseUrl: undefined, redisUrl: undefined, smtpUrl: undefined, secretKeys },
      { issuer: ISSUER, brand: loadConfig({}).brand },
      () => time,
    );
  const codeOf = (secret: string, steps = 0) => generateSync({ secret, epoch: Math.floor(time / 1000) + 30 * steps });
  async function setUp(factors = second): Promise<string> {
    const begun = factors.totp.begin(accountId, "ada@example.org");
    expect(await factors.totp.confirm(accountId, begun.sealed, codeOf(begun.secret))).toBe(true);
    return begun.secret;
  }
  const laterBy = (steps: number) => {
    time += steps * 30_000;
  };

  beforeAll(async () => {
    stores = await (arrangements[0] as (typeof arrangements)[number]).open();
    people = await openPeople(stores);
    second = withKeys(OLD_KEY);
  });
  afterAll(async () => {
    await people?.[Symbol.asyncDispose]();
    await stores?.close();
  });
  beforeEach(async () => {
    serial += 1;
    const passwordHash = await people.passwords.hash("a short one");
    accountId = (await people.accounts.create({ email: `person${serial}@example.com`, emailVerified: true, passwordHash })).id;
  });

  describe("an authenticator app", () => {
    test("is set up by its first right code alone", async () => {
      const { totp, factors } = second;
      const begun = totp.begin(accountId, "ada@example.org");
      expect(begun.secret).toMatch(/^[A-Z2-7]{32}$/); // 160 bits
      expect(new URL(begun.uri).searchParams.get("issuer")).toBe("Grantor");
      expect(begun.uri).toContain(encodeURIComponent("ada@example.org"));
      for (const code of ["", "000000", "12345", "abcdef", "１２３４５６", codeOf(begun.secret, 2)])
        expect(await totp.confirm(accountId, begun.sealed, code)).toBe(false);
      expect(await factors.of(accountId)).toMatchObject({ totp: false });
      expect(await totp.use(accountId, codeOf(begun.secret))).toBe(false);
      expect(await totp.confirm(accountId, begun.sealed, codeOf(begun.secret))).toBe(true);
      expect(await factors.of(accountId)).toMatchObject({ totp: true, passkeys: 0, recoveryCodes: 0 });
      const row = await people.database.prisma.credential.findFirstOrThrow({ where: { accountId, kind: "totp" } });
      expect(row.secret).not.toContain(begun.secret);
    });

    test("a set-up is for its account alone, and for an hour", async () => {
      const begun = second.totp.begin(accountId, "x");
      const other = await people.accounts.create({ email: `other${serial}@example.com`, emailVerified: true });
      await expect(second.totp.confirm(other.id, begun.sealed, codeOf(begun.secret))).rejects.toMatchObject({ code: "link_invalid" });
      for (const sealed of ["", "x", `${begun.sealed}x`])
        await expect(second.totp.confirm(accountId, sealed, "123456")).rejects.toMatchObject({ code: "link_invalid", status: 400 });
      expect(second.totp.resume(accountId, "x", begun.sealed)).toEqual(begun);
      laterBy(121);
      await expect(second.totp.confirm(accountId, begun.sealed, codeOf(begun.secret))).rejects.toMatchObject({ code: "link_invalid" });
    });

    test("a code counts once, and none before it counts again", async () => {
      const secret = await setUp();
      expect(await second.totp.use(accountId, codeOf(secret))).toBe(false); // it was used to set the app up
      laterBy(2);
      expect(await second.totp.use(accountId, codeOf(secret, -2))).toBe(false); // too old
      expect(await second.totp.use(accountId, codeOf(secret, 2))).toBe(false); // too early
      expect(await second.totp.use(accountId, codeOf(secret, 0))).toBe(true);
      expect(await second.totp.use(accountId, codeOf(secret, 0))).toBe(false);
      expect(await second.totp.use(accountId, codeOf(secret, -1))).toBe(false); // of the step before, seen by whoever watched
      expect(await second.totp.use(accountId, codeOf(secret, 1))).toBe(true); // of a clock that goes ahead
      laterBy(1);
      expect(await second.totp.use(accountId, codeOf(secret))).toBe(false);
      laterBy(1);
      expect(await second.totp.use(accountId, codeOf(secret, -1))).toBe(false);
      expect(await second.totp.use(accountId, codeOf(secret))).toBe(true);
    });

    test("of thirty who use one code at once, one gets in", async () => {
      const secret = await setUp();
      laterBy(1);
      const elsewhere = withKeys(OLD_KEY);
      const uses = await Promise.all(
        Array.from({ length: 30 }, (_, index) => (index % 2 ? second : elsewhere).totp.use(accountId, codeOf(secret))),
      );
      expect(uses.filter(Boolean)).toHaveLength(1);
    });

    test("of ten who end one set-up at once, one does", async () => {
      const begun = second.totp.begin(accountId, "x");
      const ends = await Promise.all(Array.from({ length: 10 }, () => second.totp.confirm(accountId, begun.sealed, codeOf(begun.secret))));
      expect(ends.filter(Boolean)).toHaveLength(1);
    });

    test("of ten who set up the first app at once, each an app of their own, one does", async () => {
      const begun = Array.from({ length: 10 }, () => second.totp.begin(accountId, "ada@example.com"));
      const first = ({ sealed, secret }: TotpSetUp) => second.totp.confirm(accountId, sealed, codeOf(secret), { first: true });
      const ends = await Promise.all(begun.map(first));
      expect(ends.filter(Boolean)).toHaveLength(1);
      const winner = begun[ends.indexOf(true)] as TotpSetUp;
      laterBy(1);
      expect(await second.totp.use(accountId, codeOf(winner.secret))).toBe(true);
    });

    test("another app takes its place", async () => {
      const first = await setUp();
      laterBy(5);
      const later = await setUp();
      laterBy(1);
      expect(await second.totp.use(accountId, codeOf(first))).toBe(false);
      expect(await second.totp.use(accountId, codeOf(later))).toBe(true);
    });

    test("is sealed again when SECRET_KEY is rotated, and then needs the new one alone", async () => {
      const secret = await setUp();
      const rotated = withKeys(NEW_KEY, OLD_KEY);
      laterBy(1);
      expect(await rotated.totp.use(accountId, codeOf(secret))).toBe(true); // before it was
      expect(await rotated.totp.sealAgain()).toBe(0);
      const after = withKeys(NEW_KEY);
      laterBy(1);
      expect(await after.totp.use(accountId, codeOf(secret))).toBe(true);
      expect(await second.totp.sealAgain()).toBeGreaterThan(0); // what it does not open it leaves alone
      await expect(second.totp.use(accountId, codeOf(secret))).rejects.toMatchObject({ code: "unavailable", status: 503 });
      expect(await withKeys(OLD_KEY, NEW_KEY).totp.sealAgain()).toBe(0);
      laterBy(1);
      expect(await second.totp.use(accountId, codeOf(secret))).toBe(true);
    });

    test("goes, unless the password is too short to be alone", async () => {
      const { prisma } = people.database;
      expect(await second.totp.remove(accountId)).toBe(false);
      await setUp();
      await prisma.credential.updateMany({ where: { accountId, kind: "password" }, data: { standsAlone: false } });
      await expect(second.totp.remove(accountId)).rejects.toMatchObject({ code: "password_too_short", status: 409 });
      expect(await second.factors.of(accountId)).toMatchObject({ totp: true, password: { standsAlone: false } });

      const passkey = (id: string, rpId: string) => ({ id, accountId, publicKey: Buffer.from("key"), rpId, name: "A key" });
      await prisma.passkey.create({ data: passkey(`elsewhere${serial}`, "elsewhere.example") });
      await expect(second.totp.remove(accountId)).rejects.toMatchObject({ code: "password_too_short" }); // one that does not work here
      await prisma.passkey.create({ data: passkey(`here${serial}`, "id.example.org") });
      expect(await second.totp.remove(accountId)).toBe(true);
      expect(await second.factors.of(accountId)).toMatchObject({ totp: false, passkeys: 1 });
    });

    test("of two who take the last two second factors away at once, one does", async () => {
      const { prisma } = people.database;
      await setUp();
      const id = `last${serial}`;
      await prisma.passkey.create({ data: { id, accountId, publicKey: Buffer.from("key"), rpId: "id.example.org", name: "A key" } });
      await prisma.credential.updateMany({ where: { accountId, kind: "password" }, data: { standsAlone: false } });
      const removals = await Promise.allSettled([
        second.totp.remove(accountId),
        withKeys(OLD_KEY).factors.remove(accountId, async (tx) => (await tx.passkey.deleteMany({ where: { id } })).count > 0),
      ]);
      expect(removals.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    });
  });

  describe("recovery codes", () => {
    test("are ten, each good once, however they are typed", async () => {
      const codes = await second.recoveryCodes.renew(accountId);
      expect(new Set(codes).size).toBe(10);
      for (const code of codes) expect(code).toMatch(/^[0-9a-hjkmnp-tv-z]{5}-[0-9a-hjkmnp-tv-z]{5}$/);
      const [first = "", next = ""] = codes;
      expect(await second.recoveryCodes.use(accountId, first)).toBe(true);
      expect(await second.recoveryCodes.use(accountId, first)).toBe(false);
      const sloppy = ` ${next.toUpperCase().replace("-", " – ").replaceAll("0", "O").replaceAll("1", "l")} `;
      expect(await second.recoveryCodes.use(accountId, sloppy)).toBe(true);
      for (const code of ["", "-", "x", "00000-00000", "constructor", "u".repeat(10), "%", "\u0000".repeat(10)])
        expect(await second.recoveryCodes.use(accountId, code)).toBe(false);
      expect(await second.factors.of(accountId)).toMatchObject({ recoveryCodes: 8 });
      const rows = await people.database.prisma.recoveryCode.findMany({ where: { accountId } });
      for (const code of codes) expect(JSON.stringify(rows)).not.toContain(code.replace("-", ""));
    });

    test("of thirty who use one at once, one gets in", async () => {
      const [code = ""] = await second.recoveryCodes.renew(accountId);
      const elsewhere = withKeys(NEW_KEY, OLD_KEY);
      const uses = await Promise.all(
        Array.from({ length: 30 }, (_, index) => (index % 2 ? second : elsewhere).recoveryCodes.use(accountId, code)),
      );
      expect(uses.filter(Boolean)).toHaveLength(1);
    });

    test("a new set voids the one before, also of several made at once, and is one account's own", async () => {
      const [old = ""] = await second.recoveryCodes.renew(accountId);
      const sets = await Promise.all(Array.from({ length: 5 }, () => second.recoveryCodes.renew(accountId)));
      expect(await second.recoveryCodes.use(accountId, old)).toBe(false);
      expect(await second.factors.of(accountId)).toMatchObject({ recoveryCodes: 10 });
      const other = await people.accounts.create({ email: `other${serial}@example.com`, emailVerified: true });
      expect(await second.recoveryCodes.use(other.id, sets[0]?.[0] ?? "")).toBe(false);
      const worked = await Promise.all(sets.map(([code = ""]) => second.recoveryCodes.use(accountId, code)));
      expect(worked.filter(Boolean)).toHaveLength(1);
    });

    test("those that no SECRET_KEY opens any more are none", async () => {
      const [code = "", next = ""] = await second.recoveryCodes.renew(accountId);
      expect(await withKeys(NEW_KEY, OLD_KEY).recoveryCodes.use(accountId, code)).toBe(true);
      const after = withKeys(NEW_KEY);
      expect(await after.recoveryCodes.use(accountId, next)).toBe(false);
      expect(await after.factors.of(accountId)).toMatchObject({ recoveryCodes: 0 });
      expect(await second.factors.of(accountId)).toMatchObject({ recoveryCodes: 9 });
    });
  });

  test("an operator takes all of them away from somebody who has lost them", async () => {
    expect(await second.factors.removeAll(accountId)).toBe(false);
    await setUp();
    await second.recoveryCodes.renew(accountId);
    expect(await second.factors.removeAll(accountId)).toBe(true);
    expect(await second.factors.of(accountId)).toMatchObject({ totp: false, passkeys: 0, recoveryCodes: 0 });
  });

  test("a hash that is renewed is the same password; another is not", async () => {
    const changed = async () => (await second.factors.of(accountId)).password?.changedAt.getTime();
    const before = await changed();
    const record = await people.accounts.findForSignIn(`person${serial}@example.com`);
    await people.accounts.replacePasswordHash(accountId, record?.passwordHash as string, "$argon2id$renewed");
    expect(await changed()).toBe(before);
    await people.accounts.update(accountId, { passwordHash: "$argon2id$another" });
    expect(await changed()).not.toBe(before);
  });
});
