/** A resource server's API, as every room knows it. */
import type { ResourceEncryption } from "./resource-encryption.ts";

export const RESOURCE_ALGS = ["RS256", "ES256", "PS256", "EdDSA", "HS256"] as const;

/** The management API: a resource of its own, never the default, and not kept here. */
export const managementAudience = (issuer: string): string => `${issuer}/api/v1`;

export interface ResourceScope {
  readonly name: string;
  /** What a person reads when they are asked to allow it. */
  readonly description: string;
}

/** A resource server's API. @see RFC 8707 */
export interface Resource {
  /** What a client names as `resource`, and `aud` of its tokens. */
  readonly audience: string;
  readonly name: string;
  readonly scopes: readonly ResourceScope[];
  /** Seconds; absent: ACCESS_TOKEN_TTL. */
  readonly accessTokenTtl?: number;
  readonly signingAlg: (typeof RESOURCE_ALGS)[number];
  /** With HS256: what signs its tokens, sealed. */
  readonly sealedSecret?: string;
  /** Absent: its tokens are signed, and everybody can read them. */
  readonly encryption?: ResourceEncryption;
  /** A person gets only those of its scopes that a role of theirs permits. */
  readonly scopesByRole: boolean;
  /** Every token for it tells the person's roles. */
  readonly includeRoles: boolean;
  /** Clients that may introspect its tokens. */
  readonly introspectors: readonly string[];
  readonly createdAt: Date;
}
