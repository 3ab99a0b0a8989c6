/** What an operator does with the audit log. Nobody changes it: what leaves it is old, or personal. */
import type pg from "pg";
import type { Batch } from "../observability/audit-chain.ts";
import type { CheckpointKeys } from "../observability/audit-checkpoints.ts";
import { type ExportLine, type ExportRange, exportedChain, exportLines, storedChain } from "../observability/audit-export.ts";
import type { AuditLog } from "../observability/audit-log.ts";
import { erasePersonalParts } from "../observability/audit-retention.ts";
import { type BatchRow, toBatch } from "../observability/audit-rows.ts";
import type { AuditSealer } from "../observability/audit-sealer.ts";
import { type AuditTrail, createAuditTrail } from "../observability/audit-trail.ts";
import { type ChainReport, verifyChain } from "../observability/audit-verification.ts";
import type { Operator } from "./operator.ts";

export type SignedBatch = Batch & { readonly checkpoint: string };

export interface AuditOperations extends AuditTrail {
  /** Whole batches, then what is not sealed yet. That it was asked for is recorded. */
  export(by: Operator, range: ExportRange): AsyncIterable<ExportLine>;
  /**
   * Checks the chain of the log, or of an export.
   * @param kept checkpoints (JWS) that were kept elsewhere
   * @param lines of an export
   * @throws {ExportError}
   */
  verify(kept: readonly string[], lines?: AsyncIterable<string>): Promise<ChainReport>;
  /** Newest first. @param before the number of a batch */
  checkpoints(limit: number, before?: number): Promise<SignedBatch[]>;
  /** Seals everything and signs it. @returns undefined while nothing was ever recorded */
  checkpoint(by: Operator): Promise<SignedBatch | undefined>;
  /**
   * Erases what is personal in the events of an account, which may be deleted already: addresses and details.
   * @returns how many held something; undefined when no event is about such an account
   */
  erase(by: Operator, accountId: string): Promise<number | undefined>;
}

export interface AuditOperationsOptions {
  pool: pg.Pool;
  sealer: AuditSealer;
  keys: Pick<CheckpointKeys, "verify">;
  audit: Pick<AuditLog, "record">;
}

export function createAuditOperations({ pool, sealer, keys, audit }: AuditOperationsOptions): AuditOperations {
  return {
    ...createAuditTrail(pool),

    export(by, { since, until }) {
      const detail = { ...(since && { since: since.toISOString() }), ...(until && { until: until.toISOString() }) };
      audit.record({ event: "audit.exported", outcome: "success", ...by, detail });
      return exportLines(pool, { since, until });
    },

    async verify(kept, lines) {
      const source = lines === undefined ? storedChain(pool) : await exportedChain(lines);
      return verifyChain(source, { keys, kept, whole: lines === undefined });
    },

    async checkpoints(limit, before) {
      const { rows } = await pool.query<BatchRow>(
        `SELECT * FROM audit_batch WHERE checkpoint IS NOT NULL AND ($1::bigint IS NULL OR number < $1) ORDER BY number DESC LIMIT $2`,
        [before ?? null, limit],
      );
      return rows.map(toBatch) as SignedBatch[];
    },

    async checkpoint(by) {
      const signed = await sealer.checkpoint();
      if (signed !== undefined) audit.record({ event: "audit.signed", outcome: "success", ...by, detail: { batch: signed.number } });
      return signed;
    },

    erase: (by, accountId) => erasePersonalParts(pool, accountId, by),
  };
}
