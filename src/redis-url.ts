/**
 * The forms that `REDIS_URL` may take, read once for whoever checks the environment and whoever connects.
 * Opens no connection.
 */
import { isIPv4, isIPv6 } from "node:net";

const DEFAULT_PORT = 6379;
const DEFAULT_SENTINEL_PORT = 26379;
/** Redis ships with 16 numbered databases; more can be configured, a million is a slip of the pen. */
const MAX_DATABASE = 999_999;

export interface RedisNode {
  host: string;
  port: number;
}

interface Login {
  username: string | undefined;
  password: string | undefined;
}

/** Where Redis is. `tls` is true for the `rediss…` schemes; for Sentinel it counts for the sentinels and the servers that they name. */
export type RedisAddress =
  | ({ kind: "single"; tls: boolean; node: RedisNode; database: number } & Login)
  | ({ kind: "socket"; path: string; database: number } & Login)
  | ({ kind: "sentinel"; tls: boolean; nodes: readonly RedisNode[]; master: string; database: number } & Login)
  | ({ kind: "cluster"; tls: boolean; nodes: readonly RedisNode[] } & Login);

/**
 * Reads `redis[s]://[user:password@]host[:port][/DB]`, `unix://path[?db=DB]`, `redis[s]+sentinel://[user:password@]h1:p1,h2:p2/MASTER[/DB]`
 * or `redis[s]+cluster://[user:password@]h1:p1,h2:p2`. User and password are percent-encoded.
 * @returns undefined when the text has none of these forms: never an error that could quote a password.
 */
export function parseRedisUrl(text: string): RedisAddress | undefined {
  const parts = /^(redis|rediss|unix)(\+sentinel|\+cluster)?:\/\/(?:([^@/]*)@)?([^?#]*)(?:\?([^#]*))?$/.exec(text);
  if (parts === null) return undefined;
  const [, scheme, topology, userInfo, rest = "", query] = parts;
  const login = parseLogin(userInfo);
  if (login === undefined) return undefined;
  if (scheme === "unix") return topology === undefined ? parseSocket(rest, query, login) : undefined;
  if (query !== undefined) return undefined;

  const tls = scheme === "rediss";
  const [authority = "", ...path] = rest.split("/");
  if (path.at(-1) === "") path.pop();
  const nodes = parseNodes(authority, topology === "+sentinel" ? DEFAULT_SENTINEL_PORT : DEFAULT_PORT);
  const [first] = nodes ?? [];
  if (nodes === undefined || first === undefined) return undefined;

  if (topology === "+cluster") return path.length === 0 ? { kind: "cluster", tls, nodes, ...login } : undefined;
  if (topology === "+sentinel") {
    const [master, db, ...excess] = path;
    const database = parseDatabase(db);
    if (!master || database === undefined || excess.length > 0) return undefined;
    const name = decode(master);
    return name === undefined ? undefined : { kind: "sentinel", tls, nodes, master: name, database, ...login };
  }
  const database = parseDatabase(path[0]);
  if (nodes.length > 1 || path.length > 1 || database === undefined) return undefined;
  return { kind: "single", tls, node: first, database, ...login };
}

function parseSocket(path: string, query: string | undefined, login: Login): RedisAddress | undefined {
  const parameters = new URLSearchParams(query);
  const database = parseDatabase(parameters.get("db") ?? undefined);
  const decoded = decode(path);
  if (!decoded || database === undefined || [...parameters.keys()].some((name) => name !== "db")) return undefined;
  return { kind: "socket", path: decoded, database, ...login };
}

function parseNodes(authority: string, defaultPort: number): RedisNode[] | undefined {
  const nodes: RedisNode[] = [];
  for (const item of authority.split(",")) {
    const node = parseHostAndPort(item);
    if (node === undefined) return undefined;
    nodes.push({ host: node.host, port: node.port ?? defaultPort });
  }
  return nodes;
}

/** Reads `host`, `host:port`, `[::1]` or `[::1]:port`; the brackets are dropped. */
export function parseHostAndPort(text: string): { host: string; port: number | undefined } | undefined {
  const parts = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]\s/]+))(?::(\d{1,5}))?$/.exec(text);
  if (parts === null) return undefined;
  const [, ipv6, name = "", digits] = parts;
  if (ipv6 === undefined ? !isHostName(name) : !isIPv6(ipv6)) return undefined;
  const port = digits === undefined ? undefined : Number(digits);
  if (port !== undefined && (port < 1 || port > 65_535)) return undefined;
  return { host: ipv6 ?? name, port };
}

/** An IPv4 address, or labels of letters, digits, hyphens and underscores (which container networks use) whose last is not all digits. */
export function isHostName(text: string): boolean {
  if (isIPv4(text)) return true;
  return (
    text.length <= 253 && /^(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*(?!\d+$)[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.?$/i.test(text)
  );
}

function parseDatabase(text: string | undefined): number | undefined {
  if (text === undefined) return 0;
  const database = /^\d{1,6}$/.test(text) ? Number(text) : Number.NaN;
  return database <= MAX_DATABASE ? database : undefined;
}

function parseLogin(userInfo: string | undefined): Login | undefined {
  if (userInfo === undefined) return { username: undefined, password: undefined };
  const colon = userInfo.indexOf(":");
  const username = decode(colon < 0 ? userInfo : userInfo.slice(0, colon));
  const password = colon < 0 ? "" : decode(userInfo.slice(colon + 1));
  if (username === undefined || password === undefined) return undefined;
  return { username: username || undefined, password: password || undefined };
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
