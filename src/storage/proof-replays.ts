import { hash } from "node:crypto";
import type { RecordStore } from "./record-store.ts";

/** Remembers DPoP proofs (RFC 9449 §11.1), so that none is used twice, at whatever process. */
export const proofReplays = (records: Pick<RecordStore, "commit">) => ({
  /** @param until seconds since the epoch  @returns whether it was not there before */
  async remember(proof: string, until: number): Promise<boolean> {
    const key = `replay:${hash("sha256", `api-proof ${proof}`, "base64url")}` as const;
    return (await records.commit([{ op: "claim", key, expiresAt: until * 1000 }])) === undefined;
  },
});
