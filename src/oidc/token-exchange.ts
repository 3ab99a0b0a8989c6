/**
 * Token exchange (RFC 8693): a client gets, for a person's access token that it holds, one for another resource. Nothing grows by it: not the
 * scope, not the life, and the new token hangs on the grant of the one that was exchanged. The policy, and why: docs/decisions/token-exchange.md.
 *
 * The engine has no such grant. A token is issued here as the engine issues a client's own (the client, its DPoP key and the resource are checked
 * there), and becomes one of the person where it is written and recorded (access-tokens.ts).
 */
import type { Context, Middleware } from "koa";
import { type Client, errors, type KoaContextWithOIDC, Provider } from "oidc-provider";
import { clientExtras } from "../clients/engine-client-adapter.ts";
import { managementAudience } from "../clients/resource.ts";
import { joinScope, splitScope } from "../clients/scopes.ts";
import { standsFor, TOKEN_EXCHANGE_GRANT, type TokenExchangePolicy } from "../clients/token-exchange-policy.ts";
import { reaches } from "../factors/assurance.ts";
import type { AuditEvent } from "../observability/audit-log.ts";
import { demandedOf } from "./demands.ts";
import { epochTime } from "./lifetimes.ts";
import type { AccessTokenRecord, EngineDependencies } from "./ports.ts";
import { ACCESS_TOKEN_TYPE, actorClaim, exchangeRequest, mayAct } from "./token-exchange-request.ts";

const PARAMETERS = [
  ...["resource", "audience", "scope", "requested_token_type"],
  ...["subject_token", "subject_token_type", "actor_token", "actor_token_type"],
];
/** RFC 8693 §2.1: there may be several of them, and more than we serve are an `invalid_target`. */
const REPEATABLE = ["resource", "audience"];

type Dependencies = Pick<EngineDependencies, "issuer" | "openAccessToken" | "mayIntrospect" | "findPerson" | "findResourceServer">;
type Handler = (ctx: KoaContextWithOIDC) => void | Promise<void>;
type GrantType<T extends object> = Parameters<typeof Provider.prototype.registerGrantType<T>>;

/** An exchange, as far as it came. */
interface Exchange {
  readonly client: Client;
  audience?: string;
  /** The record of the token that is exchanged. */
  subject?: AccessTokenRecord;
  /** Of the new token: how and when its person signed in, and who acts for them. Set when nothing stands against it any more. */
  claims?: Record<string, unknown>;
}

const exchanges = new WeakMap<object, Exchange>();

/** The exchange that a request is, when it may be made. */
export function grantedExchange(ctx: object): Required<Exchange> | undefined {
  const exchange = exchanges.get(ctx);
  return exchange?.claims === undefined ? undefined : (exchange as Required<Exchange>);
}

/** Tells of every exchange that a client tried, once its answer is settled. */
export function reportExchanges(report: (ctx: Context, event: AuditEvent) => void): Middleware {
  return async (ctx, next) => {
    await next();
    const exchange = exchanges.get(ctx);
    if (exchange === undefined) return;
    const { clientId } = exchange.client;
    const { error } = (ctx.body ?? {}) as { error?: string };
    const accountId = exchange.subject?.accountId as string | undefined;
    const detail = defined({ audience: exchange.audience?.slice(0, 500), issued_to: exchange.subject?.clientId, error });
    const outcome = error === undefined ? "success" : "failure";
    report(ctx, { event: "token.exchanged", outcome, actor: clientId, accountId, clientId, detail: detail as Record<string, string> });
  };
}

/** The engine (9.13) registers its own grants with its public method too, where the one that issues a client's own tokens comes past. */
export function exchangingProvider(dependencies: Dependencies): typeof Provider {
  return class ExchangingProvider extends Provider {
    override registerGrantType<T extends object>(...[name, handler, ...parameters]: GrantType<T>): void {
      super.registerGrantType<T>(name, handler, ...parameters);
      if (name !== "client_credentials") return;
      const exchange = exchangeHandler(dependencies, handler as unknown as Handler);
      super.registerGrantType(TOKEN_EXCHANGE_GRANT, exchange as GrantType<object>[1], PARAMETERS, REPEATABLE);
    }
  };
}

