/**
 * The composition root: joins services, engine, pages and host into one request handler. The only place that knows every room.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import Koa, { type Context } from "koa";
import type { Provider } from "oidc-provider";
import { accountPages } from "./account-pages/account-pages.ts";
import { type Account, isUsable } from "./accounts/account.ts";
import { claimsFor } from "./accounts/account-claims.ts";
import { createAccountRoutes } from "./accounts/account-routes.ts";
import { createDeviceCookie } from "./accounts/device-cookie-middleware.ts";
import { createPasswordResetRoutes } from "./accounts/password-reset-routes.ts";
import { ADMIN_ROLE } from "./accounts/roles.ts";
import { type ClientExtras, clientExtras, createClientAdapters, isClientModel, toEngine } from "./clients/engine-client-adapter.ts";
import { inspectorPages } from "./clients/inspector-pages.ts";
import { registrationConfig } from "./clients/registration.ts";
import { resourceServerInfo } from "./clients/resource-server-info.ts";
import { isManagementScope, isOpenIdScope } from "./clients/scopes.ts";
import type { Config } from "./config.ts";
import { rpIdOf } from "./factors/second-factors.ts";
import { createFederation } from "./federation/federation.ts";
import { createLinking } from "./federation/linking.ts";
import { createUpstream } from "./federation/upstream.ts";
import { loadAssets } from "./http/assets.ts";
import { PreparedKeygrip } from "./http/cookies.ts";
import { handleErrors } from "./http/errors.ts";
import { createGuardedFetch } from "./http/fetch-guard.ts";
import { createForms } from "./http/forms.ts";
import { keepLanguage } from "./http/language.ts";
import { pinIssuer } from "./http/pin-issuer.ts";
import { createRenderer } from "./http/rendering.ts";
import { requestContext } from "./http/request-context.ts";
import { securityHeaders } from "./http/security-headers.ts";
import { clientOfInteraction } from "./interactions/client-view.ts";
import { createConsents } from "./interactions/consent.ts";
import { deletionRoutes } from "./interactions/deletion-routes.ts";
import { enginePages } from "./interactions/engine-pages.ts";
import { federationRoutes } from "./interactions/federation-routes.ts";
import { interactionRoutes } from "./interactions/interaction-routes.ts";
import { OWN_CLIENT_ID, ownClient, ownPages } from "./interactions/own-pages.ts";
import { ownSessionReader } from "./interactions/own-session.ts";
import { passkeyRoutes } from "./interactions/passkey-routes.ts";
import { createProviderVisits } from "./interactions/provider-visits.ts";
import { secondFactorRoutes } from "./interactions/second-factor-routes.ts";
import { createSignIns } from "./interactions/sign-in.ts";
import { createSteps } from "./interactions/steps.ts";
import { userCodeThrottle } from "./interactions/user-code-throttle.ts";
import { earlierKeys, publicJwks, signingJwks } from "./keys/jwks.ts";
import { createTokenVerifier } from "./keys/key-set.ts";
import { createAuditTrail } from "./observability/audit-trail.ts";
import { Health, healthRoutes } from "./observability/health.ts";
import type { Logger } from "./observability/logger.ts";
import { tellApplications } from "./oidc/back-channel-logout.ts";
import { provedKey } from "./oidc/dpop.ts";
import { exactRoutes } from "./oidc/exact-routes.ts";
import { publishedDocuments } from "./oidc/metadata.ts";
import { parallelTabs } from "./oidc/parallel-tabs.ts";
import { ENGINE_ROUTES, isEnginePath, STATUS_LISTS_PATH } from "./oidc/paths.ts";
import { lostRace } from "./oidc/policies.ts";
import type { AccessTokenRecord, EngineDependencies, TokenBearer } from "./oidc/ports.ts";
import { postToGet } from "./oidc/post-to-get.ts";
import { createProvider } from "./oidc/provider.ts";
import { registrationUpdates } from "./oidc/registration-updates.ts";
import { statusListRoutes } from "./oidc/status-lists.ts";
import { reportExchanges } from "./oidc/token-exchange.ts";
import type { Services } from "./open-services.ts";
import { deriveKeys, type Secrets } from "./secrets.ts";
import { BrowserSessions } from "./storage/browser-sessions.ts";
import type { EndedSession } from "./storage/endings.ts";
import { EngineAdapter, type EngineAdapterOptions, type EngineModel } from "./storage/engine-adapter.ts";
import { currentScope } from "./storage/request-scope.ts";
import { commitRequests } from "./tokens/commit-requests.ts";
import { presentAccessTokens } from "./tokens/present-access-tokens.ts";
import { StatusLists } from "./tokens/status-lists.ts";
import { StatusPlaces } from "./tokens/status-places.ts";

/** The providers at which people sign in are the operator's to name, wherever they are. */
const EVERYWHERE = ["0.0.0.0/0", "::/0"];
/** Milliseconds for one request to such a provider. */
const PROVIDER_TIMEOUT = 8_000;

