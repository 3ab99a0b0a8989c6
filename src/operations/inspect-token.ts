/** Finds what is in a token of ours, as /apps/inspector and `token inspect` do; whoever shows it says it in the reader's language. */
import {
  inspectToken,
  type StatusFinding,
  type StatusReference,
  type TokenInspection,
  UnreadableTokenError,
} from "../../views/assets/token-inspection.js";
import { text } from "../i18n/messages.ts";
import { readPublicKeys } from "../keys/public-keys.ts";
import type { Database } from "../storage/database.ts";
import { readTokenStatus } from "../tokens/token-status.ts";

export interface TokenInspectorOptions {
  database: Pick<Database, "prisma">;
  issuer: string;
  /** Of a resource whose tokens are signed with one. */
  secretOf(audience: string): Promise<Uint8Array | undefined>;
  /** Milliseconds since the epoch. */
  now?: () => number;
}

/** @returns what finds it; undefined for what is no JWT */
export function createTokenInspector(options: TokenInspectorOptions): (token: string) => Promise<TokenInspection | undefined> {
  const { database, issuer, secretOf, now = Date.now } = options;
  const statusOf = async ({ idx, uri }: StatusReference): Promise<StatusFinding> => {
    const status = await readTokenStatus(database, { list: uri.slice(uri.lastIndexOf("/") + 1), idx });
    if (status === undefined) return { state: "unknown", reason: text("tokens:reasons.not_kept") };
    return status.endedAt === undefined ? { state: "valid" } : { state: "revoked", since: status.endedAt };
  };
  return async (token) => {
    try {
      const keys = await readPublicKeys(database);
      return await inspectToken(token, { issuer, now: now(), statusOf, secretOf, keys });
    } catch (error) {
      if (error instanceof UnreadableTokenError) return undefined;
      throw error;
    }
  };
}
