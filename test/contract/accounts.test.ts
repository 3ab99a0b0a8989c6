import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createAccountStore } from "../../src/accounts/account-store.ts";
import { createConsentStore } from "../../src/accounts/consent-store.ts";
import { createOneTimeTokens } from "../../src/accounts/one-time-tokens.ts";
import { createRoles } from "../../src/accounts/roles.ts";
import { sweepAccounts } from "../../src/accounts/sweep.ts";
import { openPeople, PASSWORD, type TestPeople } from "../support/people.ts";
import { stores as arrangements, type Stores } from "../support/stores.ts";
import { waitFor } from "../support/wait-for.ts";

/** Two processes on one database. */
let stores: Stores;
let here: TestPeople;
let there: TestPeople;

beforeAll(async () => {
  stores = await arrangements[0].open();
  here = await openPeople(stores);
  there = await openPeople(stores);
  await here.roles.ensureBuiltIn();
});
afterAll(async () => {
  await here?.[Symbol.asyncDispose]();
  await there?.[Symbol.asyncDispose]();
  await stores?.close();
});

let serial = 0;
const freshEmail = () => {
  serial += 1;
  return `person${serial}@example.com`;
};

/** Runs work and counts the statements that reach the database meanwhile. */
async function countingQueries(people: TestPeople, work: () => Promise<unknown>): Promise<number> {
  const { pool } = people.database;
  let queries = 0;
  const { connect } = pool;
  pool.connect = ((...args: unknown[]) => {
    queries += 1;
    return (connect as (...all: unknown[]) => unknown).apply(pool, args);
  }) as typeof connect;
  try {
    await work();
  } finally {
    pool.connect = connect;
  }
  return queries;
}

