/** What people do with their own accounts: another address, another password, the end of it. */
import { setImmediate } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Account } from "../../src/accounts/account.ts";
import { ADMIN_ROLE } from "../../src/accounts/roles.ts";
import { openPeople, PASSWORD, type TestPeople } from "../support/people.ts";
import { stores as arrangements, type Stores } from "../support/stores.ts";

const ORIGIN = { address: "192.0.2.1" };
const DAY = 86_400_000;

// The logic is the database's alone: one arrangement of stores is enough.
let stores: Stores;
let people: TestPeople;
let clock = 0;
let ended: string[] = [];
let deleted: string[] = [];
let endingFails = false;
let account: Account;
let serial = 0;

beforeAll(async () => {
  stores = await arrangements[0].open();
  people = await openPeople(stores, {
    now: () => Date.now() + clock,
    async endAccount(id) {
      if (endingFails) throw new Error("the store is away");
      ended.push(id);
    },
    onDeleted: (id) => deleted.push(id),
  });
  await people.roles.ensureBuiltIn();
});
afterAll(async () => {
  await people?.[Symbol.asyncDispose]();
  await stores?.close();
});

const make = async (more: { roles?: string[]; claims?: Record<string, unknown> } = {}) => {
  serial += 1;
  const passwordHash = await people.passwords.hash(PASSWORD);
  return people.accounts.create({ email: `care${serial}@example.com`, emailVerified: true, name: "Ada", passwordHash, ...more });
};
const signIn = (email: string, password = PASSWORD) =>
  people.authentication.signInWithPassword({ email, password, address: `10.1.${serial}.1` });

beforeEach(async () => {
  [clock, ended, deleted, endingFails] = [0, [], [], false];
  account = await make();
});

