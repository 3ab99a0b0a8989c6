import { firstComers } from "./first-comers.ts";
import type { RecordStore } from "./record-store.ts";

/** Remembers DPoP proofs (RFC 9449 §11.1), so that none is used twice, at whatever process. */
export function proofReplays(records: Pick<RecordStore, "commit" | "areAlive">) {
  const proofs = firstComers(records, "api-proof");
  return {
    /** @param until seconds since the epoch  @returns whether it was not there before */
    remember: (proof: string, until: number): Promise<boolean> => proofs.note(proof, until * 1000),
  };
}
