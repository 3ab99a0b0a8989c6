/** Who a provider says somebody is, in our own names: its claims as the operator has mapped them, those that are no good left out. */
import { refusedClaims } from "../accounts/account-claims.ts";
import { checkDetails, tidyName } from "../accounts/account-store.ts";
import { checkEmail, normalizeEmail } from "../accounts/email-address.ts";
import { readProfile } from "../accounts/profile.ts";
import { firstSpoken } from "../i18n/languages.ts";
import type { IdentityProvider } from "./provider.ts";

/** As the provider says it. */
export interface UpstreamPerson {
  /** Who vouches: the ID token's `iss`. */
  readonly issuer: string;
  readonly subject: string;
  /** In the provider's names; those of the ID token count before those of userinfo. */
  readonly claims: Readonly<Record<string, unknown>>;
}

export interface Identity {
  readonly issuer: string;
  readonly subject: string;
  /** For its owner to recognise. */
  readonly label: string;
  /** Normalised; of a form that can be used. */
  readonly email: string | undefined;
  /** Whether the provider has verified it. */
  readonly emailVerified: boolean;
  readonly name: string | undefined;
  readonly claims: Readonly<Record<string, unknown>>;
  /** Roles to have here, and those that are the provider's to give and take. */
  readonly roles: { readonly held: readonly string[]; readonly managed: readonly string[] } | undefined;
  /** The provider's second factor counts here. */
  readonly secondFactor: boolean;
}

const LONGEST_CLAIM = 500;
const LONGEST_LABEL = 254;
/** What some providers say in place of `true`. */
const YES: readonly unknown[] = [true, "true", 1, "1"];

/** @param now milliseconds since the epoch */
export function identityOf(provider: IdentityProvider, { issuer, subject, claims: said }: UpstreamPerson, now: number): Identity {
  const mapped = Object.fromEntries(Object.entries(provider.claims).map(([ours, theirs]) => [ours, claimAt(said, theirs)]));
  const { email: address, email_verified: verified, name: named, ...others } = mapped;
  const typed = typeof address === "string" ? normalizeEmail(address) : "";
  const email = checkEmail(typed).length === 0 ? typed : undefined;
  const tidied = typeof named === "string" ? tidyName(named) : undefined;
  const name = checkDetails({ name: tidied }).length === 0 ? tidied : undefined;
  const login = [said.login, said.preferred_username].find((each) => typeof each === "string") as string | undefined;
  return {
    issuer,
    subject,
    label: (email ?? tidyName(login) ?? name ?? "").slice(0, LONGEST_LABEL),
    email,
    emailVerified: email !== undefined && YES.includes(verified),
    name,
    claims: usable(others, now),
    roles: rolesOf(provider, said),
    secondFactor: list(said.amr).some((each) => provider.secondFactorAmr.includes(each)),
  };
}

/** Those that a person's record may hold, and a person's profile could say. */
function usable(claims: Record<string, unknown>, now: number): Record<string, unknown> {
  // Ours are languages alone: `en-GB` speaks English.
  const locale = typeof claims.locale === "string" ? firstSpoken([claims.locale]) : undefined;
  const tidied = Object.entries({ ...claims, locale }).map(([name, value]) => [name, typeof value === "string" ? tidyName(value) : value]);
  const given: Record<string, unknown> = Object.fromEntries(tidied.filter(([, value]) => value !== undefined && isShort(value)));
  const texts = Object.entries(given).filter((entry): entry is [string, string] => typeof entry[1] === "string");
  const wrong = [...refusedClaims(given), ...readProfile(Object.fromEntries(texts), now).faults.map(({ field }) => field)];
  return Object.fromEntries(Object.entries(given).filter(([name]) => !wrong.includes(name)));
}

/** And nothing that PostgreSQL cannot store: U+0000, and halves of a character (JSON.stringify writes those alone as escapes). */
function isShort(value: unknown): boolean {
  const json = JSON.stringify(value);
  return json.length <= LONGEST_CLAIM && !/\\u(?:0000|d[89a-f])/.test(json);
}

function rolesOf({ roles }: IdentityProvider, said: UpstreamPerson["claims"]): Identity["roles"] {
  if (roles === undefined) return undefined;
  const values = list(claimAt(said, roles.claim));
  const held = values.flatMap((value) => (Object.hasOwn(roles.values, value) ? (roles.values[value] ?? []) : []));
  return { held: [...new Set(held)], managed: [...new Set(Object.values(roles.values).flat())] };
}

/** A claim by its name, or by a path into one: Keycloak's roles are `realm_access.roles`. */
function claimAt(claims: UpstreamPerson["claims"], name: string): unknown {
  if (Object.hasOwn(claims, name)) return claims[name];
  return name
    .split(".")
    .reduce<unknown>((within, step) => (isRecord(within) && Object.hasOwn(within, step) ? within[step] : undefined), claims);
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);

function list(value: unknown): string[] {
  return (Array.isArray(value) ? value : [value]).filter((each) => typeof each === "string");
}
