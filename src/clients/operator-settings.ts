/** What only an operator decides of a client, and what may be decided: never taken from a registration. */
import { ClientError, type Fault, refuseFaults } from "./client-error.ts";
import type { ClientMetadata } from "./client-metadata.ts";
import { isScopeToken } from "./scopes.ts";
import { policyFaults, type TokenExchangePolicy } from "./token-exchange-policy.ts";

/** Seconds: a month, as for resources; and ten years. */
const LONGEST_ACCESS_TOKEN_TTL = 2_592_000;
const LONGEST_REFRESH = 315_360_000;

/** Absent: as it was, or the default. */
export interface OperatorSettings {
  requirePkce?: boolean;
  firstParty?: boolean;
  verified?: boolean;
  /** `#rrggbb`, which its sign-in and consent pages wear; `null`: the operator's own. */
  brandColor?: string | null;
  /** Whoever signs in for it does so with two factors, or with a passkey. */
  requiresSecondFactor?: boolean;
  managementScopes?: readonly string[];
  /** `null`: it exchanges nothing. */
  tokenExchange?: TokenExchangePolicy | null;
  /** Seconds; `null`: what its resource or ACCESS_TOKEN_TTL says. */
  accessTokenTtl?: number | null;
  /** Seconds; `null`: REFRESH_TOKEN_TTL. */
  refreshTokenTtl?: number | null;
  /** Seconds; `null`: REFRESH_TOKEN_MAX_AGE. */
  refreshTokenMaxAge?: number | null;
}

/** @throws {ClientError} `invalid_client_metadata` naming every fault */
export function checkSettings(metadata: ClientMetadata, settings: OperatorSettings): void {
  const { requirePkce, managementScopes = [], tokenExchange } = settings;
  if (requirePkce === false && metadata.token_endpoint_auth_method === "none") {
    throw new ClientError("invalid_client_metadata", "require_pkce cannot be false for a client without authentication");
  }
  if (!managementScopes.every(isScopeToken)) throw new ClientError("invalid_client_metadata", "management_scopes must be scope names");
  refuseFaults([...lifetimeFaults(settings), ...brandFaults(settings)]);
  if (tokenExchange === undefined || tokenExchange === null) return;
  const message = "is for clients that authenticate: a public client is whoever says so";
  refuseFaults([
    ...policyFaults(tokenExchange),
    ...(metadata.token_endpoint_auth_method === "none" ? [{ member: "token_exchange", message }] : []),
  ]);
}

function brandFaults({ brandColor }: OperatorSettings): Fault[] {
  if (brandColor === undefined || brandColor === null || /^#[0-9a-f]{6}$/i.test(brandColor)) return [];
  return [{ member: "brand_color", message: "must be a colour such as #3152c8" }];
}

function lifetimeFaults({ accessTokenTtl, refreshTokenTtl, refreshTokenMaxAge }: OperatorSettings): Fault[] {
  const limits = [
    ["access_token_ttl", accessTokenTtl, LONGEST_ACCESS_TOKEN_TTL],
    ["refresh_token_ttl", refreshTokenTtl, LONGEST_REFRESH],
    ["refresh_token_max_age", refreshTokenMaxAge, LONGEST_REFRESH],
  ] as const;
  const faults = limits.flatMap(([member, value, longest]): Fault[] => {
    if (value === undefined || value === null || (Number.isSafeInteger(value) && value >= 1 && value <= longest)) return [];
    return [{ member, message: `must be a whole number of seconds from 1 to ${longest}` }];
  });
  if (faults.length === 0 && refreshTokenTtl && refreshTokenMaxAge && refreshTokenTtl > refreshTokenMaxAge)
    faults.push({ member: "refresh_token_ttl", message: "must not be longer than refresh_token_max_age" });
  return faults;
}
