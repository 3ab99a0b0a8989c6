/** Signing in with another provider, from the button to the account. */
import { createOneTimeTokens } from "../accounts/one-time-tokens.ts";
import type { Logger } from "../observability/logger.ts";
import type { PrismaClient } from "../storage/generated/client.ts";
import { describeCause, type Problem, SignInProblem } from "./federation-error.ts";
import { type Identity, identityOf } from "./identity.ts";
import type { Linking, SignedIn } from "./linking.ts";
import { isStateOf, proofsOf } from "./proofs.ts";
import type { IdentityProvider } from "./provider.ts";
import type { ProviderStore } from "./provider-store.ts";
import type { Upstream } from "./upstream.ts";

/** Seconds in which somebody signs in at the provider. */
export const REQUEST_TTL = 600;
/** Seconds between the callback and the step that it leads back to. */
export const RESULT_TTL = 60;

/** What it is for: a sign-in that waits, or an account whose owner wants to connect the provider. */
export type Purpose =
  | (Freshness & {
      /** The uid of an interaction. */
      readonly interaction: string;
      /** "Keep me signed in". */
      readonly keep: boolean;
    })
  | { readonly accountId: string };

/** How long ago somebody may have signed in at the provider. */
export interface Freshness {
  /** A new sign-in was asked for (`prompt=login`). */
  readonly fresh: boolean;
  /** Seconds (`max_age`). */
  readonly maxAge?: number | undefined;
}

/** Only OpenID Connect says when somebody has signed in (`auth_time`). */
const canVouchFor = ({ kind }: IdentityProvider, { fresh, maxAge }: Freshness): boolean =>
  kind === "oidc" || (!fresh && maxAge === undefined);

export interface Hints {
  readonly loginHint?: string | undefined;
  readonly uiLocales?: string | undefined;
}

/** What came of a visit to a provider. */
export type Outcome =
  | { readonly purpose: Purpose; readonly provider: string; readonly problem: Problem }
  | {
      readonly purpose: Extract<Purpose, { interaction: string }>;
      readonly provider: string;
      readonly signedIn: SignedIn;
      /** Who they are there. */
      readonly identity: Pick<Identity, "issuer" | "subject">;
      readonly amr: readonly string[];
    }
  | { readonly purpose: Extract<Purpose, { accountId: string }>; readonly provider: string; readonly added: boolean };

/** Who has signed in, for the step that waits. */
export interface Result {
  readonly interaction: string;
  readonly keep: boolean;
  readonly accountId: string;
  /** Who they are at the provider. */
  readonly identity: Pick<Identity, "issuer" | "subject">;
  /** RFC 8176. */
  readonly amr: readonly string[];
}

export interface Federation {
  /** At which people may sign in now. @param freshness what is asked of the sign-in: those alone that can vouch for it */
  offered(freshness?: Freshness): Promise<readonly IdentityProvider[]>;
  /**
   * Where to send the browser, and the secret that it keeps until it comes back: nothing else ties the answer to it. `state` names it.
   * @throws {SignInProblem} `gone`, `not_fresh`, `unavailable`
   */
  begin(providerId: string, purpose: Purpose, hints?: Hints): Promise<{ url: string; state: string; secret: string }>;
  /**
   * Takes an answer. MUST succeed once for each secret; problems of the person or the provider are outcomes.
   * @param url our callback with its query  @param secret of this browser for the answer's `state`
   * @param signedIn who is signed in here, to whom alone something is connected
   * @returns undefined when nothing waits for such an answer: it came before, too late, or to another browser
   */
  answer(providerId: string, given: { url: URL; secret: string; signedIn(): Promise<string | undefined> }): Promise<Outcome | undefined>;
  /** Keeps a result for the step that waits. @returns the secret that takes it, once */
  keep(result: Result): Promise<string>;
  take(secret: string): Promise<Result | undefined>;
}

export interface FederationOptions {
  prisma: PrismaClient;
  providers: Pick<ProviderStore, "list" | "find">;
  upstream: Upstream;
  linking: Pick<Linking, "signIn" | "link">;
  log: Logger;
  /** Milliseconds since the epoch. */
  now?: () => number;
}

interface Waiting {
  readonly provider: string;
  readonly purpose: Purpose;
}

export function createFederation({ prisma, providers, upstream, linking, log, now = Date.now }: FederationOptions): Federation {
  const tokens = createOneTimeTokens(prisma, now);

  return {
    async offered(freshness = { fresh: false }) {
      return (await providers.list()).filter((each) => !each.disabled && canVouchFor(each, freshness));
    },

    async begin(providerId, purpose, { loginHint, uiLocales } = {}) {
      const provider = await providers.find(providerId);
      if (provider === undefined) throw new SignInProblem("gone");
      const freshness: Freshness = "interaction" in purpose ? purpose : { fresh: false };
      // It is not offered, but whoever likes can post its name.
      if (!canVouchFor(provider, freshness)) throw new SignInProblem("not_fresh");
      const data: Waiting = { provider: provider.id, purpose };
      const secret = await tokens.issue("federation-request", { ttl: REQUEST_TTL, data: { ...data } });
      const proofs = proofsOf(secret);
      const { fresh, maxAge } = freshness;
      try {
        const url = await upstream.authorizationUrl(provider, { proofs, fresh, maxAge, loginHint, uiLocales });
        return { url, state: proofs.state, secret };
      } catch (error) {
        report(provider.id, error);
        throw error;
      }
    },

    async answer(providerId, { url, secret, signedIn }) {
      const state = url.searchParams.getAll("state");
      if (state.length !== 1 || !isStateOf(state[0] as string, secret)) return undefined;
      const taken = await tokens.take("federation-request", secret);
      const waiting = taken?.data as Waiting | undefined;
      if (taken === undefined || waiting?.provider !== providerId) return undefined;
      const { purpose } = waiting;
      const provider = await providers.find(providerId);
      const name = provider?.name ?? providerId;
      try {
        if (provider === undefined) throw new SignInProblem("gone");
        const fresh = "interaction" in purpose && purpose.fresh;
        const person = await upstream.identify(provider, {
          url,
          proofs: proofsOf(secret),
          maxAge: "interaction" in purpose ? purpose.maxAge : undefined,
          freshSince: fresh ? taken.createdAt.getTime() : undefined,
        });
        const identity = identityOf(provider, person, now());
        if ("interaction" in purpose) {
          const amr = identity.secondFactor ? ["fed", "mfa"] : ["fed"];
          const { issuer, subject } = identity;
          return { purpose, provider: name, signedIn: await linking.signIn(provider, identity), identity: { issuer, subject }, amr };
        }
        if ((await signedIn()) !== purpose.accountId) return undefined;
        return { purpose, provider: name, added: await linking.link(purpose.accountId, identity) };
      } catch (error) {
        if (!(error instanceof SignInProblem)) throw error;
        report(providerId, error);
        return { purpose, provider: name, problem: error.problem };
      }
    },

    keep: (result) => tokens.issue("federation-result", { ttl: RESULT_TTL, data: { ...result } }),
    take: async (secret) => (await tokens.take("federation-result", secret))?.data as unknown as Result | undefined,
  };

  /** For operators: a provider that does not answer, or whose answers are not to be believed. */
  function report(provider: string, error: unknown): void {
    if (!(error instanceof SignInProblem)) return;
    const { problem, cause } = error;
    const level = problem === "unavailable" || problem === "refused" ? "warn" : "info";
    log[level]({ provider, problem, upstream: describeCause(cause) }, "a sign-in with another provider did not succeed");
  }
}
