import { LRUCache } from "lru-cache";

/** Answers by key for a short while, "there is none" too where that is wanted. Concurrent misses of one key share one load. */
export interface LookupCache<V> {
  get(key: string): Promise<V | undefined>;
  /** Without a key: everything. A load that is under way is still answered, but not kept. */
  forget(key: string | undefined): void;
}

export interface LookupCacheOptions<V> {
  /** Entries; absent answers are kept apart, so that asking for what does not exist drives nothing out. */
  max: number;
  /** Milliseconds for which an answer is kept. */
  ttl: number;
  /** Milliseconds for which "there is none" is kept; absent: it is asked again each time. */
  absentTtl?: number;
  /** Milliseconds, of any clock that only moves forward. */
  now?: () => number;
  load: (key: string) => Promise<V | undefined>;
}

export function createLookupCache<V extends object>({
  max,
  ttl,
  absentTtl = 0,
  now = Date.now,
  load,
}: LookupCacheOptions<V>): LookupCache<V> {
  const perf = { now };
  const found = new LRUCache<string, V>({ max, ttl, perf, ttlResolution: 0 });
  const absent = new LRUCache<string, true>({ max: 1000, ttl: absentTtl || 1, perf, ttlResolution: 0 });
  const loading = new Map<string, Promise<V | undefined>>();

  async function loadOnce(key: string): Promise<V | undefined> {
    const shared = loading.get(key);
    if (shared !== undefined) return shared;
    const mine = load(key);
    loading.set(key, mine);
    try {
      const value = await mine;
      if (loading.get(key) === mine) {
        if (value !== undefined) found.set(key, value);
        else if (absentTtl > 0) absent.set(key, true);
      }
      return value;
    } finally {
      if (loading.get(key) === mine) loading.delete(key);
    }
  }

  return {
    async get(key) {
      return found.get(key) ?? (absent.has(key) ? undefined : loadOnce(key));
    },
    forget(key) {
      if (key === undefined) {
        found.clear();
        absent.clear();
        loading.clear();
        return;
      }
      found.delete(key);
      absent.delete(key);
      loading.delete(key);
    },
  };
}
