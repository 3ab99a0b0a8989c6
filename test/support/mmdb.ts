/** Small MaxMind DB files (https://maxmind.github.io/MaxMind-DB/), version 2, in which a test says what is where. */
import ipaddr from "ipaddr.js";

/** A buffer holds what is encoded already. */
export type Value = string | Buffer | readonly Value[] | { readonly [name: string]: Value };

const [STRING, UINT16, UINT32, MAP, UINT64, ARRAY] = [2, 5, 6, 7, 9, 11] as const;
const SEPARATOR = Buffer.alloc(16);
const METADATA = Buffer.from("\xab\xcd\xefMaxMind.com", "latin1");
/** Bits of each half of a node. */
const RECORD_SIZE = 24;

/** What a half of a node leads to: another node, or an offset in the data; undefined: nothing is known there. */
type Branch = { node: number } | { data: number } | undefined;

/** @param networks by their CIDR form; none lies within another; those of IPv4 have their place in a tree of IPv6, too */
export function mmdb(networks: Readonly<Record<string, Value>>, { type = "GeoLite2-City", ipVersion = 6 } = {}): Buffer {
  const nodes: [Branch, Branch][] = [[undefined, undefined]];
  const data: Buffer[] = [];
  let size = 0;
  for (const [network, value] of Object.entries(networks)) {
    const bits = bitsOf(network, ipVersion);
    let node = 0;
    for (const bit of bits.slice(0, -1)) {
      const halves = nodes[node] as [Branch, Branch];
      halves[bit] ??= { node: nodes.push([undefined, undefined]) - 1 };
      node = (halves[bit] as { node: number }).node;
    }
    (nodes[node] as [Branch, Branch])[bits.at(-1) as 0 | 1] = { data: size };
    const encoded = encode(value);
    data.push(encoded);
    size += encoded.length;
  }
  const recordOf = (branch: Branch): number => {
    if (branch === undefined) return nodes.length;
    return "node" in branch ? branch.node : nodes.length + SEPARATOR.length + branch.data;
  };
  const tree = nodes.flat().map((branch) => bigEndian(recordOf(branch), RECORD_SIZE / 8));
  const metadata = encode({
    binary_format_major_version: uint(UINT16, 2),
    binary_format_minor_version: uint(UINT16, 0),
    build_epoch: uint(UINT64, 1_767_225_600),
    database_type: type,
    description: { en: "For a test" },
    ip_version: uint(UINT16, ipVersion),
    languages: ["en"],
    node_count: uint(UINT32, nodes.length),
    record_size: uint(UINT16, RECORD_SIZE),
  });
  return Buffer.concat([...tree, SEPARATOR, ...data, METADATA, metadata]);
}

function bitsOf(network: string, ipVersion: number): (0 | 1)[] {
  const [address, prefix] = ipaddr.parseCIDR(network);
  const bits = address.toByteArray().flatMap((byte) => [7, 6, 5, 4, 3, 2, 1, 0].map((at) => ((byte >> at) & 1) as 0 | 1));
  const before = ipVersion === 6 && address.kind() === "ipv4" ? Array<0>(96).fill(0) : [];
  return [...before, ...bits.slice(0, prefix)];
}

function encode(value: Value): Buffer {
  if (Buffer.isBuffer(value)) return value;
  if (typeof value === "string") return Buffer.concat([control(STRING, Buffer.byteLength(value)), Buffer.from(value)]);
  if (Array.isArray(value)) return Buffer.concat([control(ARRAY, value.length), ...value.map(encode)]);
  const entries = Object.entries(value);
  return Buffer.concat([control(MAP, entries.length), ...entries.flatMap(([name, each]) => [encode(name), encode(each)])]);
}

function uint(type: number, value: number): Buffer {
  const bytes = bigEndian(value, 6);
  const digits = bytes.subarray(bytes.findIndex((byte) => byte !== 0) >>> 0);
  return Buffer.concat([control(type, digits.length), digits]);
}

/** Types above 7 have a byte of their own; sizes up to 284 are all that is needed here. */
function control(type: number, size: number): Buffer {
  if (size > 284) throw new RangeError(`a size of ${size} is not written here`);
  const first = (type > 7 ? 0 : type << 5) | Math.min(size, 29);
  return Buffer.from([first, ...(type > 7 ? [type - 7] : []), ...(size < 29 ? [] : [size - 29])]);
}

function bigEndian(value: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  bytes.writeUIntBE(value, 0, length);
  return bytes;
}
