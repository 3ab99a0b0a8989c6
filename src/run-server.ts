/** The server as a process: environment, log, signals, and the words with which a start fails. */
import cluster from "node:cluster";
import { ConfigError, loadConfig, readEnvironment } from "./config.ts";
import { createLogger, type Logger } from "./observability/logger.ts";
import { loadSecrets } from "./secrets.ts";

/** Milliseconds. */
const AFTERMATH = 3_000;

/** @returns the exit status */
export async function runServer(): Promise<number> {
  const stopping = new AbortController();
  for (const name of ["SIGTERM", "SIGINT"] as const) process.on(name, () => stopping.abort());
  let log: Logger | undefined;
  try {
    const env = readEnvironment();
    const config = loadConfig(env);
    const secrets = await loadSecrets(config, env);
    log = createLogger(config);
    routeConsole(log);
    const forever = log;
    process.on("unhandledRejection", (err) => forever.error({ err }, "unhandled rejection"));
    if (!config.loopback && secrets.smtpUrl === undefined && cluster.isPrimary)
      log.warn("SMTP_URL is not set: mail is left in DATA_DIR/outbox and reaches nobody by itself");
    if (config.workers > 1 && cluster.isPrimary) {
      const { supervise } = await import("./cluster.ts");
      return await supervise(config, secrets, log, stopping.signal);
    }
    const { serve } = await import("./server.ts");
    await serve(config, secrets, log, stopping.signal, ({ port }) =>
      log?.info({ port, issuer: config.issuer }, `Grantor is ready: ${config.issuer}`),
    );
    return 0;
  } catch (error) {
    if (error instanceof ConfigError || log === undefined)
      process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    else {
      log.debug({ err: error }, "why the server could not start");
      log.fatal(error instanceof Error ? error.message : "the server could not start");
    }
    return 1;
  } finally {
    log?.flush();
    cluster.worker?.disconnect(); // the channel to the primary would keep a worker alive that has nothing left to do
    endSoon(log);
  }
}

/** By now everything is closed and the process ends by itself, unless a library keeps it alive with something that it has left open. */
function endSoon(log: Logger | undefined): void {
  const end = () => {
    log?.warn({ open: process.getActiveResourcesInfo() }, "something was left open; ending all the same");
    log?.flush();
    process.exit();
  };
  setTimeout(end, AFTERMATH).unref();
}

/** Libraries that print are heard in the log, in its form. */
function routeConsole(log: Logger): void {
  console.info = console.log = (message: unknown) => log.debug({ from: "library" }, String(message));
  console.warn = (message: unknown) => log.debug({ from: "library" }, String(message));
}
