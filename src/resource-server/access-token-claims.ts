import type { JWTPayload } from "jose";

/** What a verified access token says (RFC 9068 §2.2). Times are seconds since the epoch. */
export interface AccessTokenClaims extends JWTPayload {
  readonly iss: string;
  /** The person; or the client itself, when there is no person: then it equals `client_id`. */
  readonly sub: string;
  readonly aud: string | string[];
  readonly exp: number;
  readonly client_id: string;
  /** Separated by spaces. */
  readonly scope?: string;
  /** When and how the person signed in. */
  readonly auth_time?: number;
  readonly acr?: string;
  readonly roles?: string[];
  /** The key that it is bound to. */
  readonly cnf?: { readonly jkt?: string };
  readonly status?: { readonly status_list?: { readonly idx: number; readonly uri: string } };
}
