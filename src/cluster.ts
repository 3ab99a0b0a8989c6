/** WORKERS > 1: a primary that owns the embedded database and the workers: forks them, replaces those that die, and drains them together. */
import cluster, { type Worker } from "node:cluster";
import { createServer } from "node:http";
import { Counter, Gauge, Registry } from "prom-client";
import type { Config } from "./config.ts";
import type { Logger } from "./observability/logger.ts";
import { startOpsServer, workersSource } from "./ops-server.ts";
import type { Secrets } from "./secrets.ts";
import { LISTENS, listen } from "./server.ts";
import { openDatabase } from "./storage/database.ts";

/** Milliseconds before a worker that died is replaced; doubled with each death in a row, up to the limit. */
const RESTART_DELAY = 200;
const RESTART_LIMIT = 10_000;
/** A worker that lived this long (ms) died for a new reason. */
const SETTLED = 30_000;
/** Milliseconds; a worker drains in less. */
const DRAIN_LIMIT = 28_000;

/** Runs the workers until the signal aborts. @returns the exit status */
export async function supervise(config: Config, secrets: Secrets, log: Logger, signal: AbortSignal): Promise<number> {
  await checkPort(config);
  const { registry, restarts } = ownMetrics();
  const ops = await startOpsServer(config, workersSource(registry));
  // Opened here first, so that the embedded server lives as long as the primary and is migrated before anybody needs it.
  const database = await openDatabase(config, secrets, log);
  let failures = 0;
  let everReady = false;
  const gaveUp = Promise.withResolvers<void>();

  const start = (): void => {
    const worker = cluster.fork();
    const bornAt = Date.now();
    worker.on("message", (message) => {
      if (message === LISTENS) everReady = true;
    });
    worker.once("exit", (code, deathSignal) => {
      if (signal.aborted) return;
      if (!everReady) return gaveUp.resolve(); // nobody could start: the worker has said why
      failures = Date.now() - bornAt > SETTLED ? 1 : failures + 1;
      restarts.inc();
      log.error({ worker: worker.process.pid, code, signal: deathSignal }, "a worker died; it is replaced");
      setTimeout(() => !signal.aborted && start(), Math.min(RESTART_DELAY * 2 ** (failures - 1), RESTART_LIMIT));
    });
  };
  for (let i = 0; i < config.workers; i++) start();

  const stopped = new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
  await Promise.race([stopped, gaveUp.promise]);
  await stopAll(log);
  await ops?.close();
  await database.close();
  return signal.aborted ? 0 : 1;
}

/** What the primary alone knows. */
function ownMetrics(): { registry: Registry; restarts: Counter } {
  const registry = new Registry();
  const registers = [registry];
  new Gauge({
    name: "grantor_workers",
    help: "Server processes that run",
    registers,
    collect() {
      this.set(Object.keys(cluster.workers ?? {}).length);
    },
  });
  const restarts = new Counter({ name: "grantor_worker_restarts_total", help: "Server processes that died and were replaced", registers });
  return { registry, restarts };
}

/** Workers that share a port would share it with a stranger too. @throws {Error} with the words that say what to set */
async function checkPort(config: Config): Promise<void> {
  const server = createServer();
  await listen(server, config);
  await new Promise((resolve) => server.close(resolve));
}

async function stopAll(log: Logger): Promise<void> {
  const workers = Object.values(cluster.workers ?? {}).filter((worker): worker is Worker => worker !== undefined);
  const ends = workers.map(
    (worker) => new Promise<void>((resolve) => (worker.isDead() ? resolve() : worker.once("exit", () => resolve()))),
  );
  for (const worker of workers) worker.process.kill("SIGTERM");
  const limit = setTimeout(() => {
    log.error("workers did not drain in time and are killed");
    for (const worker of workers) worker.process.kill("SIGKILL");
  }, DRAIN_LIMIT);
  await Promise.all(ends);
  clearTimeout(limit);
}
