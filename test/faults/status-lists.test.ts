/** Status lists on two servers, and what becomes of them when Redis loses them or is away (issue 3, requirement 1). */
import { inflateSync } from "node:zlib";
import { Redis } from "ioredis";
import { decodeJwt, decodeProtectedHeader } from "jose";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { post, type SeededClient, type Tokens } from "../support/grantor.ts";
import { type Instances, startInstances } from "../support/instances.ts";
import { databasesOn } from "../support/postgres.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { TEST_SECRET_KEY } from "../support/secret-key.ts";
import { waitFor } from "../support/wait-for.ts";

const AUDIENCE = "https://api.example/things";

let redis: TestRedis;
let control: Redis;
let instances: Instances;
let service: SeededClient;
const databases = databasesOn(inject("postgresUrl"));

beforeAll(async () => {
  redis = await startRedis();
  control = new Redis({ path: redis.url.slice("unix://".length), retryStrategy: () => 50 });
  control.on("error", () => {});
  const databaseUrl = await databases.fresh();
  const env = { DATABASE_URL: databaseUrl, SECRET_KEY: TEST_SECRET_KEY, REDIS_URL: redis.url };
  const backing = { databaseUrl, redisUrl: redis.url, env, close: async () => {}, [Symbol.asyncDispose]: async () => {} };
  instances = await startInstances(backing, 2);
  await instances.grantor.resource(AUDIENCE, { scopes: [{ name: "things:read", description: "Read things" }] });
  service = await instances.grantor.client({ type: "service", metadata: { scope: "things:read" } });
});
afterAll(async () => {
  await instances?.[Symbol.asyncDispose]();
  control?.disconnect();
  await redis?.stop();
  await databases.dropAll();
});

const asks = { grant_type: "client_credentials", resource: AUDIENCE, scope: "things:read" };
const ask = (url: string) => post(`${url}/oauth/token`, service, asks);

/** Asks until a token comes: whoever hears 503 shall try again. */
const tokenOf = (url: string): Promise<string> =>
  waitFor("a token", async () => {
    const answer = await ask(url);
    if (answer.status === 200) return ((await answer.json()) as Tokens).access_token;
    if (answer.status !== 503 || !answer.headers.has("retry-after")) throw new Error(`${answer.status}`);
    return undefined;
  });

const referenceOf = (token: string) => (decodeJwt(token).status as { status_list: { idx: number; uri: string } }).status_list;
const pathOf = (token: string): string => new URL(referenceOf(token).uri).pathname;
const keyOf = (token: string): string => `grantor:status-list:{${pathOf(token).split("/").at(-1)}}`;

/** A token's bit as one server gives it; its status where there is no list. */
async function read(url: string, token: string): Promise<number> {
  const answer = await fetch(url + pathOf(token));
  if (answer.status !== 200) return answer.status;
  const { lst } = decodeJwt(await answer.text()).status_list as { lst: string };
  const { idx } = referenceOf(token);
  return ((inflateSync(Buffer.from(lst, "base64url"))[idx >> 3] as number) >> (idx & 7)) & 1;
}

const revoke = async (url: string, token: string) => expect((await post(`${url}/oauth/revoke`, service, { token })).status).toBe(200);

test("a bit that one server sets is seen at the other by whoever asks next, also while many ask", async () => {
  const [one, other] = instances.urls as [string, string];
  const token = await tokenOf(one);
  expect(await read(other, token)).toBe(0);
  let asking = true;
  const crowd = Array.from({ length: 8 }, async () => {
    while (asking) await fetch(other + pathOf(token)).then((answer) => answer.arrayBuffer());
  });
  for (let round = 0; round < 10; round++) {
    const next = await tokenOf(round % 2 === 0 ? one : other);
    await revoke(one, next);
    expect(await read(other, next)).toBe(1);
  }
  asking = false;
  await Promise.all(crowd);
  expect(await read(other, token)).toBe(0);
});

