/**
 * Which endpoint a path means. A path is taken as it was sent: split at its slashes, and only then is each parameter percent-decoded, once. So
 * `%2F` is part of an id and never a boundary, and no second spelling of a path finds anything: other letter case, empty segments, a slash at the
 * end, matrix parameters, `..`.
 */
import type { Endpoint } from "./endpoint.ts";
import { Problem } from "./problems.ts";

export const API_PATH = "/api/v1";

export interface Route {
  readonly endpoints: ReadonlyMap<string, Endpoint>;
  /** Decoded; by name. */
  readonly params: Readonly<Record<string, string>>;
}

interface Node {
  readonly literal: Map<string, Node>;
  parameter?: { readonly name: string; readonly node: Node };
  readonly endpoints: Map<string, Endpoint>;
}

const emptyNode = (): Node => ({ literal: new Map(), endpoints: new Map() });

/** @returns finds what is at a path below `/api/v1`; undefined: nothing. It throws `malformed-request` for what is no percent-encoding */
export function compileRoutes(endpoints: readonly Endpoint[]): (path: string) => Route | undefined {
  const root = emptyNode();
  for (const endpoint of endpoints) {
    let node = root;
    for (const segment of endpoint.path.slice(1).split("/")) node = childFor(node, segment, endpoint);
    if (node.endpoints.has(endpoint.method)) throw new TypeError(`${endpoint.method} ${endpoint.path} is described twice`);
    node.endpoints.set(endpoint.method, endpoint);
  }

  return (path) => {
    const params: Record<string, string> = {};
    let node: Node = root;
    for (const segment of path.slice(1).split("/")) {
      const literal = node.literal.get(segment);
      if (literal !== undefined) {
        node = literal;
        continue;
      }
      if (node.parameter === undefined || segment === "") return undefined;
      params[node.parameter.name] = decoded(segment);
      node = node.parameter.node;
    }
    return node.endpoints.size === 0 ? undefined : { endpoints: node.endpoints, params };
  };
}

function childFor(node: Node, segment: string, { path }: Endpoint): Node {
  const [, name] = /^\{(\w+)\}$/.exec(segment) ?? [];
  if (name === undefined) {
    const child = node.literal.get(segment) ?? emptyNode();
    node.literal.set(segment, child);
    return child;
  }
  if (node.parameter !== undefined && node.parameter.name !== name)
    throw new TypeError(`${path}: {${node.parameter.name}} stands there already`);
  node.parameter ??= { name, node: emptyNode() };
  return node.parameter.node;
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw new Problem("malformed-request", "The path is no valid percent-encoding of UTF-8.");
  }
}
