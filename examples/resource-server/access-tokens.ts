/** Checks access tokens without asking anybody: by signature, with keys that are fetched once and kept (RFC 9068 §4). */
import { createRemoteJWKSet, errors, type JWTPayload, jwtVerify } from "jose";

/** Seconds by which the clocks of two machines may differ. */
const CLOCK_TOLERANCE = 5;

export interface AccessToken {
  /** Whom the client acts for: a person's id, or the client itself when there is no person. */
  readonly subject: string;
  readonly clientId: string;
  readonly scopes: ReadonlySet<string>;
  readonly roles: ReadonlySet<string>;
}

/** The token opens nothing here. Its message says why, and is safe to show. */
export class InvalidTokenError extends Error {
  override readonly name = "InvalidTokenError";
}

/** The keys to check it with cannot be had right now: not the client's fault. */
export class KeysUnavailableError extends Error {
  override readonly name = "KeysUnavailableError";
}

/**
 * @param issuer who must have issued the tokens
 * @param audience the identifier of this resource server, which the tokens must be meant for
 * @returns a function that throws InvalidTokenError or KeysUnavailableError
 */
export function createVerifier({ issuer, audience }: { issuer: string; audience: string }): (token: string) => Promise<AccessToken> {
  // Keeps the keys for ten minutes, and asks again when a token names one that it has not seen.
  const keys = createRemoteJWKSet(new URL("/.well-known/jwks.json", issuer));
  return async (token) => {
    const { payload } = await jwtVerify(token, keys, {
      issuer,
      audience,
      algorithms: ["RS256"], // never what the token itself says
      typ: "at+jwt", // an ID token is signed with the same keys, and is no access token
      requiredClaims: ["exp", "sub", "client_id"],
      clockTolerance: CLOCK_TOLERANCE,
    }).catch((cause: unknown) => {
      throw isUnavailable(cause)
        ? new KeysUnavailableError("the keys of the issuer cannot be fetched", { cause })
        : new InvalidTokenError(reason(cause), { cause });
    });
    return accessToken(payload);
  };
}

const accessToken = (claims: JWTPayload): AccessToken => ({
  subject: String(claims.sub),
  clientId: String(claims.client_id),
  scopes: new Set(typeof claims.scope === "string" ? claims.scope.split(" ") : []),
  roles: new Set(Array.isArray(claims.roles) ? claims.roles.map(String) : []),
});

/** Whether it was the fetch of the keys that failed, and not the token. */
function isUnavailable(error: unknown): boolean {
  if (!(error instanceof errors.JOSEError)) return true; // the network's own
  return error instanceof errors.JWKSTimeout || error instanceof errors.JWKSInvalid || error.code === "ERR_JOSE_GENERIC";
}

function reason(error: unknown): string {
  if (error instanceof errors.JWTExpired) return "the access token has expired";
  if (error instanceof errors.JWTClaimValidationFailed && error.claim === "aud") return "the access token is meant for another resource";
  return "the access token is not valid here";
}
