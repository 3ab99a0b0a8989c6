/**
 * A status list with 1,000,000 tokens of which 1 % were revoked: its size on the wire, what it takes to build and sign, and the memory that it
 * holds at the server and at a verifier. Options: --rounds 20 --revoked 10000
 */
import { randomInt } from "node:crypto";
import { parseArgs } from "node:util";
import { decodeJwt, exportJWK, generateKeyPair, SignJWT } from "jose";
import { createLogger } from "../src/observability/logger.ts";
import { createVerifier } from "../src/resource-server/resource-server.ts";
import { connectRedis } from "../src/storage/redis-client.ts";
import { RedisStatusLists } from "../src/storage/redis-status-lists.ts";
import { LIST_BYTES } from "../src/storage/status-bits.ts";
import { encodeBits } from "../src/tokens/status-lists.ts";
import { Gauges } from "./gauges.ts";
import { collectGarbage, quantile, startSurroundings } from "./surroundings.ts";

const { values } = parseArgs({ options: { rounds: { type: "string", default: "20" }, revoked: { type: "string", default: "10000" } } });
const [rounds, revoked] = [Number(values.rounds), Number(values.revoked)];
const TOKENS = 1_000_000;
const API = "https://api.example";

const indices = new Set<number>();
while (indices.size < revoked) indices.add(randomInt(TOKENS));
const bits = Buffer.alloc(LIST_BYTES);
for (const idx of indices) bits[idx >> 3] = (bits[idx >> 3] as number) | (1 << (idx & 7));

const rows: Record<string, string>[] = [];
const row = (what: string, figure: string) => rows.push({ what, figure });
const milliseconds = async (work: () => Promise<unknown>): Promise<string> => {
  const times: number[] = [];
  for (let round = 0; round <= rounds; round++) {
    const began = performance.now();
    await work();
    if (round > 0) times.push(performance.now() - began);
  }
  return `${quantile(times, 0.5).toFixed(2)} ms (95 %: ${quantile(times, 0.95).toFixed(2)} ms)`;
};

await using surroundings = await startSurroundings(1, { STATUS_LIST_TTL: "3600" });
const { grantor } = surroundings.instances;
await grantor.resource(API, { scopes: ["api:read"] });
const service = await grantor.client({ type: "service", metadata: { scope: "api:read" } });
const answer = await fetch(`${grantor.url}/oauth/token`, {
  method: "POST",
  headers: { Authorization: `Basic ${Buffer.from(`${service.client_id}:${service.client_secret}`).toString("base64")}` },
  body: new URLSearchParams({ grant_type: "client_credentials", resource: API, scope: "api:read" }),
});
const { access_token: accessToken } = (await answer.json()) as { access_token: string };
const { idx, uri } = (decodeJwt(accessToken).status as { status_list: { idx: number; uri: string } }).status_list;
indices.delete(idx);

// The same bits in the server's own list.
const redis = connectRedis(surroundings.redisUrl, createLogger({ logLevel: "silent" }));
const lists = new RedisStatusLists(redis);
const list = uri.slice(uri.lastIndexOf("/") + 1);
const gauges = await Gauges.open(grantor.server.process.pid);
const [all, setting] = [[...indices], performance.now()];
for (let i = 0; i < all.length; i += 500) await lists.setBits(all.slice(i, i + 500).map((index) => ({ list, idx: index })));
row("set the bits in Redis, all together", `${(performance.now() - setting).toFixed(0)} ms`);

const before = gauges.memory();
const began = performance.now();
const response = await fetch(uri);
const jwt = await response.text();
row("first answer: read from Redis, pack, sign, send", `${(performance.now() - began).toFixed(1)} ms`);
row("size on the wire (a JWT, not compressed any further)", `${(jwt.length / 1000).toFixed(1)} kB`);
row("a further answer, from memory", await milliseconds(async () => (await fetch(uri)).text()));
const etag = String(response.headers.get("ETag"));
row("304 to whoever has it", await milliseconds(async () => (await fetch(uri, { headers: { "If-None-Match": etag } })).text()));
row("memory of the server (resident), by the list", `${(gauges.memory() - before).toFixed(1)} MB of ${gauges.memory().toFixed(0)} MB`);
let changed = 0;
row(
  "after one more revocation: look, read, pack, sign, send",
  await milliseconds(async () => {
    await lists.setBits([{ list, idx: (idx + ++changed) % TOKENS }]);
    await (await fetch(uri)).text();
  }),
);

row("pack alone", await milliseconds(() => encodeBits(bits)));
const { privateKey } = await generateKeyPair("RS256", { extractable: true });
const jwk = { ...(await exportJWK(privateKey)), alg: "RS256" };
const lst = await encodeBits(bits);
row(
  "sign alone (RS256)",
  await milliseconds(() => new SignJWT({ status_list: { bits: 1, lst } }).setProtectedHeader({ alg: "RS256" }).sign(jwk)),
);

// What a verifier holds once it has the list: everything else of it is there before, from a verifier without.
const warm = createVerifier({ issuer: grantor.url, audience: API, status: "off" });
await warm.verify(accessToken);
const held = () => {
  collectGarbage();
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
};
const COPIES = 20;
const heldBefore = held();
const verifiers = Array.from({ length: COPIES }, () => createVerifier({ issuer: grantor.url, audience: API }));
for (const { verify } of verifiers) await verify(accessToken);
row("memory of a verifier with keys and list", `${((held() - heldBefore) / COPIES / 1000).toFixed(0)} kB`);
row(
  "a verifier's first check: metadata, keys, list",
  await milliseconds(() => createVerifier({ issuer: grantor.url, audience: API }).verify(accessToken)),
);
verifiers.length = 0;

redis.disconnect();
await gauges.close();
console.log(`${TOKENS} tokens, ${revoked} revoked; a list has ${LIST_BYTES * 8} places\n`);
console.table(rows);
