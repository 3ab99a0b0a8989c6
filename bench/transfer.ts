/**
 * What taking very many accounts out into a file and in again costs: time, and the memory of the process that does it.
 * Options: --accounts 20000 --clients 2000, --export-only
 */

import { once } from "node:events";
import { createWriteStream, statSync } from "node:fs";
import { join } from "node:path";
import { finished } from "node:stream/promises";
import { parseArgs } from "node:util";
import { pino } from "pino";
import { createOperatorServices } from "../src/admin/operator-services.ts";
import { loadConfig } from "../src/config.ts";
import { loadSecrets } from "../src/secrets.ts";
import { migrate } from "../src/storage/migrations.ts";
import { startPostgres } from "../test/support/postgres.ts";
import { TEST_SECRET_KEY } from "../test/support/secret-key.ts";
import { tempDir } from "../test/support/temp-dir.ts";
import { fill } from "./scale-fill.ts";

const { values } = parseArgs({
  options: {
    accounts: { type: "string", default: "20000" },
    clients: { type: "string", default: "2000" },
    "export-only": { type: "boolean", default: false },
  },
});
const [accounts, clients] = [Number(values.accounts), Number(values.clients)];
const log = pino({ level: "silent" });

await using postgres = await startPostgres();
const dir = tempDir("bench-transfer");
process.on("exit", () => dir.remove());
const file = join(dir.path, "export.jsonl");

async function servicesOn(databaseUrl: string) {
  await migrate(databaseUrl, log);
  const env = { DATABASE_URL: databaseUrl, SECRET_KEY: TEST_SECRET_KEY };
  const config = loadConfig(env);
  return createOperatorServices(config, () => loadSecrets(config, env), log);
}

/** Runs it, and says how long it took and what the process grew to meanwhile. */
async function measured(what: string, work: () => Promise<unknown>): Promise<void> {
  let most = 0;
  const look = () => {
    most = Math.max(most, process.memoryUsage.rss());
  };
  const watch = setInterval(look, 100);
  const began = performance.now();
  await work();
  const seconds = (performance.now() - began) / 1000;
  look();
  clearInterval(watch);
  console.log(
    `${what}: ${seconds.toFixed(1)} s, ${Math.round(accounts / seconds)} accounts a second, resident at most ${Math.round(most / 1024 / 1024)} MB`,
  );
}

const source = await postgres.fresh();
const here = await servicesOn(source);
await fill(source, { accounts, clients });
await measured("export", async () => {
  const out = createWriteStream(file);
  await (await here.transfer()).export({}, async (lines) => {
    if (!out.write(lines)) await once(out, "drain");
  });
  await finished(out.end());
});
console.log(`the file: ${(statSync(file).size / 1024 / 1024).toFixed(1)} MB`);
await here.close();

if (!values["export-only"]) {
  const there = await servicesOn(await postgres.fresh());
  for (const [what, order] of [
    ["import, checked alone", { onConflict: "fail", dryRun: true }],
    ["import of all", { onConflict: "fail", dryRun: false }],
    ["import of what is there", { onConflict: "replace", dryRun: false }],
  ] as const)
    await measured(what, async () => (await there.transfer()).import({ file, ...order }, async () => undefined));
  await there.close();
}
