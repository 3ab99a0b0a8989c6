/** Waiting for a condition, never for time. */
import { setTimeout as sleep } from "node:timers/promises";

/** Milliseconds between two looks: short beside anything that is waited for. */
const INTERVAL = 20;

/**
 * Looks until the answer is neither undefined, null nor false, and returns it. What the look throws counts as not yet.
 * @param limit milliseconds after which something hangs: the error names `what`, its cause is the last one thrown
 */
export async function waitFor<T>(what: string, look: () => T | Promise<T>, limit = 30_000): Promise<Exclude<T, undefined | null | false>> {
  let cause: unknown;
  for (const start = Date.now(); ; await sleep(INTERVAL)) {
    try {
      const answer = await look();
      if (answer !== undefined && answer !== null && answer !== false) return answer as Exclude<T, undefined | null | false>;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    if (Date.now() - start > limit) throw new Error(`waited ${limit} ms in vain for ${what}`, { cause });
  }
}
