/** One server process: opens the services, listens, and on a signal drains: not ready, what is under way answered, everything closed. */
import cluster from "node:cluster";
import { createServer, type Server } from "node:http";
import { type AddressInfo, Server as NetServer } from "node:net";
import { setImmediate, setTimeout as sleep } from "node:timers/promises";
import { createApp } from "./app.ts";
import type { Config } from "./config.ts";
import type { Health } from "./observability/health.ts";
import type { Logger } from "./observability/logger.ts";
import type { Metrics } from "./observability/metrics.ts";
import { openServices } from "./open-services.ts";
import { answerPrimary, ownSource, startOpsServer } from "./ops-server.ts";
import type { Secrets } from "./secrets.ts";

/** What a worker tells its primary. */
export const LISTENS = "listens";

/** Milliseconds in which keep-alive connections are told to close with their next answer, before no new ones are taken. */
const FAREWELL = 1_000;
/** Milliseconds; a connection that was made just before the end has sent its request by then. */
const IDLE_AFTER_CLOSE = 2_000;
/** Milliseconds that a turn of the event loop takes in which nothing happens. */
const QUIET = 0.1;
const QUIET_TURNS = 5;
/** Milliseconds; on a machine without a quiet moment those connections break. */
const QUIET_LIMIT = 2_000;
/** Milliseconds for requests under way; the rest of the 30 seconds is for the stores. */
const DRAIN_LIMIT = 20_000;
/** Milliseconds; longer than the idle timeout of common load balancers (60 s), so that they close first. */
const KEEP_ALIVE = 65_000;
/** Milliseconds for all headers, and for a whole request. */
const HEADERS_LIMIT = 15_000;
const REQUEST_LIMIT = 30_000;

/**
 * Serves until the signal aborts.
 * @param onListening told the address once requests are answered
 * @throws {Error} with the words that say what to set or start
 */
export async function serve(
  config: Config,
  secrets: Secrets,
  log: Logger,
  signal: AbortSignal,
  onListening: (address: AddressInfo) => void,
): Promise<void> {
  const services = await openServices(config, secrets, log);
  try {
    const app = await createApp(config, secrets, services, log);
    let leaving = false;
    const server = createServer(
      { keepAliveTimeout: KEEP_ALIVE, headersTimeout: HEADERS_LIMIT, requestTimeout: REQUEST_LIMIT },
      (request, response) => {
        if (leaving) response.setHeader("Connection", "close");
        app.handle(request, response);
      },
    );
    const stopTelling = await tellOperators(config, services.metrics, app.health);
    try {
      await listen(server, config);
      cluster.worker?.send(LISTENS);
      try {
        await announceBootstrap(services.people.bootstrap);
        onListening(server.address() as AddressInfo);
        await aborted(signal);
      } finally {
        log.info("draining");
        leaving = true;
        app.health.drain();
        await drain(server);
      }
    } finally {
      await stopTelling();
    }
  } finally {
    await services.close();
  }
}

/** Metrics and health, where OPS_PORT says; a worker's primary does so for all of them. @returns how to stop that */
async function tellOperators(config: Config, metrics: Metrics, health: Health): Promise<() => unknown> {
  if (config.opsPort === undefined) return () => {};
  metrics.watchProcess();
  if (cluster.isWorker) return answerPrimary(metrics.registry, health);
  const ops = await startOpsServer(config, ownSource(metrics.registry, health));
  return () => ops?.close();
}

/**
 * Of several workers each listens for itself where the system can (Linux): nobody hands connections around that could be lost on the way.
 * @throws {Error} with the words that say what to set
 */
export function listen(server: Server, { port, host }: Pick<Config, "port" | "host">): Promise<void> {
  const reusePort = cluster.isWorker && process.platform === "linux";
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EADDRINUSE") reject(new Error(`Port ${port} is in use. Stop what listens there, or set PORT to another one.`));
      else if (error.code === "EACCES") reject(new Error(`This user may not listen on port ${port}. Set PORT to one above 1023.`));
      else reject(error);
    });
    server.listen({ port, host, reusePort }, resolve);
  });
}

/** Answers what was sent, and takes no more. */
async function drain(server: Server): Promise<void> {
  await setImmediate(); // who has hung up by now is heard
  if (await hasConnections(server)) await sleep(FAREWELL);
  await quietMoment(server);
  // Not the HTTP server's own `close`, which breaks connections whose next request is on its way.
  const closed = new Promise<void>((resolve) => NetServer.prototype.close.call(server, () => resolve()));
  const idle = setInterval(() => server.closeIdleConnections(), IDLE_AFTER_CLOSE);
  const limit = setTimeout(() => server.closeAllConnections(), DRAIN_LIMIT);
  await closed;
  clearInterval(idle);
  clearTimeout(limit);
}

const hasConnections = (server: Server): Promise<boolean> =>
  new Promise((resolve, reject) => server.getConnections((error, count) => (error ? reject(error) : resolve(count > 0))));

/**
 * Connections that wait to be accepted break when nobody listens any more: after so short a turn of the event loop there is none. A process
 * that has just slept is not interrupted by others right then.
 */
async function quietMoment(server: Server): Promise<void> {
  let accepted = 0;
  const count = () => {
    accepted += 1;
  };
  server.on("connection", count);
  const isQuiet = async () => {
    const [before, earlier] = [performance.now(), accepted];
    await setImmediate();
    return accepted === earlier && performance.now() - before < QUIET;
  };
  const limit = performance.now() + QUIET_LIMIT;
  for (let tries = 0; performance.now() < limit; tries++) {
    if (tries % QUIET_TURNS === 0) await sleep(1);
    if (await isQuiet()) break;
  }
  server.off("connection", count);
}

const aborted = (signal: AbortSignal): Promise<void> =>
  signal.aborted ? Promise.resolve() : new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));

/** On somebody's own machine, without an administrator: a link that makes the first one. Beside the log, which may be kept. */
async function announceBootstrap(bootstrap: { link(): Promise<string | undefined> }): Promise<void> {
  const link = await bootstrap.link();
  if (link !== undefined)
    process.stderr.write(`\nNobody administers this server yet. Within the hour, open\n\n  ${link}\n\nto create the first account.\n\n`);
}
