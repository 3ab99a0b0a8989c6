/** Looks after the audit log while a server runs: seals what was recorded, and removes what is too old. */
import type pg from "pg";
import { removeOldEvents } from "./audit-retention.ts";
import type { AuditSealer } from "./audit-sealer.ts";
import type { Logger } from "./logger.ts";

export interface KeeperOptions {
  pool: pg.Pool;
  sealer: Pick<AuditSealer, "seal">;
  log: Pick<Logger, "info" | "warn">;
  /** Seconds: AUDIT_SEAL_INTERVAL. */
  interval: number;
  /** Seconds: AUDIT_RETENTION; 0: for ever. */
  retention: number;
}

/** Processes do not come all at once. */
const JITTER = 0.25;

/** @returns how to stop it; waits for what is under way */
export function keepAuditLog({ pool, sealer, log, interval, retention }: KeeperOptions): () => Promise<void> {
  let closed = false;
  let timer: NodeJS.Timeout | undefined;
  let working: Promise<void> = Promise.resolve();

  async function work(): Promise<void> {
    try {
      await sealer.seal();
      const { batches, events } = await removeOldEvents(pool, retention);
      if (batches > 0) log.info({ batches, events }, "audit events removed: their time is over");
    } catch (err) {
      if (!closed) log.warn({ err }, "the audit log could not be sealed yet");
    }
    later();
  }

  function later(): void {
    if (closed) return;
    timer = setTimeout(
      () => {
        working = work();
      },
      interval * 1000 * (1 + JITTER * Math.random()),
    ).unref();
  }

  later();
  return async () => {
    closed = true;
    clearTimeout(timer);
    await working;
  };
}
