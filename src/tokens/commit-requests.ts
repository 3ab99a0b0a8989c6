/**
 * Every request to the engine is one unit of work: what it wrote is committed here, in one round trip, before the answer is sent.
 * This is also where single use is decided, whatever the timing, for codes, refresh tokens and device codes.
 */
import type { Context, Middleware } from "koa";
import { TOKEN_EXCHANGE_GRANT } from "../clients/token-exchange-policy.ts";
import { type EndedSession, type Endings, forgetCopies } from "../storage/endings.ts";
import { clientsOf, lastingGrants } from "../storage/engine-payload.ts";
import { keyOf } from "../storage/record-body.ts";
import { type Lost, type RecordKey, type RecordStore, StoreUnavailableError, type Write } from "../storage/record-store.ts";
import { type Payload, RequestScope, runInScope } from "../storage/request-scope.ts";
import type { Sealer } from "../storage/seal.ts";
import { openAnswer, type RefreshRequest, sealAnswer } from "./refresh-answers.ts";

type SingleUse = "authorization code" | "refresh token" | "device code";

export interface CommitOptions {
  store: RecordStore;
  endings: Endings;
  sealer: Sealer;
  paths: { token: string; authorization: string };
  /** Seconds; 0 keeps no answers. */
  refreshGrace: number;
  /** Thumbprint of the key that a request has proved, if any. */
  provedKey(ctx: Context): Promise<string | undefined>;
  /** Tells applications that their person has signed out. */
  tellApplications(ended: EndedSession): Promise<void>;
  /** Told when something single-use was used twice and its grant was ended. */
  onReplay(ctx: Context, what: SingleUse): void;
  /** Whether what somebody has signed in with still counts; never from a cache. */
  isCurrent(login: NonNullable<RequestScope["login"]>): Promise<boolean>;
  /** Told of every request of somebody who is signed in; it must not wait for anything. */
  onSessionUse(ctx: Context, session: NonNullable<RequestScope["session"]>): void;
  /** Told that somebody has signed out. */
  onSignOut(uid: string): void;
  /** Told of tokens that a client has got for a person; it must not wait for anything. */
  onTokens(accountId: string, clientId: string): void;
  /** Told of a status list that the store no longer has. */
  onListLost(list: string): Promise<void>;
}

/** What the engine knows of a request: the part that this file reads. */
interface EngineContext {
  params?: Record<string, unknown>;
  client?: { clientId: string };
  entities?: { AccessToken?: { accountId?: string } };
  provider?: { Client: { find(clientId: string): Promise<unknown> } };
}

