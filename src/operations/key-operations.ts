/** What an operator does with signing keys. */
import type { KeyRotation, RotationResult } from "../keys/key-rotation.ts";
import { SigningKeyError } from "../keys/key-rows.ts";
import { type KeyPolicy, type NextState, nextState, type SigningKeyInfo } from "../keys/key-schedule.ts";
import type { AuditLog } from "../observability/audit-log.ts";
import type { Operator } from "./operator.ts";

export interface SigningKeyView extends SigningKeyInfo {
  /** What becomes of it by itself. */
  readonly then?: NextState;
}

export interface KeyOperations {
  /** Newest first. */
  list(): Promise<SigningKeyView[]>;
  /**
   * Replaces what signs with `alg` (absent: with any algorithm), or the key `kid`: at once when its successor has been published for long
   * enough, else by itself as soon as it has.
   * @param order.now the key is compromised: it is replaced at once, and nothing that it signed counts any more. With `kid` for any key
   * @throws {SigningKeyError}
   */
  rotate(by: Operator, order: { alg?: string; kid?: string; now?: boolean }): Promise<RotationResult[]>;
}

export interface KeyOperationsOptions {
  list(): Promise<SigningKeyInfo[]>;
  policy: KeyPolicy;
  /** Opened when it is needed: listing opens no key. */
  rotation(): Promise<Pick<KeyRotation, "rotate">>;
  audit(): Promise<Pick<AuditLog, "record">>;
}

export function createKeyOperations({ list, policy, rotation, audit }: KeyOperationsOptions): KeyOperations {
  return {
    async list() {
      const all = await list();
      return all.map((key) => {
        const then = nextState(key, all, policy);
        return { ...key, ...(then !== undefined && { then }) };
      });
    },

    async rotate(by, { alg, kid, now = false }) {
      const signing = (await list()).filter((key) => key.state === "current" && (alg === undefined || key.alg === alg));
      const kids = kid === undefined ? signing.map((key) => key.kid) : [kid];
      if (kids.length === 0) throw new SigningKeyError("There are no keys yet: the server makes them at its first start.");
      const [keys, { record }] = await Promise.all([rotation(), audit()]);
      return keys.rotate({ kids, now }, ({ event, detail }) => record({ event, outcome: "success", ...by, detail }));
    },
  };
}
