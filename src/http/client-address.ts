/**
 * Who is at the other end: the address and protocol of the client, behind the proxies that the configuration names and no others.
 */
import type { IncomingMessage } from "node:http";
import ipaddr from "ipaddr.js";

export interface Client {
  /** An IP address in its shortest form; IPv4 inside IPv6 is given as IPv4. */
  address: string;
  /** What the client spoke to the outermost trusted proxy, or to us. */
  protocol: "http" | "https";
  /** Whether the other end of the connection is a trusted proxy. */
  proxied: boolean;
}

type Range = [ipaddr.IPv4 | ipaddr.IPv6, number];

/** Peers are few (the proxies, or people on a small server); past this many the memory of them starts anew. */
const MAX_REMEMBERED_PEERS = 1000;

/**
 * Reads addresses and ranges (`10.0.0.7`, `10.0.0.0/8`, `fd00::/8`).
 * @throws {TypeError} naming the entry that is neither
 */
function parseRanges(entries: readonly string[]): Range[] {
  return entries.map((entry) => {
    try {
      if (entry.includes("/")) return ipaddr.parseCIDR(entry);
      const address = ipaddr.process(entry);
      return [address, address.kind() === "ipv4" ? 32 : 128];
    } catch {
      throw new TypeError(`"${entry}" is neither an IP address nor a range such as 10.0.0.0/8`);
    }
  });
}

function normalize(text: string | undefined): string | undefined {
  return text !== undefined && ipaddr.isValid(text) ? ipaddr.process(text).toString() : undefined;
}

/** Builds the function that tells the client of a request. @throws {TypeError} on an entry that is no address. */
export function clientResolver(trustProxy: readonly string[]): (req: IncomingMessage) => Client {
  const ranges = parseRanges(trustProxy);
  const peers = new Map<string, { address: string; trusted: boolean }>();

  const isTrusted = (address: string): boolean => {
    const parsed = ipaddr.process(address);
    return ranges.some((range) => parsed.kind() === range[0].kind() && parsed.match(range as [ipaddr.IPv4, number]));
  };

  const peerOf = (remote: string): { address: string; trusted: boolean } => {
    let peer = peers.get(remote);
    if (peer === undefined) {
      const address = normalize(remote) ?? remote;
      peer = { address, trusted: ranges.length > 0 && ipaddr.isValid(address) && isTrusted(address) };
      if (peers.size >= MAX_REMEMBERED_PEERS) peers.clear();
      peers.set(remote, peer);
    }
    return peer;
  };

  /** Walks from the nearest hop outwards, as long as each hop is a proxy whose word counts. */
  const rightmostUntrusted = (peer: string, hops: readonly (string | undefined)[]): string => {
    let address = peer;
    for (let index = hops.length - 1; index >= 0; index--) {
      if (!isTrusted(address)) break;
      const hop = normalize(hops[index]);
      if (hop === undefined) break;
      address = hop;
    }
    return address;
  };

  return (req) => {
    const { socket } = req;
    const peer = peerOf(socket.remoteAddress ?? "");
    const own = "encrypted" in socket && socket.encrypted ? "https" : "http";
    if (!peer.trusted) return { address: peer.address, protocol: own, proxied: false };

    const forwardedFor = headerText(req, "x-forwarded-for");
    const forwarded = headerText(req, "forwarded");
    const answers = new Set<string>();
    if (forwardedFor !== undefined) answers.add(rightmostUntrusted(peer.address, splitOutsideQuotes(forwardedFor, ",").map(bareAddress)));
    if (forwarded !== undefined) answers.add(rightmostUntrusted(peer.address, forwardedParameter(forwarded, "for").map(bareAddress)));
    // A proxy writes one of the two and may pass the other on as the client sent it: when they differ, neither is believed.
    const [address = peer.address] = answers.size === 1 ? answers : [];

    const named =
      splitOutsideQuotes(headerText(req, "x-forwarded-proto") ?? "", ",").at(-1) || forwardedParameter(forwarded ?? "", "proto").at(-1);
    const protocol = named?.toLowerCase();
    return { address, protocol: protocol === "https" || protocol === "http" ? protocol : own, proxied: true };
  };
}

function headerText(req: IncomingMessage, name: string): string | undefined {
  const value = req.headers[name];
  return Array.isArray(value) ? value.join(",") : value;
}

function splitOutsideQuotes(text: string, separator: "," | ";"): string[] {
  const parts: string[] = [];
  let part = "";
  let quoted = false;
  for (const character of text) {
    if (character === '"') quoted = !quoted;
    if (character === separator && !quoted) {
      parts.push(part.trim());
      part = "";
    } else part += character;
  }
  parts.push(part.trim());
  return parts;
}

/** The values of one parameter, one per hop; a hop without it gives undefined. @see RFC 7239 §4 */
function forwardedParameter(header: string, name: "for" | "proto"): (string | undefined)[] {
  return splitOutsideQuotes(header, ",").map((hop) => {
    const pair = splitOutsideQuotes(hop, ";").find((one) => one.toLowerCase().startsWith(`${name}=`));
    return pair?.slice(name.length + 1).replace(/^"(.*)"$/, "$1");
  });
}

/** An address without brackets and port. @see RFC 7239 §6 */
function bareAddress(hop: string | undefined): string | undefined {
  if (hop === undefined) return undefined;
  const bracketed = /^\[([^\]]+)\](?::\d+)?$/.exec(hop);
  if (bracketed) return bracketed[1];
  return /^[\d.]+:\d+$/.test(hop) ? hop.slice(0, hop.indexOf(":")) : hop;
}
