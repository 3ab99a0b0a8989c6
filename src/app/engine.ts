/** The engine, joined with the stores, the keys and the pages that it asks for. It is built anew whenever the signing keys change. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Context, Middleware } from "koa";
import type { KoaContextWithOIDC, Provider } from "oidc-provider";
import { type Account, isUsable } from "../accounts/account.ts";
import { claimsFor } from "../accounts/account-claims.ts";
import { accountErrors } from "../accounts/account-errors-middleware.ts";
import { ADMIN_ROLE } from "../accounts/roles.ts";
import { type ClientExtras, clientExtras, createClientAdapters, isClientModel } from "../clients/engine-client-adapter.ts";
import { registrationConfig } from "../clients/registration.ts";
import { createRegistrationRequests } from "../clients/registration-requests.ts";
import { resourceServerInfo } from "../clients/resource-server-info.ts";
import { isManagementScope } from "../clients/scopes.ts";
import { createSoftwareStatements } from "../clients/software-statements.ts";
import type { Config } from "../config.ts";
import { createFetchFrom, createGuardedFetch } from "../http/fetch-guard.ts";
import { pinIssuer } from "../http/pin-issuer.ts";
import { enginePages } from "../interactions/engine-pages.ts";
import { ownClient } from "../interactions/own-pages.ts";
import { strangerThrottle } from "../interactions/stranger-throttle.ts";
import { userCodeThrottle } from "../interactions/user-code-throttle.ts";
import { earlierKeys, publicJwks, signingJwks } from "../keys/jwks.ts";
import { createTokenVerifier } from "../keys/key-set.ts";
import type { AuditEvent } from "../observability/audit-log.ts";
import type { Logger } from "../observability/logger.ts";
import { tellApplications } from "../oidc/back-channel-logout.ts";
import { countAnswers } from "../oidc/counted-answers.ts";
import { provedKey } from "../oidc/dpop.ts";
import { exactRoutes } from "../oidc/exact-routes.ts";
import { reportFailures } from "../oidc/failed-requests.ts";
import { publishedDocuments } from "../oidc/metadata.ts";
import { parallelTabs } from "../oidc/parallel-tabs.ts";
import { ENGINE_ROUTES, STATUS_LISTS_PATH } from "../oidc/paths.ts";
import { lostRace } from "../oidc/policies.ts";
import type { AccessTokenRecord, EngineDependencies, TokenBearer } from "../oidc/ports.ts";
import { postToGet } from "../oidc/post-to-get.ts";
import { postedForms } from "../oidc/posted-forms.ts";
import { createProvider } from "../oidc/provider.ts";
import { reportRegistrations } from "../oidc/registration-events.ts";
import { registrationRequests } from "../oidc/registration-requests.ts";
import { reportRevocations, reportSecurityEvents } from "../oidc/security-events.ts";
import { statusListRoutes } from "../oidc/status-lists.ts";
import { reportExchanges } from "../oidc/token-exchange.ts";
import type { Services } from "../open-services.ts";
import { deriveKeys, type Secrets } from "../secrets.ts";
import { BrowserSessions } from "../storage/browser-sessions.ts";
import type { EndedSession } from "../storage/endings.ts";
import { EngineAdapter, type EngineAdapterOptions } from "../storage/engine-adapter.ts";
import type { EngineModel } from "../storage/engine-models.ts";
import { currentScope } from "../storage/request-scope.ts";
import { commitRequests } from "../tokens/commit-requests.ts";
import { presentAccessTokens } from "../tokens/present-access-tokens.ts";
import { StatusLists } from "../tokens/status-lists.ts";
import { StatusPlaces } from "../tokens/status-places.ts";
import type { Host } from "./host.ts";
import { reportRefused } from "./refused-requests.ts";
import { createTrialRequests, type TrialRequests } from "./trials.ts";

export interface Engine {
  /** The engine of this moment. */
  provider(): Provider;
  handle(request: IncomingMessage, response: ServerResponse): void;
  /** Writes what a request has changed of sessions and grants; for our own pages as for the engine's. */
  readonly commit: Middleware;
  /** The scopes that a client may have at a resource, for somebody. */
  scopesAt(audience: string, client: ClientExtras, bearer: TokenBearer): Promise<ReturnType<typeof resourceServerInfo>>;
  /** The record of a complete access token that is alive. */
  openAccessToken(jwt: string): Promise<Readonly<Record<string, unknown>> | undefined>;
  /** For "Try it". */
  readonly trialRequests: TrialRequests;
  /** Back-channel logout, to every application of a session that has ended. */
  tellOfEnd(ended: EndedSession): Promise<void>;
}

