/** Who may do what, in the words of the engine's hooks. */
import { type AccessToken, type Client, type ClientCredentials, errors, type KoaContextWithOIDC, type RefreshToken } from "oidc-provider";
import { isOwnProof } from "./dpop.ts";
import { isDeviceRoute } from "./grants.ts";
import type { EngineDependencies } from "./ports.ts";

type Token = AccessToken | ClientCredentials | RefreshToken;

/**
 * PKCE is required of every client. An operator may let a confidential OpenID Connect client off; then a nonce protects the code (RFC 9700 §2.1.1).
 */
export function pkceRequired({ oidc }: KoaContextWithOIDC, client: Client): boolean {
  const excused = client.require_pkce === false && client.clientAuthMethod !== "none";
  return !(excused && oidc.params?.nonce !== undefined && oidc.requestParamScopes.has("openid"));
}

/** A token's own client may ask, and for access tokens the clients that are bound to its audience; public clients never. */
export function introspectionPolicy({ mayIntrospect }: Pick<EngineDependencies, "mayIntrospect">) {
  return async ({ oidc }: KoaContextWithOIDC, client: Client, token: Token): Promise<boolean> => {
    if (client.clientAuthMethod === "none") return false;
    if (token.clientId === client.clientId) return true;
    if (token.kind === "RefreshToken" || typeof token.aud !== "string") return false;
    if (!(await mayIntrospect(token.aud, client.clientId))) return false;
    return (await oidc.provider.Client.find(token.clientId ?? "")) !== undefined; // a deleted client's tokens ended with it
  };
}

/** RFC 7009 §2.1: a client may revoke its own tokens. To others nothing is said. */
export const revocationPolicy = (_ctx: KoaContextWithOIDC, client: Client, token: Token): boolean => token.clientId === client.clientId;

/** With consented `offline_access` a grant survives sign-out; a device was never part of the browser's session. */
export function expiresWithSession({ oidc }: KoaContextWithOIDC, source: { scopes: Set<string> }): boolean {
  return !isDeviceRoute(oidc) && !source.scopes.has("offline_access");
}

/**
 * An assertion is for this server alone: one that names another audience beside it could be carried over from there
 * (draft-ietf-oauth-rfc7523bis §4, RFC 9700).
 */
export async function assertionForUsAlone({ oidc }: KoaContextWithOIDC, { aud }: { aud?: unknown }): Promise<void> {
  const audience = Array.isArray(aud) && aud.length === 1 ? aud[0] : aud;
  if (audience !== oidc.provider.issuer && audience !== oidc.urlFor("token"))
    throw new errors.InvalidClientAuth("audience (aud) must be the issuer identifier or the token endpoint, and nothing else");
}

/** Browsers may call the token, userinfo and revocation endpoints from where a public client lives. */
export function clientBasedCors(_ctx: KoaContextWithOIDC, origin: string, client: Client): boolean {
  return (
    client.clientAuthMethod === "none" && (client.redirectUris ?? []).some((uri) => URL.canParse(uri) && new URL(uri).origin === origin)
  );
}

/** What the engine shall say when a race for something single-use is lost. @param payload of the one that lost */
export function lostRace(kind: string, payload: Readonly<Record<string, unknown>> = {}): Error {
  if (kind === "pushed-request") return new errors.InvalidRequestUri("request_uri is invalid, expired, or was already used");
  if (kind === "replay" && isOwnProof(payload)) return new errors.InvalidDpopProof("the DPoP proof was used already");
  if (kind === "replay") return new errors.InvalidClientAuth("client assertion was used already");
  return new errors.InvalidGrant(`${kind.replaceAll("-", " ")} was used already`);
}
