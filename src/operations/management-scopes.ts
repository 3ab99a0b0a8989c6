/** Scopes of the management API. */
import { ClientError } from "../clients/client-error.ts";
import { MANAGEMENT_PREFIX as PREFIX } from "../clients/scopes.ts";

/** What the management API is about, in the order in which it is described. */
const NOUNS = [
  "accounts",
  "clients",
  "resources",
  "roles",
  "grants",
  "sessions",
  "keys",
  "identity-providers",
  "registration-tokens",
  "audit",
] as const;

export type ManagementScope = `grantor:${(typeof NOUNS)[number]}:${"read" | "write"}`;

export const MANAGEMENT_SCOPES: readonly string[] = NOUNS.flatMap((noun) => [`${PREFIX}${noun}:read`, `${PREFIX}${noun}:write`]);

/** @throws {ClientError} `invalid_client_metadata` naming those that do not exist */
export function checkManagementScopes(scopes: readonly string[]): void {
  const unknown = scopes.filter((scope) => !MANAGEMENT_SCOPES.includes(scope));
  if (unknown.length === 0) return;
  const message = `scope names management scopes that do not exist: ${unknown.join(" ")}; there are ${MANAGEMENT_SCOPES.join(" ")}`;
  throw new ClientError("invalid_client_metadata", message, { faults: [{ member: "scope", message }] });
}
