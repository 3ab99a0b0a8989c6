import { pino } from "pino";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type ClientOwners, createClientOwners } from "../../src/clients/client-owners.ts";
import { type ClientStore, createClientStore } from "../../src/clients/client-store.ts";
import { type ChangeFeed, openChangeFeed } from "../../src/storage/change-feed.ts";
import type { Database } from "../../src/storage/database.ts";
import { testDatabase } from "../support/test-database.ts";

const WEB = { type: "web", metadata: { client_name: "Web", redirect_uris: ["https://app.example/cb"] } } as const;

let database: Database;
let feed: ChangeFeed;
let owners: ClientOwners;
let clients: ClientStore;
let now: number;

beforeEach(async () => {
  database = await testDatabase();
  now = Date.parse("2026-01-01T00:00:00Z");
  feed = await openChangeFeed(database, pino({ level: "silent" }));
  owners = createClientOwners(database.prisma, () => now++);
  clients = createClientStore(database.prisma, feed, () => now++);
  for (const id of ["ada", "bob", "eve"]) await database.prisma.account.create({ data: { id, email: `${id}@example.test` } });
  await clients.create({ ...WEB, clientId: "app", owner: "ada" });
  await clients.create({ ...WEB, clientId: "other", owner: "bob" });
});

const owned = async (accountId: string) => (await owners.clientsOf(accountId)).clients.map(({ clientId }) => clientId);

afterEach(async () => {
  await feed.close();
  await database.close();
});

test("whoever made an application owns it, and others whom they share it with", async () => {
  expect(await owners.of("app")).toEqual([{ accountId: "ada", since: expect.any(Date) }]);
  expect(await owners.add("app", "bob")).toBe(true);
  expect(await owners.add("app", "bob")).toBe(false);
  expect((await owners.of("app")).map(({ accountId }) => accountId)).toEqual(["ada", "bob"]);
  expect(await owners.has("app", "bob")).toBe(true);
  expect(await owners.has("app", "eve")).toBe(false);
  expect(await owners.has("nothing", "ada")).toBe(false);
  expect(await owned("bob")).toEqual(["other", "app"]);
  expect(await owners.count("bob")).toBe(2);
  expect(await owners.count("nobody")).toBe(0);
  for (const [client, account] of [
    ["nothing", "ada"],
    ["app", "nobody"],
  ] as const)
    await expect(owners.add(client, account)).rejects.toMatchObject({ code: "not_found", status: 404 });
});

test("an account looks after so many and no more, however many it accepts at once", async () => {
  for (const clientId of ["second", "third"]) await clients.create({ ...WEB, clientId, owner: "bob" });
  const all = await Promise.allSettled(["app", "other", "second", "third"].map((id) => owners.add(id, "eve", 2)));
  expect(all.filter(({ status }) => status === "fulfilled")).toHaveLength(2);
  for (const each of all) if (each.status === "rejected") expect(each.reason).toMatchObject({ code: "too_many", status: 409 });
  const [kept = ""] = await owned("eve");
  expect(await owners.add(kept, "eve", 2)).toBe(false);
});

test("applications are listed a page at a time, the newest first", async () => {
  for (let n = 0; n < 60; n++) await clients.create({ ...WEB, clientId: `app-${String(n).padStart(2, "0")}`, owner: "eve" });
  const { clients: newest, next } = await owners.clientsOf("eve");
  const { clients: older, ...end } = await owners.clientsOf("eve", next);
  expect([newest.length, older.length, end]).toEqual([50, 10, {}]);
  const ids = [...newest, ...older].map(({ clientId }) => clientId);
  expect(ids).toEqual([...ids].sort().reverse());
  // Nobody signs a cursor: also one of a time that no database knows is refused, and no fault of the server.
  const forged = [-62_135_596_800_001, -8.64e15, 8.64e15 + 1, 1e300, null, "0"].map((at) =>
    Buffer.from(JSON.stringify([at, "app"])).toString("base64url"),
  );
  for (const cursor of ["forged", ...forged]) await expect(owners.clientsOf("eve", cursor)).rejects.toMatchObject({ status: 400 });
});

test("somebody who can sign in stays", async () => {
  await expect(owners.remove("app", "ada")).rejects.toMatchObject({ code: "last_owner", status: 409 });
  expect(await owners.remove("app", "bob")).toBe(false);
  await owners.add("app", "bob");
  await database.prisma.account.update({ where: { id: "bob" }, data: { disabledAt: new Date() } });
  await expect(owners.remove("app", "ada")).rejects.toMatchObject({ code: "last_owner" });
  expect(await owners.ownedAloneBy("ada")).toMatchObject([{ clientId: "app" }]);
  expect(await owners.remove("app", "bob")).toBe(true);
  await owners.add("app", "eve");
  expect(await owners.ownedAloneBy("ada")).toEqual([]);
  expect(await owners.remove("app", "ada")).toBe(true);
  expect(await owned("ada")).toEqual([]);
});

test("of all owners who leave at once one stays", async () => {
  await owners.add("app", "bob");
  await owners.add("app", "eve");
  const left = await Promise.allSettled(["ada", "bob", "eve"].map((id) => owners.remove("app", id)));
  expect(left.filter(({ status }) => status === "rejected")).toHaveLength(1);
  expect(await owners.of("app")).toHaveLength(1);
});

test("an operator puts others in their place, also when nobody is left", async () => {
  const [{ since }] = (await owners.of("app")) as unknown as [{ since: Date }];
  await owners.replace("app", ["eve", "ada"]);
  expect((await owners.of("app")).find(({ accountId }) => accountId === "ada")?.since).toEqual(since);
  await owners.replace("app", []);
  expect(await owners.of("app")).toEqual([]);
  await expect(owners.replace("nothing", ["ada"])).rejects.toMatchObject({ code: "not_found" });
  await expect(owners.replace("app", ["ada", "nobody"])).rejects.toMatchObject({ code: "not_found" });
  expect(await owners.of("app")).toEqual([]);
});

test("an application outlives the accounts that own it, and takes its ownership along when it goes", async () => {
  await database.prisma.account.delete({ where: { id: "ada" } });
  expect(await owners.of("app")).toEqual([]);
  // Made by a person and left by them: what an operator made never had an owner.
  await clients.create({ ...WEB, clientId: "left", createdBy: "ada" });
  expect((await clients.list({ ownerless: true })).clients).toMatchObject([{ clientId: "left" }]);
  await database.prisma.client.delete({ where: { id: "other" } });
  expect(await owned("bob")).toEqual([]);
});
