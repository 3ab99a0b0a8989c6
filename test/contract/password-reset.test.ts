import { createHash } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createOneTimeTokens, type TokenPurpose } from "../../src/accounts/one-time-tokens.ts";
import { createAccountOperations } from "../../src/operations/account-operations.ts";
import { openPeople, PASSWORD, type TestPeople } from "../support/people.ts";
import { stores as arrangements, type Stores } from "../support/stores.ts";

const ADDRESS = "192.0.2.1";
const BROWSER = "b".repeat(43);
const CHOSEN = "another few words of mine";
const ORIGIN = { address: ADDRESS };

describe.each(arrangements)("password reset on $name", ({ open }) => {
  let stores: Stores;
  let people: TestPeople;
  let ended: string[];
  let endingFails = false;
  let withSecondFactor: Set<string>;
  let clock = 0;
  let email: string;
  let serial = 0;

  beforeAll(async () => {
    stores = await open();
    ended = [];
    withSecondFactor = new Set();
    people = await openPeople(stores, {
      now: () => Date.now() + clock,
      endAccount: async (accountId) => {
        if (endingFails) throw new Error("the store is away");
        ended.push(accountId);
      },
      hasSecondFactor: async (accountId) => withSecondFactor.has(accountId),
    });
  });
  afterAll(async () => {
    await people?.[Symbol.asyncDispose]();
    await stores?.close();
  });
  beforeEach(() => {
    serial += 1;
    email = `person${serial}@example.com`;
    ended.length = 0;
    clock = 0;
    endingFails = false;
  });

  const person = async (more: { emailVerified?: boolean; password?: string | undefined } = {}) => {
    const { emailVerified = true, password = PASSWORD } = more;
    const passwordHash = "password" in more && more.password === undefined ? {} : { passwordHash: await people.passwords.hash(password) };
    return people.accounts.create({ email, name: "Ada", emailVerified, ...passwordHash });
  };
  const request = (of = email, address = `10.${serial}.0.1`) => people.passwordReset.request({ email: of, address, browser: BROWSER });
  const token = async () => (await people.mailTo(email)).token ?? "";
  const reset = (link: string, password = CHOSEN) => people.passwordReset.reset(link, password, { origin: ORIGIN });
  const signIn = (password: string) => people.authentication.signInWithPassword({ email, password, address: `10.${serial}.1.1` });
  const mailsTo = async (to = email) => (await people.mails()).filter((each) => each.to === to);
  const DEAD = { code: "link_invalid", status: 400 };

  test("a link sets the password once, ends everything, tells the owner and signs nobody in", async () => {
    const { id } = await person();
    expect(await request(` ${email.toUpperCase()}`)).toEqual({ email });
    const mail = await people.mailTo(email);
    expect(mail.subject).toBe("Grantor: Choose a new password");
    expect(mail.text).toContain("http://localhost:3000/reset-password?token=");
    expect(mail.text).not.toContain("Ada");
    const link = await token();
    expect(await people.passwordReset.describe(link)).toEqual({ email, minimumLength: 15 });
    expect(ended).toEqual([]);
    expect((await signIn(PASSWORD)).ok).toBe(true); // nothing has changed so far
    expect(await reset(link)).toMatchObject({ account: { id }, interaction: undefined });
    expect(ended).toEqual([id]);
    expect((await signIn(PASSWORD)).ok).toBe(false);
    expect((await signIn(CHOSEN)).ok).toBe(true);
    const notice = await people.mailTo(email);
    expect(notice.subject).toBe("Grantor: Your password was reset");
    expect(notice.text).toContain(ADDRESS);
    expect(await people.passwordReset.describe(link)).toBeUndefined();
    await expect(reset(link)).rejects.toMatchObject(DEAD);
  });

  test("one of 20 that use a link at once succeeds", async () => {
    await person();
    await request();
    const link = await token();
    const uses = await Promise.allSettled(Array.from({ length: 20 }, (_, n) => reset(link, `${CHOSEN} number ${n}`)));
    expect(uses.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    for (const use of uses) if (use.status === "rejected") expect(use.reason).toMatchObject(DEAD);
    expect((await signIn(`${CHOSEN} number ${uses.findIndex(({ status }) => status === "fulfilled")}`)).ok).toBe(true);
    expect(ended).toHaveLength(1);
  });

  test("several links of one account at once, for whatever they are: one counts, and the others are dead", async () => {
    const { id, email } = await person();
    const mine = (purpose: TokenPurpose, data = {}) =>
      createOneTimeTokens(people.database.prisma).issue(purpose, { ttl: 60, accountId: id, data });
    for (let round = 0; round < 4; round += 1) {
      const links = [await mine("reset-password"), await mine("reset-password"), await mine("reset-password")];
      const change = await mine("change-email", { email: `${round}-${email}`, from: (await people.accounts.get(id)).email });
      const uses = [
        ...links.map((link, n) => reset(link, `${CHOSEN} number ${round} ${n}`)),
        people.emailChange.confirm(change, await people.accounts.get(id), {}),
      ];
      const outcomes = await Promise.allSettled(uses);
      expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
      for (const each of outcomes) if (each.status === "rejected") expect(each.reason).toMatchObject(DEAD);
    }
  });

  test.each([{ email: "moved" }, { password: "what an operator chose" }])("an operator's %o voids the links of before", async (order) => {
    const { id } = await person();
    const links = createOneTimeTokens(people.database.prisma);
    const operations = createAccountOperations({
      ...people,
      audit: { record: () => {} },
      mailVerification: async () => {},
      endAccount: async () => {},
    });
    await request();
    const link = await token();
    const change = await links.issue("change-email", { ttl: 60, accountId: id, data: { email: `elsewhere-${email}`, from: email } });
    await operations.update({ actor: "operator" }, id, "email" in order ? { email: `moved-${email}` } : order);
    expect(await people.passwordReset.describe(link)).toBeUndefined();
    expect(await people.emailChange.describe(change, await people.accounts.get(id))).toBeUndefined();
    expect(await links.peek("change-email", change)).toBeUndefined();
  });

  test("is stored as a hash, lives for half an hour, and a newer one takes its place", async () => {
    const { id } = await person();
    await request();
    const first = await token();
    await request();
    const second = await token();
    expect(second).not.toBe(first);
    await expect(reset(first)).rejects.toMatchObject(DEAD);
    expect(await people.passwordReset.describe(first)).toBeUndefined();
    const rows = await people.database.prisma.oneTimeToken.findMany({ where: { accountId: id, usedAt: null } });
    expect(rows.map(({ hash }) => hash)).toEqual([createHash("sha256").update(second).digest("base64url")]);
    clock = 31 * 60_000;
    expect(await people.passwordReset.describe(second)).toBeUndefined();
    await expect(reset(second)).rejects.toMatchObject(DEAD);
    expect((await signIn(PASSWORD)).ok).toBe(true);
    await expect(reset("")).rejects.toMatchObject(DEAD);
    await expect(reset("x".repeat(43))).rejects.toMatchObject(DEAD);
  });

  test("a refused password leaves the link live", async () => {
    await person();
    await request();
    const link = await token();
    for (const password of ["", "short", "passwordpassword", `${email} 1`])
      await expect(reset(link, password)).rejects.toMatchObject({ code: "invalid_input", faults: [{ field: "password" }] });
    expect(ended).toEqual([]);
    await reset(link);
  });

  test("takes so many passwords from one address and no more, at whatever links", async () => {
    await person();
    await request();
    const [link, address] = [await token(), `10.${serial}.3.1`];
    const from = (at: string, password: string) => people.passwordReset.reset(link, password, { origin: { address: at } });
    await expect(from(address, "passwordpassword")).rejects.toMatchObject({ code: "invalid_input" });
    await Promise.all(Array.from({ length: 99 }, () => people.throttle.require("new-password", { address })));
    await expect(from(address, CHOSEN)).rejects.toMatchObject({ code: "too_many_attempts", status: 429 });
    await request();
    const verified = people.verification.confirm("x".repeat(43), { address, password: CHOSEN });
    await expect(verified).rejects.toMatchObject(DEAD); // what opens nothing costs nothing
    await expect(from(`10.${serial}.4.1`, CHOSEN)).rejects.toMatchObject(DEAD);
    expect(await people.passwordReset.reset(await token(), CHOSEN, { origin: { address: `10.${serial}.4.1` } })).toMatchObject({
      account: { email },
    });
  });

  test("asks for 15 characters without a second factor and for 8 with one, which stays", async () => {
    const { id } = await person();
    withSecondFactor.add(id);
    await people.database.prisma.credential.create({ data: { accountId: id, kind: "totp", secret: "sealed" } });
    await people.database.prisma.passkey.create({
      data: { id: `key-${serial}`, accountId: id, publicKey: Buffer.of(1), rpId: "localhost", name: "Key" },
    });
    await request();
    const link = await token();
    expect(await people.passwordReset.describe(link)).toEqual({ email, minimumLength: 8 });
    await reset(link, "kx9#mQ2!v");
    expect(await people.accountPasswords.current(id)).toMatchObject({ standsAlone: false });
    expect(await people.database.prisma.credential.count({ where: { accountId: id, kind: "totp" } })).toBe(1);
    expect(await people.database.prisma.passkey.count({ where: { accountId: id } })).toBe(1);
    await request();
    await reset(await token());
    expect(await people.accountPasswords.current(id)).toMatchObject({ standsAlone: true });
  });

  test("sets no short password beside a second factor that has gone meanwhile, nor any at an account that was disabled meanwhile", async () => {
    const { id } = await person();
    withSecondFactor.add(id);
    await request();
    const link = await token();
    const chosen = await people.accountPasswords.choose(await people.accounts.get(id), "kx9#mQ2!v");
    withSecondFactor.delete(id);
    await expect(people.database.prisma.$transaction((tx) => people.accountPasswords.set(id, chosen, tx))).rejects.toMatchObject({
      code: "invalid_input",
    });
    expect((await signIn(PASSWORD)).ok).toBe(true);
    const hashing = reset(link);
    await people.database.prisma.account.update({ where: { id }, data: { disabledAt: new Date() } }); // unseen by the cache
    await expect(hashing).rejects.toMatchObject(DEAD);
    await people.accounts.enable(id);
    expect((await signIn(PASSWORD)).ok).toBe(true);
    expect(ended).toEqual([]);
  });

  test("gives a password to an account without one", async () => {
    const { id } = await person({ password: undefined });
    expect(await people.accountPasswords.current(id)).toBeUndefined();
    await request();
    await reset(await token());
    expect((await signIn(CHOSEN)).ok).toBe(true);
  });

  test("verifies an address that was not, and discards what was there before", async () => {
    const { id } = await person({ emailVerified: false });
    await people.signUp.begin({ email, password: "the squatter's own password", browser: BROWSER, address: ADDRESS });
    const squatters = await token();
    withSecondFactor.add(id);
    await people.database.prisma.credential.create({ data: { accountId: id, kind: "totp", secret: "sealed" } });
    await request();
    const link = await token();
    expect(await people.passwordReset.describe(link)).toEqual({ email, minimumLength: 15 }); // a second factor of whoever it was does not count
    const { account } = await reset(link);
    expect(account).toMatchObject({ id, emailVerified: true, name: "Ada" });
    expect(await people.database.prisma.credential.findMany({ where: { accountId: id } })).toMatchObject([
      { kind: "password", standsAlone: true },
    ]);
    await expect(people.verification.confirm(squatters, { browser: BROWSER })).rejects.toMatchObject(DEAD);
    expect((await signIn(CHOSEN)).ok).toBe(true);
  });

  test("voids the account's other links", async () => {
    const { id } = await person();
    await request();
    const link = await token();
    const data = { hash: `other-${serial}`, purpose: "change-email", accountId: id, expiresAt: new Date(Date.now() + 60_000) };
    await people.database.prisma.oneTimeToken.create({ data });
    await reset(link);
    expect(await people.database.prisma.oneTimeToken.count({ where: { accountId: id, usedAt: null } })).toBe(0);
  });

  test("an unknown address hears the same after the same work and gets no mail; a disabled account gets none either", async () => {
    const before = await people.database.prisma.oneTimeToken.count();
    expect(await request()).toEqual({ email });
    expect(await people.database.prisma.oneTimeToken.count()).toBe(before + 1);
    const { id } = await person();
    expect(await mailsTo()).toEqual([]);
    await request();
    const link = await token();
    await people.accounts.disable(id);
    expect(await people.passwordReset.describe(link)).toBeUndefined();
    await expect(reset(link)).rejects.toMatchObject(DEAD);
    expect(await request()).toEqual({ email });
    expect(await mailsTo()).toHaveLength(1);
    await people.accounts.enable(id);
    expect((await signIn(PASSWORD)).ok).toBe(true);
  });

  test("what is no address is refused, and asking has its limits, which do not show", async () => {
    await expect(request("nobody")).rejects.toMatchObject({ code: "invalid_input", faults: [{ field: "email" }] });
    await person();
    for (let count = 0; count < 7; count += 1) expect(await request()).toEqual({ email });
    expect(await mailsTo()).toHaveLength(5);
    const address = "198.51.100.9";
    for (let count = 0; count < 60; count += 1) await request(`nobody${count}@example.com`, address);
    await expect(request("nobody@example.com", address)).rejects.toMatchObject({ code: "too_many_attempts", status: 429 });
  });

  test("gets the owner a link in a browser that has signed in before, however much is asked for by others; five an hour", async () => {
    await person();
    const { value: device } = people.devices.remember(email, undefined);
    for (const by of [1, 2, 3, 4]) for (let count = 0; count < 5; count += 1) await request(email, `10.${serial}.${by}0.1`);
    await request(email, `10.${serial}.90.1`);
    expect(await mailsTo()).toHaveLength(20);
    const ask = (of: string | undefined) =>
      people.passwordReset.request({ email, address: `10.${serial}.90.1`, browser: BROWSER, device: of });
    await ask(people.devices.remember("somebody@example.com", undefined).value);
    expect(await mailsTo()).toHaveLength(20);
    for (let count = 0; count < 7; count += 1) expect(await ask(device)).toEqual({ email });
    expect(await mailsTo()).toHaveLength(25);
  });

  test("says so when not everybody could be signed out, and the new password counts", async () => {
    await person();
    await request();
    endingFails = true;
    await expect(reset(await token())).rejects.toMatchObject({ code: "unavailable", status: 503, retryAfter: 5 });
    endingFails = false;
    expect((await signIn(CHOSEN)).ok).toBe(true);
  });

  test("leads back to the sign-in that waits, in the browser that asked", async () => {
    await person();
    const interaction = "uid-1234567890";
    for (const [browser, expected] of [
      [BROWSER, interaction],
      ["a".repeat(43), undefined],
      [undefined, undefined],
    ]) {
      await people.passwordReset.request({ email, address: ADDRESS, browser: BROWSER, interaction });
      const done = await people.passwordReset.reset(await token(), `${CHOSEN} ${browser}`, { origin: ORIGIN, browser });
      expect(done.interaction).toBe(expected);
    }
  });
});