describe("accounts", () => {
  test("come back as they were made, under an id that cannot be guessed", async () => {
    const email = freshEmail();
    const made = await here.accounts.create({
      email: ` ${email.toUpperCase()} `,
      name: " Ada\nLovelace ",
      roles: ["editor", "admin", "editor"],
      claims: { locale: "en" },
    });
    expect(made.id).toMatch(/^[\w-]{22}$/);
    expect(made).toMatchObject({ email, emailVerified: false, name: "Ada Lovelace", roles: ["admin", "editor"], claims: { locale: "en" } });
    expect(await there.accounts.find(made.id)).toEqual(made);
    expect(await there.accounts.findByEmail(email.toUpperCase())).toEqual(made);
    expect(await there.accounts.get(email)).toEqual(made);
    expect(await there.accounts.get(made.id)).toEqual(made);
  });

  test("cost no query once warm, and one load for many who ask at once", async () => {
    const { id, email } = await here.accounts.create({ email: freshEmail() });
    const cold = await countingQueries(there, () => Promise.all(Array.from({ length: 50 }, () => there.accounts.find(id))));
    expect(cold).toBeGreaterThan(0);
    expect(cold).toBeLessThan(6);
    await there.accounts.findByEmail(email);
    expect(await countingQueries(there, () => Promise.all([there.accounts.find(id), there.accounts.findByEmail(email)]))).toBe(0);
  });

  test("that change on one process are fresh on the other", async () => {
    const { id, email } = await here.accounts.create({ email: freshEmail() });
    await there.accounts.find(id);
    await there.accounts.findByEmail(email);
    await here.accounts.disable(id);
    await waitFor("the other process to know", async () => (await there.accounts.find(id))?.disabledAt !== undefined);
    expect((await here.accounts.find(id))?.disabledAt).toBeInstanceOf(Date);
    await here.accounts.enable(id);
    await waitFor("the other process to know", async () => (await there.accounts.find(id))?.disabledAt === undefined);

    const moved = freshEmail();
    await here.accounts.update(id, { email: moved });
    await waitFor("the other process to know", async () => (await there.accounts.find(id))?.email === moved);
    expect(await there.accounts.findByEmail(email)).toBeUndefined();
    const heir = await here.accounts.create({ email });
    expect((await there.accounts.findByEmail(email))?.id).toBe(heir.id);

    await here.accounts.delete(id);
    await waitFor("the other process to know", async () => (await there.accounts.find(id)) === undefined);
    expect(await there.accounts.findByEmail(moved)).toBeUndefined();
    await expect(here.accounts.get(id)).rejects.toMatchObject({ code: "not_found", status: 404 });
  });

  test("an address is had once, however many ask at once and however they spell it", async () => {
    const email = freshEmail();
    const tries = await Promise.allSettled(
      [email, email.toUpperCase(), ` ${email}`, email].map((each, n) => (n % 2 ? here : there).accounts.create({ email: each })),
    );
    expect(tries.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    for (const each of tries) if (each.status === "rejected") expect(each.reason).toMatchObject({ code: "email_taken", status: 409 });
    const other = await here.accounts.create({ email: freshEmail() });
    await expect(here.accounts.update(other.id, { email })).rejects.toMatchObject({ code: "email_taken" });
  });

  test("every fault is named", async () => {
    const wrong = here.accounts.create({ email: "nobody", name: "x".repeat(201), roles: ["no role!"], claims: { sub: "x" } });
    await expect(wrong).rejects.toMatchObject({
      code: "invalid_input",
      status: 400,
      faults: [{ field: "email" }, { field: "name" }, { field: "claims" }, { field: "role" }],
    });
    await expect(here.accounts.update("nobody", { name: "x" })).rejects.toMatchObject({ code: "not_found" });
    await expect(here.accounts.delete("nobody")).rejects.toMatchObject({ code: "not_found" });
  });
});

describe("one-time tokens", () => {
  test("are taken once among 25 who try at once on two processes", async () => {
    const mine = createOneTimeTokens(here.database.prisma);
    const theirs = createOneTimeTokens(there.database.prisma);
    for (let round = 0; round < 5; round += 1) {
      const token = await mine.issue("invitation", { ttl: 60, data: { round } });
      expect(token).toMatch(/^[\w-]{43}$/);
      const taken = await Promise.all(Array.from({ length: 25 }, (_, n) => (n % 2 ? mine : theirs).take("invitation", token)));
      const won = taken.filter((each) => each !== undefined);
      expect(won).toHaveLength(1);
      expect(won[0]?.data).toEqual({ round });
      expect(await mine.peek("invitation", token)).toBeUndefined();
    }
  });

  test("open nothing after their time, for another purpose, or by their stored hash", async () => {
    let time = Date.now();
    const tokens = createOneTimeTokens(here.database.prisma, () => time);
    const token = await tokens.issue("invitation", { ttl: 60 });
    const { rows } = await here.database.pool.query<{ hash: string }>("SELECT hash FROM one_time_token");
    expect(rows.some(({ hash }) => hash === token)).toBe(false);
    for (const { hash } of rows) expect(await tokens.take("invitation", hash)).toBeUndefined();
    expect(await tokens.take("verify-email", token)).toBeUndefined();
    expect(await tokens.peek("invitation", token)).toBeDefined();
    time += 60_000;
    expect(await tokens.peek("invitation", token)).toBeUndefined();
    expect(await tokens.take("invitation", token)).toBeUndefined();
  });

  test("stay live when the transaction that took them fails", async () => {
    const tokens = createOneTimeTokens(here.database.prisma);
    const token = await tokens.issue("invitation", { ttl: 60 });
    const failed = here.database.prisma.$transaction(async (tx) => {
      expect(await tokens.take("invitation", token, tx)).toBeDefined();
      throw new Error("no");
    });
    await expect(failed).rejects.toThrow("no");
    expect(await tokens.take("invitation", token)).toBeDefined();
  });
});

describe("consent", () => {
  test("is remembered, grows, is fresh everywhere, and ends", async () => {
    const { id } = await here.accounts.create({ email: freshEmail() });
    const { prisma } = here.database;
    await prisma.client.createMany({
      data: [
        { id: "app", metadata: {} },
        { id: "other", metadata: {} },
      ],
    });
    expect(await here.consents.find(id, "app")).toBeUndefined();
    await here.consents.remember(id, "app", { openid: "openid profile", resources: { "https://api.example": "read" } });
    expect(await there.consents.find(id, "app")).toMatchObject({ openid: "openid profile", resources: { "https://api.example": "read" } });
    await Promise.all([
      here.consents.remember(id, "app", { openid: "openid email", resources: { "https://api.example": "write" } }),
      there.consents.remember(id, "app", { openid: "phone", resources: { "https://two.example": "all" } }),
    ]);
    await waitFor("the other process to know", async () => (await there.consents.find(id, "app"))?.openid.split(" ").length === 4);
    const all = await here.consents.find(id, "app");
    expect(all?.openid.split(" ").sort()).toEqual(["email", "openid", "phone", "profile"]);
    expect(all?.resources).toEqual({ "https://api.example": "read write", "https://two.example": "all" });
    // Once the last word of a change has come through.
    await waitFor("the other process to remember", async () => (await countingQueries(there, () => there.consents.find(id, "app"))) === 0);
    await here.consents.remember(id, "other", { openid: "openid", resources: {} });
    expect((await here.consents.list(id)).map(({ clientId }) => clientId).sort()).toEqual(["app", "other"]);

    expect(await here.consents.withdraw(id, "app")).toBe(true);
    expect(await here.consents.withdraw(id, "app")).toBe(false);
    await waitFor("the other process to know", async () => (await there.consents.find(id, "app")) === undefined);
    expect(await there.consents.find(id, "other")).toBeDefined();
    await expect(here.consents.remember(id, "gone", { openid: "openid", resources: {} })).rejects.toMatchObject({ code: "unknown_client" });
  });
});

test("the sweep removes sign-ups that nobody confirmed, and nothing that an operator made", async () => {
  const abandoned = freshEmail();
  const recent = freshEmail();
  await here.signUp.begin({ email: abandoned, password: PASSWORD, browser: "b", address: "192.0.2.9" });
  const made = await here.accounts.create({ email: freshEmail() });
  // Its owner signs in at another provider; the address counts no more, and a stranger has signed up with it.
  const federated = await here.accounts.create({ email: freshEmail() });
  await here.database.prisma.federatedIdentity.create({
    data: { issuer: "https://op.example", subject: "s", label: "", accountId: federated.id },
  });
  await here.signUp.begin({ email: federated.email, password: PASSWORD, browser: "b", address: "192.0.2.9" });
  const confirmed = freshEmail();
  await here.signUp.begin({ email: confirmed, password: PASSWORD, browser: "b", address: "192.0.2.9" });
  await here.verification.confirm((await here.mailTo(confirmed)).token ?? "", { browser: "b" });
  await here.database.pool.query("UPDATE account SET created_at = now() - interval '3 days'");
  await here.database.pool.query("UPDATE one_time_token SET expires_at = now() - interval '2 days'");
  await here.signUp.begin({ email: recent, password: PASSWORD, browser: "b", address: "192.0.2.9" });
  await sweepAccounts(here.database.prisma, Date.now());
  const { prisma } = here.database;
  const left = await prisma.account.findMany({ where: { email: { in: [abandoned, recent, made.email, federated.email, confirmed] } } });
  expect(left.map(({ email }) => email).sort()).toEqual([recent, made.email, federated.email, confirmed].sort());
  expect(await prisma.oneTimeToken.count({ where: { expiresAt: { lt: new Date() } } })).toBe(0);
});

test("stores that are closed hear of no more changes", () => {
  const ended: string[] = [];
  const feed = {
    publish: async () => {},
    subscribe: (topic: string) => () => void ended.push(topic),
    close: async () => {},
  };
  const { prisma } = here.database;
  createAccountStore(prisma, feed).close();
  createConsentStore(prisma, feed).close();
  createRoles(prisma, feed);
  expect(ended.sort()).toEqual(["account", "consent", "role"]);
});
