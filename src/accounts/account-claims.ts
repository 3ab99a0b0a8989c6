import type { Account } from "./account.ts";

/** Characters, as JSON: tokens and lists carry them. */
const LONGEST_CLAIM = 4_000;

type Kind = "string" | "boolean" | "object";

/** OIDC Core §5.1: the claims that a person's record may hold beside the name, address and roles that have places of their own. */
const STANDARD_CLAIMS: Readonly<Record<string, Kind>> = {
  family_name: "string",
  given_name: "string",
  middle_name: "string",
  nickname: "string",
  preferred_username: "string",
  profile: "string",
  picture: "string",
  website: "string",
  gender: "string",
  birthdate: "string",
  zoneinfo: "string",
  locale: "string",
  phone_number: "string",
  phone_number_verified: "boolean",
  address: "object",
};

/** Which claims a scope releases (OIDC Core §5.4; `roles` is ours). */
const CLAIMS_BY_SCOPE: Readonly<Record<string, readonly string[]>> = {
  openid: ["sub"],
  profile: [
    "name",
    "family_name",
    "given_name",
    "middle_name",
    "nickname",
    "preferred_username",
    "profile",
    "picture",
    "website",
    "gender",
    "birthdate",
    "zoneinfo",
    "locale",
    "updated_at",
  ],
  email: ["email", "email_verified"],
  address: ["address"],
  phone: ["phone_number", "phone_number_verified"],
  roles: ["roles"],
};

export type Claims = { sub: string } & Record<string, unknown>;

/** What a person's scopes release about them; `sub` always. A claim without a value is left out (OIDC Core §5.3.2). */
export function claimsFor(account: Account, scopes: Iterable<string>): Claims {
  const known = allClaims(account);
  const claims: Claims = { sub: account.id };
  for (const scope of scopes) {
    for (const name of Object.hasOwn(CLAIMS_BY_SCOPE, scope) ? (CLAIMS_BY_SCOPE[scope] ?? []) : []) {
      if (known[name] !== undefined) claims[name] = known[name];
    }
  }
  return claims;
}

/** Whether a person's record may hold a claim of this name beside the name, address and roles. */
export const isStandardClaim = (name: string): boolean => Object.hasOwn(STANDARD_CLAIMS, name);

/** Names in `claims` that a record may not hold, or whose value has the wrong type or is too long: empty when all is well. */
export function refusedClaims(claims: Record<string, unknown>): string[] {
  return Object.entries(claims).flatMap(([name, value]) => (fits(name, value) ? [] : [name]));
}

function allClaims(account: Account): Record<string, unknown> {
  const further = Object.fromEntries(Object.entries(account.claims).filter(([name, value]) => fits(name, value)));
  return {
    ...further,
    sub: account.id,
    name: account.name,
    email: account.email,
    email_verified: account.emailVerified,
    roles: account.roles,
    updated_at: Math.floor(account.updatedAt.getTime() / 1000),
  };
}

function fits(name: string, value: unknown): boolean {
  const kind = Object.hasOwn(STANDARD_CLAIMS, name) ? STANDARD_CLAIMS[name] : undefined;
  if (kind === undefined || typeof value !== kind || value === null || Array.isArray(value)) return false;
  // OIDC Core §5.1.1: an address is made of texts.
  if (typeof value === "object" && !Object.values(value).every((part) => typeof part === "string")) return false;
  return JSON.stringify(value).length <= LONGEST_CLAIM;
}
