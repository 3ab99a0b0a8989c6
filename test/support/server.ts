/** The real program, `node src/main.ts`, as a child on a free port with a DATA_DIR of its own. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { pino } from "pino";
import { removeCluster } from "../../src/storage/embedded-cluster.ts";
import { startEmbeddedPostgres } from "../../src/storage/embedded-postgres.ts";
import { type GuardedProcess, startGuarded } from "./guarded-process.ts";
import { freePort } from "./ports.ts";
import { TEST_SECRET_KEY } from "./secret-key.ts";
import { noteSecret, secretsIn } from "./secrets-watch.ts";
import { tempDir } from "./temp-dir.ts";
import { waitFor } from "./wait-for.ts";

/** Milliseconds in which a server that is told to stop has to be gone. */
const STOP_LIMIT = 30_000;

/** What of Node's own undici is used here. */
interface Dispatcher {
  close(): Promise<void>;
  destroy(): Promise<void>;
  readonly constructor: new () => Dispatcher;
}

/** Where Node's `fetch` finds what keeps its connections. */
const GLOBAL_DISPATCHER = Symbol.for("undici.globalDispatcher.1");

/** What a first start on one's own machine tells whoever sits there, beside the log. */
const BOOTSTRAP = /Nobody administers this server yet[\s\S]*?first account\./g;

/** What a server wrote but the link for its first administrator, which is for whoever stands at its machine. */
export const withoutBootstrap = (output: string): string => output.replace(BOOTSTRAP, "");

const MAIN = fileURLToPath(new URL("../../src/main.ts", import.meta.url));

export interface TestServer {
  /** Where it answers: `http://localhost:PORT`; the issuer, unless `env.ISSUER` says otherwise. */
  readonly url: string;
  readonly port: number;
  readonly dataDir: string;
  /** The environment that the program runs in, for a command line beside it. */
  readonly env: Record<string, string>;
  /** Of the running program; another one after `restart`. */
  readonly process: GuardedProcess;
  /** Everything written so far, over all restarts. */
  logs(): string;
  /** SIGTERM. @throws Error with the logs when the exit status is not 0 */
  stop(): Promise<void>;
  /** SIGKILL, as the machine would. */
  kill(): Promise<void>;
  /** Starts it again, in the same environment and directory; resolves when it is ready. */
  start(): Promise<void>;
  /** `stop`, then `start`. */
  restart(): Promise<void>;
  /** `stop` when it runs, and removes everything that it has left. */
  [Symbol.asyncDispose](): Promise<void>;
}

export interface ServerOptions {
  /** Beside PATH, PORT and DATA_DIR; nothing else of the test's environment is inherited. */
  env?: Record<string, string>;
  /** Arguments of Node itself, such as `--cpu-prof`. */
  nodeArgs?: readonly string[];
  /** A directory that the caller keeps, for a second server on the same data. */
  dataDir?: string;
}

/** Resolves once `/health/ready` answers 200. @throws Error with the logs when the program ends before */
export async function startServer(options: ServerOptions = {}): Promise<TestServer> {
  const port = Number(options.env?.PORT ?? (await freePort()));
  const dir = options.dataDir === undefined ? tempDir("server") : undefined;
  const dataDir = options.dataDir ?? join((dir as { path: string }).path, "data");
  const env: Record<string, string> = {
    PATH: process.env.PATH ?? "",
    PORT: `${port}`,
    DATA_DIR: dataDir,
    ...(options.env?.DATABASE_URL && { SECRET_KEY: TEST_SECRET_KEY }),
    ...options.env,
  };
  const url = `http://localhost:${port}`;
  let earlier = "";

  const launch = async (): Promise<GuardedProcess> => {
    const child = await startGuarded([process.execPath, ...(options.nodeArgs ?? []), MAIN], { env, cwd: dir?.path ?? dataDir });
    const readiness = async () => {
      if (child.hasExited()) return "ended";
      const answer = await fetch(`${url}/health/ready`, { signal: AbortSignal.timeout(5000) });
      await answer.body?.cancel();
      return answer.status === 200 && "ready";
    };
    try {
      if ((await waitFor("the server to be ready", readiness, 60_000)) === "ready") return child;
    } catch (cause) {
      child.signal("SIGKILL");
      await child.exited;
      throw new Error(`The server did not get ready:\n${child.output()}`, { cause });
    }
    throw new Error(`The server ended with ${await child.exited} instead of getting ready:\n${child.output()}`);
  };

  const clean = async () => {
    if (dir === undefined) return;
    if (env.DATABASE_URL === undefined && existsSync(dataDir)) {
      // A server that was killed leaves its database to end by itself: whoever joins it and leaves last sees it end.
      if ((await child?.exited) !== 0) await (await startEmbeddedPostgres({ dataDir, log: pino({ level: "silent" }) })).stop();
      removeCluster(dataDir);
    }
    dir.remove();
  };
  let child: GuardedProcess | undefined;
  try {
    child = await launch();
  } catch (error) {
    await clean();
    throw error;
  }
  for (const key of (env.SECRET_KEY ?? "").split(",")) noteSecret(key.trim(), "SECRET_KEY");
  const running = () => child as GuardedProcess;
  const stop = async () => {
    await hangUp("close");
    running().signal("SIGTERM");
    const limit = setTimeout(() => running().signal("SIGKILL"), STOP_LIMIT);
    const status = await running().exited;
    clearTimeout(limit);
    if (status !== 0) throw new Error(`The server ended with ${status} after SIGTERM:\n${running().output()}`);
  };
  const start = async () => {
    if (!running().hasExited()) throw new Error("The server runs already");
    earlier += running().output();
    child = await launch();
  };
  return {
    url,
    port,
    dataDir,
    env,
    get process() {
      return running();
    },
    logs: () => earlier + running().output(),
    stop,
    start,
    async kill() {
      running().signal("SIGKILL");
      await running().exited;
    },
    async restart() {
      await stop();
      await start();
    },
    async [Symbol.asyncDispose]() {
      try {
        await hangUp("destroy");
        if (!running().hasExited()) await stop();
        const found = secretsIn(withoutBootstrap(earlier + running().output()));
        if (found.length > 0) throw new Error(`the server's output holds credentials: ${found.join(", ")}`);
      } finally {
        await clean();
      }
    },
  };
}

/**
 * Gives up the connections that this process keeps open for its next `fetch`: a server that drains gives whoever is connected time to hear of it, and
 * nothing that is to be tested hangs on that.
 * @param how `close` leaves those in use, or whose answer was not read, as they are; `destroy` is for when everything is over
 */
async function hangUp(how: "close" | "destroy"): Promise<void> {
  const slots = globalThis as unknown as Record<symbol, Dispatcher | undefined>;
  const dispatcher = slots[GLOBAL_DISPATCHER];
  if (dispatcher === undefined) return;
  slots[GLOBAL_DISPATCHER] = new dispatcher.constructor();
  dispatcher[how]().catch(() => {});
  await setImmediate();
}
