/**
 * How surely somebody has shown who they are: what `acr` and `amr` say of it, and what satisfies what was asked for. Pure; every room that
 * speaks of it speaks of these.
 */

/** From the weakest to the strongest: each satisfies itself and those before it. */
const LEVELS = ["urn:grantor:acr:password", "urn:grantor:acr:two-factor", "urn:grantor:acr:passkey"] as const;
export type Acr = (typeof LEVELS)[number];

/** One factor: a password, or the word of another provider. */
export const ONE_FACTOR_ACR: Acr = LEVELS[0];
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

/** @param wanted what was asked for (`acr_values`): one of them is enough; those that we do not know are never met */
export function satisfies(acr: string | undefined, wanted: readonly string[]): boolean {
  const reached = LEVELS.indexOf(acr as Acr);
  return wanted.some((each) => {
    const level = LEVELS.indexOf(each as Acr);
    return level >= 0 && level <= reached;
  });
}
