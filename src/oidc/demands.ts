/**
 * How surely somebody has to have signed in: by what a request asks for, the application, or a role of theirs. It is looked at when a sign-in is
 * used for an authorization, and again whenever a token comes of it, since a demand may be younger than the sign-in.
 */
import { errors } from "oidc-provider";
import { type Acr, reaches, requiredAcr } from "../factors/assurance.ts";
import type { Person } from "./ports.ts";

export interface Demanding {
  /** The engine's client; `require_second_factor` is the operator's word. */
  readonly client?: object | undefined;
  readonly person?: Pick<Person, "requiresSecondFactor"> | undefined;
  /** `acr_values`. */
  readonly asked?: unknown;
}

export function demandedOf({ client, person, asked }: Demanding): Acr {
  const byClient = (client as { require_second_factor?: boolean } | undefined)?.require_second_factor === true;
  return requiredAcr({ asked, secondFactor: byClient || person?.requiresSecondFactor === true });
}

/** @param acr of the sign-in that a token comes of @throws `invalid_grant` when more is demanded by now: only another authorization helps */
export function refuseLessSure(acr: string | undefined, demanding: Omit<Demanding, "asked">): void {
  if (reaches(acr, demandedOf(demanding))) return;
  throw new errors.CustomOIDCProviderError("invalid_grant", "the End-User signed in with one factor, and two are demanded by now");
}
