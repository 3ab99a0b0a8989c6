/** What people say of themselves: the standard claims (OIDC Core §5.1) that they may set by themselves, and what is right for each. */
import { isLanguage } from "../i18n/languages.ts";
import { text, type Words } from "../i18n/messages.ts";
import type { Account } from "./account.ts";
import type { Fault } from "./account-error.ts";
import { MAX_NAME_LENGTH, tidyName } from "./account-store.ts";

/** Characters of an address of a page or a picture. */
const MAX_URL_LENGTH = 2000;
const FIRST_YEAR = 1900;

/** Nothing else of a profile is taken from a form. In the order of the form; `name` comes before them. */
export const PROFILE_CLAIMS = ["given_name", "family_name", "nickname", "picture", "website", "birthdate", "zoneinfo", "locale"] as const;
export type ProfileClaim = (typeof PROFILE_CLAIMS)[number];
export type Profile = { readonly [field in "name" | ProfileClaim]: string };

/** Names of the time zone database, as `zoneinfo` has them. */
export const TIME_ZONES: readonly string[] = ["UTC", ...Intl.supportedValuesOf("timeZone").filter((zone) => zone !== "UTC")];
const ZONES: ReadonlySet<string> = new Set(TIME_ZONES);

/** The zone in which a person reads times, when they have said one that we know. */
export const timeZoneOf = ({ claims }: Pick<Account, "claims">): string | undefined =>
  typeof claims.zoneinfo === "string" && ZONES.has(claims.zoneinfo) ? claims.zoneinfo : undefined;

/** What a person's profile says now; empty for what it does not say. */
export function profileOf({ name = "", claims }: Account): Profile {
  const said = PROFILE_CLAIMS.map((claim) => [claim, typeof claims[claim] === "string" ? claims[claim] : ""]);
  return { name, ...Object.fromEntries(said) } as Profile;
}

/**
 * Reads a profile as it was typed; what is absent is empty.
 * @param typed by the names of the fields  @param now milliseconds since the epoch
 */
export function readProfile(typed: Readonly<Record<string, string | undefined>>, now: number): { profile: Profile; faults: Fault[] } {
  const names = ["name", ...PROFILE_CLAIMS] as const;
  const profile = Object.fromEntries(names.map((field) => [field, tidyName(typed[field]) ?? ""])) as Profile;
  const faults = names.flatMap((field) => {
    const message = profile[field] === "" ? undefined : RULES[field](profile[field], now);
    return message === undefined ? [] : [{ field, message }];
  });
  return { profile, faults };
}

/** A person's claims with those of a profile in them; the ones that people do not set by themselves stay. */
export function claimsWith(claims: Account["claims"], profile: Profile): Record<string, unknown> {
  const merged: Record<string, unknown> = { ...claims };
  for (const claim of PROFILE_CLAIMS) {
    if (profile[claim] === "") delete merged[claim];
    else merged[claim] = profile[claim];
  }
  return merged;
}

/** @returns what is wrong, if anything is */
type Rule = (value: string, now: number) => Words | undefined;

const aName: Rule = (value) => (value.length > MAX_NAME_LENGTH ? text("profile:faults.name", { count: MAX_NAME_LENGTH }) : undefined);

const RULES: Readonly<Record<"name" | ProfileClaim, Rule>> = {
  name: aName,
  given_name: aName,
  family_name: aName,
  nickname: aName,
  // Applications show it on their own https pages.
  picture: (value) => (isUrl(value, ["https:"]) ? undefined : text("profile:faults.picture")),
  website: (value) => (isUrl(value, ["https:", "http:"]) ? undefined : text("profile:faults.website")),
  birthdate: (value, now) => (isBirthdate(value, now) ? undefined : text("profile:faults.birthdate")),
  zoneinfo: (value) => (ZONES.has(value) ? undefined : text("profile:faults.zoneinfo")),
  locale: (value) => (isLanguage(value) ? undefined : text("profile:faults.locale")),
};

function isUrl(value: string, schemes: readonly string[]): boolean {
  const url = value.length <= MAX_URL_LENGTH ? URL.parse(value) : null;
  return url !== null && schemes.includes(url.protocol) && url.username === "" && url.password === "";
}

/** OIDC Core §5.1: a day as ISO 8601 has it, or the year alone. */
function isBirthdate(value: string, now: number): boolean {
  if (/^\d{4}$/.test(value)) return Number(value) >= FIRST_YEAR && Number(value) <= new Date(now).getUTCFullYear();
  const day = /^\d{4}-\d\d-\d\d$/.test(value) ? new Date(`${value}T00:00:00Z`) : undefined;
  if (day === undefined || Number.isNaN(day.getTime())) return false;
  return day.toISOString().startsWith(value) && day.getUTCFullYear() >= FIRST_YEAR && day.getTime() <= now;
}
