/** Our own pages: the steps of an authorization, and what people come for by themselves. */
import type { IncomingMessage, ServerResponse } from "node:http";
import Koa, { type Context } from "koa";
import { accountPages } from "../account-pages/account-pages.ts";
import { createAccountRoutes } from "../accounts/account-routes.ts";
import { createDeviceCookie } from "../accounts/device-cookie-middleware.ts";
import { createPasswordResetRoutes } from "../accounts/password-reset-routes.ts";
import type { PlaceOf } from "../accounts/places.ts";
import { type ClientExtras, toEngine } from "../clients/engine-client-adapter.ts";
import { inspectorPages } from "../clients/inspector-pages.ts";
import { logoRoutes } from "../clients/logo-routes.ts";
import { createLogos, LARGEST_LOGO } from "../clients/logos.ts";
import { isOpenIdScope } from "../clients/scopes.ts";
import type { Config } from "../config.ts";
import { reaches, TWO_FACTOR_ACR } from "../factors/assurance.ts";
import { rpIdOf } from "../factors/second-factors.ts";
import { createFederation } from "../federation/federation.ts";
import { createLinking } from "../federation/linking.ts";
import { createUpstream } from "../federation/upstream.ts";
import { createFetchFrom, createGuardedFetch } from "../http/fetch-guard.ts";
import { pinIssuer } from "../http/pin-issuer.ts";
import { clientOfInteraction } from "../interactions/client-view.ts";
import { createConsents } from "../interactions/consent.ts";
import { deletionRoutes } from "../interactions/deletion-routes.ts";
import { federationRoutes } from "../interactions/federation-routes.ts";
import { interactionRoutes } from "../interactions/interaction-routes.ts";
import { OWN_CLIENT_ID, ownPages } from "../interactions/own-pages.ts";
import { type OwnSession, ownSessionReader } from "../interactions/own-session.ts";
import { passkeyRoutes } from "../interactions/passkey-routes.ts";
import { createProviderVisits } from "../interactions/provider-visits.ts";
import { secondFactorRoutes } from "../interactions/second-factor-routes.ts";
import { createSignIns } from "../interactions/sign-in.ts";
import { createSteps } from "../interactions/steps.ts";
import type { AuditEvent } from "../observability/audit-log.ts";
import { createAuditTrail } from "../observability/audit-trail.ts";
import { healthRoutes } from "../observability/health.ts";
import type { Logger } from "../observability/logger.ts";
import { ENGINE_ROUTES } from "../oidc/paths.ts";
import type { Services } from "../open-services.ts";
import type { Secrets } from "../secrets.ts";
import type { Engine } from "./engine.ts";
import type { Host } from "./host.ts";
import { createManagement } from "./management.ts";
import { createPortal } from "./portal.ts";
import { reportRefused } from "./refused-requests.ts";

/** Milliseconds for one request to a provider at which people sign in. */
const PROVIDER_TIMEOUT = 8_000;

