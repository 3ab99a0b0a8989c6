import { LRUCache } from "lru-cache";

/** Values by key for a short while. Concurrent misses of one key share one load; a load that a change overtook is returned but not kept. */
export interface ReadThroughCache<V> {
  get(key: string): Promise<V | undefined>;
  forget(key: string): void;
  clear(): void;
}

/** @param options.ttl milliseconds  @param options.load absent values are not kept: `undefined` asks again the next time */
export function createReadThroughCache<V extends object>(options: {
  max: number;
  ttl: number;
  load: (key: string) => Promise<V | undefined>;
}): ReadThroughCache<V> {
  const kept = new LRUCache<string, V>({ max: options.max, ttl: options.ttl });
  const loading = new Map<string, Promise<V | undefined>>();

  return {
    async get(key) {
      const hit = kept.get(key);
      if (hit !== undefined) return hit;
      const shared = loading.get(key);
      if (shared !== undefined) return shared;
      const load = options.load(key);
      loading.set(key, load);
      try {
        const value = await load;
        if (value !== undefined && loading.get(key) === load) kept.set(key, value);
        return value;
      } finally {
        if (loading.get(key) === load) loading.delete(key);
      }
    },
    forget(key) {
      kept.delete(key);
      loading.delete(key);
    },
    clear() {
      kept.clear();
      loading.clear();
    },
  };
}
