/** A Redis of the test's own: in a temporary directory, gone with the test. */
import { createConnection } from "node:net";
import { join } from "node:path";
import { startGuarded } from "./guarded-process.ts";
import { freePort } from "./ports.ts";
import { findProgram } from "./programs.ts";
import { tempDir } from "./temp-dir.ts";
import { waitFor } from "./wait-for.ts";

export interface RedisOptions {
  /** Writes every command to disk before it answers, so that a crash loses nothing. Default: nothing is kept. */
  appendOnly?: boolean;
  maxMemoryPolicy?: string;
  /** A port on 127.0.0.1 instead of a Unix socket. */
  tcp?: boolean;
  /** Further arguments of redis-server, such as `--requirepass secret`. */
  args?: readonly string[];
}

export interface TestRedis {
  /** For `REDIS_URL`; the same after a restart. */
  readonly url: string;
  /** Ends it in order and starts it again. */
  restart(): Promise<void>;
  /** Kills it as a power cut would. It stays away until `start`. */
  kill(): Promise<void>;
  /** Starts it again after `kill`. */
  start(): Promise<void>;
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Installs nothing when it is there; for the set-up of a test run, so that its workers do not install at once. */
export const findRedis = (): string => findProgram(["redis-server", "valkey-server"], "redis-server");

/** Resolves once it answers. */
export async function startRedis(options: RedisOptions = {}): Promise<TestRedis> {
  const program = findRedis();
  const dir = tempDir("redis");
  const socket = join(dir.path, "redis.sock");
  const port = options.tcp ? await freePort() : 0;
  const command = [
    program,
    ...["--dir", dir.path, "--save", "", "--daemonize", "no", "--shutdown-timeout", "0"],
    ...(options.tcp ? ["--bind", "127.0.0.1", "--port", `${port}`] : ["--port", "0", "--unixsocket", socket]),
    ...(options.appendOnly ? ["--appendonly", "yes", "--appendfsync", "always"] : ["--appendonly", "no"]),
    ...["--maxmemory-policy", options.maxMemoryPolicy ?? "noeviction"],
    ...(options.args ?? []),
  ];

  let redis = await startGuarded(command, { env: {} });
  const answers = async () => {
    if (redis.hasExited()) throw new Error(`redis-server ended:\n${redis.output()}`);
    // +PONG, or -NOAUTH where a password is set; -LOADING while it reads its file.
    return /^(\+PONG|-NOAUTH)/.test(await ping(options.tcp ? { port, host: "127.0.0.1" } : { path: socket }));
  };
  const ready = () => waitFor("redis-server to answer", answers);
  const end = async (signal: NodeJS.Signals) => {
    redis.signal(signal);
    await redis.exited;
  };
  const start = async () => {
    if (!redis.hasExited()) throw new Error("redis-server runs already");
    redis = await startGuarded(command, { env: {} });
    await ready();
  };
  const stop = async () => {
    await end("SIGKILL");
    dir.remove();
  };

  await ready().catch(async (error: unknown) => {
    await stop();
    throw error;
  });
  return {
    url: options.tcp ? `redis://127.0.0.1:${port}` : `unix://${socket}`,
    start,
    async restart() {
      await end("SIGTERM");
      await start();
    },
    kill: () => end("SIGKILL"),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/** One PING by hand: no client library, which would retry by rules of its own. */
function ping(where: { path: string } | { host: string; port: number }): Promise<string> {
  return new Promise((resolve, reject) => {
    const connection = createConnection(where, () => connection.write("PING\r\n"));
    connection.once("data", (answer) => {
      connection.destroy();
      resolve(answer.toString());
    });
    connection.once("error", reject);
    connection.once("close", () => reject(new Error("closed without an answer")));
  });
}
