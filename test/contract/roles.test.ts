/** Roles, as an operator makes, gives and removes them, on two processes that share a database. */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { AuditEvent } from "../../src/observability/audit-log.ts";
import { createRoleOperations, type RoleOperations } from "../../src/operations/role-operations.ts";
import { openPeople, type TestPeople } from "../support/people.ts";
import { stores as arrangements, type Stores } from "../support/stores.ts";
import { waitFor } from "../support/wait-for.ts";

const BY = { actor: "operator" };

let stores: Stores;
let here: TestPeople;
let there: TestPeople;
let roles: RoleOperations;
let audited: AuditEvent[] = [];

beforeAll(async () => {
  stores = await arrangements[0].open({ empty: true });
  here = await openPeople(stores);
  there = await openPeople(stores);
  roles = createRoleOperations({
    ...here,
    knownScopes: async () => new Set(["openid", "orders:read", "orders:write"]),
    audit: { record: (event) => audited.push(event) },
  });
});
afterAll(async () => {
  await here?.[Symbol.asyncDispose]();
  await there?.[Symbol.asyncDispose]();
  await stores?.close();
});

let serial = 0;
async function person(...names: string[]): Promise<string> {
  serial += 1;
  return (await here.accounts.create({ email: `holder${serial}@example.com`, roles: names })).id;
}
const permissionsThere = async (id: string) => (await there.accounts.find(id))?.permissions;
const becomes = (id: string, permissions: string[]) =>
  waitFor("the other process to know", async () => JSON.stringify(await permissionsThere(id)) === JSON.stringify(permissions));

test("what a role permits is what was said last, and its holders' on every process", async () => {
  const made = await roles.create(BY, "seller", { description: "Sells", permissions: ["orders:read", "orders:read"] });
  expect(made).toEqual({ name: "seller", description: "Sells", permissions: ["orders:read"], requiresSecondFactor: false, holders: 0 });
  const [id, both] = [await person("seller"), await person("seller", "buyer")];
  expect(await permissionsThere(id)).toEqual(["orders:read"]);
  await roles.update(BY, "buyer", { permissions: ["orders:write", "orders:read"] });
  await becomes(both, ["orders:read", "orders:write"]);

  const changed = await roles.update(BY, "seller", { permissions: ["orders:write"], requiresSecondFactor: true });
  expect(changed).toMatchObject({ description: "Sells", permissions: ["orders:write"], requiresSecondFactor: true, holders: 2 });
  await becomes(id, ["orders:write"]);
  expect(await roles.update(BY, "seller", { description: "" })).toMatchObject({ description: "", permissions: ["orders:write"] });
  expect((await roles.list()).map(({ name, holders }) => [name, holders])).toEqual([
    ["buyer", 1],
    ["seller", 2],
  ]);

  expect(await roles.delete(BY, "seller")).toMatchObject({ holders: 2 });
  await becomes(id, []);
  expect((await here.accounts.get(both)).roles).toEqual(["buyer"]);
});

test("a role is made once, and changed and removed only where there is one", async () => {
  const made = await Promise.allSettled([1, 2, 3].map((n) => (n % 2 ? here : there).roles.create("once", { description: `${n}` })));
  expect(made.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  for (const each of made) if (each.status === "rejected") expect(each.reason).toMatchObject({ code: "role_exists", status: 409 });
  const removed = await Promise.allSettled([here, there].map((side) => side.roles.remove("once")));
  expect(removed.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  for (const work of [() => roles.get("once"), () => roles.update(BY, "once", { description: "x" }), () => roles.delete(BY, "once")])
    await expect(work()).rejects.toMatchObject({ code: "not_found", message: 'There is no role "once".' });
});

test("the built-in role changes and stays", async () => {
  expect(await roles.update(BY, "admin", { requiresSecondFactor: true })).toMatchObject({ requiresSecondFactor: true });
  await expect(roles.delete(BY, "admin")).rejects.toMatchObject({ code: "invalid_input", message: expect.stringContaining("built in") });
});

test("what is no scope permits nothing", async () => {
  for (const [settings, words] of [
    [{ permissions: ["orders read"] }, /"orders read" is no scope/],
    [{ permissions: [""] }, /is no scope/],
    [{ permissions: ['a"b'] }, /is no scope/],
    [{ permissions: ["openid"] }, /OpenID Connect/],
    [{ permissions: ["grantor:everything"] }, /management API; there are grantor:/],
    [{ permissions: Array.from({ length: 201 }, (_, n) => `s${n}`) }, /at most 200/],
    [{ description: "x".repeat(201) }, /at most 200/],
  ] as const) {
    const refused = { code: "invalid_input", message: expect.stringMatching(words) };
    await expect(roles.create(BY, "wrong", settings)).rejects.toMatchObject(refused);
    await expect(roles.update(BY, "admin", settings)).rejects.toMatchObject(refused);
  }
  await expect(roles.create(BY, "-wrong", {})).rejects.toMatchObject({ code: "invalid_input", faults: [{ field: "name" }] });
  await expect(roles.get("wrong")).rejects.toMatchObject({ code: "not_found" });
  const early = await roles.create(BY, "early", { permissions: ["orders:read", "stock:read", "grantor:keys:read"] });
  expect(await roles.permissionsWithoutResource(early)).toEqual(["stock:read"]);
});

test("a role is given and taken beside the others, however many do so at once", async () => {
  for (const name of ["a", "b", "c"]) await roles.create(BY, name, { permissions: [`${name}:do`] });
  const id = await person("a");
  audited = [];
  await Promise.all(["b", "c", "b"].map((name, n) => (n % 2 ? there : here).roles.give(id, name)));
  await becomes(id, ["a:do", "b:do", "c:do"]);
  expect((await roles.revoke(BY, id, "a")).roles).toEqual(["b", "c"]);
  expect((await roles.grant(BY, id, "a")).permissions).toEqual(["a:do", "b:do", "c:do"]);
  expect((await roles.grant(BY, id, "a")).roles).toEqual(["a", "b", "c"]); // again: nothing happens
  expect(audited.map(({ event, accountId, actor, detail }) => [event, accountId, actor, detail])).toEqual([
    ["account.role_revoked", id, "operator", { role: "a" }],
    ["account.role_granted", id, "operator", { role: "a" }],
  ]);
  await roles.revoke(BY, id, "b");
  await expect(roles.revoke(BY, id, "b")).rejects.toMatchObject({ code: "not_found", message: expect.stringContaining("does not have") });
  await expect(roles.revoke(BY, id, "none")).rejects.toMatchObject({ message: 'There is no role "none".' });
  await expect(roles.grant(BY, id, "none")).rejects.toMatchObject({ code: "not_found", message: 'There is no role "none".' });
  await expect(roles.grant(BY, "nobody@example.com", "a")).rejects.toMatchObject({ code: "not_found" });
});