/** @param issueOwn issues an access token of the client itself, and answers with it */
function exchangeHandler(dependencies: Dependencies, issueOwn: Handler): Handler {
  return async (ctx) => {
    const { client, params = {} } = ctx.oidc as typeof ctx.oidc & { client: Client };
    const exchange: Exchange = { client };
    exchanges.set(ctx, exchange);
    const policy = clientExtras(client).token_exchange;
    if (policy === undefined || client.clientAuthMethod === "none")
      throw new errors.UnauthorizedClient("this client may not exchange tokens");

    const { subjectToken, actorToken, audience } = exchangeRequest(params);
    exchange.audience = audience;
    const subject = await subjectOf(dependencies, client, subjectToken);
    exchange.subject = subject;
    const actor = actorToken === undefined ? undefined : await actorOf(dependencies, client, actorToken);
    const { act: earlier, may_act: allowed, auth_time, acr, amr } = (subject.extra ?? {}) as Record<string, unknown>;
    if (!mayAct(allowed, { iss: dependencies.issuer, sub: client.clientId, client_id: client.clientId }))
      throw new errors.InvalidRequest("subject_token names somebody else who may act for its subject");
    const person = await dependencies.findPerson(subject.accountId as string);
    if (person === undefined) throw new errors.InvalidRequest("the person of the subject_token is not served any more");
    if (!reaches(acr as string | undefined, demandedOf({ client, person })))
      throw new errors.InvalidRequest("the person of the subject_token signed in with one factor, and two are demanded by now");

    const scope = await scopeAt(dependencies, client, policy, audience, subject, params.scope as string | undefined);
    const act = actor === undefined && policy.impersonation ? earlier : actorClaim(client.clientId, earlier);
    exchange.claims = defined({ auth_time, acr, amr, act });
    ctx.oidc.entity("Account", { accountId: person.id, roles: person.roles, claims: async () => person.claims([]) } as never);
    Object.assign(params, { resource: audience, scope });
    await issueOwn(ctx);

    const { ClientCredentials: token } = ctx.oidc.entities;
    for (const bound of [subject, actor])
      if (bound?.jkt !== undefined && bound.jkt !== token?.jkt)
        // RFC 9449 §5, RFC 8693 §2.2.2: whoever holds a bound token and not its key has no use of it, and an exchange would give them one.
        throw new errors.InvalidRequest("a token that is bound to a key is exchanged with a DPoP proof of that key");
    const { expires_in, ...body } = ctx.body as { expires_in: number };
    ctx.body = { ...body, issued_token_type: ACCESS_TOKEN_TYPE, expires_in: Math.min(expires_in, subject.exp - epochTime()) };
  };
}

/**
 * RFC 8693 §2.1, §5: a token is exchanged for whom it was issued to, or for whom it was sent to: the client of a resource server, which is bound to the
 * resource as its introspector.
 */
async function subjectOf({ openAccessToken, mayIntrospect }: Dependencies, client: Client, token: string): Promise<AccessTokenRecord> {
  const subject = await openAccessToken(token);
  if (subject === undefined || subject.exp <= epochTime())
    throw new errors.InvalidRequest("subject_token is no valid access token of this server");
  if (subject.clientId !== client.clientId && !(await mayIntrospect(String(subject.aud), client.clientId)))
    throw new errors.InvalidRequest("subject_token was neither issued to this client nor is it for a resource of this client's");
  if (subject.accountId === undefined || subject.grantId === undefined)
    throw new errors.InvalidRequest("subject_token is that of an application: there is no person to act for");
  return subject;
}

/** Who acts is the client itself, with a token or without. */
async function actorOf({ openAccessToken }: Dependencies, client: Client, token: string): Promise<AccessTokenRecord> {
  const actor = await openAccessToken(token);
  if (actor === undefined || actor.clientId !== client.clientId || actor.accountId !== undefined)
    throw new errors.InvalidRequest("actor_token is no valid access token of this client itself");
  return actor;
}

/** @returns the scope of the new token: no more than the subject token's scopes stand for, and what the client is registered for */
async function scopeAt(
  { issuer, findResourceServer }: Dependencies,
  client: Client,
  policy: TokenExchangePolicy,
  audience: string,
  subject: AccessTokenRecord,
  wanted: string | undefined,
): Promise<string | undefined> {
  // What this server itself serves is for whom the person signed in to.
  const isOurs = audience === issuer || audience === managementAudience(issuer);
  const accountId = subject.accountId as string;
  const server =
    policy.audiences.includes(audience) && !isOurs
      ? await findResourceServer(audience, client, { accountId, clientAlone: false })
      : undefined;
  if (server === undefined) throw new errors.InvalidTarget("this client may not exchange tokens for the requested resource");
  const held = standsFor(policy, splitScope(subject.scope as string | undefined));
  const there = splitScope(server.scope);
  const available = there.filter((scope) => held.has(scope));
  const asked = splitScope(wanted);
  const missing = asked.filter((scope) => !available.includes(scope));
  if (missing.length > 0) throw new errors.InvalidScope("the subject_token does not stand for the requested scope", missing.join(" "));
  if (available.length === 0 && there.length > 0)
    throw new errors.InvalidScope("the subject_token stands for no scope of the requested resource", joinScope(there));
  return joinScope(asked.length > 0 ? asked : available) || undefined;
}

/** What makes the client's token, about to be signed, the person's. RFC 8693 §5: it lives no longer than the one that it comes from. */
export const exchangedPayload = ({ subject }: Required<Exchange>, exp: number): { sub: unknown; exp: number } => ({
  sub: subject.accountId,
  exp: Math.min(exp, subject.exp),
});

/** What its record says: a token of the person, that ends with the grant and the session of the one that it comes from. */
export const exchangedRecord = ({ subject }: Required<Exchange>): Record<string, unknown> => ({
  kind: "AccessToken",
  gty: TOKEN_EXCHANGE_GRANT,
  ...defined({
    accountId: subject.accountId,
    grantId: subject.grantId,
    grantClientId: subject.grantClientId ?? subject.clientId,
    sessionUid: subject.sessionUid,
    expiresWithSession: subject.expiresWithSession,
    sid: subject.sid,
  }),
});

const defined = (members: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
