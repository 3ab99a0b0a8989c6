/**
 * A server with very many accounts and applications: how long its start takes, what memory it has then, and what lists and searches of the management
 * API take over HTTP. Options: --accounts 1000000 --clients 100000 --rounds 15
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { pino } from "pino";
import { migrate } from "../src/storage/migrations.ts";
import { startGrantor } from "../test/support/grantor.ts";
import { managementApi } from "../test/support/management-api.ts";
import { startPostgres } from "../test/support/postgres.ts";
import { TEST_SECRET_KEY } from "../test/support/secret-key.ts";
import { fill, RARE_WORD } from "./scale-fill.ts";
import { quantile } from "./surroundings.ts";

const { values } = parseArgs({
  options: {
    accounts: { type: "string", default: "1000000" },
    clients: { type: "string", default: "100000" },
    rounds: { type: "string", default: "15" },
  },
});
const [accounts, clients, rounds] = [Number(values.accounts), Number(values.clients), Number(values.rounds)];

await using postgres = await startPostgres();
const databaseUrl = await postgres.fresh();
await migrate(databaseUrl, pino({ level: "silent" }));
const filling = performance.now();
await fill(databaseUrl, { accounts, clients });
console.log(`${accounts} accounts and ${clients} applications, made in ${Math.round((performance.now() - filling) / 1000)} s`);

const stores = {
  databaseUrl,
  redisUrl: undefined,
  env: { DATABASE_URL: databaseUrl, SECRET_KEY: TEST_SECRET_KEY, LOG_LEVEL: "warn" },
  close: async () => {},
  [Symbol.asyncDispose]: async () => {},
};
await using grantor = await startGrantor(stores, {}, { answering: false });
const starts: number[] = [];
for (let round = 0; round < 3; round++) {
  await grantor.server.stop();
  const began = performance.now();
  await grantor.server.start();
  starts.push(performance.now() - began);
}
const memory = () =>
  `${Math.round(Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${grantor.server.process.pid}/status`, "utf8"))?.[1]) / 1024)} MB`;
console.log(`resident memory of the server when it is ready: ${memory()}`);
console.log(`ready after ${(quantile(starts, 0.5) / 1000).toFixed(2)} s (longest of 3: ${(Math.max(...starts) / 1000).toFixed(2)} s)`);

const api = await managementApi(grantor);
/** Somebody in the midst of them, by what only the database knows. */
const { id: accountId, email } = await grantor.services.database.prisma.account.findFirstOrThrow({ orderBy: { id: "asc" } });
const { id: clientId } = await grantor.services.database.prisma.client.findFirstOrThrow({ orderBy: { id: "asc" } });
/** Where a cursor leads to that far in. */
const far = "created_since=2025-09-01T00:00:00.000Z";

const questions: [string, string][] = [
  ["all accounts, first page", "/accounts"],
  ["all accounts, far in", `/accounts?${far}`],
  ["200 at once", "/accounts?limit=200"],
  ["an address", `/accounts?search=${encodeURIComponent(email)}`],
  ["an address that nobody has", "/accounts?search=nobody%40example.com"],
  ["an id", `/accounts?search=${accountId}`],
  ["a rare word", `/accounts?search=${RARE_WORD}`],
  ["a rare word, begun", `/accounts?search=${RARE_WORD.slice(0, 5)}`],
  ["a common word", "/accounts?search=ann"],
  ["a common word, far in", `/accounts?search=ann&${far}`],
  ["one letter", "/accounts?search=a"],
  ["one letter, far in", `/accounts?search=e&${far}`],
  ["two common words", "/accounts?search=ann%20weber"],
  ["a common word and a rare one", `/accounts?search=ann%20${RARE_WORD}`],
  ["a word of the newest 60000 alone", "/accounts?search=late"],
  ["nothing found", "/accounts?search=zzzznothing"],
  ["unverified", "/accounts?email_verified=false"],
  ["disabled (none is)", "/accounts?disabled=true"],
  ["of a role that one in 1000 has", "/accounts?role=staff"],
  ["one account", `/accounts/${accountId}`],
  ["all applications", "/clients"],
  ["applications: a rare word", `/clients?search=${RARE_WORD}`],
  ["applications: a common word", "/clients?search=app"],
  ["applications: one letter", "/clients?search=a"],
  ["applications: nothing found", "/clients?search=zzzznothing"],
  ["applications: a client_id", `/clients?search=${clientId}`],
  ["applications: suspended (none is)", "/clients?suspended=true"],
  ["applications of somebody", `/clients?owner=${accountId}`],
];
const rows: Record<string, Record<string, number | string>> = {};
for (const [what, path] of questions) {
  const times: number[] = [];
  let found = "";
  for (let round = 0; round < rounds; round++) {
    const began = performance.now();
    const { status, body } = await api.call("GET", path);
    times.push(performance.now() - began);
    if (status !== 200) throw new Error(`${path}: ${status} ${JSON.stringify(body)}`);
    if (body.items !== undefined) found = `${body.items.length}${body.next === undefined ? "" : ", more"}`;
  }
  rows[what] = { "p50 ms": Math.round(quantile(times, 0.5)), "longest ms": Math.round(Math.max(...times)), found };
}
console.table(rows);
console.log(`resident memory of the server afterwards: ${memory()}`);
