/** What Redis has to decide in one step, as Lua. Each script touches one record and what lies beside it, in one hash slot. */
import type { RedisClient } from "./redis-client.ts";

/** Before the body of a record: not consumed. */
export const FRESH = "0000000000";
/** Before the key of the record that has taken the place of one, until its pointer says so. */
export const MOVED = ">";

const SCRIPTS = {
  /** KEYS record, answer; ARGV seconds, [answer, its expiry in ms] → 1 consumed now, 0 was consumed or is not there */
  grantorConsume: {
    numberOfKeys: 2,
    lua: `if redis.call('GETRANGE', KEYS[1], 0, 9) ~= '${FRESH}' then return 0 end
redis.call('SETRANGE', KEYS[1], 0, ARGV[1])
if ARGV[2] then redis.call('SET', KEYS[2], ARGV[2], 'PXAT', ARGV[3]) end
return 1`,
  },
  /**
   * KEYS grant, members; ARGV now, latest expiry, renewal, then pairs of expiry and member → 0 the grant is gone, 1 it outlives them,
   * else its new expiry: renewed in long steps, since its place among its owners' has to move with it
   */
  grantorKeep: {
    numberOfKeys: 2,
    lua: `local life = redis.call('PEXPIRETIME', KEYS[1])
if life == -2 then return 0 end
local renewed = tonumber(ARGV[2]) > life
if renewed then life = ARGV[2] + ARGV[3]; redis.call('PEXPIREAT', KEYS[1], life) end
redis.call('ZADD', KEYS[2], unpack(ARGV, 4))
redis.call('PEXPIREAT', KEYS[2], life)
if redis.call('ZCARD', KEYS[2]) > 16 then redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', ARGV[1]) end
return renewed and life or 1`,
  },
  /** KEYS set; ARGV now, expiry, member: adds to an index that lives as long as its longest-lived member */
  grantorIndex: {
    numberOfKeys: 1,
    lua: `redis.call('ZADD', KEYS[1], ARGV[2], ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[1])
if tonumber(ARGV[2]) > redis.call('PEXPIRETIME', KEYS[1]) then redis.call('PEXPIREAT', KEYS[1], ARGV[2]) end
return 1`,
  },
  /** KEYS record; ARGV what it has to be, what it shall be, expiry in ms → 1 it is now, 0 it was something else or is gone */
  grantorReplace: {
    numberOfKeys: 1,
    lua: `if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PXAT', ARGV[3])
return 1`,
  },
  /** KEYS pointer; ARGV the key that it finds, expiry in ms: a pointer that finds another record by now stays as it is */
  grantorExtend: {
    numberOfKeys: 1,
    lua: "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('PEXPIREAT', KEYS[1], ARGV[2]) end",
  },
  /**
   * KEYS record; ARGV what must be there or '', what goes in its place or '', life of that in ms → 1 it was there and is gone or moved, else 0
   */
  grantorTake: {
    numberOfKeys: 1,
    lua: `local found = redis.call('GET', KEYS[1])
if not found or string.sub(found, 1, 1) == '${MOVED}' or (ARGV[1] ~= '' and found ~= ARGV[1]) then return 0 end
if ARGV[2] == '' then redis.call('UNLINK', KEYS[1]) else redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
return 1`,
  },
  /** KEYS grant, members; ARGV now → the members that are alive, which go with it */
  grantorRemove: {
    numberOfKeys: 2,
    lua: `local members = redis.call('ZRANGEBYSCORE', KEYS[2], ARGV[1], '+inf')
redis.call('DEL', KEYS[1], KEYS[2])
return members`,
  },
} as const;

export type Scripts = Record<keyof typeof SCRIPTS, (...args: (string | number)[]) => Promise<unknown>>;

export function defineScripts(redis: RedisClient): RedisClient & Scripts {
  for (const [name, script] of Object.entries(SCRIPTS)) redis.defineCommand(name, script);
  return redis as RedisClient & Scripts;
}
