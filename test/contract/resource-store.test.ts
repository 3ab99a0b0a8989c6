import { generateKeyPairSync, randomBytes } from "node:crypto";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createClientStore } from "../../src/clients/client-store.ts";
import { sealResourceSecretsAgain } from "../../src/clients/resource-secrets.ts";
import { openResourceStore, type ResourceStore } from "../../src/clients/resource-store.ts";
import { type ChangeFeed, openChangeFeed } from "../../src/storage/change-feed.ts";
import type { Database } from "../../src/storage/database.ts";
import { createSealer } from "../../src/storage/seal.ts";
import { testDatabase } from "../support/test-database.ts";
import { waitFor } from "../support/wait-for.ts";

const log = pino({ level: "silent" });
const ISSUER = "https://issuer.example";
const API = "https://api.example/v1";
const [newer, older] = [randomBytes(32), randomBytes(32)];
const sealer = createSealer([older]);

let database: Database;
let feeds: ChangeFeed[];
let here: ResourceStore;
let there: ResourceStore;

beforeEach(async () => {
  database = await testDatabase();
  feeds = await Promise.all([openChangeFeed(database, log), openChangeFeed(database, log)]);
  [here, there] = (await Promise.all(
    feeds.map((feed) => openResourceStore({ prisma: database.prisma, feed, issuer: ISSUER, sealer })),
  )) as [ResourceStore, ResourceStore];
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
    const wrong = { scopes: ["openid", "a b", "x", "x"], accessTokenTtl: 0, signingAlg: "HS512", name: "x".repeat(101) };
    const error = await here.create("not a uri", wrong).catch((reason) => reason);
    expect(error).toMatchObject({ code: "invalid_resource" });
    const members = error.faults.map(({ member }: { member: string }) => member);
    expect(members).toEqual(expect.arrayContaining(["audience", "scopes[0]", "scopes[1]", "access_token_ttl", "alg", "name"]));
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

  test.each([`${API}#x`, "", "api", "https://ä.example", `https://${"x".repeat(600)}`])("cannot have %j as its audience", (audience) =>
    expect(here.create(audience, {})).rejects.toMatchObject({ code: "invalid_resource" }),
  );

  test.each([
    "",
    "/",
    "/api/v1",
    "/api/v1/",
    "/api/v1/keys",
    "//",
    "/.",
    "//api/v1",
    "/api//v1",
    "/./api/v1",
    "/x/../api/v1",
    "/api%2Fv1",
    "/%61pi/v1",
    "/x%2F..%2Fapi/v1",
    "/api\\v1",
    "/api%5Cv1",
    "/API/V1",
    "/api/v1?x",
  ])("cannot have what looks like the issuer's own %j as its audience", async (path) => {
    const { protocol, host } = new URL(ISSUER);
    for (const origin of [
      ISSUER,
      `${protocol}//${host.toUpperCase()}`,
      `${protocol}//${host}:443`,
      `${protocol}//${host}.`,
      `HTTPS://a:b@${host}`,
    ])
      await expect(here.create(origin + path, {}), origin).rejects.toThrow("is a resource of the issuer itself");
  });

  test.each(["/api", "/api/v10", "/orders", "/?x"])("may lie beside them, at %j", async (path) => {
    expect(await here.create(ISSUER + path, {})).toMatchObject({ audience: ISSUER + path });
  });

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

describe("a resource whose tokens are signed with a secret", () => {
  const column = async () => (await database.prisma.resource.findUniqueOrThrow({ where: { audience: API } })).hmacSecret;
  const secretOf = (store: ResourceStore) => store.hmacKeyFor(API)?.export().toString();

  test("has one of 256 bits that is shown once, and stands in the database sealed", async () => {
    const { secret, ...made } = await here.create(API, { signingAlg: "HS256" });
    expect(Buffer.from(secret as string, "base64url")).toHaveLength(32);
    expect(await here.find(API)).toEqual(made);
    expect(JSON.stringify([made, here.all(), await here.list(), await column()])).not.toContain(secret);
    expect(here.hmacKey(made)?.export().toString()).toBe(secret);
    await waitFor("the other process to know it", () => secretOf(there) === secret);
    expect(here.hmacKeyFor("https://other.example")).toBeUndefined();
  });

  test("keeps it until it is rotated, and loses it with the algorithm", async () => {
    const { secret } = await here.create(API, { signingAlg: "HS256" });
    expect(await here.update(API, { signingAlg: "HS256", name: "Things" })).not.toHaveProperty("secret");
    expect(secretOf(here)).toBe(secret);
    const rotated = await here.rotateSecret(API);
    expect(rotated.secret).not.toBe(secret);
    expect(secretOf(here)).toBe(rotated.secret);
    await waitFor("the other process to know the new one", () => secretOf(there) === rotated.secret);
    await here.update(API, { signingAlg: "RS256" });
    expect([secretOf(here), await column()]).toEqual([undefined, null]);
    await expect(here.rotateSecret(API)).rejects.toMatchObject({ code: "invalid_resource" });
    expect((await here.update(API, { signingAlg: "HS256" })).secret).not.toBe(rotated.secret);
    await expect(here.rotateSecret("https://nobody.example")).rejects.toMatchObject({ code: "not_found" });
  });

  test("is sealed again under a newer SECRET_KEY, and is not opened without the one that sealed it", async () => {
    const { secret } = await here.create(API, { signingAlg: "HS256" });
    const before = await column();
    await expect(sealResourceSecretsAgain(database.prisma, createSealer([newer]))).rejects.toThrow("SECRET_KEY");
    await sealResourceSecretsAgain(database.prisma, createSealer([older, newer]));
    expect(await column()).toBe(before);
    await sealResourceSecretsAgain(database.prisma, createSealer([newer, older]));
    expect(await column()).not.toBe(before);
    const opened = await openResourceStore({
      prisma: database.prisma,
      feed: feeds[0] as ChangeFeed,
      issuer: ISSUER,
      sealer: createSealer([newer]),
    });
    expect(secretOf(opened)).toBe(secret);
    opened.close();
    await here.create("https://second.example", { signingAlg: "HS256" });
    // What was sealed for one resource is no secret of another.
    await database.pool.query(
      "UPDATE resource SET hmac_secret = (SELECT hmac_secret FROM resource WHERE audience = $1) WHERE audience = $2",
      ["https://second.example", API],
    );
    await expect(sealResourceSecretsAgain(database.prisma, sealer)).rejects.toThrow(API);
  });
});

describe("a resource whose tokens are encrypted", () => {
  test("has a public key, and an alg and enc that go with it, which can be changed and taken away", async () => {
    const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 }).publicKey.export({ format: "jwk" });
    const ec = generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey.export({ format: "jwk" });
    const made = await here.create(API, { encryption: { jwk: { ...rsa, kid: "one" } } });
    expect(made.encryption).toEqual({ alg: "RSA-OAEP-256", enc: "A256GCM", jwk: { ...rsa, use: "enc", kid: "one" } });
    expect((await here.update(API, { encryption: { enc: "A128CBC-HS256" } })).encryption).toMatchObject({
      enc: "A128CBC-HS256",
      jwk: { kid: "one" },
    });
    const moved = await here.update(API, { encryption: { jwk: ec } });
    expect(moved.encryption).toEqual({
      alg: "ECDH-ES",
      enc: "A128CBC-HS256",
      jwk: { ...ec, use: "enc", kid: expect.stringMatching(/^[\w-]{43}$/) },
    });
    expect((await here.update(API, { name: "Things" })).encryption).toEqual(moved.encryption);
    expect(await here.find(API)).toMatchObject({ encryption: moved.encryption });
    expect(await here.update(API, { encryption: null })).not.toHaveProperty("encryption");
    await expect(here.update(API, { encryption: { enc: "A256GCM" } })).rejects.toMatchObject({ code: "invalid_resource" });
  });
});
