/**
 * How fast flows are, and at what cost. Everything is measured in one run, on one machine, target by target and in rounds, since machines
 * drift; quote medians. Options: --users 8 --seconds 3 --rounds 3 --warmup 2 --scenario "code flow" --target redis|database|engine
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { Report } from "./generator.ts";
import { measureRsaLimit } from "./rsa-limit.ts";
import { bareEngineTarget, grantorTarget, type Target } from "./targets.ts";

const { values } = parseArgs({
  options: {
    users: { type: "string", default: "8" },
    seconds: { type: "string", default: "3" },
    rounds: { type: "string", default: "3" },
    warmup: { type: "string", default: "2" },
    scenario: { type: "string", multiple: true },
    target: { type: "string", multiple: true },
  },
});
const users = Number(values.users);
const rounds = Number(values.rounds);
const makers: Record<string, () => Promise<Target>> = {
  redis: () => grantorTarget("redis", users),
  engine: () => bareEngineTarget(users),
  database: () => grantorTarget("database", users),
};

const rows: Record<string, string | number>[] = [];
const limit = await measureRsaLimit();
console.log(
  `RSA-2048 signatures, the limit of RS256: ${limit.perSecond.toFixed(0)} a second on all cores, ${limit.cpu.toFixed(2)} ms CPU each\n`,
);

for (const name of values.target ?? Object.keys(makers)) {
  const target = await makers[name]?.();
  if (target === undefined) throw new Error(`no target ${name}: ${Object.keys(makers).join(", ")}`);
  try {
    for (const scenario of values.scenario ?? target.scenarios) {
      if (target.scenarios.includes(scenario)) rows.push(await measure(target, scenario));
    }
    console.log(`${target.name}: ${target.gauges.memory().toFixed(0)} MB resident at the end`);
  } finally {
    await target.close();
  }
}
console.table(rows);

async function measure(target: Target, scenario: string): Promise<Record<string, string | number>> {
  const generator = fork(fileURLToPath(new URL("generator.ts", import.meta.url)), { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  const order = async (seconds: number): Promise<Report> => {
    generator.send({ scenario, prepared: target.prepared, users, duration: seconds * 1000 });
    const [answer] = (await once(generator, "message")) as [{ report?: Report; error?: string }];
    if (answer.report === undefined) throw new Error(`${target.name}, ${scenario}: ${answer.error}`);
    target.prepared.refreshTokens = answer.report.refreshTokens;
    return answer.report;
  };
  try {
    await order(Number(values.warmup));
    const results: Record<string, number>[] = [];
    for (let round = 0; round < rounds; round++) {
      const before = await target.gauges.read();
      const report = await order(Number(values.seconds));
      const after = await target.gauges.read();
      const per = (a: number, b: number) => (a - b) / report.operations;
      results.push({
        "ops/s": (report.operations / report.elapsed) * 1000,
        "p50 ms": report.p50,
        "p95 ms": report.p95,
        "p99 ms": report.p99,
        "CPU ms/op": per(after.cpu, before.cpu),
        "Redis cmds/op": per(after.redisCommands, before.redisCommands),
        "Redis trips/op": per(after.redisRoundTrips, before.redisRoundTrips),
        "SQL tx/op": per(after.transactions, before.transactions),
      });
    }
    const median = (name: string) => results.map((result) => result[name] ?? 0).sort((a, b) => a - b)[Math.floor(results.length / 2)] ?? 0;
    const figures = Object.keys(results[0] ?? {}).map((name) => [name, Number(median(name).toFixed(2))]);
    return { target: target.name, scenario, ...Object.fromEntries(figures) };
  } finally {
    generator.kill();
  }
}
