import { inflateSync } from "node:zlib";
import { decodeJwt, decodeProtectedHeader, importJWK, jwtVerify } from "jose";
import { beforeEach, describe, expect, test } from "vitest";
import { generateSigningJwk, publicKeyObject, publicPart } from "../../src/keys/algorithms.ts";
import type { KeySnapshot, LoadedKey } from "../../src/keys/signing-keys.ts";
import { StoreUnavailableError } from "../../src/storage/record-store.ts";
import { LIST_BYTES } from "../../src/storage/status-bits.ts";
import { StatusLists } from "../../src/tokens/status-lists.ts";

const LIST = "AAAAAAAAAAAAAAAAAAAAAA";
const TTL = 10;
const OUTAGE = 300;
const EXPIRES = 5_000_000;

async function key(state: LoadedKey["state"] = "current"): Promise<LoadedKey> {
  const privateJwk = await generateSigningJwk("ES256");
  const publicJwk = publicPart(privateJwk) as LoadedKey["publicJwk"];
  return { kid: privateJwk.kid, alg: "ES256", state, createdAt: new Date(0), privateJwk, publicJwk, publicKey: publicKeyObject(publicJwk) };
}

let now: number;
let snapshot: KeySnapshot;
/** The store: what it holds, what it was asked, and what it answers with. */
let store: {
  version: string | undefined;
  bits: Buffer;
  looks: number;
  reads: number;
  registered: number;
  away: boolean;
  gate: Promise<void>;
};
let lists: StatusLists;

beforeEach(async () => {
  now = 1_000_500;
  snapshot = { keys: [await key("next"), await key()], expired: [] };
  store = { version: "1", bits: Buffer.alloc(LIST_BYTES), looks: 0, reads: 0, registered: 0, away: false, gate: Promise.resolve() };
  lists = new StatusLists({
    registry: {
      async expiryOf(list) {
        store.registered += 1;
        return list === LIST ? EXPIRES : undefined;
      },
      living: async () => [LIST],
    },
    bits: {
      async listVersion() {
        store.looks += 1;
        const { version, away } = store;
        await store.gate;
        if (away) throw new StoreUnavailableError(new Error("away"));
        return version;
      },
      async readList() {
        store.reads += 1;
        return store.version === undefined ? undefined : { version: store.version, bits: Buffer.from(store.bits) };
      },
    },
    keys: () => snapshot,
    uriOf: (list) => `https://issuer.example/lists/${list}`,
    ttl: TTL,
    outage: OUTAGE,
    now: () => now,
  });
});

const find = async () => {
  const found = await lists.find(LIST);
  if (found === undefined) throw new Error("no list");
  return found;
};
const end = (idx: number) => {
  store.bits[idx >> 3] = (store.bits[idx >> 3] as number) | (1 << (idx & 7));
  store.version = String(Number(store.version) + 1);
};
const isSet = (jwt: string, idx: number): boolean => {
  const { lst } = decodeJwt(jwt).status_list as { lst: string };
  return (((inflateSync(Buffer.from(lst, "base64url"))[idx >> 3] as number) >> (idx & 7)) & 1) === 1;
};

describe("a signed list", () => {
  test("says what the draft asks for, with the key that signs at the moment", async () => {
    const { jwt, freshUntil } = await find();
    const current = snapshot.keys[1] as LoadedKey;
    const { payload, protectedHeader } = await jwtVerify(jwt, await importJWK(current.publicJwk as never, "ES256"), {
      currentDate: new Date(now),
    });
    expect(protectedHeader).toEqual({ alg: "ES256", kid: current.kid, typ: "statuslist+jwt" });
    expect(payload).toEqual({
      sub: `https://issuer.example/lists/${LIST}`,
      iat: 1000,
      exp: 1000 + TTL + OUTAGE,
      ttl: TTL,
      status_list: { bits: 1, lst: expect.any(String) },
    });
    expect(freshUntil).toBe(1000 + TTL);
    expect(await lists.uris()).toEqual([`https://issuer.example/lists/${LIST}`]);
  });

  test("is signed once, however many ask for it", async () => {
    const all = await Promise.all(Array.from({ length: 100 }, find));
    for (let i = 0; i < 20; i++) all.push(await find());
    expect(new Set(all.map(({ jwt }) => jwt)).size).toBe(1);
    expect(store.reads).toBe(1);
  });

  test("is signed again for every change, at once", async () => {
    const before = await find();
    end(5);
    const after = await find();
    expect([isSet(before.jwt, 5), isSet(after.jwt, 5), isSet(after.jwt, 4)]).toEqual([false, true, false]);
    expect(after.etag).not.toBe(before.etag);
  });

  test("is signed again when its time is over, without reading the bits again, and not before", async () => {
    const first = await find();
    now += TTL * 1000 - 501; // a millisecond before iat + ttl
    expect(await find()).toEqual(first);
    now += 1;
    const second = await find();
    expect([decodeJwt(second.jwt).iat, second.freshUntil, store.reads]).toEqual([1000 + TTL, 1000 + 2 * TTL, 1]);
  });

  test("is signed again when the key changes", async () => {
    const { jwt } = await find();
    snapshot = { keys: [await key()], expired: [] };
    const again = (await find()).jwt;
    expect(decodeProtectedHeader(again).kid).toBe(snapshot.keys[0]?.kid);
    expect(decodeProtectedHeader(again).kid).not.toBe(decodeProtectedHeader(jwt).kid);
  });

  test("is never given out without a look at the store", async () => {
    await find();
    const { looks } = store;
    await find();
    expect(store.looks).toBe(looks + 1);
    store.away = true;
    await expect(find()).rejects.toThrow(StoreUnavailableError);
    store.away = false;
    await find();
    store.version = undefined;
    await expect(find()).rejects.toThrow(StoreUnavailableError);
  });

  test("shows an ending to whoever asks after it, also while a look from before it is under way", async () => {
    await find();
    const { promise, resolve } = Promise.withResolvers<void>();
    store.gate = promise;
    const before = [find(), find()];
    await Promise.resolve();
    end(9);
    const after = [find(), find(), find()];
    resolve();
    await Promise.all(before);
    for (const { jwt } of await Promise.all(after)) expect(isSet(jwt, 9)).toBe(true);
    expect(store.looks).toBe(3); // the first, the one under way, and one for all who came later
  });
});

describe("what is no list", () => {
  test("is not there: unknown, malformed, or gone with its last token", async () => {
    expect(await lists.find("BBBBBBBBBBBBBBBBBBBBBB")).toBeUndefined();
    expect(store.registered).toBe(1);
    for (const list of ["", "x", "%00", "..", `${LIST}=`, "a".repeat(10_000)]) expect(await lists.find(list)).toBeUndefined();
    expect(store.registered).toBe(1); // nobody was asked
    await find();
    now = EXPIRES;
    expect(await lists.find(LIST)).toBeUndefined();
  });
});
