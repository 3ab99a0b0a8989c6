/** What a quick start is filled in with: the application's own values as far as it has them, and what is still to be registered. */
import { type ClientMetadata, clientType, needsSecret } from "../clients/client-metadata.ts";
import type { ClientRecord } from "../clients/client-record.ts";
import type { Resource } from "../clients/resource.ts";
import { isManagementScope, isOpenIdScope, splitScope } from "../clients/scopes.ts";
import { LISTENER, type QuickStart } from "./quick-start-catalogue.ts";
import type { Values } from "./quick-start-files.ts";

/** What somebody must see to before the program works; the words are `quickstarts:missing.<name>`. */
export type Missing =
  | { readonly name: "redirect_uri" | "post_logout_redirect_uri"; readonly value: string }
  | { readonly name: "scope"; readonly value: "openid" }
  | { readonly name: "auth_method"; readonly value: string }
  | { readonly name: "resource_of_service" | "api_unchosen" | "pushed" | "dpop" }
  | { readonly name: "resource"; readonly audience: string; readonly scope: string }
  | { readonly name: "symmetric" | "encrypted"; readonly value: string }
  | { readonly name: "algorithm"; readonly value: string; readonly algorithm: string };

export interface FilledIn {
  readonly values: Values;
  readonly missing: readonly Missing[];
}

/** Where the programs are, unless something else is registered. */
const APPLICATION = "http://localhost:4000";
const API = "http://localhost:4100/";
const CALLBACK = "/callback";
/** RFC 8252 §7.3: the port is the one that the program gets, and none is registered; §8.3: `localhost` may be looked up elsewhere. */
const LISTENERS_CALLBACK = "http://127.0.0.1/callback";
const LOOPBACK_HOSTS = new Set(["localhost", "127.0.0.1", "[::1]"]);
/** What every router of every framework takes for itself. */
const PLAIN_PATH = /^(?:\/[\w.-]+)+$/;
const USUAL_SCOPES = "openid profile email";
/** An API that nobody has registered yet. */
const EXAMPLE_SCOPE = "example:read";

/** @param resources those that there are */
export function valuesFor(quickStart: QuickStart, client: ClientRecord, issuer: string, resources: readonly Resource[]): FilledIn {
  const { metadata } = client;
  const registered = splitScope(metadata.scope ?? (clientType(metadata) === "service" ? "" : USUAL_SCOPES));
  const resource = resourceFor(registered, resources);
  const callsUserinfo = quickStart.fits !== "api" && resource === undefined;
  const api = callsUserinfo ? { resource: issuer, api_url: `${issuer}/oauth/userinfo` } : apiOf(resource);
  const apiScopes = resource?.scopes.map(({ name }) => name).filter((name) => registered.includes(name)) ?? [];
  const openid = registered.filter((scope) => isOpenIdScope(scope) && scope !== "offline_access" && scope !== "openid");

  const redirect = redirectUriFor(quickStart, metadata);
  const home = `${URL.parse(redirect.uri)?.origin ?? APPLICATION}/`;
  const values = {
    issuer,
    client_id: client.clientId,
    redirect_uri: redirect.uri,
    post_logout_redirect_uri: home,
    scope: ["openid", ...openid, ...apiScopes].join(" "),
    ...api,
    api_scope: apiScopes[0] ?? EXAMPLE_SCOPE,
    api_scopes: apiScopes.join(" "),
  };
  const missing =
    quickStart.fits === "api"
      ? missingToApi(quickStart, resource, values, resources)
      : [...missingToSignIn(quickStart, metadata, redirect, home), ...missingToApplication(metadata, registered, resource)];
  return { values, missing };
}

