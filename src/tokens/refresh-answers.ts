/**
 * A refresh that may be repeated: the answer is kept for a few seconds, sealed under a key that only the old refresh token yields,
 * and bound to what was asked. A dump of the store opens none of them. The rule: docs/decisions/repeated-refresh.md.
 */
import { createSecretKey, hkdfSync } from "node:crypto";
import { decrypt, encrypt } from "../storage/seal.ts";

/** What must be the same when a refresh is repeated. */
export interface RefreshRequest {
  /** The raw refresh token that was presented. */
  refreshToken: string;
  clientId: string;
  scope: string | undefined;
  resource: unknown;
  /** Thumbprint of the DPoP or mTLS key that the request proved, if any. */
  senderKey: string | undefined;
}

export const sealAnswer = (request: RefreshRequest, answer: unknown): string =>
  encrypt(keyOf(request), JSON.stringify(answer), contextOf(request));

/** @returns undefined when the request is not the same one */
export function openAnswer(request: RefreshRequest, sealed: string): unknown {
  try {
    return JSON.parse(decrypt(keyOf(request), sealed, contextOf(request)));
  } catch {
    return undefined;
  }
}

const keyOf = ({ refreshToken }: RefreshRequest) =>
  createSecretKey(Buffer.from(hkdfSync("sha256", refreshToken, "", "grantor/refresh-answer", 32)));

const contextOf = ({ clientId, scope, resource, senderKey }: RefreshRequest): string =>
  JSON.stringify([clientId, scope ?? null, resource ?? null, senderKey ?? null]);