describe("another address", () => {
  let fresh: string;
  beforeEach(() => {
    fresh = `new${serial}@example.org`;
  });
  const request = (of = account, email = fresh) => people.emailChange.request(of, email, ORIGIN);
  const linkTo = async (email: string) => (await people.mailTo(email)).token ?? "";

  test("counts when its link is used, and not before; the old one is told", async () => {
    expect(await request(account, ` ${fresh.toUpperCase()}`)).toEqual({ email: fresh });
    expect(await people.accounts.get(account.id)).toMatchObject({ email: account.email });
    expect(await people.accounts.findByEmail(fresh)).toBeUndefined();
    const mail = await people.mailTo(fresh);
    expect(mail.text).toContain("http://localhost:3000/account/email/confirm?token=");
    expect(mail.text).not.toContain(account.email); // whoever reads it may be a stranger
    const link = await linkTo(fresh);
    expect(await people.emailChange.describe(link, account)).toEqual({ email: fresh });
    expect(await people.emailChange.confirm(link, account, ORIGIN)).toMatchObject({ id: account.id, email: fresh, emailVerified: true });
    expect(await people.accounts.findByEmail(fresh)).toMatchObject({ id: account.id });
    expect(await people.accounts.findByEmail(account.email)).toBeUndefined();
    const told = await people.mailTo(account.email);
    expect(told.subject).toContain("Your e-mail address was changed");
    expect(told.text).toContain(fresh);
    expect(told.text).toContain("write to whoever runs");
    expect((await signIn(fresh)).ok).toBe(true);
    expect((await signIn(account.email)).ok).toBe(false);
  });

  test("a link works once, among ten that use it at once, and for an hour", async () => {
    await request();
    const link = await linkTo(fresh);
    const uses = await Promise.allSettled(Array.from({ length: 10 }, () => people.emailChange.confirm(link, account, ORIGIN)));
    expect(uses.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    for (const use of uses) if (use.status === "rejected") expect(use.reason).toMatchObject({ code: "link_invalid", status: 400 });

    const another = await make();
    await request(another, `late${serial}@example.org`);
    clock = 3_601_000;
    await expect(people.emailChange.confirm(await linkTo(`late${serial}@example.org`), another, ORIGIN)).rejects.toMatchObject({
      code: "link_invalid",
    });
  });

  test("a link of another account changes neither, and stays good for its own", async () => {
    const mallory = await make();
    await request();
    const link = await linkTo(fresh);
    expect(await people.emailChange.describe(link, mallory)).toBeUndefined();
    await expect(people.emailChange.confirm(link, mallory, ORIGIN)).rejects.toMatchObject({ code: "link_invalid" });
    expect(await people.accounts.get(mallory.id)).toMatchObject({ email: mallory.email });
    expect(await people.emailChange.confirm(link, account, ORIGIN)).toMatchObject({ email: fresh });
  });

  test("the newest link alone is good, and none from before another change", async () => {
    await request();
    const older = await linkTo(fresh);
    await request(account, `second${serial}@example.org`);
    await expect(people.emailChange.confirm(older, account, ORIGIN)).rejects.toMatchObject({ code: "link_invalid" });
    await people.accounts.update(account.id, { email: `moved${serial}@example.org` });
    const newest = await linkTo(`second${serial}@example.org`);
    await expect(people.emailChange.confirm(newest, account, ORIGIN)).rejects.toMatchObject({ code: "link_invalid" });
  });

  test("is asked for so often and no more: nobody mails strangers through it", async () => {
    for (let asked = 0; asked < 20; asked += 1) await request(account, `stranger${asked}.${serial}@example.org`);
    const sent = (await people.mails()).length;
    await expect(request(account, `stranger.${serial}@example.org`)).rejects.toMatchObject({ code: "too_many_attempts", status: 429 });
    expect((await people.mails()).length).toBe(sent);
    await request(await make(), `stranger.${serial}@example.org`); // others go on
  });

  test("one that somebody has does not show at the request; at the link it does", async () => {
    const other = await make();
    expect(await request(account, other.email)).toEqual({ email: other.email });
    await expect(people.emailChange.confirm(await linkTo(other.email), account, ORIGIN)).rejects.toMatchObject({
      code: "email_taken",
      status: 409,
    });
    expect(await people.accounts.get(account.id)).toMatchObject({ email: account.email });
    expect(await people.accounts.get(other.id)).toMatchObject({ email: other.email });
  });

  test("a sign-up with it that nobody confirmed gives way, and its link opens nothing; an operator's account does not", async () => {
    await people.signUp.begin({ email: fresh, password: PASSWORD, browser: "b".repeat(43), address: "192.0.2.9" });
    const squatting = await linkTo(fresh);
    await request();
    await people.emailChange.confirm(await linkTo(fresh), account, ORIGIN);
    await expect(people.verification.confirm(squatting, { browser: "b".repeat(43) })).rejects.toMatchObject({ code: "link_invalid" });
    expect(await people.accounts.findByEmail(fresh)).toMatchObject({ id: account.id });

    const made = await people.accounts.create({ email: `made${serial}@example.org`, passwordHash: await people.passwords.hash(PASSWORD) });
    const person = await make();
    await request(person, made.email);
    await expect(people.emailChange.confirm(await linkTo(made.email), person, ORIGIN)).rejects.toMatchObject({ code: "email_taken" });
  });

  test("spends the links that were mailed to the address before", async () => {
    await people.passwordReset.request({ email: account.email, address: "192.0.2.77", browser: "b".repeat(43) });
    const reset = await linkTo(account.email);
    await request();
    await people.emailChange.confirm(await linkTo(fresh), account, ORIGIN);
    expect(await people.passwordReset.describe(reset)).toBeUndefined();
  });

  test.each(["", "nobody", "a@b@c"])("refuses %j", async (email) => {
    await expect(request(account, email)).rejects.toMatchObject({ code: "invalid_input", faults: [{ field: "email" }] });
  });

  test("refuses the one that there is, and whoever asks without end", async () => {
    await expect(request(account, account.email)).rejects.toMatchObject({ code: "invalid_input" });
    const tries = Array.from({ length: 12 }, () => request(account, `flood${serial}@example.org`));
    expect((await Promise.allSettled(tries)).some((each) => each.status === "rejected" && each.reason.code === "too_many_attempts")).toBe(
      true,
    );
  });
});

describe("another password", () => {
  const FRESH = "a quite different row of words";
  const order = { current: PASSWORD, password: FRESH, address: "192.0.2.1", device: undefined };

  test("takes the place of the one that its owner knows", async () => {
    await people.passwordChange.change(account, order);
    expect((await signIn(account.email, FRESH)).ok).toBe(true);
    expect((await signIn(account.email)).ok).toBe(false);
  });

  test.each([
    ["current", { current: "wrong wrong wrong wrong" }],
    ["current", { current: "" }],
    ["password", { password: "short" }],
    ["password", { password: PASSWORD }],
  ])("is refused beside %s, and nothing changes", async (field, wrong) => {
    await expect(people.passwordChange.change(account, { ...order, ...wrong })).rejects.toMatchObject({
      code: "invalid_input",
      faults: [{ field }],
    });
    expect((await signIn(account.email)).ok).toBe(true);
  });

  test("which another has replaced meanwhile, as a reset does, replaces nothing", async () => {
    const { accountPasswords, database } = people;
    const before = { password: await accountPasswords.current(account.id) };
    const chosen = await accountPasswords.choose(account, FRESH);
    const late = await accountPasswords.choose(account, "what an intruder likes to have");
    await database.prisma.$transaction((tx) => accountPasswords.set(account.id, chosen, tx));
    await expect(database.prisma.$transaction((tx) => accountPasswords.set(account.id, late, tx, before))).rejects.toMatchObject({
      faults: [{ field: "current" }],
    });
    await expect(
      database.prisma.$transaction((tx) => accountPasswords.set(account.id, late, tx, { password: undefined })),
    ).rejects.toMatchObject({ code: "invalid_input" });
    expect((await signIn(account.email, FRESH)).ok).toBe(true);

    const changes = ["first words of one tab", "other words of another tab"].map((password) =>
      people.passwordChange.change(account, { ...order, current: FRESH, password }),
    );
    const outcomes = await Promise.allSettled(changes);
    expect(outcomes.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
  });

  test("guesses at the current one are held up as those at the sign-in are", async () => {
    const guess = () => people.passwordChange.change(account, { ...order, current: "wrong wrong wrong wrong" });
    const outcomes = [];
    for (let tries = 0; tries < 8; tries += 1) outcomes.push(await guess().catch((error: { code: string }) => error.code));
    expect(outcomes[0]).toBe("invalid_input");
    expect(outcomes.at(-1)).toBe("too_many_attempts");
  });

  test("an account without one gets its first, and links that were mailed to set one are void", async () => {
    const email = `bare${serial}@example.com`;
    const bare = await people.accounts.create({ email, emailVerified: true });
    await people.passwordReset.request({ email, address: "192.0.2.88", browser: "b".repeat(43) });
    const reset = (await people.mailTo(email)).token ?? "";
    await people.passwordChange.change(bare, { ...order, current: "" });
    expect((await signIn(email, FRESH)).ok).toBe(true);
    expect(await people.passwordReset.describe(reset)).toBeUndefined();
  });
});

describe("deletion", () => {
  test("ends everything, waits, and then deletes for good", async () => {
    const marked = await people.deletion.request(account, ORIGIN);
    expect(marked?.deleteAt?.getTime()).toBeGreaterThan(Date.now() + 13 * DAY);
    expect(ended).toEqual([account.id]);
    const mail = await people.mailTo(account.email);
    expect(mail.subject).toContain("going to be deleted");
    expect(mail.text).toContain("Until then you can undo it");

    await people.deletion.carryOut();
    expect(await people.accounts.find(account.id)).toBeDefined();
    clock = 14 * DAY + 60_000;
    await people.deletion.carryOut();
    expect(await people.accounts.find(account.id)).toBeUndefined();
    expect(deleted).toEqual([account.id]);
    expect((await people.mailTo(account.email)).subject).toContain("Your account was deleted");
    expect(await people.database.prisma.credential.count({ where: { accountId: account.id } })).toBe(0);
    const again = await people.accounts.create({ email: account.email, emailVerified: true });
    expect(again.id).not.toBe(account.id);
  });

  test("can be called off until then, and the owner is told", async () => {
    await people.deletion.request(account, ORIGIN);
    expect(await people.deletion.undo(account.id, ORIGIN)).not.toHaveProperty("deleteAt");
    expect((await people.mailTo(account.email)).subject).toContain("Your account is kept");
    clock = 15 * DAY;
    await people.deletion.carryOut();
    expect(await people.accounts.find(account.id)).toBeDefined();
    await expect(people.deletion.undo(account.id, ORIGIN)).rejects.toMatchObject({ code: "not_found" });
  });

  test("carried out and called off at once: one of them counts", async () => {
    await people.deletion.request(account, ORIGIN);
    clock = 14 * DAY + 60_000;
    const [undone] = await Promise.allSettled([
      people.deletion.undo(account.id, ORIGIN),
      people.deletion.carryOut(),
      people.deletion.carryOut(),
    ]);
    await setImmediate();
    await people.accounts.changed(account.id);
    const there = (await people.accounts.find(account.id)) !== undefined;
    expect(deleted).toEqual(there ? [] : [account.id]);
    if (there) expect(undone.status).toBe("fulfilled");
  });

  test("what could not be ended is not marked either", async () => {
    endingFails = true;
    await expect(people.deletion.request(account, ORIGIN)).rejects.toThrow("the store is away");
    expect(await people.accounts.find(account.id)).not.toHaveProperty("deleteAt");
  });

  test("without a delay it is done at once", async () => {
    const other = await openPeople(stores, { accountDeletionDelay: 0, onDeleted: (id) => deleted.push(id) });
    try {
      expect(await other.deletion.request(account, ORIGIN)).toBeUndefined();
      expect(await other.accounts.find(account.id)).toBeUndefined();
      expect(deleted).toEqual([account.id]);
      expect((await other.mailTo(account.email)).subject).toContain("Your account was deleted");
    } finally {
      await other[Symbol.asyncDispose]();
    }
  });

  test("of two administrators who leave at once, one stays", async () => {
    const [one, two] = [await make({ roles: [ADMIN_ROLE] }), await make({ roles: [ADMIN_ROLE] })];
    const asked = await Promise.allSettled([people.deletion.request(one, ORIGIN), people.deletion.request(two, ORIGIN)]);
    expect(asked.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    const refused = asked.find((each) => each.status === "rejected");
    expect(refused?.reason).toMatchObject({ code: "last_administrator", message: expect.stringContaining("only administrator") });
    expect(await people.accounts.holdsAnyone(ADMIN_ROLE)).toBe(true);
  });
});
