/**
 * How a payload of the engine becomes the body of a record, and back. A payload loses its `jti`, which is the live token, code or session;
 * records that are found by another value than their id hold it sealed.
 */
import { hash } from "node:crypto";
import { LRUCache } from "lru-cache";
import type { RecordKey, RecordKind } from "./record-store.ts";
import type { Payload } from "./request-scope.ts";
import type { Sealer } from "./seal.ts";

/** What a stored body says, short because there are many of them. */
export interface Body {
  /** The payload, without what is sealed. */
  p?: Payload;
  /** What is sealed: members that make the record's id live again. */
  s?: string;
  /** 1: more than the id is sealed. */
  m?: 1;
  /** Copies of the grants that the record is read with. */
  g?: Record<RecordKey, Payload>;
  /** The refresh token that this one replaced, or that this access token was issued for: its kept answer goes with it. */
  f?: RecordKey;
}

/** What is secret in records that are found by uid or user code. */
const SEALED_MEMBERS: Partial<Record<RecordKind, readonly string[] | "all">> = {
  session: ["jti", "state"],
  interaction: "all",
  "device-code": "all",
  "pushed-request": "all",
};

export function encodeBody(kind: RecordKind, key: RecordKey, payload: Payload, extra: Pick<Body, "g" | "f">, sealer: Sealer): string {
  const sealed = kind === "access-token" && payload.asIssued === true ? ["jti"] : SEALED_MEMBERS[kind];
  if (sealed === "all") return JSON.stringify({ s: sealer.seal(JSON.stringify(payload), key), ...extra } satisfies Body);
  const { jti, ...open } = payload;
  if (sealed === undefined) return JSON.stringify({ p: open, ...extra } satisfies Body);
  const secret: Payload = { jti };
  for (const member of sealed) {
    if (open[member] !== undefined) secret[member] = open[member];
    delete open[member];
  }
  const more = Object.keys(secret).length > 1 ? { m: 1 as const } : {};
  return JSON.stringify({ p: open, s: sealer.seal(JSON.stringify(secret), key), ...more, ...extra } satisfies Body);
}

/**
 * @param jti the live id, when the caller presented it; otherwise it is unsealed
 * @returns `locked` when what is sealed is missing in the payload: SECRET_KEY does not hold the secret any more
 */
export function decodeBody(
  _kind: RecordKind,
  key: RecordKey,
  text: string,
  jti: string | undefined,
  sealer: Sealer,
): { body: Body; payload: Payload; locked: boolean } {
  const body = JSON.parse(text) as Body;
  const payload: Payload = body.p ?? {};
  const sealed = jti === undefined || body.p === undefined || body.m === 1 ? body.s : undefined;
  const locked = sealed !== undefined && !sealer.isKnown(sealed);
  if (sealed !== undefined && !locked) Object.assign(payload, JSON.parse(sealer.open(sealed, key)));
  if (jti !== undefined) payload.jti = jti;
  return { body, payload, locked };
}

/** Hashes of ids that are asked for several times in a request and open nothing by themselves. */
const remembered = new LRUCache<string, RecordKey>({ max: 5_000 });

/** The key under which a record with a random id lies. */
export function keyOf(kind: RecordKind, id: string): RecordKey {
  if (kind !== "grant" && kind !== "session-uid") return hashed(kind, id);
  const name = `${kind}:${id}`;
  let key = remembered.get(name);
  if (key === undefined) {
    key = hashed(kind, id);
    remembered.set(name, key);
  }
  return key;
}

/** Whether a token is a JWE (RFC 7516 §7.1: five parts). Longer ones than any of ours are not worth a hash. */
export const isEncrypted = (token: string): boolean => token.length <= LONGEST_TOKEN && token.split(".").length === 5;

/** Characters. */
const LONGEST_TOKEN = 16_384;

const hashed = (kind: RecordKind, id: string): RecordKey => `${kind}:${hash("sha256", id, "base64url")}`;
