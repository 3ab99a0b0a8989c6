/** What the engine's payloads say that the stores have to know: whose a record is, what it stands on, and where its bit is. */
import { type Body, keyOf } from "./record-body.ts";
import type { RecordKey, RecordKind, Ties } from "./record-store.ts";
import type { Payload } from "./request-scope.ts";
import type { StatusPlace } from "./status-bits.ts";

/** Kinds that are issued under a grant: they carry a copy of it. */
export const UNDER_A_GRANT: ReadonlySet<RecordKind> = new Set(["authorization-code", "refresh-token", "access-token"]);

interface Of {
  accountId?: string;
}

/** What ends a record along with it. */
export function tiesOf(kind: RecordKind, payload: Payload): Ties | undefined {
  const { grantId, accountId, clientId, grantClientId } = payload as Record<string, string | undefined>;
  if (UNDER_A_GRANT.has(kind)) {
    const own = clientId === undefined ? {} : { clientId };
    if (grantId === undefined) return own;
    // A token that another client got by exchange ends with that client too; the grant is not that client's.
    const exchanged = grantClientId !== undefined && grantClientId !== clientId;
    const grantOf = { ...(accountId && { accountId }), ...(exchanged ? { clientId: grantClientId } : own) };
    return { grant: keyOf("grant", grantId), grantOf, ...(exchanged && own) };
  }
  if (kind === "interaction") {
    // Whoever has just signed in here, or has shown a first factor, and has not gone on yet: ending all that a person has ends this too.
    const { result, lastSubmission } = payload as { result?: { login?: Of }; lastSubmission?: { signIn?: Of } };
    const signedIn = (result?.login ?? lastSubmission?.signIn)?.accountId;
    return signedIn === undefined ? undefined : { accountId: signedIn };
  }
  if (kind === "session") return accountId === undefined ? undefined : { accountId };
  if (kind === "grant") return { ...(accountId && { accountId }), ...(clientId && { clientId }) };
  return undefined;
}

/** What must be alive for what was issued under a grant. */
export function backingOf({ grantId, sessionUid, expiresWithSession }: Payload): RecordKey[] {
  return [
    ...(typeof grantId === "string" ? [keyOf("grant", grantId)] : []),
    ...(expiresWithSession === true && typeof sessionUid === "string" ? [keyOf("session-uid", sessionUid)] : []),
  ];
}

/** The place of an access token in a status list, as `status` of its payload. */
export const placeIn = (kind: RecordKind, payload: Payload | undefined): { status?: StatusPlace } =>
  kind === "access-token" && payload?.status !== undefined ? { status: payload.status as StatusPlace } : {};

/** A session without what moves by itself, in one form for the same content: the engine changes what it was given in place. */
export const sessionForm = ({ iat: _, exp: __, ...rest }: Payload, grants: Body["g"]): string =>
  JSON.stringify([Object.entries(rest).sort(([a], [b]) => (a < b ? -1 : 1)), grants]);

interface Authorization {
  grantId?: string;
  sid?: string;
  /** With offline access: its grant goes on when the session ends. */
  persistsLogout?: boolean;
}

export const authorizationsOf = (session: Payload): Authorization[] =>
  Object.values((session.authorizations ?? {}) as Record<string, Authorization>);

/** The applications that a session's person is signed in to. */
export const clientsOf = (session: Payload): { clientId: string; sid: string | undefined }[] =>
  Object.entries((session.authorizations ?? {}) as Record<string, Authorization>).map(([clientId, { sid }]) => ({ clientId, sid }));

export const lastingGrants = (session: Payload): string[] =>
  authorizationsOf(session).flatMap(({ grantId, persistsLogout }) => (grantId && persistsLogout ? [grantId] : []));