test("a token whose record Redis has lost is ended by its own application, and by no other", async () => {
  const [one, other] = instances.urls as [string, string];
  const token = await tokenOf(one);
  const records = await control.keys("grantor:access-token:*");
  await control.del(...records);
  const stranger = await instances.grantor.client({ type: "service" });
  expect((await post(`${one}/oauth/revoke`, stranger, { token })).status).toBe(200);
  expect((await post(`${one}/oauth/introspect`, service, { token })).status).toBe(200);
  expect(await read(other, token)).toBe(0);
  await revoke(one, token);
  expect(await read(other, token)).toBe(1);
});

test("a key that was replaced at once signs no list any more", async () => {
  const [one, other] = instances.urls as [string, string];
  const token = await tokenOf(one);
  const signedWith = async (url: string) => decodeProtectedHeader(await (await fetch(url + pathOf(token))).text()).kid;
  const before = await signedWith(one);
  expect(await signedWith(other)).toBe(before);
  await instances.grantor.services.keys.rotation.rotate({ kids: [before as string], now: true }, () => {});
  await waitFor("both servers to sign with another key", async () => {
    const kids = [await signedWith(one), await signedWith(other)];
    return kids[0] !== before && kids[0] === kids[1];
  });
  const { keys } = (await (await fetch(`${other}/.well-known/jwks.json`)).json()) as { keys: { kid: string }[] };
  expect(keys.map(({ kid }) => kid)).toContain(await signedWith(other));
  expect(keys.map(({ kid }) => kid)).not.toContain(before);
});

test.each([
  ["short", (key: string) => control.set(key, "grantor1", "KEEPTTL")],
  ["missing", (key: string) => control.del(key)],
])("a list that became %s is 503 and never all valid; both servers go on with another", async (_what, lose) => {
  const token = await tokenOf(instances.urls[0] as string);
  await lose(keyOf(token));
  for (const url of instances.urls) {
    const answer = await fetch(url + pathOf(token));
    expect(answer.status).toBe(503);
    expect(((await answer.json()) as { error: string }).error).toBe("temporarily_unavailable");
    expect([answer.headers.get("retry-after"), answer.headers.get("cache-control")]).toEqual([expect.stringMatching(/^\d+$/), "no-store"]);
  }
  for (const url of instances.urls) {
    const next = await tokenOf(url);
    expect(pathOf(next)).not.toBe(pathOf(token));
    expect(await read(url, next)).toBe(0);
  }
  await revoke(instances.urls[0] as string, token); // a late ending recreates nothing
  for (const url of instances.urls) expect(await read(url, token)).toBe(503);
  const { status_lists } = (await (await fetch(`${instances.urls[0]}/oauth/status-lists`)).json()) as { status_lists: string[] };
  expect(status_lists).toContain(referenceOf(token).uri);
});

test("an emptied Redis: lists from before are 503, no index is given out again", async () => {
  const [one, other] = instances.urls as [string, string];
  const before = [await tokenOf(one), await tokenOf(other)];
  await control.flushall();
  const after = [await tokenOf(one), await tokenOf(other)];
  for (const token of before) expect(await read(one, token)).toBe(503);
  for (const token of after) expect(await read(other, token)).toBe(0);
});

test("while Redis is away there is no list, however lately it was signed; then the same ones, with every bit", async () => {
  const [one, other] = instances.urls as [string, string];
  const [token, ended] = [await tokenOf(one), await tokenOf(one)];
  await control.save();
  await revoke(one, ended);
  expect([await read(one, token), await read(other, ended)]).toEqual([0, 1]);
  await redis.kill();
  expect([await read(one, token), await read(other, token)]).toEqual([503, 503]);
  expect((await ask(one)).status).toBe(503);
  await redis.start(); // with what it had before the ending
  await waitFor("the list", async () => (await read(one, token)) === 0 && (await read(other, token)) === 0);
  expect([await read(one, ended), await read(other, ended)]).toEqual([1, 1]);
});
