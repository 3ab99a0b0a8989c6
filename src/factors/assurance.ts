/**
 * How surely somebody has shown who they are: what `acr` and `amr` say of it, and what satisfies what was asked for. Pure; every room that
 * speaks of it speaks of these.
 */

/** From the weakest to the strongest: each satisfies itself and those before it. */
const LEVELS = ["urn:grantor:acr:password", "urn:grantor:acr:two-factor", "urn:grantor:acr:passkey"] as const;
export type Acr = (typeof LEVELS)[number];

/** One factor: a password, or the word of another provider. */
const ONE_FACTOR_ACR: Acr = LEVELS[0];
export const TWO_FACTOR_ACR: Acr = LEVELS[1];
/** Two factors that no look-alike page can relay (WebAuthn with user verification). */
export const PASSKEY_ACR: Acr = LEVELS[2];

/** For the metadata: `acr_values_supported`. */
export const ACR_VALUES: readonly Acr[] = LEVELS;

/** RFC 8176, and `fed` for what another provider has said. */
export type Amr = "pwd" | "otp" | "hwk" | "swk" | "user" | "mfa" | "fed" | "recovery";

/** @param amr everything that was done in this sign-in */
export function acrOf(amr: readonly string[]): Acr {
  if (amr.includes("user")) return PASSKEY_ACR;
  return amr.includes("mfa") ? TWO_FACTOR_ACR : ONE_FACTOR_ACR;
}

/** Everything that was done, when a second factor was added to the first. */
export const withSecondFactor = (amr: readonly string[], ...factor: readonly Amr[]): string[] => [...new Set([...amr, ...factor, "mfa"])];

/**
 * The least that a sign-in must reach.
 * @param asked `acr_values`: one of them is enough. Those that we do not know are asked for in vain, as voluntary claims may be (OIDC Core
 * §5.5.1.1): the token says what was done.
 * @param secondFactor the application, or a role of the person, demands two factors
 */
export function requiredAcr({ asked, secondFactor }: { asked?: unknown; secondFactor: boolean }): Acr {
  const known = typeof asked === "string" ? asked.split(" ").map((value) => LEVELS.indexOf(value as Acr)) : [];
  const levels = known.filter((level) => level >= 0);
  const least = levels.length === 0 ? 0 : Math.min(...levels);
  return LEVELS[Math.max(least, secondFactor ? LEVELS.indexOf(TWO_FACTOR_ACR) : 0)] as Acr;
}

/** @param acr of a session; none of one that began before sessions had it, when there were passwords alone */
export const reaches = (acr: string | undefined, required: Acr): boolean =>
  Math.max(0, LEVELS.indexOf(acr as Acr)) >= LEVELS.indexOf(required);
