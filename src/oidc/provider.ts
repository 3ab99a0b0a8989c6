/** Builds the engine. Cheap enough (a millisecond) to be done again whenever the signing keys change (design, decision 6). */
import type { Context } from "koa";
import type { ClientMetadata, Configuration, KoaContextWithOIDC, Provider } from "oidc-provider";
import { ACR_VALUES } from "../factors/assurance.ts";
import { LANGUAGES } from "../i18n/languages.ts";
import { ID_TOKEN_TTL } from "../tokens/longest-token-life.ts";
import { extraClaims, recordingCustomizer } from "./access-tokens.ts";
import { deviceFlow, engineForm } from "./device-pages.ts";
import { dpopFeature, missingProofs, PROOF_ALGS, rotateRefreshToken } from "./dpop.ts";
import { unauthorizedClients } from "./error-codes.ts";
import { grantLoader } from "./grants.ts";
import { createInteractionPolicy } from "./interaction-policy.ts";
import { type ClientLifetimes, CODE_TTL, epochTime, refreshTokenLife, sessionLife } from "./lifetimes.ts";
import { ENGINE_ROUTES, STATUS_LISTS_PATH } from "./paths.ts";
import {
  assertionForUsAlone,
  clientBasedCors,
  expiresWithSession,
  introspectionPolicy,
  pkceRequired,
  revocationPolicy,
} from "./policies.ts";
import type { EngineDependencies, Person } from "./ports.ts";
import { postingProvider } from "./posted-forms.ts";
import { resourceIndicators } from "./resources.ts";
import { exchangingProvider } from "./token-exchange.ts";
import { VerifyingKey } from "./verifying-key.ts";

/** Seconds. RFC 9126 §2.2: short; a person may still be on the way. */
const _PUSHED_REQUEST_TTL = 60;
/** Seconds that a person has to sign in and decide. */
const INTERACTION_TTL = 3_600;
/** Seconds that a person has to fetch their phone and type a code. */
const DEVICE_CODE_TTL = 600;

const SIGNING_ALGS = ["RS256", "ES256", "PS256", "EdDSA"] as const;

export function createProvider(dependencies: EngineDependencies): Provider {
  const provider = new (postingProvider(exchangingProvider(dependencies), dependencies.pages))(
    dependencies.issuer,
    configuration(dependencies),
  );
  ownSessionRules(provider, dependencies);
  for (const middleware of [unauthorizedClients, missingProofs]) provider.use(middleware as Parameters<Provider["use"]>[0]);
  return provider;
}

/** When a session gets another id, and when it is kept. */
function ownSessionRules(provider: Provider, { keepsSessionId }: Pick<EngineDependencies, "keepsSessionId">): void {
  const { resetIdentifier } = provider.Session.prototype;
  provider.Session.prototype.resetIdentifier = function (this: typeof provider.Session.prototype) {
    if (!keepsSessionId()) resetIdentifier.call(this);
  };
  // The engine notes who is not to be kept signed in, and never forgets it: at the next sign-in the choice is made anew.
  provider.on("interaction.ended", ({ oidc }) => {
    if (oidc.result?.login?.remember === true && oidc.session?.transient) oidc.session.transient = undefined;
  });
}

