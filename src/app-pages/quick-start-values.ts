/** What a quick start is filled in with: the application's own values as far as it has them, and what is still to be registered. */
import { type ClientMetadata, clientType, needsSecret } from "../clients/client-metadata.ts";
import type { ClientRecord } from "../clients/client-record.ts";
import type { Resource } from "../clients/resource.ts";
import { isManagementScope, isOpenIdScope, splitScope } from "../clients/scopes.ts";
import type { QuickStart } from "./quick-start-catalogue.ts";
import type { Values } from "./quick-start-files.ts";

/** What somebody must see to before the program works; the words are `quickstarts:missing.<name>`. */
export type Missing =
  | { readonly name: "redirect_uri" | "post_logout_redirect_uri"; readonly value: string }
  | { readonly name: "scope"; readonly value: "openid" }
  | { readonly name: "auth_method"; readonly value: string }
  | { readonly name: "resource_of_service" }
  | { readonly name: "resource"; readonly audience: string; readonly scope: string }
  | { readonly name: "symmetric" | "encrypted"; readonly value: string };

export interface FilledIn {
  readonly values: Values;
  readonly missing: readonly Missing[];
}

/** Where the programs are, unless something else is registered. */
const APPLICATION = "http://localhost:4000";
const API = "http://localhost:4100/";
const CALLBACK = "/callback";
const LOOPBACK_HOSTS = new Set(["localhost", "127.0.0.1", "[::1]"]);
/** What every router of every framework takes for itself. */
const PLAIN_PATH = /^(?:\/[\w.-]+)+$/;
const USUAL_SCOPES = "openid profile email";
/** An API that nobody has registered yet. */
const EXAMPLE_SCOPE = "example:read";

/** @param resources those that there are */
export function valuesFor(
  quickStart: QuickStart,
  { clientId, metadata }: ClientRecord,
  issuer: string,
  resources: readonly Resource[],
): FilledIn {
  const isApi = quickStart.fits === "api";
  const isService = clientType(metadata) === "service";
  const missing: Missing[] = [];

  const registered = splitScope(metadata.scope ?? (isService ? "" : USUAL_SCOPES));
  const resource = resourceFor(registered, resources);
  const api =
    isApi || resource !== undefined ? apiOf(resource) : { resource: issuer, api_url: `${issuer}/oauth/userinfo`, scopes: ["openid"] };
  const apiScopes = resource === undefined ? api.scopes : registered.filter((scope) => api.scopes.includes(scope));
  if (isApi && resource === undefined) missing.push({ name: "resource", audience: api.resource, scope: EXAMPLE_SCOPE });
  if (isApi && resource?.signingAlg === "HS256") missing.push({ name: "symmetric", value: resource.audience });
  if (isApi && resource?.encryption !== undefined) missing.push({ name: "encrypted", value: resource.audience });
  if (!isApi && isService && resource === undefined) missing.push({ name: "resource_of_service" });

  const { redirectUri, isRegistered } = redirectUriFor(quickStart, metadata);
  const home = `${URL.parse(redirectUri)?.origin ?? APPLICATION}/`;
  if (!isApi && metadata.response_types.includes("code")) {
    if (!isRegistered) missing.push({ name: "redirect_uri", value: redirectUri });
    const returns = metadata.post_logout_redirect_uris?.includes(home) ?? false;
    if (quickStart.callback !== undefined && !returns) missing.push({ name: "post_logout_redirect_uri", value: home });
  }
  if (!isApi && !isService && !registered.includes("openid")) missing.push({ name: "scope", value: "openid" });
  const method = metadata.token_endpoint_auth_method;
  if (!isApi && method !== "client_secret_basic" && method !== "none") missing.push({ name: "auth_method", value: method });

  const openid = registered.filter((scope) => isOpenIdScope(scope) && scope !== "offline_access" && scope !== "openid");
  const values = {
    issuer,
    client_id: clientId,
    redirect_uri: redirectUri,
    post_logout_redirect_uri: home,
    scope: ["openid", ...openid, ...apiScopes.filter((scope) => !isOpenIdScope(scope))].join(" "),
    resource: api.resource,
    api_url: api.api_url,
    api_scope: apiScopes[0] ?? EXAMPLE_SCOPE,
    api_scopes: apiScopes.join(" "),
  };
  return { values, missing };
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
function apiOf(resource: Resource | undefined): { resource: string; api_url: string; scopes: string[] } {
  const audience = resource?.audience ?? new URL(API).origin;
  const url = URL.parse(audience);
  const isHere = url !== null && url.protocol === "http:" && LOOPBACK_HOSTS.has(url.hostname) && url.port !== "";
  return {
    resource: audience,
    api_url: isHere ? `${url.origin}/` : API,
    scopes: resource === undefined ? [EXAMPLE_SCOPE] : resource.scopes.map(({ name }) => name),
  };
}

/** A registered one that the program can serve on this machine, or the one that it would have. */
function redirectUriFor(
  { callback }: QuickStart,
  { application_type, redirect_uris }: ClientMetadata,
): { redirectUri: string; isRegistered: boolean } {
  if (callback === undefined) {
    const [first] = redirect_uris;
    return { redirectUri: first ?? APPLICATION + CALLBACK, isRegistered: first !== undefined };
  }
  const own = new URL(APPLICATION);
  for (const uri of redirect_uris) {
    const url = URL.parse(uri);
    if (url === null || url.protocol !== "http:" || !LOOPBACK_HOSTS.has(url.hostname) || url.search !== "") continue;
    const fits =
      callback.path === undefined
        ? PLAIN_PATH.test(url.pathname) && !callback.taken?.includes(url.pathname)
        : url.pathname === callback.path;
    // RFC 8252 §7.3: a native application takes any port.
    if (url.port === "" && application_type === "native") url.port = own.port;
    if (fits && url.port !== "") return { redirectUri: url.href, isRegistered: true };
  }
  return { redirectUri: APPLICATION + (callback.path ?? CALLBACK), isRegistered: false };
}
