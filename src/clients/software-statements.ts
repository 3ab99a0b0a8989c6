/**
 * Software statements: what somebody whom the operator trusts has signed about an application. They are asked for and checked when an application
 * registers itself; what they say then stands, before what the application says.
 * @see RFC 7591 §2.3
 */
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  customFetch,
  decodeJwt,
  errors,
  type JWTPayload,
  type JWTVerifyGetKey,
  jwtVerify,
} from "jose";
import { ClientError } from "./client-error.ts";
import { METADATA_MEMBERS } from "./client-metadata.ts";
import type { StatementIssuer } from "./statement-issuers.ts";

/** All asymmetric: we share no secret with whoever signs statements. */
const ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"];
/** Characters. */
const LONGEST = 16_384;
/** Seconds that the clock of whoever signs may differ from ours. */
const TOLERANCE = 30;
/** Milliseconds for which fetched keys are used, and until an unknown one is looked for again. */
const KEYS_MAX_AGE = 600_000;
const KEYS_COOLDOWN = 30_000;
/** An application has its keys in the one or in the other: what a statement says of the one is said of both. */
const EXCLUDING = { jwks: "jwks_uri", jwks_uri: "jwks" } as const;

export interface SoftwareStatements {
  /**
   * @throws {ClientError} `unapproved_software_statement` when nobody here trusts its issuer, `invalid_software_statement` when it is not what the
   * issuer signed, or not now, `temporarily_unavailable` when the issuer's keys cannot be had
   */
  verify(statement: unknown): Promise<string>;
}

export interface SoftwareStatementOptions {
  issuers: readonly StatementIssuer[];
  /** Who a statement may be for, if it says so: our issuer identifier, the registration endpoint. */
  audiences: readonly string[];
  /** Bounded in time and size, and reaches what an operator has named. */
  fetchFrom(address: string): typeof fetch;
  /** Milliseconds since the epoch. */
  now?: () => number;
}

export function createSoftwareStatements({ issuers, audiences, fetchFrom, now = Date.now }: SoftwareStatementOptions): SoftwareStatements {
  const keysOf = new Map(issuers.map((trusted) => [trusted.issuer, keySource(trusted, fetchFrom)]));
  return {
    async verify(statement) {
      if (typeof statement !== "string" || statement.length > LONGEST)
        throw invalid(`must be a signed JWT of at most ${LONGEST} characters`);
      const { iss, aud } = decode(statement);
      const keys = iss === undefined ? undefined : keysOf.get(iss);
      if (keys === undefined)
        throw new ClientError("unapproved_software_statement", "software_statement comes from an issuer that is not trusted here");
      // RFC 7519 §4.1.3: whoever is not among those that it is for refuses it.
      if (aud !== undefined && ![aud].flat().some((audience) => audiences.includes(audience))) throw invalid("is for somebody else (aud)");
      await verifySignature(statement, keys, iss as string, new Date(now()));
      return statement;
    },
  };
}

/** Who signed a statement that has been verified. @throws {ClientError} `invalid_software_statement` for what is none */
export const statementIssuer = (statement: string): string | undefined => decode(statement).iss;

/** What a statement says of the application, of what may be said of one; it has been verified before. */
function statedMembers(statement: string): Record<string, unknown> {
  const claims = decodeJwt(statement);
  return Object.fromEntries(METADATA_MEMBERS.filter((member) => Object.hasOwn(claims, member)).map((member) => [member, claims[member]]));
}

/** RFC 7591 §2.3: what the statement says comes before what the application says. */
export function withStatement(given: Readonly<Record<string, unknown>>, statement: string): Record<string, unknown> {
  const stated = statedMembers(statement);
  const merged: Record<string, unknown> = { ...given, ...stated };
  for (const [member, other] of Object.entries(EXCLUDING)) if (member in stated && !(other in stated)) delete merged[other];
  return merged;
}

function keySource({ jwks, jwksUri }: StatementIssuer, fetchFrom: (address: string) => typeof fetch): JWTVerifyGetKey {
  if (jwksUri === undefined) return createLocalJWKSet(jwks as unknown as Parameters<typeof createLocalJWKSet>[0]);
  return createRemoteJWKSet(new URL(jwksUri), {
    cacheMaxAge: KEYS_MAX_AGE,
    cooldownDuration: KEYS_COOLDOWN,
    [customFetch]: fetchFrom(jwksUri) as never,
  });
}

async function verifySignature(statement: string, keys: JWTVerifyGetKey, issuer: string, currentDate: Date): Promise<void> {
  const rules = { algorithms: ALGORITHMS, issuer, currentDate, clockTolerance: TOLERANCE };
  let claims: JWTPayload;
  try {
    ({ payload: claims } = await jwtVerify(statement, keys, rules).catch(async (error) => {
      if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error;
      // No kid says which: the one that fits.
      for await (const key of error) {
        const verified = await jwtVerify(statement, key, rules).catch(unlessSignature);
        if (verified !== undefined) return verified;
      }
      throw new errors.JWSSignatureVerificationFailed();
    }));
  } catch (error) {
    throw refusal(error);
  }
  if (claims.iat !== undefined && claims.iat > currentDate.getTime() / 1000 + TOLERANCE) throw invalid("is from the future (iat)");
}

function unlessSignature(error: unknown): undefined {
  if (!(error instanceof errors.JWSSignatureVerificationFailed)) throw error;
}

/** Of a statement: that the issuer's keys cannot be had is not its fault. */
function refusal(error: unknown): ClientError {
  if (error instanceof errors.JWTExpired) return invalid("has expired");
  if (error instanceof errors.JWTClaimValidationFailed)
    return invalid(error.claim === "nbf" ? "is not good yet (nbf)" : `has a ${error.claim} that is not as it must be`);
  if (error instanceof errors.JOSEAlgNotAllowed) return invalid("is not signed with an asymmetric algorithm that is known here");
  for (const kind of [
    errors.JWSSignatureVerificationFailed,
    errors.JWKSNoMatchingKey,
    errors.JWSInvalid,
    errors.JWTInvalid,
    errors.JOSENotSupported,
  ])
    if (error instanceof kind) return invalid("is not signed by its issuer");
  return new ClientError("temporarily_unavailable", "the keys of who signed the software statement cannot be had: try again later", {
    cause: error,
  });
}

function decode(statement: string): JWTPayload {
  try {
    return decodeJwt(statement);
  } catch {
    throw invalid("must be a signed JWT");
  }
}

const invalid = (message: string): ClientError => new ClientError("invalid_software_statement", `software_statement ${message}`);
