/**
 * A new secret on its way from the request that made it to the page that shows it, once: in the browser of whoever made it, sealed. The server
 * keeps a hash alone, the address says nothing, a reload shows nothing, and an answer that was lost on the way can be asked for again.
 */
import type { Context } from "koa";
import { cookieAttributes, cookieName } from "../http/cookies.ts";

/** Milliseconds between the making and the showing: a redirect. */
const LIFE = 300_000;

export interface ShownOnce {
  /** Before the redirect to a page below `/apps/<client_id>`. */
  keep(ctx: Context, accountId: string, clientId: string, secret: string): void;
  /** @returns undefined when there is none, or it was taken, or another person made it */
  take(ctx: Context, accountId: string, clientId: string): string | undefined;
}

export interface ShownOnceOptions {
  https: boolean;
  seal(plaintext: string, context: string): string;
  open(sealed: string, context: string): string;
}

/** @param now milliseconds since the epoch */
export function createShownOnce({ https, seal, open }: ShownOnceOptions, now: () => number = Date.now): ShownOnce {
  const cookieFor = (clientId: string) => {
    const place = { https, path: `/apps/${clientId}` };
    return { name: cookieName("grantor_new_secret", place), attributes: { ...cookieAttributes(place), signed: false } };
  };
  const contextOf = (accountId: string, clientId: string): string => `new secret ${accountId} ${clientId}`;

  return {
    keep(ctx, accountId, clientId, secret) {
      const { name, attributes } = cookieFor(clientId);
      const value = seal(JSON.stringify({ secret, until: now() + LIFE }), contextOf(accountId, clientId));
      ctx.cookies.set(name, value, { ...attributes, maxAge: LIFE });
    },

    take(ctx, accountId, clientId) {
      const { name, attributes } = cookieFor(clientId);
      const value = ctx.cookies.get(name, { signed: false });
      if (value === undefined) return undefined;
      ctx.cookies.set(name, null, attributes);
      try {
        const { secret, until } = JSON.parse(open(value, contextOf(accountId, clientId))) as { secret: string; until: number };
        return until > now() ? secret : undefined;
      } catch {
        return undefined; // not one of ours
      }
    },
  };
}
