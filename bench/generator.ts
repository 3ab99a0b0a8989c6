/**
 * The load generator, in a process of its own so that its work is not counted as the server's. Closed loop: each virtual user sends its next
 * request when it has the answer to the last. Told what to do in one message; answers with the latencies of each round.
 */
import { Connection } from "./connection.ts";
import { type Prepared, scenarios, type User } from "./scenarios.ts";

export interface Order {
  scenario: string;
  prepared: Prepared;
  users: number;
  /** Milliseconds. */
  duration: number;
}

export interface Report {
  operations: number;
  /** Milliseconds that it really took. */
  elapsed: number;
  /** Milliseconds, of each operation. */
  p50: number;
  p95: number;
  p99: number;
  refreshTokens: string[];
}

process.on("message", (order: Order) => {
  run(order).then(
    (report) => process.send?.({ report }),
    (error: Error) => process.send?.({ error: error.message }),
  );
});

async function run({ scenario, prepared, users, duration }: Order): Promise<Report> {
  const operation = scenarios[scenario];
  if (operation === undefined) throw new Error(`no scenario ${scenario}`);
  const latencies: number[] = [];
  const began = performance.now();
  const until = began + duration;
  const everybody = Array.from({ length: users }, (_, i): User => {
    const cookie = prepared.cookies[i % prepared.cookies.length] ?? "";
    return { connection: new Connection(prepared.url), prepared, cookie, refreshToken: prepared.refreshTokens[i] ?? "" };
  });
  await Promise.all(
    everybody.map(async (user) => {
      while (performance.now() < until) {
        const at = performance.now();
        await operation(user);
        latencies.push(performance.now() - at);
      }
    }),
  );
  const elapsed = performance.now() - began;
  for (const { connection } of everybody) connection.close();
  latencies.sort((a, b) => a - b);
  const quantile = (q: number) => latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * q))] ?? Number.NaN;
  return {
    operations: latencies.length,
    elapsed,
    p50: quantile(0.5),
    p95: quantile(0.95),
    p99: quantile(0.99),
    refreshTokens: everybody.map(({ refreshToken }) => refreshToken),
  };
}
