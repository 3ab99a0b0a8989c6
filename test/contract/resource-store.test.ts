import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createClientStore } from "../../src/clients/client-store.ts";
import { openResourceStore, type ResourceStore } from "../../src/clients/resource-store.ts";
import { type ChangeFeed, openChangeFeed } from "../../src/storage/change-feed.ts";
import type { Database } from "../../src/storage/database.ts";
import { testDatabase } from "../support/test-database.ts";
import { waitFor } from "../support/wait-for.ts";

const log = pino({ level: "silent" });
const ISSUER = "https://issuer.example";
const API = "https://api.example/v1";

let database: Database;
let feeds: ChangeFeed[];
let here: ResourceStore;
let there: ResourceStore;

beforeEach(async () => {
  database = await testDatabase();
  feeds = await Promise.all([openChangeFeed(database, log), openChangeFeed(database, log)]);
  [here, there] = (await Promise.all(feeds.map((feed) => openResourceStore({ prisma: database.prisma, feed, issuer: ISSUER })))) as [
    ResourceStore,
    ResourceStore,
  ];
});

afterEach(async () => {
  for (const feed of feeds) await feed.close();
  await database.close();
});

describe("a resource", () => {
  test("is found as it was made, and its scopes can be registered for", async () => {
    const clients = createClientStore(database.prisma, feeds[0] as ChangeFeed);
    const { client } = await clients.create({ type: "service", metadata: {} });
    const made = await here.create(API, {
      name: "Things",
      scopes: ["api:read", { name: "api:write", description: "Change your things" }],
      accessTokenTtl: 60,
      signingAlg: "PS256",
      includeRoles: true,
      introspectors: [client.clientId, client.clientId],
    });
    expect(made).toMatchObject({
      audience: API,
      scopes: [
        { name: "api:read", description: "" },
        { name: "api:write", description: "Change your things" },
      ],
      accessTokenTtl: 60,
      signingAlg: "PS256",
      includeRoles: true,
      introspectors: [client.clientId],
    });
    expect(await here.find(API)).toEqual(made);
    expect(here.all()).toEqual([made]);
    expect([...here.knownScopes()]).toEqual(expect.arrayContaining(["openid", "api:read", "api:write"]));
    await clients.delete(client.clientId);
    expect((await here.list()).resources[0]?.introspectors).toEqual([]);
  });

  test("has defaults", async () => {
    expect(await here.create("urn:example:api", {})).toMatchObject({
      name: "",
      scopes: [],
      signingAlg: "RS256",
      includeRoles: false,
      introspectors: [],
    });
    expect(await here.find("urn:example:api")).not.toHaveProperty("accessTokenTtl");
  });

  test("is seen by every process as soon as it changes", async () => {
    expect(await there.find(API)).toBeUndefined();
    await here.create(API, { scopes: ["api:read"] });
    await waitFor("the resource", async () => (await there.find(API)) !== undefined && there.knownScopes().has("api:read"));
    await here.update(API, { scopes: ["api:write"], accessTokenTtl: 5 });
    await waitFor("the change", () => there.knownScopes().has("api:write") && !there.knownScopes().has("api:read"));
    expect(await there.find(API)).toMatchObject({ accessTokenTtl: 5 });
    await here.update(API, { accessTokenTtl: null });
    expect(await here.find(API)).not.toHaveProperty("accessTokenTtl");
    expect(await here.delete(API)).toBe(true);
    expect(await here.find(API)).toBeUndefined();
    await waitFor("the end", async () => (await there.find(API)) === undefined && there.all().length === 0);
    expect(await here.delete(API)).toBe(false);
  });

  test("is refused with every fault named", async () => {
    const wrong = { scopes: ["openid", "a b", "x", "x"], accessTokenTtl: 0, signingAlg: "HS256", name: "x".repeat(101) };
    const error = await here.create("not a uri", wrong).catch((reason) => reason);
    expect(error).toMatchObject({ code: "invalid_resource" });
    const members = error.faults.map(({ member }: { member: string }) => member);
    expect(members).toEqual(expect.arrayContaining(["audience", "scopes[0]", "scopes[1]", "accessTokenTtl", "signingAlg", "name"]));
    await expect(here.create(API, { scopes: ["x", "x"] })).rejects.toThrow(/once/);
    await expect(here.create(API, { introspectors: ["nobody"] })).rejects.toMatchObject({ code: "invalid_resource" });
  });

  test("has scopes of its own, which no other resource gets", async () => {
    await here.create(API, { scopes: ["read", "write"] });
    await expect(there.create("urn:other:api", { scopes: ["other", "read"] })).rejects.toMatchObject({
      code: "invalid_resource",
      message: "scopes must not hold names that another resource has already: read",
    });
    await here.create("urn:other:api", { scopes: ["other"] });
    await expect(here.update("urn:other:api", { scopes: ["write"] })).rejects.toMatchObject({ code: "invalid_resource" });
    await here.update(API, { scopes: ["read", "more"] });
    await here.update("urn:other:api", { scopes: ["write", "other"] });
    const made = await Promise.allSettled([1, 2, 3, 4].map((each) => here.create(`urn:${each}:api`, { scopes: ["raced"] })));
    expect(made.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  });

  test("keeps a name that it has shared from earlier on", async () => {
    await here.create(API, { scopes: ["read"] });
    await here.create("urn:other:api", {});
    await database.prisma.resource.update({ where: { audience: "urn:other:api" }, data: { scopes: [{ name: "read", description: "" }] } });
    expect(await here.update("urn:other:api", { scopes: ["read", "write"] })).toMatchObject({
      scopes: [{ name: "read" }, { name: "write" }],
    });
  });

  test("cannot have a scope of the management API", async () => {
    await expect(here.create(API, { scopes: ["grantor:clients:read"] })).rejects.toMatchObject({ code: "invalid_resource" });
    await here.create(API, {});
    await expect(here.update(API, { scopes: ["grantor:x"] })).rejects.toMatchObject({ code: "invalid_resource" });
  });

  test.each([ISSUER, `${ISSUER}/`, `${ISSUER}/api/v1`, `${API}#x`, "", "api", "https://ä.example", `https://${"x".repeat(600)}`])(
    "cannot have %j as its audience",
    (audience) => expect(here.create(audience, {})).rejects.toMatchObject({ code: "invalid_resource" }),
  );

  test("is not made twice, nor changed when there is none", async () => {
    await here.create(API, {});
    await expect(here.create(API, {})).rejects.toMatchObject({ code: "conflict" });
    await expect(here.update("urn:none", { name: "x" })).rejects.toMatchObject({ code: "not_found" });
    expect(await here.find("\u0000")).toBeUndefined();
  });
});

test("a list goes page by page", async () => {
  for (const name of ["a", "b", "c"]) await here.create(`urn:${name}:x`, {});
  const first = await here.list({ limit: 2 });
  expect(first.resources.map(({ audience }) => audience)).toEqual(["urn:a:x", "urn:b:x"]);
  const second = await here.list({ limit: 2, cursor: first.next as string });
  expect(second.resources.map(({ audience }) => audience)).toEqual(["urn:c:x"]);
  expect(second.next).toBeUndefined();
});