export function commitRequests(options: CommitOptions): Middleware {
  const { store, endings, sealer, paths, refreshGrace, provedKey } = options;

  return async (ctx, next) => {
    const isToken = ctx.path === paths.token;
    const isAuthorization = ctx.path === paths.authorization && ctx.method === "GET";
    const scope = new RequestScope({ defersChecks: isToken || isAuthorization });
    await runInScope(scope, next);
    if (isToken) await commitTokenRequest(ctx, scope);
    else if (isAuthorization) await commitAuthorization(ctx, scope);
    else await commitPage(ctx, scope);
    await refuseOvertaken(ctx, scope);
    if (scope.session !== undefined && ctx.status < 400) options.onSessionUse(ctx, scope.session);
    if (ctx.status === 503) ctx.set("Retry-After", "2");
  };

  async function commitTokenRequest(ctx: Context, scope: RequestScope): Promise<void> {
    if (scope.repeats && scope.repeatable !== undefined) return answerRepeated(ctx, scope.repeatable);
    const writes = scope.take();
    if (ctx.status >= 400) return commitRefusal(ctx, writes);
    const { consumed } = scope;
    if (consumed?.key.startsWith("refresh-token:") && refreshGrace > 0) {
      const answer = { sealed: sealAnswer(await refreshRequest(ctx), ctx.body), expiresAt: Date.now() + refreshGrace * 1000 };
      const at = writes.findIndex((write) => write.op === "consume" && write.key === consumed.key);
      writes[at] = { op: "consume", key: consumed.key, answer };
    }
    const lost = await store.commit(findableAsIssued(writes, scope, ctx.body));
    if (lost !== undefined) await refuse(ctx, lost, consumed);
    else await refuseClientGone(ctx);
    const { client, entities } = (ctx.oidc ?? {}) as EngineContext;
    const accountId = entities?.AccessToken?.accountId;
    if (ctx.status === 200 && client !== undefined && accountId !== undefined) options.onTokens(accountId, client.clientId);
  }

  /** Whoever ends all that a client has cannot see what it is just getting: who gives it looks at the client once more. */
  async function refuseClientGone(ctx: Context): Promise<void> {
    const { client, provider } = (ctx.oidc ?? {}) as EngineContext;
    if (client === undefined || provider === undefined || (await provider.Client.find(client.clientId)) !== undefined) return;
    await endings.endClient(client.clientId);
    ctx.status = 401;
    ctx.body = { error: "invalid_client", error_description: "client authentication failed" };
  }

  /** Whoever ends all that a person has, after a change of what opens their account, cannot see the session that they are just getting. */
  async function refuseOvertaken(ctx: Context, scope: RequestScope): Promise<void> {
    const { login } = scope;
    if (login === undefined || scope.session === undefined || (await options.isCurrent(login))) return;
    await endings.endSession(scope.session.uid);
    scope.session = undefined;
    ctx.remove("Set-Cookie");
    seeOther(ctx, ctx.url); // where the step is over now
  }

  /** A request that failed uses nothing up: only what it ended stands. The engine ends a grant when it sees a code or token for the second time. */
  async function commitRefusal(ctx: Context, writes: readonly Write[]): Promise<void> {
    const endings = writes.filter(({ op }) => op === "remove");
    await store.commit(endings);
    if (!endings.some(({ key }) => key.startsWith("grant:"))) return;
    const grantType = (ctx.oidc as EngineContext).params?.grant_type;
    options.onReplay(
      ctx,
      grantType === "refresh_token" ? "refresh token" : grantType === "authorization_code" ? "authorization code" : "device code",
    );
  }

  /** Somebody else was first, or what stands behind the token was ended meanwhile. */
  async function refuse(ctx: Context, lost: Lost, consumed: { key: RecordKey; payload: Payload } | undefined): Promise<void> {
    if (lost.key.startsWith("status-list:")) {
      await options.onListLost(lost.key.slice("status-list:".length));
      throw new StoreUnavailableError(new Error("the store has lost a status list"));
    }
    if (lost.op !== "consume" || consumed === undefined) return backingGone(ctx);
    if (consumed.key.startsWith("refresh-token:")) return answerRepeated(ctx, consumed);
    // RFC 6749 §4.1.2: a code used twice takes along what it gave. A device may well poll twice at once: its loser is only refused.
    if (consumed.key.startsWith("authorization-code:")) return endReplayed(ctx, "authorization code", consumed.payload);
    invalidGrant(ctx);
  }

  async function answerRepeated(ctx: Context, { key, payload }: { key: RecordKey; payload: Payload }): Promise<void> {
    const grantId = payload.grantId as string;
    const backing: RecordKey[] = [keyOf("grant", grantId)];
    if (payload.expiresWithSession === true) backing.push(keyOf("session-uid", payload.sessionUid as string));
    const [sealed, alive] = await Promise.all([store.readAnswer(key), store.areAlive(backing)]);
    if (!alive) return invalidGrant(ctx);
    const answer = sealed === undefined ? undefined : openAnswer(await refreshRequest(ctx), sealed);
    if (answer === undefined) return endReplayed(ctx, "refresh token", payload);
    ctx.status = 200;
    ctx.body = answer;
  }

  async function endReplayed(ctx: Context, what: SingleUse, payload: Payload): Promise<void> {
    const grantId = payload.grantId as string | undefined;
    if (grantId !== undefined) await endings.endGrant(grantId);
    invalidGrant(ctx);
    options.onReplay(ctx, what);
  }

  /** A grant that the session remembered was ended elsewhere meanwhile: the same request is asked again and finds that out. */
  async function commitAuthorization(ctx: Context, scope: RequestScope): Promise<void> {
    const lost = await store.commit(scope.take());
    if (lost === undefined) return;
    ctx.remove("Set-Cookie"); // of what has not come to be
    const { sessionAsRead } = scope;
    // The session itself was changed meanwhile: what it says now is read with the same request.
    if (sessionAsRead !== undefined && lost.key !== sessionAsRead.key) await forgetCopies(store, sealer, sessionAsRead.key);
    seeOther(ctx, ctx.url);
  }

  /** A session or grant that was ended meanwhile does not come back: what this request itself ended stays ended, and the page is asked for again. */
  async function commitPage(ctx: Context, scope: RequestScope): Promise<void> {
    const left = leftBehind(scope);
    const bound = endings.removals(await endings.boundTo(...left));
    const writes = [...scope.take(), ...bound];
    const lost = await store.commit(writes);
    if (lost !== undefined) await store.commit(writes.filter((write) => write.op === "remove" && write.until !== undefined && !write.as));
    await endings.endBoundTo(...left);
    const hasEnded = isSignOut(writes);
    if (hasEnded && scope.sessionAsRead !== undefined) options.onSignOut(scope.sessionAsRead.uid);
    if (lost === undefined) return;
    if (hasEnded) return endAsItIsNow(scope);
    ctx.remove("Set-Cookie"); // of what has not come to be
    seeOther(ctx, ctx.method === "GET" ? ctx.url : ctx.path);
  }

  /** Signed out, by whichever request, while another tab signed in at a further application: that ends too, and the application hears of it. */
  async function endAsItIsNow({ sessionAsRead, seen }: RequestScope): Promise<void> {
    if (sessionAsRead === undefined) return;
    const ended = await endings.endSession(sessionAsRead.uid);
    const told = new Set(clientsOf(seen.get(sessionAsRead.key) ?? {}).map(({ clientId }) => clientId));
    if (ended) await options.tellApplications({ ...ended, clients: ended.clients.filter(({ clientId }) => !told.has(clientId)) });
  }

  async function refreshRequest(ctx: Context): Promise<RefreshRequest> {
    const { params = {}, client } = ctx.oidc as EngineContext;
    return {
      refreshToken: String(params.refresh_token),
      clientId: client?.clientId ?? "",
      scope: params.scope as string | undefined,
      resource: params.resource,
      senderKey: await provedKey(ctx),
    };
  }
}

