import type { Context } from "koa";
import { cookieAttributes, cookieName } from "../http/cookies.ts";
import { isToken, makeToken } from "./one-time-tokens.ts";

/** As long as the longest-lived link in a mail. Milliseconds. */
const LIFETIME_MS = 86_400_000;

/** The cookie that tells the browser in which a link was asked for from any other that opens it. */
export interface AskingBrowser {
  /** What this browser got when it asked. */
  of(ctx: Context): string | undefined;
  /** One for everything that a browser asks for, so that each link of it fits. Write it with the answer. */
  secret(ctx: Context): string;
  remember(ctx: Context, secret: string): void;
  forget(ctx: Context): void;
}

export function createAskingBrowser(https: boolean): AskingBrowser {
  const name = cookieName("grantor_asked", { https });
  const attributes = { ...cookieAttributes({ https }), signed: false };
  const of = (ctx: Context) => {
    const secret = ctx.cookies.get(name, { signed: false });
    return secret !== undefined && isToken(secret) ? secret : undefined;
  };
  return {
    of,
    secret: (ctx) => of(ctx) ?? makeToken().token,
    remember: (ctx, secret) => void ctx.cookies.set(name, secret, { ...attributes, maxAge: LIFETIME_MS }),
    forget: (ctx) => void ctx.cookies.set(name, null, attributes),
  };
}
