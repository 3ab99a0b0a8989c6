/** What this room tells its callers. */
import { english, type Text, text } from "../i18n/messages.ts";

/** Why somebody could not sign in with a provider, or connect it; the words are `federation:problems.<problem>`, about `{{provider}}`. */
export const PROBLEMS = [
  /** They turned back there, or the provider would not let them. */
  "denied",
  /** It does not answer, or not as its metadata says. */
  "unavailable",
  /** What it said was not what was asked for, or not by whom. */
  "refused",
  /** A new sign-in was asked for, and it did not vouch for one. */
  "not_fresh",
  "unverified_address",
  /** There is an account with the address; its owner connects the two. */
  "address_taken",
  "no_account",
  "linked_elsewhere",
  "account_closed",
  /** It was taken away meanwhile. */
  "gone",
] as const;
export type Problem = (typeof PROBLEMS)[number];

export const problemWords = (problem: Problem, provider: string): Text => text(`federation:problems.${problem}`, { provider });

/** For the person; the cause is for the log alone, and `describeCause` says what of it. */
export class SignInProblem extends Error {
  override readonly name = "SignInProblem";
  readonly problem: Problem;

  constructor(problem: Problem, options?: ErrorOptions) {
    super(english(problemWords(problem, "the provider")), options);
    this.problem = problem;
  }
}

/** For operators: the message is safe to show, and says what to do. */
export class FederationError extends Error {
  override readonly name = "FederationError";
  readonly code: "not_found" | "provider_exists" | "invalid_provider" | "in_configuration" | "changed_meanwhile";
  /** Of `invalid_provider`: each that is wrong; `message` reads on from the member's name. */
  readonly faults: readonly { readonly member: string; readonly message: string }[];

  constructor(code: FederationError["code"], message: string, faults: FederationError["faults"] = []) {
    super(message);
    this.code = code;
    this.faults = faults;
  }
}

const LONGEST = 300;

/**
 * What a log may hold of an error of openid-client: its causes hold answers of the provider, and with them codes and tokens.
 * `error` and `error_description` are the provider's own words (RFC 6749 §5.2).
 */
export function describeCause(cause: unknown): Record<string, string> {
  const { name, code, message, error, error_description, cause: inner } = (cause ?? {}) as Record<string, unknown>;
  const { code: system, message: reason } = (inner ?? {}) as Record<string, unknown>;
  const facts = { name, code, message, error, error_description, system, reason };
  return Object.fromEntries(
    Object.entries(facts).flatMap(([key, value]) => (typeof value === "string" ? [[key, value.slice(0, LONGEST)]] : [])),
  );
}
