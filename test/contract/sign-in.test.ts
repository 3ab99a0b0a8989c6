import { pino } from "pino";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createAuthentication } from "../../src/accounts/authentication.ts";
import { createPasswords, type Passwords } from "../../src/accounts/passwords.ts";
import { openPeople, PASSWORD, type TestPeople } from "../support/people.ts";
import { stores as arrangements, type Stores } from "../support/stores.ts";

const ADDRESS = "192.0.2.1";
/** What the browser of whoever signs up holds, and an attacker's. */
const BROWSER = "b".repeat(43);
const ATTACKERS = "a".repeat(43);

describe.each(arrangements)("signing up and in on $name", ({ open }) => {
  let stores: Stores;
  let people: TestPeople;
  let email: string;
  let serial = 0;

  beforeAll(async () => {
    stores = await open();
    people = await openPeople(stores);
  });
  afterAll(async () => {
    await people?.[Symbol.asyncDispose]();
    await stores?.close();
  });
  beforeEach(() => {
    serial += 1;
    email = `person${serial}@example.com`;
  });

  const signUp = (password: string, more: { name?: string; interaction?: string; browser?: string; address?: string } = {}) =>
    people.signUp.begin({ email, password, address: ADDRESS, browser: BROWSER, ...more });
  const signIn = (password: string, more: { email?: string; device?: string } = {}) =>
    people.authentication.signInWithPassword({ email, password, address: `10.0.${serial}.1`, ...more });
  const token = async () => (await people.mailTo(email)).token ?? "";

  test("a person signs up, confirms, signs in, and is known in that browser", async () => {
    expect(await signUp(PASSWORD, { name: "Ada", interaction: "uid-1234567890" })).toEqual({ email });
    const mail = await people.mailTo(email);
    expect(mail.subject).toBe("Grantor: Confirm your e-mail address");
    expect(mail.text).toContain("http://localhost:3000/verify-email?token=");
    expect(mail.text).not.toContain("Ada");
    expect(await people.verification.describe(await token(), BROWSER)).toEqual({ email, choosesPassword: false });
    const { account, interaction, here } = await people.verification.confirm(await token(), { browser: BROWSER });
    expect(account).toMatchObject({ email, emailVerified: true, name: "Ada" });
    expect({ interaction, here }).toEqual({ interaction: "uid-1234567890", here: true });

    const result = await signIn(PASSWORD, { email: ` ${email.toUpperCase()}` });
    expect(result).toMatchObject({ ok: true, account, amr: ["pwd"] });
    expect(await signIn(`${PASSWORD} `)).toMatchObject({ ok: false, reason: "wrong_password" });
  });

  test("a link works once, among 25 that use it at once", async () => {
    await signUp(PASSWORD);
    const link = await token();
    const uses = await Promise.allSettled(Array.from({ length: 25 }, () => people.verification.confirm(link, { browser: BROWSER })));
    expect(uses.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    for (const use of uses) if (use.status === "rejected") expect(use.reason).toMatchObject({ code: "link_invalid", status: 400 });
    expect(await people.verification.describe(link)).toBeUndefined();
    expect((await signIn(PASSWORD)).ok).toBe(true);
  });

  test("the password of the sign-up whose link was used counts, in the browser that signed up", async () => {
    await signUp("the squatter's own password", { name: "Mallory", browser: ATTACKERS });
    const squatters = await token();
    await signUp(PASSWORD, { name: "Ada" });
    const owners = await token();
    await signUp("the squatter's second password", { browser: ATTACKERS });
    const { account } = await people.verification.confirm(owners, { browser: BROWSER });
    expect(account.name).toBe("Ada");
    await expect(people.verification.confirm(squatters, { browser: BROWSER })).rejects.toMatchObject({ code: "link_invalid" });
    await expect(people.verification.confirm(await token(), { browser: BROWSER })).rejects.toMatchObject({ code: "link_invalid" });
    expect((await signIn("the squatter's own password")).ok).toBe(false);
    expect((await signIn("the squatter's second password")).ok).toBe(false);
    expect((await signIn(PASSWORD)).ok).toBe(true);
  });

  test("nothing opens before the address is verified; the right password brings another mail, in the same words as any failure", async () => {
    await signUp(PASSWORD);
    const first = await token();
    const before = (await people.mails()).length;
    const wrong = await signIn("not the password at all");
    expect((await people.mails()).length).toBe(before);
    const right = await signIn(PASSWORD);
    expect(right).toMatchObject({ ok: false, reason: "unverified" });
    expect(wrong).toMatchObject({ ok: false, reason: "wrong_password" });
    if (!right.ok && !wrong.ok) expect(right.message).toBe(wrong.message);
    await expect.poll(async () => (await people.mails()).length).toBe(before + 1);
    const second = await token();
    expect(second).not.toBe(first);
    await people.verification.confirm(second, { browser: BROWSER });
    expect((await signIn(PASSWORD)).ok).toBe(true);
    await expect(people.verification.confirm(first, { browser: BROWSER })).rejects.toMatchObject({ code: "link_invalid" });
  });

  test("unknown, wrong, unverified, disabled and unreadable hear the same", async () => {
    const hash = await people.passwords.hash(PASSWORD);
    const made = await people.accounts.create({ email, emailVerified: true, passwordHash: hash });
    await people.accounts.disable(made.id);
    await people.accounts.create({ email: `u-${email}`, passwordHash: hash });
    await people.accounts.create({ email: `n-${email}`, emailVerified: true });
    const failures = [
      await signIn(PASSWORD),
      await signIn(PASSWORD, { email: `u-${email}` }),
      await signIn(PASSWORD, { email: `n-${email}` }),
      await signIn(PASSWORD, { email: `nobody-${email}` }),
      await signIn(PASSWORD, { email: "not an address" }),
      await signIn("", { email: "" }),
      await signIn("x".repeat(100_000), { email: `long-${email}` }),
    ];
    expect(new Set(failures.map((failure) => (failure.ok ? "in" : failure.message))).size).toBe(1);
    expect(failures.map((failure) => (failure.ok ? "in" : failure.reason))).toEqual([
      "disabled",
      "unverified",
      "wrong_password",
      "unknown_account",
      "unknown_account",
      "unknown_account",
      "unknown_account",
    ]);
    await people.accounts.enable(made.id);
    expect((await signIn(PASSWORD)).ok).toBe(true);
  });

  test("unknown and wrong cost the same: one query for the account and one verification", async () => {
    await people.accounts.create({ email, emailVerified: true, passwordHash: await people.passwords.hash(PASSWORD) });
    let verifications = 0;
    let lookups = 0;
    const counting: Passwords = {
      ...people.passwords,
      verify: (phc, password) => {
        verifications += 1;
        return people.passwords.verify(phc, password);
      },
    };
    const authentication = createAuthentication({
      accounts: {
        ...people.accounts,
        findForSignIn: (of) => {
          lookups += 1;
          return people.accounts.findForSignIn(of);
        },
      },
      passwords: counting,
      throttle: { beginSignIn: async () => ({ succeeded: async () => {} }) },
      devices: people.devices,
      verification: people.verification,
      log: pino({ level: "silent" }),
    });
    for (const who of [email, `nobody-${email}`, "no address"]) {
      verifications = 0;
      lookups = 0;
      await authentication.signInWithPassword({ email: who, password: "wrong", address: ADDRESS });
      expect({ verifications, lookups }).toEqual({ verifications: 1, lookups: 1 });
    }
  });

  test("signing up with a known address gets the same answer after the same work, a notice by mail, and changes nothing", async () => {
    const account = await people.accounts.create({
      email,
      name: "Ada",
      emailVerified: true,
      passwordHash: await people.passwords.hash(PASSWORD),
    });
    expect(await signUp("somebody else's password", { name: "Mallory" })).toEqual({ email });
    const mail = await people.mailTo(email);
    expect(mail.subject).toBe("Grantor: You already have an account");
    expect(mail.token).toBeUndefined();
    expect(await people.accounts.get(email)).toEqual(account);
    expect((await signIn(PASSWORD)).ok).toBe(true);
    expect((await signIn("somebody else's password")).ok).toBe(false);
    const rows = await people.database.prisma.oneTimeToken.findMany({ where: { accountId: account.id } });
    expect(rows).toMatchObject([{ purpose: "sign-up-notice", data: {} }]);
  });

  test("many sign-ups with one new address at once make one account", async () => {
    const all = await Promise.all(Array.from({ length: 5 }, () => signUp(PASSWORD)));
    expect(all).toEqual(Array.from({ length: 5 }, () => ({ email })));
    expect(await people.database.prisma.account.count({ where: { email } })).toBe(1);
  });

  test("whoever squats on an address gains nothing by the newest mail in the box, which the owner opens", async () => {
    const name = "Mallory";
    for (let count = 0; count < 6; count += 1) await signUp("the squatter's own password", { name, browser: ATTACKERS });
    await signUp(PASSWORD, { name: "Ada", address: "198.51.100.7" });
    expect(await people.verification.describe(await token(), BROWSER)).toEqual({ email, choosesPassword: false }); // the squatter's five mails are not hers
    await signUp("the squatter's own password", { name, browser: ATTACKERS, address: "203.0.113.66" });
    const newest = await token();
    const chosen = "another few words of mine";
    for (const browser of [BROWSER, undefined, ATTACKERS.slice(1), ""]) {
      expect(await people.verification.describe(newest, browser)).toEqual({ email, choosesPassword: true });
      for (const password of [undefined, "", "short"]) {
        await expect(people.verification.confirm(newest, { browser, password })).rejects.toMatchObject({ faults: [{ field: "password" }] });
      }
    }
    expect((await people.accounts.get(email)).emailVerified).toBe(false);
    const { account, here } = await people.verification.confirm(newest, { browser: BROWSER, password: chosen, name: "Ada L." });
    expect({ name: account.name, here }).toEqual({ name: "Ada L.", here: false });
    expect((await signIn("the squatter's own password")).ok).toBe(false);
    expect((await signIn(PASSWORD)).ok).toBe(false);
    expect((await signIn(chosen)).ok).toBe(true);
  });

  test("the squatter's own sign-in, which mails another link, changes nothing about that", async () => {
    await signUp("the squatter's own password", { name: "Mallory", browser: ATTACKERS });
    const before = (await people.mails()).length;
    await signIn("the squatter's own password");
    await expect.poll(async () => (await people.mails()).length).toBe(before + 1);
    expect(await people.verification.describe(await token(), BROWSER)).toEqual({ email, choosesPassword: true });
    const { account } = await people.verification.confirm(await token(), { browser: BROWSER, password: PASSWORD });
    expect(account.name).toBeUndefined();
    expect((await signIn("the squatter's own password")).ok).toBe(false);
    expect((await signIn(PASSWORD)).ok).toBe(true);
  });

  test("nobody's mailbox is filled: past five mails an hour from one place, twenty in all, the answer stays and the mail does not", async () => {
    const arrived = async () => (await people.mails()).filter(({ to }) => to === email).length;
    for (let count = 0; count < 7; count += 1) expect(await signUp(PASSWORD)).toEqual({ email });
    expect(await arrived()).toBe(5);
    for (let count = 0; count < 16; count += 1) expect(await signUp(PASSWORD, { address: `198.51.100.${count}` })).toEqual({ email });
    expect(await arrived()).toBe(20);
  });

  test("what cannot be an account is refused with every fault", async () => {
    const refused = people.signUp.begin({ email: "nobody", password: "short", name: "x".repeat(300), browser: BROWSER, address: ADDRESS });
    await expect(refused).rejects.toMatchObject({
      code: "invalid_input",
      faults: [{ field: "email" }, { field: "password" }, { field: "name" }],
    });
    email = "bad\r\nBcc: everybody@example.com@example.com";
    await expect(signUp(PASSWORD)).rejects.toMatchObject({ code: "invalid_input" });
  });

  test("guessing is throttled, and the owner's browser gets in all the same", async () => {
    await people.accounts.create({ email, emailVerified: true, passwordHash: await people.passwords.hash(PASSWORD) });
    const device = people.devices.remember(email, undefined).value;
    const guesses = await Promise.allSettled(Array.from({ length: 20 }, (_, n) => signIn(`guess number ${n} of many`)));
    expect(guesses.filter(({ status }) => status === "fulfilled").length).toBeLessThanOrEqual(6);
    await expect(signIn(PASSWORD)).rejects.toMatchObject({ code: "too_many_attempts", status: 429 });
    expect((await signIn(PASSWORD, { device })).ok).toBe(true);
  });

  test("a hash that was made with less work is made anew at the next sign-in", async () => {
    const cheap = createPasswords({ cost: { memoryCost: 64, timeCost: 1, parallelism: 1 } });
    const { id } = await people.accounts.create({ email, emailVerified: true, passwordHash: await cheap.hash(PASSWORD) });
    expect((await signIn(PASSWORD)).ok).toBe(true);
    const stored = async () => (await people.accounts.findForSignIn(email))?.passwordHash;
    await expect.poll(stored).toMatch(/m=19456,t=2/);
    expect((await signIn(PASSWORD)).ok).toBe(true);
    await people.accounts.replacePasswordHash(id, "another hash", "mine");
    expect(await stored()).toMatch(/m=19456,t=2/);
  });

  test("at an account that an operator made unverified, its owner chooses the password with the link; what was there does not count", async () => {
    const { id } = await people.accounts.create({
      email,
      name: "Ada",
      roles: ["editor"],
      passwordHash: await people.passwords.hash(PASSWORD),
    });
    expect(await signIn(PASSWORD)).toMatchObject({ ok: false, reason: "unverified" });
    await expect.poll(async () => (await people.mails()).some(({ to }) => to === email)).toBe(true);
    const link = await token();
    expect(await people.verification.describe(link, BROWSER)).toEqual({ email, choosesPassword: true });
    await expect(people.verification.confirm(link, { browser: BROWSER })).rejects.toMatchObject({ faults: [{ field: "password" }] });
    const chosen = "another few words of mine";
    await people.verification.confirm(link, { browser: BROWSER, password: chosen });
    expect((await signIn(PASSWORD)).ok).toBe(false);
    expect(await signIn(chosen)).toMatchObject({ ok: true, account: { id, name: "Ada", roles: ["editor"] } });
    await people.verification.resend(id);
    expect((await people.mails()).filter(({ to }) => to === email)).toHaveLength(1);
  });

  test("a link of an account that was disabled or deleted meanwhile opens nothing", async () => {
    await signUp(PASSWORD);
    const link = await token();
    const account = await people.accounts.get(email);
    await people.accounts.disable(account.id);
    expect(await people.verification.describe(link)).toBeUndefined();
    await expect(people.verification.confirm(link, { browser: BROWSER })).rejects.toMatchObject({ code: "link_invalid" });
    await people.accounts.enable(account.id);
    await people.accounts.delete(account.id);
    await expect(people.verification.confirm(link, { browser: BROWSER })).rejects.toMatchObject({ code: "link_invalid" });
  });
});

describe("who may sign up", () => {
  let stores: Stores;
  beforeAll(async () => {
    stores = await arrangements[0].open();
  });
  afterAll(() => stores?.close());

  test("nobody when it is closed", async () => {
    await using people = await openPeople(stores, { signUp: "closed" });
    const closed = { code: "sign_up_closed", status: 403 };
    await expect(
      people.signUp.begin({ email: "a@example.com", password: PASSWORD, browser: BROWSER, address: ADDRESS }),
    ).rejects.toMatchObject(closed);
    await expect(people.signUp.admit(undefined)).rejects.toMatchObject(closed);
    await expect(people.signUp.invite("a@example.com")).rejects.toMatchObject(closed);
  });

  test("whoever is invited, by the invited address, once", async () => {
    let time = Date.now();
    await using people = await openPeople(stores, { signUp: "invite", now: () => time });
    const { link, email } = await people.signUp.invite(" Guest@Example.com");
    expect(email).toBe("guest@example.com");
    const mail = await people.mailTo(email);
    const invitation = mail.token ?? "";
    expect(link).toBe(`http://localhost:3000/sign-up?invitation=${invitation}`);
    expect(await people.signUp.admit(invitation)).toEqual({ email });
    const begin = (of: string, by: string | undefined) =>
      people.signUp.begin({ email: of, password: PASSWORD, browser: BROWSER, address: ADDRESS, invitation: by });
    await expect(begin(email, undefined)).rejects.toMatchObject({ code: "sign_up_closed" });
    await expect(begin(email, "x".repeat(43))).rejects.toMatchObject({ code: "link_invalid" });
    await expect(begin("other@example.com", invitation)).rejects.toMatchObject({ code: "invalid_input", faults: [{ field: "email" }] });
    await begin(email, invitation);
    await begin(email, invitation); // the first mail was lost
    await people.verification.confirm((await people.mailTo(email)).token ?? "", { browser: BROWSER });
    await expect(begin(email, invitation)).rejects.toMatchObject({ code: "link_invalid" });

    const late = await people.signUp.invite("late@example.com");
    time += 7 * 86_400_000;
    await expect(people.signUp.admit(new URL(late.link).searchParams.get("invitation") ?? "")).rejects.toMatchObject({
      code: "link_invalid",
    });
  });
});
