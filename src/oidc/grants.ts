/** A grant is one sign-in at one client; consent is a record of its own, from which the next grant is made (design, decision 8). */
import type { KoaContextWithOIDC, Provider } from "oidc-provider";
import type { ConsentedScopes, EngineDependencies } from "./ports.ts";

type Grant = InstanceType<Provider["Grant"]>;
type OidcContext = KoaContextWithOIDC["oidc"];

/** A device authorization has a grant of its own, which lives on when the browser that approved it signs out. */
export const isDeviceRoute = (oidc: Pick<OidcContext, "route">): boolean =>
  oidc.route === "code_verification" || oidc.route === "device_resume";

/** RFC 8252 §8.6: nothing proves who a native application is, so nothing is granted to it unasked. */
const mayBeGrantedUnasked = (oidc: OidcContext): boolean =>
  oidc.client?.first_party === true && oidc.client.applicationType !== "native" && !isDeviceRoute(oidc);

/** The engine's `loadExistingGrant`: the session's grant for this client, or a new one from what was consented to earlier. */
export function grantLoader({ findConsent }: Pick<EngineDependencies, "findConsent">) {
  return async function loadExistingGrant(ctx: KoaContextWithOIDC): Promise<Grant | undefined> {
    const { oidc } = ctx;
    const { provider, client, account, session, result } = oidc;
    if (client === undefined || account === undefined || session === undefined) return undefined;

    if (isDeviceRoute(oidc)) browserAuthorizations.set(ctx, structuredClone(session.authorizations?.[client.clientId]));
    const decided = result?.consent?.grantId;
    const grantId = decided ?? (isDeviceRoute(oidc) ? undefined : session.grantIdFor(client.clientId));
    const existing = grantId === undefined ? undefined : await provider.Grant.find(grantId);
    if (existing !== undefined && existing.accountId === account.accountId && existing.clientId === client.clientId) {
      if (mayBeGrantedUnasked(oidc) && addScopes(existing, requestedScopes(oidc))) await existing.save();
      return existing;
    }
    if (client.applicationType === "native" || isDeviceRoute(oidc)) return undefined;

    const consented = mayBeGrantedUnasked(oidc) ? requestedScopes(oidc) : await findConsent(account.accountId, client.clientId);
    if (consented === undefined) return undefined;
    const grant = new provider.Grant({ accountId: account.accountId, clientId: client.clientId });
    addScopes(grant, consented);
    await grant.save();
    return grant;
  };
}

/** What a browser session held for the client of a device authorization, before the engine filed the device's grant there. */
const browserAuthorizations = new WeakMap<KoaContextWithOIDC, Authorization | undefined>();
type Authorization = NonNullable<NonNullable<OidcContext["session"]>["authorizations"]>[string];

/**
 * The engine files a device's grant under the browser session, as if the browser had signed in there. It has not: its next sign-in at this
 * client gets a grant of its own, and signing out must not reach the device.
 */
export function restoreBrowserAuthorization(ctx: KoaContextWithOIDC): void {
  const { session, client } = ctx.oidc;
  if (session?.authorizations === undefined || client === undefined) return;
  const { [client.clientId]: _device, ...others } = session.authorizations;
  const before = browserAuthorizations.get(ctx);
  session.authorizations = before === undefined ? others : { ...others, [client.clientId]: before };
}

/** What a request asks for, of the person's own data and of each resource server. */
function requestedScopes(oidc: OidcContext): ConsentedScopes {
  const requested = oidc.requestParamScopes;
  const resources: Record<string, string> = {};
  for (const [audience, server] of Object.entries(oidc.resourceServers ?? {})) {
    const scopes = [...requested].filter((scope) => server.scopes.has(scope));
    if (scopes.length > 0) resources[audience] = scopes.join(" ");
  }
  return { openid: [...oidc.requestParamOIDCScopes].join(" "), resources };
}

/** @returns whether the grant changed */
function addScopes(grant: Grant, { openid, resources }: ConsentedScopes): boolean {
  let changed = false;
  if (!includesAll(grant.getOIDCScope(), openid)) {
    grant.addOIDCScope(openid);
    changed = true;
  }
  for (const [audience, scope] of Object.entries(resources)) {
    if (includesAll(grant.getResourceScope(audience), scope)) continue;
    grant.addResourceScope(audience, scope);
    changed = true;
  }
  return changed;
}

function includesAll(granted: string, wanted: string): boolean {
  const have = new Set(granted.split(" "));
  return wanted === "" || wanted.split(" ").every((scope) => have.has(scope));
}
