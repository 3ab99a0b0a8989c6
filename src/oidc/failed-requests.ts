/** What the engine refuses to an application that it knows, told to whoever keeps it for those who build the application. */
import type { Context } from "koa";
import type { errors, KoaContextWithOIDC, Provider } from "oidc-provider";
import { errorToTell } from "./error-codes.ts";

export interface FailedRequest {
  readonly clientId: string;
  readonly endpoint: string;
  readonly error: string;
  readonly detail: Readonly<Record<string, string>>;
}

/** The engine's events, and what their endpoints are called. */
const ENDPOINTS = {
  "authorization.error": "authorization",
  "pushed_authorization_request.error": "pushed_request",
  "device_authorization.error": "device",
  "grant.error": "token",
  "userinfo.error": "userinfo",
  "introspection.error": "introspection",
  "revocation.error": "revocation",
  "end_session.error": "logout",
  "registration_read.error": "registration",
  "registration_update.error": "registration",
  "registration_delete.error": "registration",
} as const;

/** What is part of the protocol's way: the device has to wait, the key has to be proved once more. */
const EXPECTED: ReadonlySet<string> = new Set(["authorization_pending", "use_dpop_nonce"]);

/** Parameters that say what went wrong, and hold no secret when they are what they should be. */
const TELLING = ["scope", "grant_type", "response_type", "response_mode", "prompt", "code_challenge_method"] as const;
/** Of these, where they lead. */
const ADDRESSES = ["resource", "redirect_uri"] as const;

/**
 * What the engine says to itself of an error, and the name under which it is explained (`remedies:<name>`). Its own words stay here: of what it
 * could not read they may hold a piece.
 */
const REASONS: readonly (readonly [RegExp, string])[] = [
  [/invalid secret provided/, "wrong_secret"],
  [/does not match the registered client authentication method/, "wrong_auth_method"],
  [/no client authentication mechanism|client_secret must be provided/, "no_auth"],
  [/only be provided using one mechanism/, "two_auth_methods"],
  [/not properly encoded|invalid authorization header value/, "auth_encoding"],
  [/\(iss|\(sub|\(aud|audience|alg mismatch|client.assertion|client assertion|JWT ID|expiration must/, "assertion"],
  [/already consumed|already used/, "used_before"],
  [/redirect_uri mismatch/, "code_redirect_uri"],
  [/PKCE verification failed/, "code_verifier"],
  [/policy requires PKCE/, "pkce_missing"],
  [/code_challenge/, "pkce_wrong"],
  [/is expired/, "expired"],
  [/client mismatch/, "another_client"],
  [/not found|account not found/, "unknown_grant"],
  [/jkt|missing DPoP proof/, "dpop_key"],
  [/two are demanded/, "second_factor"],
  [/grant type is not allowed|grant_type.*not allowed/, "grant_type"],
  [/response_type.*not allowed/, "response_type"],
  [/Pushed Authorization Request must be used/, "par_required"],
  [/missing required parameter/, "missing_parameter"],
];

/** Characters of one value that are kept. */
const LONGEST = 300;

export function reportFailures(provider: Provider, record: (failure: FailedRequest) => void): void {
  for (const [event, endpoint] of Object.entries(ENDPOINTS)) {
    const on = provider.on.bind(provider) as (event: string, listener: (ctx: KoaContextWithOIDC, error: EngineError) => void) => void;
    on(event, (ctx, error) => {
      const clientId = ctx.oidc?.client?.clientId;
      if (clientId === undefined || EXPECTED.has(error.error)) return;
      record({ clientId, endpoint, error: errorToTell(ctx, error.error), detail: detailOf(ctx, error) });
    });
  }
}

type EngineError = errors.OIDCProviderError & { readonly error_detail?: string; readonly scope?: string };

function detailOf(ctx: KoaContextWithOIDC, error: EngineError): Record<string, string> {
  const params: Record<string, unknown> = { ...(ctx.oidc.params ?? ctx.oidc.body ?? ctx.query) };
  const sent = (names: readonly string[], kept: (value: string) => string) =>
    names.flatMap((name) => (typeof params[name] === "string" && params[name] !== "" ? [[name, kept(params[name])]] : []));
  const said = error.error_description ?? "";
  const reason = REASONS.find(([words]) => words.test(error.error_detail ?? "") || words.test(said))?.[1];
  return {
    ...(Object.fromEntries([...sent(TELLING, cut), ...sent(ADDRESSES, bareUri)]) as Record<string, string>),
    ...(ctx.method === "POST" && { auth_method: authMethodOf(ctx as unknown as Context, params) }),
    ...(reason !== undefined && { reason }),
    // The application was told this, too.
    ...(said !== "" && { said: cut(said) }),
  };
}

/** How the application said who it is. */
function authMethodOf(ctx: Context, params: Readonly<Record<string, unknown>>): string {
  if (/^basic /i.test(ctx.get("Authorization"))) return "client_secret_basic";
  if (params.client_assertion !== undefined) return "private_key_jwt";
  const { body } = ctx.oidc as { body?: Record<string, unknown> };
  return (params.client_secret ?? body?.client_secret) === undefined ? "none" : "client_secret_post";
}

/** Without what an application may have put into the wrong parameter: runs as long as a token, a code or a secret. */
const cut = (value: string): string =>
  value
    .slice(0, 2 * LONGEST)
    .replace(/[\w-]{32,}/g, "…")
    .replace(/[^\P{C}\n]/gu, "")
    .slice(0, LONGEST);

/** A user name and a password, however a browser lets an address begin. */
const CREDENTIALS = /^([a-z][a-z0-9+.-]*:[/\\]*)[^/\\]*@/i;

/** Where it leads, and the names of what it carries. */
function bareUri(uri: string): string {
  if (!URL.canParse(uri)) return cut(uri);
  const [address = "", query] = uri.split("#", 1)[0]?.split("?", 2) ?? [];
  const names = query === undefined ? "" : `?${[...new URLSearchParams(query).keys()].map((name) => `${name}=…`).join("&")}`;
  return cut(`${address.replace(CREDENTIALS, "$1")}${names}${uri.includes("#") ? "#…" : ""}`);
}
