/**
 * Fetches what strangers name: `jwks_uri`, `sector_identifier_uri`, `logo_uri`, `backchannel_logout_uri`. They must not make this server reach what only
 * it can reach (SSRF): loopback, private, link-local and other special addresses are refused before any connection is opened, whether they
 * are written as a number, behind a name, or in a redirect, which is never followed. FETCH_ALLOW makes exceptions.
 */
import { lookup as resolve } from "node:dns";
import { isIP, type LookupFunction } from "node:net";
import ipaddr from "ipaddr.js";
import { Agent, buildConnector, Response as UndiciResponse, fetch as undiciFetch } from "undici";
import { parseHostAndPort } from "../redis-url.ts";
import { withoutBrackets } from "../settings.ts";

/** Milliseconds for the whole of it, to the last byte of the body. */
const TIMEOUT = 2_500;
/** Bytes. A key set of twenty RSA keys has about ten thousand. */
const LARGEST_BODY = 256 * 1024;
/** To one origin at a time: many clients may name the same one. */
const CONNECTIONS = 8;

/** The address may not be reached. Says nothing of what is there. */
class FetchRefusedError extends Error {
  override readonly name = "FetchRefusedError";
  readonly code = "fetch_refused";
}

export interface FetchGuardOptions {
  /** Milliseconds. */
  timeout?: number;
  /** Bytes, on the wire and unpacked alike. */
  maxBytes?: number;
  /** In place of the system's resolver. */
  resolve?: typeof resolve;
}

/**
 * For the engine's `fetch` option. Whatever `dispatcher` and `redirect` the caller gives are replaced: the engine's own dispatcher looks at
 * the address only once the connection stands. The caller's `signal` counts beside our own time limit.
 * @param allow FETCH_ALLOW: `host`, `host:port`, addresses and CIDR ranges
 * @throws {TypeError} from the returned function, as `fetch` does; its `cause` is a FetchRefusedError when the address is not allowed
 */
export function createGuardedFetch(allow: readonly string[], options: FetchGuardOptions = {}): typeof fetch {
  const { timeout = TIMEOUT, maxBytes = LARGEST_BODY } = options;
  const dispatcher = createGuardedAgent(allow, { ...options, timeout, maxBytes });
  const guarded = async (input: string | URL | Request, init: RequestInit = {}) => {
    const url = new URL(input instanceof Request ? input.url : input);
    if (url.protocol !== "https:" && url.protocol !== "http:") throw new FetchRefusedError("only http and https are fetched");
    const limit = AbortSignal.timeout(timeout);
    const signal = init.signal ? AbortSignal.any([init.signal, limit]) : limit;
    return bounded(
      await undiciFetch(url.href, { ...init, dispatcher, redirect: "manual", signal } as Parameters<typeof undiciFetch>[1]),
      maxBytes,
    );
  };
  return guarded as unknown as typeof fetch;
}

/** The agent counts what comes over the wire; a few packed bytes can be many unpacked ones. */
function bounded(response: UndiciResponse, maxBytes: number): UndiciResponse {
  if (response.body === null) return response;
  let bytes = 0;
  const counter = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      bytes += chunk.byteLength;
      if (bytes > maxBytes) throw new TypeError(`the answer is larger than ${maxBytes} bytes`);
      controller.enqueue(chunk);
    },
  });
  const { status, statusText, headers } = response;
  return new UndiciResponse(response.body.pipeThrough(counter), { status, statusText, headers });
}

/**
 * For what operators name: the origin of such an address may be reached wherever it is. What is said there leads no further into the network.
 * @returns a guarded fetch for each origin, the same one every time
 */
export function createFetchFrom(allow: readonly string[], options: FetchGuardOptions = {}): (address: string) => typeof fetch {
  const made = new Map<string, typeof fetch>();
  return (address) => {
    const { protocol, hostname, port } = new URL(address);
    const origin = `${hostname}:${port || (protocol === "https:" ? 443 : 80)}`;
    const guarded = made.get(origin) ?? createGuardedFetch([...allow, origin], options);
    made.set(origin, guarded);
    return guarded;
  };
}