export function createEngine(config: Config, secrets: Secrets, services: Services, host: Host, log: Logger): Engine {
  const { issuer, https } = config;
  const { people, clients, resources, keys, records, recordSealer, endings, audit } = services;
  const { accounts, consents } = people;
  const { cookieKeys, forms, render, facts } = host;

  // --- records
  const adapterOptions: EngineAdapterOptions = {
    store: records,
    sealer: recordSealer,
    userCodeKeys: deriveKeys(secrets, "grantor/user-codes") as [Buffer, ...Buffer[]],
    verifyAccessToken: async (jwt) => services.tokenVerifier.verify(jwt, { issuer, typ: "at+jwt" }),
    issuer,
    refreshGrace: config.refreshGrace,
    grantTtl: services.grantTtl,
    lostRace,
  };
  const accessTokens = new EngineAdapter("AccessToken", adapterOptions);
  /** Of tokens that only this server can have signed: a resource's secret is shared, and could name any place in a list. */
  const ownSignatures = createTokenVerifier(() => keys.snapshot(), Date.now);
  const uriOf = (list: string) => `${issuer}${STATUS_LISTS_PATH}/${list}`;
  const statusPlaces = new StatusPlaces({
    registry: services.statusLists,
    bits: records,
    now: Date.now,
    onLost: (list) =>
      log.warn({ list }, "Redis has lost a status list: its tokens cannot be verified any more; new ones go to another list"),
  });
  const statusLists = new StatusLists({
    registry: services.statusLists,
    bits: records,
    keys: () => keys.snapshot(),
    uriOf,
    ttl: config.statusListTtl,
    outage: config.statusListOutage,
    now: Date.now,
  });
  const commit = commitRequests({
    store: records,
    endings,
    sealer: recordSealer,
    paths: { token: ENGINE_ROUTES.token, authorization: ENGINE_ROUTES.authorization },
    tellApplications: (ended) => tellOfEnd(ended),
    refreshGrace: config.refreshGrace,
    isCurrent: ({ accountId, ...signIn }) => services.secondFactors.factors.stillSuffices(accountId, signIn),
    onSessionUse: (ctx, session) =>
      services.accountSessions.seen(session, { userAgent: ctx.get("User-Agent"), address: ctx.state.client.address }),
    onSignOut: (uid) => void services.accountSessions.forget(uid),
    onTokens: (accountId, clientId) => consents.used(accountId, clientId),
    onListLost: (list) => statusPlaces.forsake(list),
    provedKey,
    onReplay: (ctx, what) =>
      audit.record({ event: "grant.replayed", outcome: "failure", ...replayed(ctx), detail: { what }, ...facts(ctx) }),
  });

  // --- the engine
  const trialRequests = createTrialRequests(issuer, secrets);
  const clientAdapters = createClientAdapters(clients, services.registrationTokens, trialRequests.trials);
  const adapters = new Map<string, ReturnType<EngineDependencies["adapterFor"]>>();
  /** This server itself is the resource of most tokens, and none that anybody registered. */
  const resourceOf = (audience: string) => (audience === issuer ? undefined : resources.find(audience));
  const scopesAt = async (audience: string, client: ClientExtras, { accountId, clientAlone }: TokenBearer) => {
    const resource = await resourceOf(audience);
    return resourceServerInfo({ audience, resource, hmacKey: resource && resources.hmacKey(resource) }, client, issuer, {
      permits: accountId === undefined ? undefined : permissionsOf(await accounts.find(accountId)),
      clientAlone,
    });
  };
  const pages = enginePages({
    render,
    async personOf(ctx) {
      const accountId = (ctx.oidc as { session?: { accountId?: string } } | undefined)?.session?.accountId;
      const account = accountId === undefined ? undefined : await accounts.find(accountId);
      return account && { email: account.email, name: account.name };
    },
    isSuspended: async (clientId) => (await clients.find(clientId))?.suspendedAt !== undefined,
    onError: (ctx, code, cause) => ctx.state.log[ctx.status >= 500 ? "error" : "info"]({ err: cause, code }, "error page"),
  });
  const dependencies: Omit<EngineDependencies, "jwks" | "earlierKeys"> = {
    issuer,
    https,
    adapterFor(model) {
      const known = adapters.get(model);
      if (known !== undefined) return known;
      const made = isClientModel(model)
        ? clientAdapters.adapter(model)
        : (new EngineAdapter(model as EngineModel, adapterOptions) as unknown as ReturnType<EngineDependencies["adapterFor"]>);
      adapters.set(model, made);
      return made;
    },
    cookieKeys,
    dpopNonceKey: deriveKeys(secrets, "grantor/dpop-nonces")[0] as Buffer,
    lifetimes: {
      accessToken: config.accessTokenTtl,
      refreshToken: config.refreshTokenTtl,
      refreshTokenMaxAge: config.refreshTokenMaxAge,
      session: config.sessionTtl,
      browserSession: config.browserSessionTtl,
      sessionMaxAge: config.sessionMaxAge,
      grant: services.grantTtl,
    },
    async findPerson(id) {
      const account = await accounts.find(id);
      if (account === undefined || !isUsable(account) || !account.emailVerified) return undefined;
      const { roles, requiresSecondFactor } = account;
      return { id, roles, requiresSecondFactor, claims: (scopes) => claimsFor(account, scopes) };
    },
    findConsent: (accountId, clientId) => consents.find(accountId, clientId),
    keepsSessionId: () => currentScope()?.keepsSessionId ?? false,
    sessionExpiry: (uid) => accessTokens.sessionExpiry(uid),
    findResourceServer: (audience, client, bearer) => scopesAt(audience, clientExtras(client), bearer),
    mayIntrospect: async (audience, clientId) => (await resourceOf(audience))?.introspectors.includes(clientId) ?? false,
    includesRoles: async (audience) => (await resourceOf(audience))?.includeRoles ?? false,
    recordAccessToken: (record) => accessTokens.record(record),
    async takeStatusPlace(lifetime) {
      const place = await statusPlaces.take(lifetime);
      return { ...place, uri: uriOf(place.list) };
    },
    openAccessToken: async (token) => (await accessTokens.openAccessToken(token)) as AccessTokenRecord | undefined,
    pages,
    registration: registrationConfig(config, clientAdapters, () => resources.knownScopes()),
    fetch: createGuardedFetch(config.fetchAllow),
    builtInClients: [ownClient(issuer)],
  };

  const tellOfEnd = (ended: EndedSession) =>
    tellApplications(engine.provider, ended, (err, clientId) => log.warn({ err, clientId }, "back-channel logout failed"));
  const browserSessions = new BrowserSessions(records, recordSealer);
  const tabs = parallelTabs({
    provider: () => engine.provider,
    paths: [ENGINE_ROUTES.authorization, ENGINE_ROUTES.code_verification],
    sign: (data) => cookieKeys.sign(data),
    marksOf: (ctx) => forms.marks(ctx),
    findSession: (marks, accountId) => browserSessions.find(marks, accountId),
    keepSessionId() {
      const scope = currentScope();
      if (scope !== undefined) scope.keepsSessionId = true;
    },
    onLogin(login) {
      const scope = currentScope();
      if (scope !== undefined) scope.login = login;
    },
  });
  const lists = statusListRoutes(statusLists, Date.now);
  const { issuers, required } = services.statementPolicy;
  const registrationErrors = accountErrors();
  const registrations = registrationRequests({
    admit: (ctx) =>
      registrationErrors(ctx, async () => {
        if (config.registration === "open") await people.throttle.require("registration", { address: ctx.state.client.address });
      }),
    ...createRegistrationRequests({
      clients,
      tokens: services.registrationTokens,
      tokenRequired: config.registration === "token",
      statements: createSoftwareStatements({
        issuers,
        audiences: [issuer, `${issuer}${ENGINE_ROUTES.registration}`],
        fetchFrom: createFetchFrom(config.fetchAllow),
      }),
      statementRequired: required,
    }),
  });
  const counts = countAnswers(services.metrics);
  let engine = startEngine();
  keys.onChange(() => {
    engine = startEngine(); // requests under way finish on the one that they began with
  });

  function startEngine(): { provider: Provider; handle: Engine["handle"] } {
    const provider = createProvider({ ...dependencies, jwks: signingJwks(keys.snapshot()), earlierKeys: earlierKeys(keys.snapshot()) });
    clientAdapters.extend(provider);
    pinIssuer(provider, issuer);
    const documents = publishedDocuments({ maxAge: config.jwksMaxAge, jwks: () => publicJwks(keys.snapshot(), config.jwksMaxAge) });
    const present = presentAccessTokens({
      paths: { introspection: ENGINE_ROUTES.introspection, revocation: ENGINE_ROUTES.revocation },
      openAccessToken: (jwt) => accessTokens.openAccessToken(jwt),
      endForgotten: async (jwt, clientId) => {
        const { jti, client_id, status } = ownSignatures.verify(jwt, { issuer, typ: "at+jwt" }) ?? {};
        const { idx, uri } = (status as { status_list?: { idx: number; uri: string } } | undefined)?.status_list ?? {};
        if (client_id !== clientId || idx === undefined || uri === undefined) return;
        await accessTokens.endForgotten(jti as string, { list: uri.slice(uriOf("").length), idx });
      },
    });
    const userCodes = userCodeThrottle({ path: ENGINE_ROUTES.code_verification, throttle: people.throttle });
    const strangers = strangerThrottle({
      browsers: [ENGINE_ROUTES.authorization, ENGINE_ROUTES.code_verification, ENGINE_ROUTES.end_session],
      applications: [ENGINE_ROUTES.pushed_authorization_request, ENGINE_ROUTES.device_authorization],
      leavesRecord: () => currentScope()?.session === undefined && currentScope()?.leavesRecord === true,
      throttle: people.throttle,
    });
    const record = (ctx: Context, event: AuditEvent) => audit.record({ ...event, ...facts(ctx) });
    const tally = (ctx: Context, event: AuditEvent) => audit.tally({ ...event, ...facts(ctx) });
    for (const middleware of [
      ...host.middleware,
      counts,
      lists,
      exactRoutes,
      documents,
      postToGet,
      reportRefused(tally),
      userCodes,
      registrations,
      reportExchanges(record),
      reportRevocations(record),
      commit,
      strangers,
      tabs,
      present,
      postedForms(pages),
    ])
      provider.use(middleware as Parameters<Provider["use"]>[0]);
    reportFailures(provider, (failure) => services.clientFailures.record(failure));
    provider.on("grant.success", ({ oidc }) => services.clientUse.used(oidc.client?.clientId ?? ""));
    reportRegistrations(provider, record);
    reportSecurityEvents(provider, { record, tally });
    provider.on("backchannel.error", (ctx, err, { clientId }) => ctx.state.log.warn({ err, clientId }, "back-channel logout failed"));
    provider.on("authorization.error", (_ctx, { error }) => services.metrics.refused("authorization", error));
    provider.on("server_error", (ctx, err) => ctx.state.log.error({ err }, "unexpected error"));
    return { provider, handle: provider.callback() };
  }

  return {
    provider: () => engine.provider,
    handle: (request, response) => engine.handle(request, response),
    commit,
    scopesAt,
    trialRequests,
    openAccessToken: (jwt) => accessTokens.openAccessToken(jwt),
    tellOfEnd,
  };
}

/** Whose grant it was, and what was used twice. */
function replayed(ctx: Context): Pick<AuditEvent, "clientId" | "accountId"> {
  const { client, entities = {} } = (ctx.oidc ?? {}) as Partial<KoaContextWithOIDC["oidc"]>;
  const { RefreshToken, AuthorizationCode, DeviceCode } = entities as Record<string, { accountId?: string } | undefined>;
  return { clientId: client?.clientId, accountId: (RefreshToken ?? AuthorizationCode ?? DeviceCode)?.accountId };
}

/** Which scopes a person may use where scopes go by roles: those of their roles, and all of the management API with the role `admin`. */
const permissionsOf = (account: Account | undefined) => (scope: string) =>
  account !== undefined && (account.permissions.includes(scope) || (isManagementScope(scope) && account.roles.includes(ADMIN_ROLE)));
