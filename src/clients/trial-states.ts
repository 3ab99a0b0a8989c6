/**
 * The `state` of a trial run ("Try it" in the portal): what lets the engine accept this server's own callback for an application that has not
 * registered it. It is made for an owner of the application, sealed, and counts for that application and some minutes; see docs/decisions/try-it.md.
 */
import type { Sealer } from "../storage/seal.ts";

/** Seconds from the beginning of a run to its authorization request's end; a sign-in and a consent come between. */
export const TRIAL_LIFE = 900;

export interface TrialStates {
  /** @param run names the run; opens nothing */
  make(clientId: string, run: string): string;
  /** Whether an authorization request with this redirect URI and state is one of a trial of this application. */
  allows(clientId: string, redirectUri: unknown, state: unknown): boolean;
  /** Where a trial of this application comes back to. */
  callback(clientId: string): string;
}

const CONTEXT = "state of a trial";

/** @param now milliseconds since the epoch */
export function createTrialStates(issuer: string, sealer: Pick<Sealer, "seal" | "open">, now: () => number = Date.now): TrialStates {
  const callback = (clientId: string): string => `${issuer}/apps/${encodeURIComponent(clientId)}/try/callback`;
  return {
    callback,
    make: (clientId, run) => sealer.seal(JSON.stringify({ clientId, run, until: now() + TRIAL_LIFE * 1000 }), CONTEXT),
    allows(clientId, redirectUri, state) {
      if (redirectUri !== callback(clientId) || typeof state !== "string") return false;
      try {
        const opened = JSON.parse(sealer.open(state, CONTEXT)) as { clientId: string; until: number };
        return opened.clientId === clientId && opened.until > now();
      } catch {
        return false; // not one of ours
      }
    },
  };
}
