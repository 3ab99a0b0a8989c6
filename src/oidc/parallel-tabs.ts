/**
 * Tabs of one browser that sign in at once end in one session, under one id, whichever answer reaches the browser last. The engine gives every
 * browser that brings no session one of its own, and every step another id: two tabs would each have a session, and the one whose cookie
 * stays would not know the applications of the other, which would never hear of the sign-out (OpenID Connect Back-Channel Logout §2.5).
 *
 * Here, when a sign-in goes on: a person who has just proved who they are joins the session that they have in this browser, although its
 * cookie has not come back yet; and a session keeps the id that it was given since the step at hand began. It has another id after every
 * sign-in all the same: the first of the tabs has seen to that.
 */
import type { Context, Middleware } from "koa";
import type { Provider } from "oidc-provider";

export interface ParallelTabsOptions {
  provider(): Provider;
  /** Of the authorization endpoint and the device page: a step goes on one segment below. */
  paths: readonly string[];
  /** Signs as the engine's cookies are signed. */
  sign(data: string): string;
  /** Random values that name the browser, the oldest first. */
  marksOf(ctx: Context): readonly string[];
  /** The live id of the session that a person who has just signed in has in this browser already. */
  findSession(marks: readonly string[], accountId: string): Promise<string | undefined>;
  /** The session keeps its id in the request at hand. */
  keepSessionId(): void;
  /** Told of somebody who signs in with the request at hand. */
  onLogin(login: Login): void;
}

/** What a sign-in has given the engine. */
interface Login {
  readonly accountId: string;
  /** For whoever is asked whether it still counts. */
  readonly shown?: object;
  readonly amr?: readonly string[];
}

export function parallelTabs(options: ParallelTabsOptions): Middleware {
  return async (ctx, next) => {
    const step = await stepOf(ctx, options);
    if (step !== undefined) await join(ctx, step, options);
    return next();
  };
}

interface Step {
  readonly session?: { readonly cookie?: string };
  readonly result?: Submission;
  /** Of the step before; its result is repeated in that of this one. */
  readonly lastSubmission?: Submission;
}

interface Submission {
  readonly login?: Login;
}

/** Who has signed in with this very step. */
function signedIn({ result, lastSubmission }: Step): Login | undefined {
  const isRepeated = JSON.stringify(result?.login) === JSON.stringify(lastSubmission?.login);
  return isRepeated ? undefined : result?.login;
}

/** The step that goes on with this request, when it is this browser's: nobody else has its cookie. */
async function stepOf(ctx: Context, { paths, provider }: ParallelTabsOptions): Promise<Step | undefined> {
  const path = paths.find((each) => ctx.path.startsWith(`${each}/`));
  const uid = path === undefined ? "" : ctx.path.slice(path.length + 1);
  if (uid === "" || ctx.cookies.get(provider().cookieName("resume"), { signed: true }) !== uid) return undefined;
  return (await provider().Interaction.find(uid)) as unknown as Step | undefined;
}

async function join(ctx: Context, step: Step, options: ParallelTabsOptions): Promise<void> {
  const name = options.provider().cookieName("session");
  const cookie = ctx.cookies.get(name, { signed: true });
  const current = cookie === undefined ? undefined : await options.provider().Session.find(cookie);
  const login = signedIn(step);
  if (login === undefined) {
    if (current?.accountId !== undefined) options.keepSessionId(); // nobody has signed in with this step
    return;
  }
  options.onLogin(login);
  const { accountId } = login;
  const known = await options.findSession(options.marksOf(ctx), accountId);
  const joined = current?.accountId === undefined ? known : undefined;
  if (joined !== undefined) ctx.req.headers.cookie = withCookie(ctx.get("Cookie"), name, joined, options.sign);
  const id = joined ?? (current?.accountId === accountId ? cookie : undefined);
  if (id !== undefined && step.session?.cookie !== id) options.keepSessionId();
}

function withCookie(header: string, name: string, value: string, sign: ParallelTabsOptions["sign"]): string {
  const others = header.split(";").map((pair) => pair.trim());
  const own = [`${name}=`, `${name}.sig=`];
  const kept = others.filter((pair) => pair !== "" && !own.some((start) => pair.startsWith(start)));
  return [...kept, `${name}=${value}`, `${name}.sig=${sign(`${name}=${value}`)}`].join("; ");
}
