/**
 * A new secret on its way from the request that made it to the page that shows it, once: in the browser of whoever made it, sealed. The server
 * keeps a hash alone, the address says nothing, a reload shows nothing, and an answer that was lost on the way can be asked for again.
 * That it has been shown is remembered for a while, so that a request which is sent twice knows whether it may hand the secret over again.
 */
import { hash } from "node:crypto";
import type { Context } from "koa";
import { cookieAttributes, cookieName } from "../http/cookies.ts";
import type { Timed, TimedSeal } from "./timed-seal.ts";

/** Milliseconds between the making and the showing: a redirect. */
const LIFE = 300_000;
/** Milliseconds for which a form can hand over the secret that was made with it. */
export const FORM_LIFE = 3_600_000;
/** Milliseconds for which it is known that a secret has been shown. Longer than anything that could hand it over again. */
const MEMORY = 2 * FORM_LIFE;

export interface ShownOnce {
  /** Before the redirect to a page below `/apps/<client_id>`. */
  keep(ctx: Context, accountId: string, clientId: string, secret: string): void;
  /** As `keep`, for a request that comes again; a secret that has been shown is not shown another time. */
  keepUnlessShown(ctx: Context, accountId: string, clientId: string, secret: string): Promise<void>;
  /** @returns undefined when there is none, or it was taken, or another person made it */
  take(ctx: Context, accountId: string, clientId: string): Promise<string | undefined>;
}

export interface ShownOnceOptions {
  https: boolean;
  sealed: TimedSeal;
  /** Secrets that have been shown, by their hash; `until` in milliseconds since the epoch. */
  shown: { note(what: string, until: number): Promise<unknown>; isNoted(what: string): Promise<boolean> };
}

interface Kept extends Timed {
  readonly secret: string;
}

/** @param now milliseconds since the epoch */
export function createShownOnce({ https, sealed, shown }: ShownOnceOptions, now: () => number = Date.now): ShownOnce {
  const cookieFor = (clientId: string) => {
    const place = { https, path: `/apps/${encodeURIComponent(clientId)}` };
    return { name: cookieName("grantor_new_secret", place), attributes: { ...cookieAttributes(place), signed: false } };
  };
  const contextOf = (accountId: string, clientId: string): string => `new secret ${accountId} ${clientId}`;

  const noteOf = (clientId: string, secret: string): string => `${clientId} ${hash("sha256", secret, "base64url")}`;

  function keep(ctx: Context, accountId: string, clientId: string, secret: string): void {
    const { name, attributes } = cookieFor(clientId);
    const value = sealed.seal({ secret, until: now() + LIFE } satisfies Kept, contextOf(accountId, clientId));
    ctx.cookies.set(name, value, { ...attributes, maxAge: LIFE });
  }

  return {
    keep,

    async keepUnlessShown(ctx, accountId, clientId, secret) {
      if (!(await shown.isNoted(noteOf(clientId, secret)))) keep(ctx, accountId, clientId, secret);
    },

    async take(ctx, accountId, clientId) {
      const { name, attributes } = cookieFor(clientId);
      const value = ctx.cookies.get(name, { signed: false });
      if (value === undefined) return undefined;
      const secret = sealed.open<Kept>(value, contextOf(accountId, clientId))?.secret;
      // A browser that still has the cookie has seen no page yet, however often it asked.
      if (secret !== undefined) await shown.note(noteOf(clientId, secret), now() + MEMORY);
      ctx.cookies.set(name, null, attributes);
      return secret;
    },
  };
}