function configuration(dependencies: EngineDependencies): Configuration {
  const { issuer, https, lifetimes, pages } = dependencies;
  const cookie = { httpOnly: true, sameSite: "lax", secure: https, signed: true, overwrite: true } as const;
  return {
    adapter: dependencies.adapterFor,
    jwks: { keys: [...dependencies.jwks.keys, ...dependencies.earlierKeys.map((key) => new VerifyingKey(key))] } as NonNullable<
      Configuration["jwks"]
    >,
    clients: dependencies.builtInClients as unknown as ClientMetadata[],
    routes: ENGINE_ROUTES,
    discovery: {
      ui_locales_supported: LANGUAGES,
      status_list_aggregation_endpoint: `${issuer}${STATUS_LISTS_PATH}`, // draft-ietf-oauth-status-list §9.1
    },
    interactions: { policy: createInteractionPolicy(), url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
    cookies: {
      keys: dependencies.cookieKeys as unknown as string[],
      names: https
        ? { session: "__Host-grantor_session", interaction: "__Secure-grantor_interaction", resume: "__Secure-grantor_resume" }
        : { session: "grantor_session", interaction: "grantor_interaction", resume: "grantor_resume" },
      long: { ...cookie, path: "/" },
      short: cookie,
    },
    ttl: {
      // Every access token has a resource server, where its life was settled.
      AccessToken: (_ctx, token) => token.resourceServer?.accessTokenTTL ?? lifetimes.accessToken,
      ClientCredentials: (_ctx, token) => token.resourceServer?.accessTokenTTL ?? lifetimes.accessToken,
      AuthorizationCode: CODE_TTL,
      DeviceCode: DEVICE_CODE_TTL,
      Grant: lifetimes.grant,
      IdToken: ID_TOKEN_TTL,
      Interaction: INTERACTION_TTL,
      RefreshToken: (_ctx, token, client) => refreshTokenLife(lifetimes, client as ClientLifetimes, token.iiat ?? epochTime(), epochTime()),
      Session: (_ctx, session) => sessionLife(lifetimes, session, epochTime()),
    },

    responseTypes: ["code"],
    subjectTypes: ["public"],
    clientAuthMethods: ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"],
    enabledJWA: {
      idTokenSigningAlgValues: [...SIGNING_ALGS],
      introspectionSigningAlgValues: [...SIGNING_ALGS],
      clientAuthSigningAlgValues: ["RS256", "PS256", "ES256", "EdDSA"],
      dPoPSigningAlgValues: [...PROOF_ALGS],
    },
    clientDefaults: { id_token_signed_response_alg: "RS256" },
    pkce: { required: pkceRequired },
    assertJwtClientAuthClaimsAndHeader: assertionForUsAlone,
    scopes: ["openid", "offline_access"],
    claims: CLAIMS,
    acrValues: [...ACR_VALUES],
    conformIdTokenClaims: true,
    rotateRefreshToken,
    allowOmittingSingleRegisteredRedirectUri: false, // OAuth 2.1 §4.1.1: exact, always
    issueRefreshToken: async (_ctx, client) => client.grantTypeAllowed("refresh_token"),
    expiresWithSession: async (ctx, source) => expiresWithSession(ctx, source as unknown as { scopes: Set<string> }),
    clientBasedCORS: clientBasedCors,
    revokeGrantPolicy: () => true,
    loadExistingGrant: grantLoader(dependencies),
    extraTokenClaims: extraClaims(dependencies),
    formats: { customizers: { jwt: recordingCustomizer(dependencies) as never } },
    findAccount: async (ctx, id) => {
      const person = await dependencies.findPerson(id);
      return person && account(ctx, person, issuer);
    },
    renderError: (ctx, out, error) => pages.error(ctx, out, error),
    fetch: dependencies.fetch,
    ...dependencies.registration,
    features: {
      devInteractions: { enabled: false },
      externalSigningSupport: { enabled: true, ack: "experimental-01" }, // see VerifyingKey
      dPoP: dpopFeature(dependencies),
      clientCredentials: { enabled: true },
      deviceFlow: deviceFlow(pages, async ({ oidc }) => {
        const { session, cookies } = oidc as unknown as { session: KeptSession; cookies: Context["cookies"] };
        const life = sessionLife(lifetimes, session, epochTime());
        const kept = session.transient ? {} : { maxAge: life * 1000 };
        cookies.set(oidc.provider.cookieName("session"), session.id, { ...cookie, path: "/", ...kept });
        await session.save(life);
      }),
      introspection: { enabled: true, allowedPolicy: introspectionPolicy(dependencies) },
      jwtIntrospection: { enabled: true },
      revocation: { enabled: true, allowedPolicy: revocationPolicy },
      pushedAuthorizationRequests: { enabled: true },
      resourceIndicators: resourceIndicators(dependencies),
      userinfo: { enabled: true },
      backchannelLogout: { enabled: true },
      rpInitiatedLogout: {
        enabled: true,
        logoutSource: (ctx: KoaContextWithOIDC) => pages.logout(ctx, engineForm(ctx, "end_session_confirm")),
        postLogoutSuccessSource: async (ctx: KoaContextWithOIDC) => pages.signedOut(ctx),
      },
      ...dependencies.registration.features,
      // The published types split features into combinations of which this is none.
    } as unknown as NonNullable<Configuration["features"]>,
  };
}

/** Of the engine's session, beyond its published type. */
interface KeptSession {
  readonly id: string;
  readonly accountId?: string;
  readonly loginTs?: number;
  readonly transient?: boolean;
  /** @param ttl seconds */
  save(ttl: number): Promise<unknown>;
}

/** OIDC Core §5.4; `roles` is ours. */
const CLAIMS = {
  openid: ["sub", "acr", "amr", "auth_time"],
  profile: [
    ...["name", "family_name", "given_name", "middle_name", "nickname", "preferred_username", "profile", "picture", "website"],
    ...["gender", "birthdate", "zoneinfo", "locale", "updated_at"],
  ],
  email: ["email", "email_verified"],
  address: ["address"],
  phone: ["phone_number", "phone_number_verified"],
  roles: ["roles"],
};

/**
 * A person, as the engine asks for them. OIDC Core §5.4: what scopes release comes from userinfo, unless there is no access token for it:
 * one that is for another resource.
 */
function account(ctx: KoaContextWithOIDC, person: Person, issuer: string) {
  return {
    accountId: person.id,
    roles: person.roles,
    requiresSecondFactor: person.requiresSecondFactor,
    async claims(use: string, scope: string) {
      const atUserinfo = use === "id_token" && ctx.oidc?.entities.AccessToken?.aud === issuer;
      return person.claims(atUserinfo ? ["openid"] : scope.split(" "));
    },
  };
}
