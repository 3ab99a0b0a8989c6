/** Changes of accounts by the same sight, the last administrator, and pages of what people allowed. On two processes. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Account } from "../../src/accounts/account.ts";
import { createOneTimeTokens } from "../../src/accounts/one-time-tokens.ts";
import { createGrantOperations } from "../../src/operations/grant-operations.ts";
import { openPeople, type TestPeople } from "../support/people.ts";
import { stores as arrangements, type Stores } from "../support/stores.ts";

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
const make = (rest = {}) => {
  serial += 1;
  return here.accounts.create({ email: `changed${serial}@example.com`, ...rest });
};
const asSeen = (seen: Account) => (before: Account) => {
  if (JSON.stringify(before) !== JSON.stringify(seen)) throw new Error("changed meanwhile");
};

describe("a change by what was seen", () => {
  test("counts once among several by the same sight at once, whatever each changes", async () => {
    for (let round = 0; round < 5; round += 1) {
      const seen = await make();
      const changes = await Promise.allSettled([
        here.accounts.update(seen.id, { name: "Here" }, asSeen(seen)),
        there.accounts.update(seen.id, { roles: ["staff"] }, asSeen(seen)),
        here.accounts.disable(seen.id, asSeen(seen)),
        there.accounts.update(seen.id, { emailVerified: true }, asSeen(seen)),
      ]);
      expect(changes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
      for (const change of changes) if (change.status === "rejected") expect(change.reason.message).toBe("changed meanwhile");
    }
  });

  test("sees roles as they are given and taken beside it", async () => {
    const seen = await make({ roles: ["staff"] });
    await there.roles.take(seen.id, "staff");
    await expect(here.accounts.update(seen.id, { name: "x" }, asSeen(seen))).rejects.toThrow("changed meanwhile");
    await expect(here.accounts.enable(seen.id, asSeen(seen))).rejects.toThrow("changed meanwhile");
    await expect(here.accounts.update("nobody", { name: "x" }, asSeen(seen))).rejects.toMatchObject({ code: "not_found" });
  });
});

test("a link proves the address that it was mailed to, and never the one that an operator gives the account at that moment", async () => {
  const links = createOneTimeTokens(here.database.prisma);
  const password = "a few words of one's own";
  for (let round = 0; round < 4; round += 1) {
    const { id, email } = await make();
    const link = await links.issue("verify-email", { ttl: 60, accountId: id });
    const [used, changed] = await Promise.allSettled([
      here.verification.confirm(link, { password }),
      there.accounts.update(id, { email: `moved-${email}`, emailVerified: false }),
    ]);
    if (used.status === "rejected") expect(used.reason).toMatchObject({ code: "link_invalid" });
    expect(changed).toMatchObject({ status: "fulfilled", value: { email: `moved-${email}`, emailVerified: false } });
    expect(await links.peek("verify-email", link)).toBeUndefined();
    expect(await here.database.prisma.account.findUnique({ where: { id } })).toMatchObject({
      email: `moved-${email}`,
      emailVerified: false,
    });
  }
});

test("the last administrator who can sign in stays one, however many leave at once", async () => {
  const [first, second] = [await make({ roles: ["admin"] }), await make({ roles: ["admin", "staff"] })];
  const ways = [
    () => here.accounts.disable(first.id),
    () => there.accounts.update(second.id, { roles: ["staff"] }),
    () => here.roles.take(second.id, "admin"),
    () => there.accounts.delete(first.id),
  ];
  const left = await Promise.allSettled(ways.map((way) => way()));
  const [disabled, , , deleted] = left;
  for (const each of left) {
    const wasGone = each === disabled && deleted?.status === "fulfilled";
    if (each.status === "rejected") expect(each.reason).toMatchObject({ code: wasGone ? "not_found" : "last_administrator" });
  }
  const usable = (await here.accounts.list({ role: "admin", disabled: false })).accounts;
  expect(usable).toHaveLength(1);
  const { id } = usable[0] as Account;
  const refused = { code: "last_administrator" };
  await expect(here.accounts.disable(id)).rejects.toMatchObject(refused);
  await expect(here.accounts.delete(id)).rejects.toMatchObject(refused);
  await expect(here.accounts.update(id, { roles: [] })).rejects.toMatchObject(refused);
  await expect(here.roles.take(id, "admin")).rejects.toMatchObject(refused);
  // What leaves the role with them is no matter.
  expect((await here.accounts.update(id, { roles: ["admin"], name: "Still here" })).name).toBe("Still here");
  const next = await make({ roles: ["admin"] });
  expect((await here.accounts.disable(id)).disabledAt).toBeDefined();
  await expect(here.accounts.delete(next.id)).rejects.toMatchObject(refused);
  await here.accounts.delete(id);
});

test("what people allowed is listed page by page, by account, by application and in all, and taken back as it was seen", async () => {
  const { prisma } = here.database;
  const apps = ["app-a", "app-b", "app-c"];
  await prisma.client.createMany({ data: apps.map((id) => ({ id, metadata: {} })) });
  const people = [await make(), await make(), await make()];
  for (const { id } of people) for (const app of apps) await here.consents.remember(id, app, { openid: "openid", resources: {} });
  const [{ id: somebody }] = people as [Account];
  const all = async (question: { accountId?: string; clientId?: string }) => {
    const seen: string[] = [];
    for (let after: { accountId: string; clientId: string } | undefined; ; ) {
      const { consents, more } = await here.consents.page({ ...question, limit: 2, ...(after && { after }) });
      seen.push(...consents.map(({ accountId, clientId }) => `${accountId} ${clientId}`));
      if (!more) return seen;
      after = consents.at(-1);
    }
  };
  const every = people.flatMap(({ id }) => apps.map((app) => `${id} ${app}`));
  expect((await all({})).sort()).toEqual([...every].sort());
  expect(await all({ accountId: somebody })).toEqual(apps.map((app) => `${somebody} ${app}`));
  expect((await all({ clientId: "app-b" })).sort()).toEqual(people.map(({ id }) => `${id} app-b`).sort());
  expect(await all({ accountId: somebody, clientId: "app-c" })).toEqual([`${somebody} app-c`]);
  expect(await all({ accountId: "nobody" })).toEqual([]);

  const told: string[] = [];
  const grants = createGrantOperations({
    accounts: here.accounts,
    consents: here.consents,
    liveGrants: { page: async () => ({ grants: [], next: undefined }), find: async () => undefined },
    endLiveGrant: async () => {},
    endConsent: async (accountId, clientId) => void told.push(`${accountId} ${clientId}`),
    audit: { record: ({ event, accountId, clientId, actor }) => void told.push(`${event} ${accountId} ${clientId} by ${actor}`) },
  });
  const changed = () => {
    throw new Error("changed meanwhile");
  };
  await expect(grants.end({ actor: "me" }, somebody, "app-a", changed)).rejects.toThrow("changed meanwhile");
  expect(told).toEqual([]);
  await grants.end({ actor: "me" }, somebody, "app-a");
  expect(told).toEqual([`${somebody} app-a`, `${somebody} app-a`, `consent.withdrawn ${somebody} app-a by me`]);
  await expect(grants.end({ actor: "me" }, somebody, "app-a")).rejects.toMatchObject({ code: "not_found" });
});
