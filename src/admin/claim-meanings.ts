/** What the claims of tokens mean, in words. @see https://www.iana.org/assignments/jwt/jwt.xhtml */

/** NumericDate (RFC 7519 §2): seconds since the epoch. */
export const TIME_CLAIMS: ReadonlySet<string> = new Set(["exp", "iat", "nbf", "auth_time", "updated_at"]);

const MEANINGS: Readonly<Record<string, string>> = {
  // RFC 7519 §4.1
  iss: "issuer: who made the token",
  sub: "subject: whom the token is about",
  aud: "audience: whom the token is for; everybody else has to refuse it",
  exp: "expires",
  nbf: "not valid before",
  iat: "issued",
  jti: "the token's own name",
  // RFC 9068 §2.2, RFC 8693 §4
  client_id: "the application that it was issued to",
  scope: "what the application may do",
  roles: "roles of the person",
  groups: "groups of the person",
  entitlements: "entitlements of the person",
  cnf: "the key that the sender has to prove (RFC 7800): without it the token is useless",
  act: "who acts in the subject's name (RFC 8693)",
  may_act: "who may act in the subject's name (RFC 8693)",
  status: "where its revocation is published (Token Status List)",
  authorization_details: "what in detail is allowed (RFC 9396)",
  // OpenID Connect Core §2, Back-Channel Logout §2.4
  auth_time: "when the person signed in",
  acr: "how strongly the person signed in",
  amr: "by what means the person signed in (RFC 8176)",
  azp: "the application that it was issued to",
  nonce: "ties it to one sign-in of the application",
  at_hash: "ties it to the access token beside it",
  c_hash: "ties it to the authorization code beside it",
  s_hash: "ties it to the state of the request",
  sid: "the session of the person's browser",
  events: "what happened",
  // OpenID Connect Core §5.1
  name: "full name",
  given_name: "given name",
  family_name: "family name",
  middle_name: "middle name",
  nickname: "nickname",
  preferred_username: "the name that the person wants to be called by; not unique",
  profile: "profile page",
  picture: "picture",
  website: "website",
  email: "e-mail address",
  email_verified: "whether the address is known to be the person's",
  gender: "gender",
  birthdate: "date of birth",
  zoneinfo: "time zone",
  locale: "language and country",
  phone_number: "phone number",
  phone_number_verified: "whether the number is known to be the person's",
  address: "postal address",
  updated_at: "when this about the person last changed",
};

/** @returns undefined for a claim that no specification names */
export function claimMeaning(name: string, claims: Readonly<Record<string, unknown>>, issuer: string): string | undefined {
  if (name === "sub" && claims.sub === claims.client_id) return "subject: the application itself; there is no person behind this token";
  if (name === "iss" && claims.iss === issuer) return "issuer: this server";
  if (name === "aud" && claims.aud === issuer) return "audience: this server itself, for userinfo";
  if (name === "aud" && claims.aud === claims.client_id) return "audience: the application";
  return Object.hasOwn(MEANINGS, name) ? MEANINGS[name] : undefined;
}
