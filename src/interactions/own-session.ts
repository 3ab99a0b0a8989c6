/** The browser's session as our own pages see it: who is signed in, since when, and how. */
import type { Context } from "koa";
import type { Provider } from "oidc-provider";
import { type Account, isUsable } from "../accounts/account.ts";
import type { AccountStore } from "../accounts/account-store.ts";
import { reaches, requiredAcr } from "../factors/assurance.ts";

export interface OwnSession {
  readonly account: Account;
  /** Names the session on our side; no secret that opens it. */
  readonly uid: string;
  /** Seconds since the epoch. */
  readonly signedInAt: number;
  readonly acr: string | undefined;
  readonly amr: readonly string[];
}

/** @returns undefined when nobody is signed in, or their account may not be used */
export type ReadOwnSession = (ctx: Context) => Promise<OwnSession | undefined>;

export function ownSessionReader(provider: () => Provider, accounts: Pick<AccountStore, "find">): ReadOwnSession {
  return async (ctx) => {
    const session = (await provider().Session.get(ctx as never)) as unknown as EngineSession;
    if (session.accountId === undefined) return undefined;
    const account = await accounts.find(session.accountId);
    if (account === undefined || !isUsable(account)) return undefined;
    // What a role of theirs demands is asked of a session from before, too: it is none here until it was made surer.
    if (!reaches(session.acr, requiredAcr({ secondFactor: account.requiresSecondFactor }))) return undefined;
    return { account, uid: session.uid, signedInAt: session.loginTs ?? 0, acr: session.acr, amr: session.amr ?? [] };
  };
}

interface EngineSession {
  readonly uid: string;
  readonly accountId?: string;
  readonly loginTs?: number;
  readonly acr?: string;
  readonly amr?: string[];
}

/** A path of a page of ours, to come back to after a sign-in. Anything else leads to `/account`. */
export function ownPath(path: unknown): string {
  return typeof path === "string" && path.length <= 200 && /^\/(?:account|apps)(?:\/[\w-]+)*$/.test(path) ? path : "/account";
}