/** @returns what answers every request that is not the engine's */
export function createSite(
  config: Config,
  secrets: Secrets,
  services: Services,
  host: Host,
  engine: Engine,
  placeOf: PlaceOf,
  log: Logger,
): (request: IncomingMessage, response: ServerResponse) => void {
  const { issuer, https } = config;
  const { people, clients, resources, keys, endings, audit, secondFactors } = services;
  const { accounts, consents } = people;
  const { forms, render, facts } = host;
  const { provider } = engine;

  const site = new Koa();
  site.keys = host.cookieKeys as unknown as string[];
  pinIssuer(site, issuer);
  const decisions = createConsents({
    issuer,
    isOpenIdScope,
    findResource: (audience) => resources.find(audience),
    async scopesFor(audience, { clientId, accountId }) {
      const client = clientId === OWN_CLIENT_ID ? undefined : await clients.find(clientId);
      if (client === undefined) return "openid";
      const view = await engine.scopesAt(audience, toEngine(client) as unknown as ClientExtras, { accountId, clientAlone: false });
      return view?.scope ?? "";
    },
    remember: (accountId, clientId, scopes) =>
      clientId === OWN_CLIENT_ID ? Promise.resolve() : consents.remember(accountId, clientId, scopes),
  });
  const deviceCookie = createDeviceCookie(https);
  const onSignIn = (ctx: Context, { accountId, clientId, outcome, ...detail }: SignInAttempt) =>
    // Nobody's failures can be repeated by anybody.
    audit[accountId === undefined ? "tally" : "record"]({
      event: "sign_in",
      outcome: outcome === "success" ? "success" : "failure",
      actor: accountId,
      accountId,
      clientId,
      detail: { outcome, ...detail },
      ...facts(ctx),
    });
  const recordOwn = (ctx: Context, { accountId, ...event }: OwnEvent) =>
    audit.record({ outcome: "success", ...event, actor: accountId, accountId, ...facts(ctx) });
  const steps = createSteps(provider);
  const signIns = createSignIns({
    provider,
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
    onEvent: recordOwn,
  });
  const deletionSteps = deletionRoutes({
    render,
    verifyForm: forms.verifyForm,
    steps,
    signIns,
    deletion: people.deletion,
    onUndone: (ctx, accountId) => recordOwn(ctx, { event: "deletion.undone", accountId }),
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
  const ownSession = ownSessionReader(provider, accounts);
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
    upstream: createUpstream({ issuer, fetchFrom: createFetchFrom(config.fetchAllow, { timeout: PROVIDER_TIMEOUT }) }),
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
    throttle: people.throttle,
    onRefused: onSignIn,
    onConnected(ctx, { id: accountId }, { provider, how }) {
      const event = how === "created" ? "account.created" : "provider.connected";
      recordOwn(ctx, { event, accountId, detail: { provider } });
    },
    notices: people.notices,
  });
  const interactions = interactionRoutes({
    federation,
    visits,
    provider,
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
    onDecision: (ctx, { allowed, ...decision }) =>
      recordOwn(ctx, { event: "consent", outcome: allowed ? "success" : "failure", ...decision }),
  });
  const { pages: portal, isDeveloper } = createPortal(config, secrets, services, host, engine, ownSession);
  const own = ownPages({
    issuer,
    render,
    ownSession,
    offersSignUp: config.signUp === "open",
    isDeveloper,
    anybodyIsDeveloper: config.developers === "everyone",
  });
  const trail = createAuditTrail(services.database.pool);
  const endSession = async (uid: string): Promise<void> => {
    const ended = await endings.endSession(uid);
    if (ended !== undefined) await engine.tellOfEnd(ended);
  };
  const endLessSure = async ({ account: { id }, uid: own }: OwnSession): Promise<void> => {
    const others = (await services.accountSessions.list(id)).filter(({ uid, acr }) => uid !== own && !reaches(acr, TWO_FACTOR_ACR));
    await Promise.all(others.map(({ uid }) => endSession(uid)));
  };
  const account = accountPages({
    frame: {
      render,
      verifyForm: forms.verifyForm,
      ownSession,
      recentSignIn: config.recentSignIn,
      onEvent: (ctx, accountId, event) => recordOwn(ctx, { ...event, accountId }),
    },
    overview: { factors: services.secondFactors.factors, isDeveloper },
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
    passkeys: { passkeys: services.passkeys, factors: secondFactors.factors, notices: people.notices, endLessSure },
    events: { trail, clients, placeOf },
    data: { data: people.data, trail },
    deletion: {
      deletion: people.deletion,
      delay: config.accountDeletionDelay,
      soleApplications: async (accountId) =>
        (await services.clientOwners.ownedAloneBy(accountId)).map(({ clientId, metadata }) => metadata.client_name ?? clientId),
    },
    twoStep: { secondFactors, notices: people.notices, endLessSure },
    providers: { federation, visits, linking, notices: people.notices },
    sessions: {
      sessions: services.accountSessions,
      clients,
      placeOf,
      endSession,
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
    applicationOf: (uid) => clientOfInteraction(provider(), uid),
    onEvent: recordOwn,
  });
  const reset = createPasswordResetRoutes({
    people,
    forms,
    render,
    https,
    loopback: config.loopback,
    onEvent: recordOwn,
  });
  const inspector = inspectorPages({ render, keys: () => keys.list(), jwks: ENGINE_ROUTES.jwks });
  const management = createManagement(config, secrets, services, host, engine);
  const logos = logoRoutes({ clients, logos: createLogos(createGuardedFetch(config.fetchAllow, { maxBytes: LARGEST_LOGO })) });
  for (const middleware of host.middleware) site.use(middleware);
  site.use(healthRoutes(host.health)).use(host.assets.serve);
  site.use(reportRefused((ctx, event) => audit.tally({ ...event, ...facts(ctx) })));
  site.use(management).use(engine.commit);
  for (const router of [
    interactions,
    secondSteps,
    deletionSteps,
    providers,
    passkeySteps,
    own,
    account,
    joining,
    reset,
    inspector,
    portal,
    logos,
  ])
    site.use(router.routes()).use(router.allowedMethods());
  return site.callback();
}

/** What people do about their own account, for the audit. */
type OwnEvent = Omit<AuditEvent, "actor" | "outcome"> & Partial<Pick<AuditEvent, "outcome">>;

/** For the audit. */
interface SignInAttempt {
  readonly accountId: string | undefined;
  readonly clientId: string | undefined;
  readonly outcome: string;
  readonly amr?: string;
}
