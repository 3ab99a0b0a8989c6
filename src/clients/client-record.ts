import type { ClientMetadata } from "./client-metadata.ts";
import type { RegistrationLimits } from "./registration-limits.ts";
import type { TokenExchangePolicy } from "./token-exchange-policy.ts";

/** An application as it is stored: what it said of itself, and what only an operator says. */
export interface ClientRecord {
  readonly clientId: string;
  /** RFC 7591 members, never a secret. */
  readonly metadata: ClientMetadata;
  /** SHA-256 of the secret, base64url. */
  readonly secretHash?: string;
  /** When the secret was made; absent without one. */
  readonly secretCreatedAt?: Date;
  /** The secret before it, which counts too until then; its time may be over. */
  readonly previousSecret?: { readonly hash: string; readonly until: Date };
  readonly requirePkce: boolean;
  readonly firstParty: boolean;
  readonly verified: boolean;
  /** `#rrggbb`, in lower case; absent: the operator's own. */
  readonly brandColor?: string;
  /** Whoever signs in for it does so with two factors, or with a passkey. */
  readonly requiresSecondFactor: boolean;
  readonly managementScopes: readonly string[];
  /** Seconds; absent: what its resource or ACCESS_TOKEN_TTL says. */
  readonly accessTokenTtl?: number;
  /** Seconds for which a refresh token may lie unused; absent: REFRESH_TOKEN_TTL. */
  readonly refreshTokenTtl?: number;
  /** Seconds since the first refresh token of a family; absent: REFRESH_TOKEN_MAX_AGE. */
  readonly refreshTokenMaxAge?: number;
  /** Since then it is suspended: as good as not registered. */
  readonly suspendedAt?: Date;
  /** Absent: it exchanges nothing. */
  readonly tokenExchange?: TokenExchangePolicy;
  /** `operator`, `initial_access_token`, `registration` (nobody vouched for it) or the id of the account that made it. */
  readonly createdBy: string;
  /** Of one that registered itself: what its initial access token allowed, at every update too. */
  readonly registrationLimits?: RegistrationLimits;
  /** The software statement that it registered with (RFC 7591 §2.3), whose claims stand. */
  readonly softwareStatement?: string;
  /** When it last got tokens, to the day; absent: never. */
  readonly lastUsedAt?: Date;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

/** RFC 6749 §2.2, VSCHAR; anything else never reaches the database. */
export const isClientId = (id: string): boolean => /^[\x21-\x7E]{1,200}$/.test(id);