function createGuardedAgent(allow: readonly string[], { timeout, maxBytes, resolve: resolver = resolve }: FetchGuardOptions): Agent {
  const { ranges, hosts } = parseAllowed(allow);
  const isAllowed = (address: string): boolean => isPublicAddress(address) || ranges.some((range) => contains(range, address));

  /** Refuses a name when any of its addresses may not be reached: which of them is tried is not ours to say. */
  const guardedLookup: LookupFunction = (hostname, lookupOptions, callback) => {
    resolver(hostname, { ...lookupOptions, all: true }, (error, addresses) => {
      const [first] = addresses ?? [];
      if (error !== null) callback(error, "", 0);
      else if (first === undefined || !addresses.every(({ address }) => isAllowed(address)))
        callback(new FetchRefusedError(`${hostname} may not be fetched`), "", 0);
      else if (lookupOptions.all === true) callback(null, addresses);
      else callback(null, first.address, first.family);
    });
  };
  const timing = { timeout: timeout ?? TIMEOUT, allowH2: false };
  const free = buildConnector(timing);
  const guarded = buildConnector({ ...timing, lookup: guardedLookup } as Parameters<typeof buildConnector>[0]);

  return new Agent({
    connections: CONNECTIONS,
    allowH2: false,
    maxResponseSize: maxBytes ?? LARGEST_BODY,
    connect(target, callback) {
      const host = withoutBrackets(target.hostname).toLowerCase();
      const port = Number(target.port) || (target.protocol === "https:" ? 443 : 80);
      if (hosts.some((entry) => entry.host === host && (entry.port ?? port) === port)) free(target, callback);
      else if (isIP(host) !== 0 && !isAllowed(host))
        callback(new FetchRefusedError(`${host} may not be fetched`), null); // no lookup is asked for these
      else guarded(target, callback);
    },
  });
}

type Range = [ipaddr.IPv4 | ipaddr.IPv6, number];

function parseAllowed(allow: readonly string[]): { ranges: Range[]; hosts: { host: string; port: number | undefined }[] } {
  const ranges: Range[] = [];
  const hosts: { host: string; port: number | undefined }[] = [];
  for (const entry of allow) {
    if (ipaddr.isValidCIDR(entry)) ranges.push(ipaddr.parseCIDR(entry));
    else if (isIP(entry) !== 0) ranges.push([ipaddr.parse(entry), isIP(entry) === 4 ? 32 : 128]);
    else {
      const host = parseHostAndPort(entry.toLowerCase());
      if (host !== undefined) hosts.push(host);
    }
  }
  return { ranges, hosts };
}

function contains([network, bits]: Range, address: string): boolean {
  const parsed = ipaddr.process(address);
  return parsed.kind() === network.kind() && parsed.match(network, bits);
}

/** RFC 4291 §2.4: global unicast, 2000::/3. What lies below embeds IPv4 addresses in one way or another. */
const IPV6_GLOBAL_MASK = 0xe000;
const IPV6_GLOBAL = 0x2000;

/** Of a cloud, for the machines in it alone, though the range is a public one: Azure's host. */
const CLOUD_HOSTS = new Set(["168.63.129.16"]);

/** Whether everybody could reach the address, and not only this server. IPv4 addresses inside IPv6 ones are judged as what they lead to. */
export function isPublicAddress(address: string): boolean {
  if (isIP(address) === 0) return false;
  const parsed = ipaddr.process(address);
  if (parsed.range() !== "unicast" || CLOUD_HOSTS.has(parsed.toString())) return false;
  return parsed.kind() === "ipv4" || (((parsed as ipaddr.IPv6).parts[0] ?? 0) & IPV6_GLOBAL_MASK) === IPV6_GLOBAL;
}
