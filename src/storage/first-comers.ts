import { hash } from "node:crypto";
import type { RecordStore } from "./record-store.ts";

/** What all processes remember to have met, each for a while. */
export interface FirstComers {
  /** Of any number of parallel calls one is the first. @param until milliseconds since the epoch  @returns whether it was not there before */
  note(what: string, until: number): Promise<boolean>;
  isNoted(what: string): Promise<boolean>;
}

/** @param purpose keeps what is noted here from what is noted elsewhere */
export function firstComers(records: Pick<RecordStore, "commit" | "areAlive">, purpose: string): FirstComers {
  const keyOf = (what: string) => `replay:${hash("sha256", `${purpose} ${what}`, "base64url")}` as const;
  return {
    note: async (what, until) => (await records.commit([{ op: "claim", key: keyOf(what), expiresAt: until }])) === undefined,
    isNoted: (what) => records.areAlive([keyOf(what)]),
  };
}