/** Lets the string that was issued find its access token, where nothing else may. */
function findableAsIssued(writes: readonly Write[], { foundAsIssued }: RequestScope, body: unknown): readonly Write[] {
  if (foundAsIssued === undefined) return writes;
  const pointer = keyOf("issued-token", (body as { access_token: string }).access_token);
  return writes.map((write) => (write.op === "put" && write.key === foundAsIssued ? { ...write, pointer } : write));
}

/** Whether a request ends a session for good. */
const isSignOut = (writes: readonly Write[]): boolean =>
  writes.some((write) => write.op === "remove" && write.key.startsWith("session:") && write.until !== undefined);

/** What goes on of a session that ends with this request, or that an application leaves: its uid, and the grants that survive. */
function leftBehind(scope: RequestScope): [uid: string, grantIds: readonly string[]] {
  const { uid = "", lasting = [] } = scope.sessionAsRead ?? {};
  const pointer = keyOf("session-uid", uid);
  if (lasting.length === 0 || scope.removals(pointer).length === 0) return [uid, []];
  const kept = new Set(lastingGrants(scope.puttingUnder(pointer) ?? {}));
  return [uid, lasting.filter((grantId) => !kept.has(grantId))];
}

/** What a request stood on was ended meanwhile. RFC 8693 §2.2.2: of an exchanged token the answer is `invalid_request`. */
function backingGone(ctx: Context): void {
  invalidGrant(ctx);
  if ((ctx.oidc as EngineContext).params?.grant_type !== TOKEN_EXCHANGE_GRANT) return;
  ctx.body = { error: "invalid_request", error_description: "subject_token is no valid access token of this server" };
}

function seeOther(ctx: Context, location: string): void {
  ctx.redirect(location);
  ctx.status = 303;
}

function invalidGrant(ctx: Context): void {
  ctx.status = 400;
  ctx.body = { error: "invalid_grant", error_description: "grant request is invalid" };
}