function missingToApi(
  { cannotCheck }: QuickStart,
  resource: Resource | undefined,
  values: Values,
  resources: readonly Resource[],
): Missing[] {
  if (resource === undefined) {
    const isThere = resources.some(({ scopes }) => scopes.length > 0);
    return [isThere ? { name: "api_unchosen" } : { name: "resource", audience: values.resource, scope: values.api_scope }];
  }
  const { audience: value, signingAlg, encryption } = resource;
  return [
    ...(signingAlg === "HS256" ? [{ name: "symmetric", value } as const] : []),
    ...(cannotCheck?.includes(signingAlg) ? [{ name: "algorithm", value, algorithm: signingAlg } as const] : []),
    ...(encryption === undefined ? [] : [{ name: "encrypted", value } as const]),
  ];
}

/** Where the browser comes back to. */
function missingToSignIn({ callback }: QuickStart, metadata: ClientMetadata, redirect: Redirect, home: string): Missing[] {
  if (!metadata.response_types.includes("code")) return [];
  const returns = callback === undefined || callback === LISTENER || metadata.post_logout_redirect_uris?.includes(home) === true;
  return [
    ...(redirect.isRegistered ? [] : [{ name: "redirect_uri", value: redirect.uri } as const]),
    ...(returns ? [] : [{ name: "post_logout_redirect_uri", value: home } as const]),
  ];
}

/** What the programs, being short, do not do, or cannot do without. */
function missingToApplication(metadata: ClientMetadata, scopes: readonly string[], resource: Resource | undefined): Missing[] {
  const isService = clientType(metadata) === "service";
  const method = metadata.token_endpoint_auth_method;
  return [
    ...(isService && resource === undefined ? [{ name: "resource_of_service" } as const] : []),
    ...(isService || scopes.includes("openid") ? [] : [{ name: "scope", value: "openid" } as const]),
    ...(method === "client_secret_basic" || method === "none" ? [] : [{ name: "auth_method", value: method } as const]),
    ...(metadata.require_pushed_authorization_requests === true ? [{ name: "pushed" } as const] : []),
    ...(metadata.dpop_bound_access_tokens === true ? [{ name: "dpop" } as const] : []),
  ];
}

/** Which variables a program for this application reads: a public one has no secret. */
export const secretsOf = ({ fits, secrets }: QuickStart, metadata: ClientMetadata): readonly string[] =>
  fits === "api" || needsSecret(metadata) ? secrets : [];

/** The one that the application may call, of several one whose tokens everybody can check. */
function resourceFor(scopes: readonly string[], resources: readonly Resource[]): Resource | undefined {
  const callable = resources.filter((resource) => resource.scopes.some(({ name }) => scopes.includes(name) && !isManagementScope(name)));
  return callable.find(({ signingAlg, encryption }) => signingAlg !== "HS256" && encryption === undefined) ?? callable[0];
}

/** An identifier that is an address on this machine is where the API listens. */
function apiOf(resource: Resource | undefined): { resource: string; api_url: string } {
  const audience = resource?.audience ?? new URL(API).origin;
  const url = URL.parse(audience);
  const isHere = url !== null && url.protocol === "http:" && LOOPBACK_HOSTS.has(url.hostname) && url.port !== "";
  return { resource: audience, api_url: isHere ? `${url.origin}/` : API };
}

interface Redirect {
  readonly uri: string;
  readonly isRegistered: boolean;
}

/** A registered one that the program can serve on this machine, or the one that it would have. */
function redirectUriFor({ callback }: QuickStart, { redirect_uris }: ClientMetadata): Redirect {
  const served = redirect_uris.find((uri) => callback === undefined || canServe(callback, new URL(uri)));
  const usual = callback === LISTENER ? LISTENERS_CALLBACK : APPLICATION + (callback?.path ?? CALLBACK);
  return { uri: served ?? usual, isRegistered: served !== undefined };
}

function canServe(callback: NonNullable<QuickStart["callback"]>, url: URL): boolean {
  if (url.protocol !== "http:" || !LOOPBACK_HOSTS.has(url.hostname) || url.search !== "") return false;
  if (callback === LISTENER) return true;
  const { path, taken } = callback;
  return url.port !== "" && (path === undefined ? PLAIN_PATH.test(url.pathname) && !taken?.includes(url.pathname) : url.pathname === path);
}
