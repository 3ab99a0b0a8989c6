/** Starts the server, or the command line when there is a command. */
import cluster from "node:cluster";
import { ConfigError, loadConfig, readEnvironment } from "./config.ts";
import { createLogger, type Logger } from "./observability/logger.ts";
import { loadSecrets } from "./secrets.ts";

const args = process.argv.slice(2);
if (args.length > 0) {
  const { runCommand } = await import("./admin/command-line.ts");
  process.exitCode = await runCommand(args);
} else {
  process.exitCode = await runServer();
}

/** @returns the exit status */
async function runServer(): Promise<number> {
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
    else log.fatal({ err: error }, error instanceof Error ? error.message : "the server could not start");
    return 1;
  } finally {
    log?.flush();
    cluster.worker?.disconnect(); // the channel to the primary would keep a worker alive that has nothing left to do
  }
}

/** Libraries that print are heard in the log, in its form. */
function routeConsole(log: Logger): void {
  console.info = console.log = (message: unknown) => log.debug({ from: "library" }, String(message));
  console.warn = (message: unknown) => log.debug({ from: "library" }, String(message));
}
