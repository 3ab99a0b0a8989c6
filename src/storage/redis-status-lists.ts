/**
 * Status lists in Redis: one string for each, at its full length from the first moment until it expires.
 *
 *   grantor:status-list:{<id>}   8 bytes that say what it is, 24 that change with every change, then the bits
 *
 * A list that is missing, short or something else is never written to: what Redis lost does not come back as "all valid".
 */
import { randomBytes } from "node:crypto";
import type { RedisClient } from "./redis-client.ts";
import { byList, LIST_BYTES, type ListContent, type StatusPlace } from "./status-bits.ts";

const MARKER = "grantor1";
const VERSION_BYTES = 18; // 24 characters of base64url
const HEADER_LENGTH = MARKER.length + 24;
const LENGTH = HEADER_LENGTH + LIST_BYTES;

const SCRIPTS = {
  /** KEYS list; ARGV header, length, expiry in ms */
  grantorCreateList: {
    numberOfKeys: 1,
    lua: `if not redis.call('SET', KEYS[1], ARGV[1], 'PXAT', ARGV[3], 'NX') then return 0 end
return redis.call('SETRANGE', KEYS[1], ARGV[2] - 1, '\\0')`,
  },
  /** KEYS list; ARGV length, marker, new version, then bit offsets → 0: the list is not whole and stays as it is */
  grantorSetBits: {
    numberOfKeys: 1,
    lua: `if redis.call('TYPE', KEYS[1]).ok ~= 'string' or redis.call('STRLEN', KEYS[1]) ~= tonumber(ARGV[1])
  or redis.call('GETRANGE', KEYS[1], 0, #ARGV[2] - 1) ~= ARGV[2] then return 0 end
local changed = false
for i = 4, #ARGV do changed = redis.call('SETBIT', KEYS[1], ARGV[i], 1) == 0 or changed end
if changed then redis.call('SETRANGE', KEYS[1], #ARGV[2], ARGV[3]) end
return 1`,
  },
} as const;

type Scripts = Record<keyof typeof SCRIPTS, (...args: (string | number)[]) => Promise<unknown>>;

/** The key of a list in Redis. */
export const listName = (list: string): string => `grantor:status-list:{${list}}`;

/** Commands alone: whether Redis may be believed is decided by whoever calls. */
export class RedisStatusLists {
  readonly #redis: RedisClient & Scripts;

  constructor(redis: RedisClient) {
    for (const [name, script] of Object.entries(SCRIPTS)) redis.defineCommand(name, script);
    this.#redis = redis as RedisClient & Scripts;
  }

  async create(list: string, expiresAt: number): Promise<void> {
    await this.#redis.grantorCreateList(listName(list), MARKER + newVersion(), LENGTH, expiresAt);
  }

  async version(list: string): Promise<string | undefined> {
    const key = listName(list);
    const [header, length] = await foreign(Promise.all([this.#redis.getrange(key, 0, HEADER_LENGTH - 1), this.#redis.strlen(key)]));
    return header !== undefined && length === LENGTH ? versionIn(header) : undefined;
  }

  async read(list: string): Promise<ListContent | undefined> {
    const [value] = await foreign(Promise.all([this.#redis.getBuffer(listName(list))]));
    if (value?.length !== LENGTH) return undefined;
    const version = versionIn(value.toString("latin1", 0, HEADER_LENGTH));
    return version === undefined ? undefined : { version, bits: value.subarray(HEADER_LENGTH) };
  }

  /** Whether a list is there in its full length: asked beside every token that gets a place in it. */
  async isWhole(list: string): Promise<boolean> {
    const [length] = await foreign(Promise.all([this.#redis.strlen(listName(list))]));
    return length === LENGTH;
  }

  async setBits(places: readonly StatusPlace[]): Promise<void> {
    const set = [...byList(places)].flatMap(([list, indices]) =>
      batches(indices.map(bitOffset)).map((offsets) =>
        this.#redis.grantorSetBits(listName(list), LENGTH, MARKER, newVersion(), ...offsets),
      ),
    );
    await Promise.all(set);
  }
}

/** Arguments of one script: a grant may have more tokens than a call can take. */
const BATCH = 1_000;

const batches = (offsets: readonly number[]): number[][] =>
  Array.from({ length: Math.ceil(offsets.length / BATCH) }, (_, i) => offsets.slice(i * BATCH, (i + 1) * BATCH));

const newVersion = (): string => randomBytes(VERSION_BYTES).toString("base64url");

const versionIn = (header: string): string | undefined => (header.startsWith(MARKER) ? header.slice(MARKER.length) : undefined);

/** Redis counts a byte's bits from the most significant one, a status list from the least significant. */
const bitOffset = (idx: number): number => HEADER_LENGTH * 8 + (idx - (idx % 8)) + (7 - (idx % 8));

/** A key of another type is no list. */
async function foreign<T extends unknown[]>(asked: Promise<T>): Promise<T | []> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof Error && error.message.startsWith("WRONGTYPE")) return [];
    throw error;
  }
}
