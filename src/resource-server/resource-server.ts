/** The door of the package: `grantor/resource-server`. */
export type { AccessTokenClaims } from "./access-token-claims.ts";
export { AccessTokenError, type AccessTokenErrorCode } from "./access-token-error.ts";
export type { Fetch, FetchResponse } from "./documents.ts";
export type { DpopOptions, ReplayStore } from "./dpop.ts";
export type { RequestLike } from "./presented.ts";
export type { Requirements } from "./requirements.ts";
export { createVerifier, type Verifier, type VerifierOptions } from "./verifier.ts";
