/** A visit to another provider, as this browser makes it: it takes a secret along, without which nobody can bring the answer. */
import type { Context } from "koa";
import { type Federation, type Hints, type Purpose, REQUEST_TTL, RESULT_TTL, type Result } from "../federation/federation.ts";
import { PROBLEMS, type Problem, problemWords, SignInProblem } from "../federation/federation-error.ts";
import { isProviderId } from "../federation/provider.ts";
import { cookieAttributes, cookieName } from "../http/cookies.ts";
import { languageOf } from "../http/language.ts";
import type { FormErrors } from "../http/page-parts.ts";
import { seeOther } from "./steps.ts";

/** Characters of `state` that a cookie's name ends in: visits that were begun in two tabs do not get in each other's way. */
const LABEL = 8;

export interface ProviderVisits {
  /** Sends the browser to a provider, or back to a page that says why not. */
  begin(ctx: Context, providerId: string, purpose: Purpose, hints: Pick<Hints, "loginHint">, page: string): Promise<void>;
  /** Takes the secret of the visit whose answer this request brings. */
  end(ctx: Context, providerId: string): string | undefined;
  /** Keeps a result for the step that waits, and leads there. */
  handOver(ctx: Context, result: Result): Promise<void>;
  takeOver(ctx: Context, uid: string): Promise<Result | undefined>;
  /** What `withProblem` has put into this page's address, in words. */
  problem(ctx: Context): Promise<FormErrors | undefined>;
}

export function createProviderVisits(federation: Federation, https: boolean): ProviderVisits {
  const visit = (providerId: string, state: string) => {
    const place = { https, path: `/federation/${providerId}/callback` };
    return {
      name: `${cookieName("grantor_federation", place)}_${state.slice(0, LABEL)}`,
      attributes: { ...cookieAttributes(place), signed: false },
    };
  };
  const handover = (uid: string) => {
    const place = { https, path: `/interaction/${uid}/federated` };
    return { path: place.path, name: cookieName("grantor_federated", place), attributes: { ...cookieAttributes(place), signed: false } };
  };

  return {
    async begin(ctx, providerId, purpose, hints, page) {
      try {
        const { url, state, secret } = await federation.begin(providerId, purpose, { ...hints, uiLocales: languageOf(ctx) });
        const { name, attributes } = visit(providerId, state);
        ctx.cookies.set(name, secret, { ...attributes, maxAge: REQUEST_TTL * 1000 });
        seeOther(ctx, url);
      } catch (error) {
        if (!(error instanceof SignInProblem)) throw error;
        seeOther(ctx, withProblem(page, error.problem, providerId));
      }
    },
    end(ctx, providerId) {
      const { state } = ctx.query;
      if (typeof state !== "string" || !isProviderId(providerId)) return undefined;
      const { name, attributes } = visit(providerId, state);
      if (!/^[\w-]+$/.test(name)) return undefined;
      const secret = ctx.cookies.get(name, { signed: false });
      if (secret !== undefined) ctx.cookies.set(name, null, attributes);
      return secret;
    },
    async handOver(ctx, result) {
      const { path, name, attributes } = handover(result.interaction);
      ctx.cookies.set(name, await federation.keep(result), { ...attributes, maxAge: RESULT_TTL * 1000 });
      seeOther(ctx, path);
    },
    async takeOver(ctx, uid) {
      const { name, attributes } = handover(uid);
      const secret = ctx.cookies.get(name, { signed: false });
      if (secret === undefined) return undefined;
      ctx.cookies.set(name, null, attributes);
      const result = await federation.take(secret);
      return result?.interaction === uid ? result : undefined;
    },
    async problem({ query }) {
      const problem = PROBLEMS.find((each) => each === query.problem);
      if (problem === undefined) return undefined;
      const provider = (await federation.offered()).find(({ id }) => id === query.provider);
      // Of one that is gone, the person may have read the id in the address.
      return { form: problemWords(provider === undefined ? "gone" : problem, provider?.name ?? "") };
    },
  };
}

/** A page of ours, which then says what the problem was. */
export const withProblem = (page: string, problem: Problem, providerId: string): string =>
  `${page}?${new URLSearchParams({ problem, provider: providerId })}`;
