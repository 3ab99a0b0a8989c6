/** What an operator lets a client exchange (RFC 8693). No application says this of itself. */
import type { Fault } from "./client-error.ts";
import { isScopeToken } from "./scopes.ts";

export const TOKEN_EXCHANGE_GRANT = "urn:ietf:params:oauth:grant-type:token-exchange";

export interface TokenExchangePolicy {
  /** Resources that it may get tokens for. */
  readonly audiences: readonly string[];
  /** A scope of the subject token, and the scopes of a target that it stands for there. A scope always stands for itself. */
  readonly scopes: Readonly<Record<string, readonly string[]>>;
  /** Whether, without an actor token, the new token may leave out who acts (RFC 8693 §1.1). */
  readonly impersonation: boolean;
}

const MOST_ENTRIES = 100;
const LONGEST_AUDIENCE = 500;

export function policyFaults({ audiences, scopes }: TokenExchangePolicy): Fault[] {
  const faults: Fault[] = [];
  const fault = (message: string) => void faults.push({ member: "token_exchange", message });
  if (audiences.length === 0) fault("must name at least one audience");
  if (audiences.length > MOST_ENTRIES || Object.keys(scopes).length > MOST_ENTRIES)
    fault(`must not hold more than ${MOST_ENTRIES} entries`);
  if (audiences.some((audience) => audience.length > LONGEST_AUDIENCE || !URL.canParse(audience))) fault("audiences must be absolute URIs");
  if (![...Object.keys(scopes), ...Object.values(scopes).flat()].every(isScopeToken)) fault("scopes must be scope names");
  return faults;
}

/** Everything that a subject token's scopes stand for, at whatever target. */
export function standsFor({ scopes }: Pick<TokenExchangePolicy, "scopes">, held: Iterable<string>): ReadonlySet<string> {
  return new Set([...held].flatMap((scope) => [scope, ...(Object.hasOwn(scopes, scope) ? (scopes[scope] ?? []) : [])]));
}