const VIEWS = fileURLToPath(new URL("../views/", import.meta.url));

export interface App {
  handle(request: IncomingMessage, response: ServerResponse): void;
  readonly health: Health;
}

export async function createApp(config: Config, secrets: Secrets, services: Services, log: Logger): Promise<App> {
  const { issuer, https } = config;
  const { people, clients, resources, keys, records, recordSealer, endings, audit } = services;
  const { accounts, consents } = people;

  // --- the host
  const cookieKeys = new PreparedKeygrip(deriveKeys(secrets, "grantor/cookies"));
  const assets = loadAssets(
    [VIEWS, ...(config.viewsDir === undefined ? [] : [config.viewsDir])].map((views) => join(views, "assets")),
    config.brand.logo,
  );
  const forms = createForms({ issuer, https, keys: deriveKeys(secrets, "grantor/forms") });
  const render = createRenderer({ views: VIEWS, overrides: config.viewsDir, issuer, brand: config.brand, assets, csrfToken: forms.token });
  const health = new Health({
    onChange: (name, state, reason) => log[state === "up" ? "info" : "error"]({ err: reason }, `${name} is ${state}`),
  });
  health.register("database", () => services.database.pool.query("SELECT 1"));
  health.register("sessions", () => records.ping());

  const resting = await services.passkeys.countElsewhere();
  if (resting > 0) {
    const message = "passkeys were made for another host name than ISSUER has: they do not work until it has that one again";
    log.warn({ passkeys: resting, host: new URL(issuer).hostname }, message);
  }

  const host = [
    requestContext({ log, trustProxy: config.trustProxy }),
    securityHeaders({ https }),
    handleErrors(render),
    keepLanguage(issuer),
  ];
  const facts = (ctx: Context) => ({ address: ctx.state.client.address, requestId: ctx.state.requestId });

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
    onSessionUse: (ctx, session) =>
      services.accountSessions.seen(session, { userAgent: ctx.get("User-Agent"), address: ctx.state.client.address }),
    onSignOut: (uid) => void services.accountSessions.forget(uid),
    onTokens: (accountId, clientId) => consents.used(accountId, clientId),
    onListLost: (list) => statusPlaces.forsake(list),
    provedKey,
    onReplay: (ctx, what) =>
      audit.record({ event: "grant.replayed", outcome: "failure", clientId: engineClient(ctx)?.clientId, detail: { what }, ...facts(ctx) }),
  });

  // --- the engine
  const clientAdapters = createClientAdapters(clients, services.registrationTokens);
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
  });
  const lists = statusListRoutes(statusLists, Date.now);
  let engine = startEngine();
  keys.onChange(() => {
    engine = startEngine(); // requests under way finish on the one that they began with
  });

  function startEngine(): { provider: Provider; handle: App["handle"] } {
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
    const exchanges = reportExchanges((ctx, event) => audit.record({ ...event, ...facts(ctx) }));
    const updates = registrationUpdates({ withoutRepeatedSecret: clientAdapters.withoutRepeatedSecret });
    for (const middleware of [...host, lists, exactRoutes, documents, postToGet, userCodes, updates, exchanges, commit, tabs, present])
      provider.use(middleware as Parameters<Provider["use"]>[0]);
    provider.on("backchannel.error", (ctx, err, { clientId }) => ctx.state.log.warn({ err, clientId }, "back-channel logout failed"));
    provider.on("server_error", (ctx, err) => ctx.state.log.error({ err }, "unexpected error"));
    return { provider, handle: provider.callback() };
  }

  // --- people's pages
  const site = new Koa();
  site.keys = cookieKeys as unknown as string[];
  pinIssuer(site, issuer);
  const decisions = createConsents({
    issuer,
    isOpenIdScope,
    findResource: (audience) => resources.find(audience),
    async scopesFor(audience, { clientId, accountId }) {
      const client = clientId === OWN_CLIENT_ID ? undefined : await clients.find(clientId);
      if (client === undefined) return "openid";
      const view = await scopesAt(audience, toEngine(client) as unknown as ClientExtras, { accountId, clientAlone: false });
      return view?.scope ?? "";
    },
    remember: (accountId, clientId, scopes) =>
      clientId === OWN_CLIENT_ID ? Promise.resolve() : consents.remember(accountId, clientId, scopes),
  });
  const deviceCookie = createDeviceCookie(https);
  const { secondFactors } = services;
  const onSignIn = (ctx: Context, { accountId, clientId, outcome, ...detail }: SignInAttempt) =>
    audit.record({
      event: "sign_in",
      outcome: outcome === "success" ? "success" : "failure",
      actor: accountId,
      accountId,
      clientId,
      detail: { outcome, ...detail },
      ...facts(ctx),
    });
  const steps = createSteps(() => engine.provider);
  const signIns = createSignIns({
    provider: () => engine.provider,
    steps,
    accounts,
    factors: secondFactors.factors,
    devices: people.devices,
    deviceCookie,
    onSignedIn: (ctx, { amr, ...signIn }) => onSignIn(ctx, { ...signIn, outcome: "success", amr: amr.join(" ") }),
  });
  const secondSteps = secondFactorRoutes({
    render,
    verifyForm: forms.verifyForm,
    steps,
    signIns,
    secondFactors,
    throttle: people.throttle,
    devices: people.devices,
    deviceCookie,
    notices: people.notices,
    onWrongCode: onSignIn,
    onEvent: (ctx, { event, accountId }) => audit.record({ event, outcome: "success", actor: accountId, accountId, ...facts(ctx) }),
  });
  const deletionSteps = deletionRoutes({
    render,
    verifyForm: forms.verifyForm,
    steps,
    signIns,
    deletion: people.deletion,
    onUndone: (ctx, accountId) =>
      audit.record({ event: "deletion.undone", outcome: "success", actor: accountId, accountId, ...facts(ctx) }),
  });
  const passkeySteps = passkeyRoutes({
    verifyForm: forms.verifyForm,
    steps,
    signIns,
    accounts,
    passkeys: services.passkeys,
    throttle: people.throttle,
    onRefused: onSignIn,
  });
  const ownSession = ownSessionReader(() => engine.provider, accounts);
  const linking = createLinking({
    prisma: services.database.prisma,
    accounts,
    signUp: config.signUp,
    rpId: rpIdOf(issuer),
    endAccount: (id) => endings.endAccount(id),
  });
  const federation = createFederation({
    prisma: services.database.prisma,
    providers: services.identityProviders,
    upstream: createUpstream({ issuer, fetch: createGuardedFetch(EVERYWHERE, { timeout: PROVIDER_TIMEOUT }) }),
    linking,
    log,
  });
  const visits = createProviderVisits(federation, https);
  const providers = federationRoutes({
    issuer,
    verifyForm: forms.verifyForm,
    steps,
    signIns,
    accounts,
    ownSession,
    federation,
    visits,
    onRefused: onSignIn,
    onConnected(ctx, { id: accountId }, { provider, how }) {
      const event = how === "created" ? "account.created" : "provider.connected";
      audit.record({ event, outcome: "success", actor: accountId, accountId, detail: { provider }, ...facts(ctx) });
    },
    notices: people.notices,
  });
  const interactions = interactionRoutes({
    federation,
    visits,
    provider: () => engine.provider,
    steps,
    signIns,
    render,
    verifyForm: forms.verifyForm,
    accounts,
    authentication: people.authentication,
    consents: decisions,
    interactionState: people.interactionState,
    deviceCookie,
    offersSignUp: config.signUp === "open",
    offersPasskeys: services.passkeys.possible,
    onSignIn,
    onDecision: (ctx, { accountId, clientId, allowed }) =>
      audit.record({ event: "consent", outcome: allowed ? "success" : "failure", actor: accountId, accountId, clientId, ...facts(ctx) }),
  });
  const own = ownPages({ issuer, render, ownSession, offersSignUp: config.signUp === "open" });
  const trail = createAuditTrail(services.database.pool);
  const account = accountPages({
    frame: {
      render,
      verifyForm: forms.verifyForm,
      ownSession,
      recentSignIn: config.recentSignIn,
      onEvent: (ctx, accountId, event) => audit.record({ outcome: "success", ...event, actor: accountId, accountId, ...facts(ctx) }),
    },
    overview: { factors: services.secondFactors.factors },
    profile: { accounts },
    email: {
      https,
      emailChange: people.emailChange,
      devices: people.devices,
      deviceCookie,
      outbox: config.loopback ? people.mailer.outbox : undefined,
    },
    password: {
      passwords: people.accountPasswords,
      passwordChange: people.passwordChange,
      deviceCookie,
      notices: people.notices,
      endAllBut: (uid, accountId) => endings.endAllBut(uid, accountId),
    },
    passkeys: { passkeys: services.passkeys, factors: secondFactors.factors, notices: people.notices },
    events: { trail, clients },
    data: { data: people.data, trail },
    deletion: { deletion: people.deletion, delay: config.accountDeletionDelay },
    twoStep: { secondFactors, notices: people.notices },
    providers: { federation, visits, linking, notices: people.notices },
    sessions: {
      sessions: services.accountSessions,
      clients,
      async endSession(uid) {
        const ended = await endings.endSession(uid);
        if (ended !== undefined) await tellOfEnd(ended);
      },
    },
    applications: {
      issuer,
      consents,
      clients,
      findResource: (audience) => resources.find(audience),
      endConsent: (accountId, clientId) => endings.endConsent(accountId, clientId),
    },
  });
  const joining = createAccountRoutes({
    people,
    forms,
    render,
    https,
    loopback: config.loopback,
    applicationOf: (uid) => clientOfInteraction(engine.provider, uid),
    onEvent: (ctx, { event, accountId }) => audit.record({ event, outcome: "success", actor: accountId, accountId, ...facts(ctx) }),
  });
  const reset = createPasswordResetRoutes({
    people,
    forms,
    render,
    https,
    loopback: config.loopback,
    onEvent: (ctx, { event, accountId }) => audit.record({ event, outcome: "success", actor: accountId, accountId, ...facts(ctx) }),
  });
  const apps = inspectorPages({ render, keys: () => keys.list(), jwks: ENGINE_ROUTES.jwks });
  for (const middleware of host) site.use(middleware);
  site.use(healthRoutes(health)).use(assets.serve).use(commit);
  for (const router of [interactions, secondSteps, deletionSteps, providers, passkeySteps, own, account, joining, reset, apps])
    site.use(router.routes()).use(router.allowedMethods());
  const siteHandle = site.callback();

  return {
    health,
    handle(request, response) {
      const target = targetOf(request.url ?? "/");
      if (target === undefined) return refuseTarget(response);
      request.url = target;
      if (isEnginePath(target.split("?", 1)[0] as string)) engine.handle(request, response);
      else siteHandle(request, response);
    },
  };
}

