/** What a route asks of an access token. */
import type { AccessTokenClaims } from "./access-token-claims.ts";
import { amounts, onlyKnown, texts, values } from "./given.ts";
import { Refusal } from "./refusal.ts";

/** All that are given must be met. */
export interface Requirements {
  /** Scopes that the token must hold, all of them: a list, or one string with spaces between them. */
  readonly scope?: string | readonly string[];
  /** Roles that the person must have, all of them. */
  readonly roles?: string | readonly string[];
  /** How the person must have signed in: one of these authentication context class references. */
  readonly acr?: string | readonly string[];
  /** Seconds since the person signed in, at most. */
  readonly maxAge?: number;
  /** Only tokens that are bound to a key, with a proof. Without it a bound token needs its proof all the same. */
  readonly dpop?: boolean;
}

export interface PreparedRequirements {
  readonly scope: readonly string[];
  readonly roles: readonly string[];
  readonly acr: readonly string[];
  readonly maxAge: number | undefined;
  readonly dpop: boolean;
}

const prepared = new WeakMap<Requirements, PreparedRequirements>();
const NAMES = ["scope", "roles", "acr", "maxAge", "dpop"];

/** @throws TypeError when they could never be met, or are not understood: a misspelt one would let everybody through */
export function prepare(requirements: Requirements): PreparedRequirements {
  const before = prepared.get(requirements);
  if (before !== undefined) return before;
  const { scope, roles, acr, maxAge, dpop = false } = requirements;
  onlyKnown("requirement", requirements, NAMES);
  amounts({ maxAge });
  if (typeof dpop !== "boolean") throw new TypeError("dpop: true or false");
  const made = { scope: values("scope", scope), roles: texts("roles", roles), acr: values("acr", acr), maxAge, dpop };
  prepared.set(requirements, made);
  return made;
}

/**
 * @param now seconds since the epoch
 * @throws Refusal
 */
export function check(
  { scope, roles, acr, maxAge }: PreparedRequirements,
  claims: AccessTokenClaims,
  now: number,
  tolerance: number,
): void {
  const tooOld = maxAge !== undefined && !(typeof claims.auth_time === "number" && now - claims.auth_time <= maxAge + tolerance);
  if (tooOld || (acr.length > 0 && !acr.includes(claims.acr as string))) {
    // RFC 9470 §3
    throw new Refusal("insufficient_user_authentication", "this needs another or a more recent sign-in", {
      parameters: { ...(acr.length > 0 && { acr_values: acr.join(" ") }), ...(maxAge !== undefined && { max_age: String(maxAge) }) },
    });
  }
  const granted = typeof claims.scope === "string" ? claims.scope.split(" ") : [];
  const missing = scope.filter((name) => !granted.includes(name));
  if (missing.length > 0) {
    throw new Refusal("insufficient_scope", `this needs the scope ${missing.join(" and ")}`, { parameters: { scope: scope.join(" ") } });
  }
  const given: readonly unknown[] = Array.isArray(claims.roles) ? claims.roles : [];
  const [role] = roles.filter((name) => !given.includes(name));
  if (role !== undefined) throw new Refusal("insufficient_scope", `this is for people with the role ${role}`);
}
