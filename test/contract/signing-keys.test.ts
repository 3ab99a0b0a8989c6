import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { calculateJwkThumbprint, decodeProtectedHeader } from "jose";
import Provider from "oidc-provider";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { generateSigningJwk, publicPart, SIGNING_ALGS } from "../../src/keys/algorithms.ts";
import { publicJwks, signingJwks } from "../../src/keys/jwks.ts";
import { listSigningKeys, SigningKeyError } from "../../src/keys/key-rows.ts";
import { currentKey, type KeyStore, openKeyStore } from "../../src/keys/signing-keys.ts";
import { type ChangeFeed, openChangeFeed } from "../../src/storage/change-feed.ts";
import type { Database } from "../../src/storage/database.ts";
import { createSealer } from "../../src/storage/seal.ts";
import { testDatabase } from "../support/test-database.ts";
import { waitFor } from "../support/wait-for.ts";

const log = pino({ level: "silent" });
const NOW = Date.parse("2026-01-01T00:00:00Z");
const OPENING_PROCESS = fileURLToPath(new URL("../support/key-opening-process.ts", import.meta.url));
const [oldKey, newKey] = [randomBytes(32), randomBytes(32)];

let database: Database;
let feeds: ChangeFeed[];
let opened: KeyStore[];

beforeEach(async () => {
  database = await testDatabase();
  feeds = [];
  opened = [];
});

afterEach(async () => {
  for (const store of opened) await store.close();
  for (const feed of feeds) await feed.close();
  await database.close();
});

async function open(keys: readonly Buffer[] = [oldKey]): Promise<KeyStore> {
  const feed = await openChangeFeed(database, log);
  feeds.push(feed);
  const store = await openKeyStore({
    database,
    feed,
    sealer: createSealer(keys),
    policy: { publishAhead: 3600, rotationAge: 86_400, retireSlack: 300 },
    longestToken: async () => 3600,
    onEvent: () => {},
    log,
  });
  opened.push(store);
  return store;
}

describe("the first start", () => {
  test("makes a current and a next key for every algorithm, named by their thumbprints", async () => {
    const { keys } = (await open()).snapshot();
    expect(keys.map(({ alg, state }) => [alg, state])).toEqual([
      ...SIGNING_ALGS.map((alg) => [alg, "current"]),
      ...SIGNING_ALGS.map((alg) => [alg, "next"]),
    ]);
    for (const { kid, publicJwk } of keys) expect(await calculateJwkThumbprint(publicJwk as never)).toBe(kid);
    expect(keys[0]?.publicKey.asymmetricKeyDetails?.modulusLength).toBe(2048);
    expect(keys[0]?.activatedAt).toEqual(keys[0]?.createdAt);
  });

  test("of 20 processes at once makes them once, and all use the same", async () => {
    const run = promisify(execFile);
    const outputs = await Promise.all(
      Array.from({ length: 20 }, () => run(process.execPath, [OPENING_PROCESS, database.url, oldKey.toString("base64url")])),
    );
    expect(new Set(outputs.map(({ stdout }) => stdout)).size).toBe(1);
    const rows = await database.prisma.signingKey.findMany();
    expect(rows.map(({ alg, state }) => `${alg} ${state}`).sort()).toEqual(
      SIGNING_ALGS.flatMap((alg) => [`${alg} current`, `${alg} next`]).sort(),
    );
  });

  test("is not repeated by the next one", async () => {
    const before = (await open()).snapshot().keys.map(({ kid }) => kid);
    expect((await open()).snapshot().keys.map(({ kid }) => kid)).toEqual(before);
  });
});

describe("private parts", () => {
  test("lie in the database sealed, bound to their own key", async () => {
    const store = await open();
    const rows = await database.prisma.signingKey.findMany();
    const dump = JSON.stringify(rows);
    for (const { privateJwk } of store.snapshot().keys) expect(dump).not.toContain(privateJwk?.d);
    const [one, other] = rows as [(typeof rows)[number], (typeof rows)[number]];
    await database.prisma.signingKey.update({ where: { kid: one.kid }, data: { privateKey: other.privateKey } });
    await expect(open()).rejects.toThrow(SigningKeyError);
  });

  test("that no SECRET_KEY opens stop the start, with the words that say what to set", async () => {
    await open([oldKey]);
    await expect(open([newKey])).rejects.toThrow(/SECRET_KEY/);
    expect(await database.prisma.signingKey.count()).toBe(2 * SIGNING_ALGS.length);
  });

  test("that were revoked stop nothing", async () => {
    const { keys } = (await open([oldKey])).snapshot();
    await database.prisma.signingKey.updateMany({ where: { kid: { in: keys.map(({ kid }) => kid) } }, data: { state: "revoked" } });
    expect((await open([newKey])).snapshot().keys).toHaveLength(2 * SIGNING_ALGS.length);
  });

  test("sealed under an older secret are sealed again under the first", async () => {
    const before = (await open([oldKey])).snapshot().keys.map(({ kid }) => kid);
    await open([oldKey, newKey]); // first deployment of a rotation
    await Promise.all([open([newKey, oldKey]), open([newKey, oldKey])]);
    expect((await open([newKey])).snapshot().keys.map(({ kid }) => kid)).toEqual(before);
    await expect(open([oldKey])).rejects.toThrow(SigningKeyError);
  });
});