/** For the audit. */
interface SignInAttempt {
  readonly accountId: string | undefined;
  readonly clientId: string | undefined;
  readonly outcome: string;
  readonly amr?: string;
}

const engineClient = (ctx: Context) => (ctx.oidc as { client?: { clientId: string } } | undefined)?.client;

/** Which scopes a person may use where scopes go by roles: those of their roles, and all of the management API with the role `admin`. */
const permissionsOf = (account: Account | undefined) => (scope: string) =>
  account !== undefined && (account.permissions.includes(scope) || (isManagementScope(scope) && account.roles.includes(ADMIN_ROLE)));

/** Path and query of a request target, which may also be a whole URL (RFC 9112 §3.2); `undefined` for what is neither. */
function targetOf(target: string): string | undefined {
  if (target.startsWith("/") || target === "*") return target;
  if (!URL.canParse(target)) return undefined;
  const { pathname, search } = new URL(target);
  return pathname + search;
}

/** Koa cannot even begin a request to such a target. */
function refuseTarget(response: ServerResponse): void {
  const body = JSON.stringify({ error: "invalid_request", error_description: "The request's target is no path and no URL." });
  const headers = { "Content-Type": "application/json; charset=utf-8", "Content-Length": body.length, "Cache-Control": "no-store" };
  response.writeHead(400, { ...headers, Connection: "close" }).end(body);
}
