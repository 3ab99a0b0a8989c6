/**
 * What a check of an access token costs a resource server: locally with the status list, locally without, and by introspection over loopback
 * on kept-alive connections. The three in turn, in many short rounds, and compared round by round, since machines drift.
 * Options: --rounds 400 --milliseconds 15 --users 8 --tokens 64
 */
import { parseArgs } from "node:util";
import { createVerifier, type VerifierOptions } from "../src/resource-server/resource-server.ts";
import { post, type Tokens } from "../test/support/grantor.ts";
import { Connection } from "./connection.ts";
import { quantile, startSurroundings } from "./surroundings.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "400" },
    milliseconds: { type: "string", default: "15" },
    users: { type: "string", default: "8" },
    tokens: { type: "string", default: "64" },
  },
});
const [rounds, milliseconds, users, tokens] = [values.rounds, values.milliseconds, values.users, values.tokens].map(Number) as [
  number,
  number,
  number,
  number,
];
const API = "https://api.example";

await using surroundings = await startSurroundings(1);
const { grantor } = surroundings.instances;
await grantor.resource(API, { scopes: ["api:read"] });
const service = await grantor.client({ type: "service", metadata: { scope: "api:read" } });
await grantor.services.resources.update(API, { introspectors: [service.client_id] });
const accessTokens = await Promise.all(
  Array.from({ length: tokens }, async () => {
    const answer = await post(`${grantor.url}/oauth/token`, service, {
      grant_type: "client_credentials",
      resource: API,
      scope: "api:read",
    });
    return Buffer.from(((await answer.json()) as Tokens).access_token);
  }),
);

const locally = (options: Partial<VerifierOptions>): Check => {
  const { verify } = createVerifier({ issuer: grantor.url, audience: API, ...options });
  return (token) => verify(token, { scope: "api:read" });
};
const connections = Array.from({ length: users }, () => new Connection(grantor.url));
const headers = {
  "content-type": "application/x-www-form-urlencoded",
  authorization: `Basic ${Buffer.from(`${service.client_id}:${service.client_secret}`).toString("base64")}`,
};

type Check = (token: string, user: number) => Promise<unknown>;
const checks = {
  "local, with status": locally({}),
  "local, without": locally({ status: "off" }),
  /** As if every token came for the first time. */
  "local, with status, new tokens": locally({ maxVerifiedTokens: 0 }),
  "local, without, new tokens": locally({ status: "off", maxVerifiedTokens: 0 }),
  introspection: async (token, user) => {
    const answer = await (connections[user] as Connection).send("POST", "/oauth/introspect", headers, `token=${token}`);
    const { active, scope } = JSON.parse(answer.body) as { active?: boolean; scope?: string };
    if (active !== true || scope !== "api:read") throw new Error(`introspection: ${answer.status} ${answer.body}`);
  },
} satisfies Record<string, Check>;
type Name = keyof typeof checks;
const names = Object.keys(checks) as Name[];

interface Slice {
  perSecond: number;
  /** Milliseconds of CPU of this process, all threads, for each check. */
  cpu: number;
  /** Milliseconds. */
  latencies: number[];
}

/** Closed loop. */
async function run(check: Check, atOnce: number): Promise<Slice> {
  const latencies: number[] = [];
  const usage = process.cpuUsage();
  const began = performance.now();
  const until = began + milliseconds;
  let next = 0;
  await Promise.all(
    Array.from({ length: atOnce }, async (_, user) => {
      for (let at = performance.now(); at < until; ) {
        // A string of its own, as it comes out of every request.
        await check((accessTokens[next++ % tokens] as Buffer).toString("latin1"), user);
        const after = performance.now();
        latencies.push(after - at);
        at = after;
      }
    }),
  );
  const { user, system } = process.cpuUsage(usage);
  return { perSecond: (latencies.length / (performance.now() - began)) * 1000, cpu: (user + system) / 1000 / latencies.length, latencies };
}

const many = Object.fromEntries(names.map((name) => [name, [] as Slice[]])) as Record<Name, Slice[]>;
const alone = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<Name, number[]>;
for (const name of names) await run(checks[name], users);
for (let round = 0; round < rounds; round++) {
  for (const name of names.toSorted(() => Math.random() - 0.5)) {
    many[name].push(await run(checks[name], users));
    alone[name].push(quantile((await run(checks[name], 1)).latencies, 0.5));
  }
}
for (const connection of connections) connection.close();

const median = (name: Name, figure: "perSecond" | "cpu") =>
  quantile(
    many[name].map((slice) => slice[figure]),
    0.5,
  );
console.table(
  names.map((name) => ({
    check: name,
    [`a second, ${users} at once`]: Math.round(median(name, "perSecond")),
    "CPU µs here": Number((median(name, "cpu") * 1000).toFixed(2)),
    "p50 µs, one at a time": Number((quantile(alone[name], 0.5) * 1000).toFixed(1)),
  })),
);
compare("local, with status", "introspection", "perSecond", "20 or more");
compare("local, with status, new tokens", "introspection", "perSecond", "what new tokens alone would give");
compare("local, with status", "local, without", "perSecond", "0.95 or more");
compare("local, without", "local, with status", "cpu", "0.95 or more");
compare("local, with status, new tokens", "local, without, new tokens", "perSecond", "0.95 or more");
compare("local, without, new tokens", "local, with status, new tokens", "cpu", "0.95 or more");

function compare(a: Name, b: Name, figure: "perSecond" | "cpu", aim: string): void {
  const ratios = many[a].map((slice, round) => slice[figure] / (many[b][round] as Slice)[figure]);
  const [low, middle, high] = [0.25, 0.5, 0.75].map((q) => quantile(ratios, q).toFixed(3));
  console.log(`${a} / ${b}, ${figure === "cpu" ? "CPU" : "checks a second"}: median ${middle} (middle half ${low} to ${high}); ${aim}`);
}
