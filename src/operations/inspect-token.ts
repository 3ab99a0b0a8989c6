/** Says what is in a token of ours, as /apps/inspector and `token inspect` do. */
import { inspectToken, type StatusFinding, type StatusReference, UnreadableTokenError } from "../../views/assets/token-inspection.js";
import { describeInspection } from "../../views/assets/token-words.js";
import { readPublicKeys } from "../keys/public-keys.ts";
import type { Database } from "../storage/database.ts";
import { readTokenStatus } from "../tokens/token-status.ts";

/** In English, as the specifications are. */
export interface InspectedToken {
  readonly verdict: string;
  readonly claims: readonly { readonly name: string; readonly value: string; readonly when?: string; readonly meaning?: string }[];
}

export interface TokenInspectorOptions {
  database: Pick<Database, "prisma">;
  issuer: string;
  /** Of a resource whose tokens are signed with one. */
  secretOf(audience: string): Promise<Uint8Array | undefined>;
  /** Milliseconds since the epoch. */
  now?: () => number;
}

/** @returns what says it; undefined for what is no JWT */
export function createTokenInspector(options: TokenInspectorOptions): (token: string) => Promise<InspectedToken | undefined> {
  const { database, issuer, secretOf, now = Date.now } = options;
  const statusOf = async ({ idx, uri }: StatusReference): Promise<StatusFinding> => {
    const status = await readTokenStatus(database, { list: uri.slice(uri.lastIndexOf("/") + 1), idx });
    if (status === undefined) return { state: "unknown", reason: "its list is not kept any longer" };
    return status.endedAt === undefined ? { state: "valid" } : { state: "revoked", since: status.endedAt };
  };
  return async (token) => {
    try {
      const keys = await readPublicKeys(database);
      const { verdict, claims } = describeInspection(await inspectToken(token, { issuer, now: now(), statusOf, secretOf, keys }), now());
      return {
        verdict: verdict.text,
        claims: claims.map(({ name, value, when, meaning }) => ({
          ...{ name, value },
          ...(when !== undefined && { when }),
          ...(meaning !== undefined && { meaning }),
        })),
      };
    } catch (error) {
      if (error instanceof UnreadableTokenError) return undefined;
      throw error;
    }
  };
}