describe("a change of the keys", () => {
  test("reaches every process: the successor signs, the retired one is still published", async () => {
    const [here, there] = [await open(), await open()];
    const heard: number[] = [];
    const stop = there.onChange(({ keys }) => heard.push(keys.length));
    const before = there.snapshot();
    const retired = before.keys.find(({ alg }) => alg === "ES256")?.kid as string;
    const successor = await generateSigningJwk("ES256");
    await database.prisma.$transaction([
      database.prisma.signingKey.update({ where: { kid: retired }, data: { state: "retired", retiredAt: new Date(NOW) } }),
      database.prisma.signingKey.create({
        data: {
          kid: successor.kid,
          alg: "ES256",
          state: "current",
          publicJwk: publicPart(successor) as object,
          privateKey: createSealer([oldKey]).seal(JSON.stringify(successor), `signing-key:${successor.kid}`),
        },
      }),
    ]);
    await feeds[0]?.publish("keys", "");
    await waitFor("the change to arrive", () => heard.length > 0);
    const after = there.snapshot();
    expect(after).not.toBe(before);
    expect(after.keys.filter(({ alg, state }) => alg === "ES256" && state !== "next").map(({ kid, state }) => [kid, state])).toEqual([
      [successor.kid, "current"],
      [retired, "retired"],
    ]);
    expect(JSON.parse(publicJwks(after, 300).body).keys).toHaveLength(2 * SIGNING_ALGS.length + 1);
    expect(here.snapshot().keys.map(({ kid }) => kid)).toEqual(after.keys.map(({ kid }) => kid));
    stop();
  });

  test("leaves the engine signing with the current key, and able to sign with every algorithm", async () => {
    const store = await open();
    const current = currentKey(store.snapshot(), "RS256");
    const retired = await generateSigningJwk("RS256");
    await database.prisma.signingKey.create({
      data: {
        kid: retired.kid,
        alg: "RS256",
        state: "retired",
        publicJwk: publicPart(retired) as object,
        privateKey: createSealer([oldKey]).seal(JSON.stringify(retired), `signing-key:${retired.kid}`),
        createdAt: new Date(Date.now() + 60_000), // younger than the one that signs
      },
    });
    await store.reload();
    const provider = new Provider("https://issuer.example", {
      jwks: signingJwks(store.snapshot()) as never,
      adapter: () => ({}) as never,
      features: { devInteractions: { enabled: false } },
      ttl: { IdToken: 60 },
    });
    const client: object = new (provider.Client as unknown as new (metadata: object) => object)({
      client_id: "c",
      redirect_uris: ["https://app.example/cb"],
      token_endpoint_auth_method: "none",
    } as never);
    for (const alg of SIGNING_ALGS) {
      const token = new provider.IdToken({ sub: "alice" }, {
        client: Object.assign(Object.create(client), { idTokenSignedResponseAlg: alg }),
        ctx: undefined,
      } as never);
      const { kid } = decodeProtectedHeader(await token.issue({ use: "idtoken" }));
      expect(kid).toBe(alg === "RS256" ? current.kid : currentKey(store.snapshot(), alg).kid);
    }
  });

  test("that changes nothing replaces nothing, and a key that cannot be opened leaves the others in use", async () => {
    const store = await open();
    const before = store.snapshot();
    await store.reload();
    expect(store.snapshot()).toBe(before);
    await database.prisma.signingKey.create({
      data: { kid: "foreign", alg: "RS256", state: "next", publicJwk: {}, privateKey: "sealed-elsewhere.AAAA" },
    });
    await expect(store.reload()).rejects.toThrow(SigningKeyError);
    expect(store.snapshot()).toBe(before);
  });

  test("is listed without being opened", async () => {
    await open([oldKey]);
    await database.prisma.signingKey.updateMany({ where: { alg: "EdDSA" }, data: { state: "revoked" } });
    const listed = await listSigningKeys(database);
    expect(
      listed
        .filter(({ alg }) => alg === "ES256" || alg === "EdDSA")
        .map(({ alg, state }) => `${alg} ${state}`)
        .sort(),
    ).toEqual(["ES256 current", "ES256 next", "EdDSA revoked", "EdDSA revoked"]);
    for (const key of listed) expect(key).not.toHaveProperty("privateKey");
  });
});
