/**
 * The browser's session in the course of one request: as it was read, whether it has to be written, and how it goes on under another id
 * (docs/decisions/tabs-and-sessions.md).
 */
import { lastingGrants, sessionForm } from "./engine-payload.ts";
import type { Body } from "./record-body.ts";
import type { RecordKey } from "./record-store.ts";
import type { Payload, RequestScope } from "./request-scope.ts";
import type { Sealer } from "./seal.ts";

/** A session is written again only when it changed, or when this part of its life has passed. */
const TOUCH_SHARE = 1 / 256;

/** Who is signed in with it; undefined: nobody. */
export const usedSession = ({ uid, accountId, exp }: Payload): RequestScope["session"] =>
  typeof accountId === "string" ? { uid: uid as string, accountId, expiresAt: exp as number } : undefined;

/** Keeps a session as the request has found it. @param body exactly as stored */
export function rememberSession(
  scope: RequestScope,
  { key, body, payload, decoded }: { key: RecordKey; body: string; payload: Payload; decoded: Body },
  sealer: Pick<Sealer, "isCurrent">,
): void {
  scope.session = usedSession(payload);
  // One that an older secret has sealed is written again, so that the secret can go.
  const form = sealer.isCurrent(decoded.s as string) ? sessionForm(payload, decoded.g) : undefined;
  scope.sessionAsRead = { key, body, uid: payload.uid as string, exp: payload.exp as number, form, lasting: lastingGrants(payload) };
}

/** Whether a session would be written as it already stands, and its expiry need not move yet. @param expiresIn seconds */
export function isUnchanged(scope: RequestScope, key: RecordKey, payload: Payload, grants: Body["g"], expiresIn: number): boolean {
  const read = scope.sessionAsRead;
  if (read?.key !== key || scope.pending(key) !== undefined) return false;
  if ((payload.exp as number) - read.exp > expiresIn * TOUCH_SHARE) return false;
  return read.form === sessionForm(payload, grants);
}

/**
 * A session that goes on under a new id: its old record goes, but nothing was ended. It must be there as it was read, or whoever signed
 * out meanwhile would be signed in again under the new id, and what another tab has added would be lost; only a sign-in by another person
 * stands by itself.
 */
export function goOnUnderNewId(scope: RequestScope, pointer: RecordKey, { accountId }: Payload): void {
  for (const old of scope.removals(pointer)) {
    const before = scope.seen.get(old)?.accountId;
    const goesOn = before === undefined || before === accountId;
    scope.add({ op: "remove", key: old, pointer, ...(goesOn && { onlyIfThere: true, ...asRead(scope, old) }) });
  }
}

/** For the end of a session that this request has read: what another tab has added meanwhile ends with it, or it is not ended yet. */
export function asRead(scope: RequestScope | undefined, key: RecordKey): { as?: string } {
  const read = scope?.sessionAsRead;
  return read?.key === key ? { as: read.body } : {};
}
