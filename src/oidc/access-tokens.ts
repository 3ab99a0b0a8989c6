/**
 * Access tokens are JWTs with a record (RFC 9068; design, decision 7). The record lets userinfo, introspection and revocation serve them;
 * only the complete, verified JWT finds it.
 */
import { type AccessToken, type ClientCredentials, errors, type KoaContextWithOIDC } from "oidc-provider";
import { refuseLessSure } from "./demands.ts";
import type { AccessTokenRecord, EngineDependencies, Person } from "./ports.ts";
import { exchangedPayload, exchangedRecord, grantedExchange } from "./token-exchange.ts";

type JwtToken = AccessToken | ClientCredentials;

/** What the engine reads of a stored access token again. */
const RECORDED = [
  "kind",
  "accountId",
  "clientId",
  "grantId",
  "sessionUid",
  "expiresWithSession",
  "sid",
  "gty",
  "aud",
  "scope",
  "claims",
  "extra",
  "jkt",
  "x5t#S256",
] as const;

/** The engine's `formats.customizers.jwt`, awaited before the token is signed: writes the record with the same request's other writes. */
export function recordingCustomizer({
  recordAccessToken,
  takeStatusPlace,
}: Pick<EngineDependencies, "recordAccessToken" | "takeStatusPlace">) {
  return async (ctx: KoaContextWithOIDC, token: JwtToken, jwt: { payload: Record<string, unknown> }): Promise<void> => {
    const exchange = grantedExchange(ctx);
    if (exchange !== undefined) Object.assign(jwt.payload, exchangedPayload(exchange, jwt.payload.exp as number));
    const { iat, exp, jti } = jwt.payload as { iat: number; exp: number; jti: string };
    const { uri, list, idx } = await takeStatusPlace(exp - iat);
    jwt.payload.status = { status_list: { idx, uri } }; // draft-ietf-oauth-status-list §6.2
    const record: AccessTokenRecord = { jti, iat, exp, status: { list, idx } };
    for (const name of RECORDED) {
      const value = (token as unknown as Record<string, unknown>)[name];
      if (value !== undefined) record[name] = value;
    }
    if (exchange !== undefined) Object.assign(record, exchangedRecord(exchange));
    // Its resource server can sign what was never issued, or hold what was only issued encrypted: the very string finds it alone.
    const { sign, encrypt } = token.resourceServer?.jwt ?? {};
    if (encrypt !== undefined || (sign as { alg?: string } | undefined)?.alg === "HS256") record.asIssued = true;
    await recordAccessToken(record);
  };
}

/** The engine's `extraTokenClaims`: how and when the person signed in (RFC 9068 §2.2.1), and their roles where they were asked for. */
export function extraClaims({ includesRoles }: Pick<EngineDependencies, "includesRoles">) {
  return async (ctx: KoaContextWithOIDC, token: JwtToken): Promise<Record<string, unknown> | undefined> => {
    refuseScopesLost(ctx, token);
    // As in the JWT, so at introspection: without a person the client is the subject (RFC 9068 §2.2).
    const exchange = grantedExchange(ctx);
    if (exchange === undefined && !("accountId" in token && token.accountId !== undefined)) return { sub: token.clientId };
    const { AuthorizationCode, DeviceCode, RefreshToken, Account } = ctx.oidc.entities;
    const source = AuthorizationCode ?? RefreshToken ?? DeviceCode;
    const person = Account as Pick<Person, "requiresSecondFactor" | "roles"> | undefined;
    if (source !== undefined) refuseLessSure(source.acr, { client: ctx.oidc.client, person });
    const claims: Record<string, unknown> = { ...exchange?.claims };
    if (source?.authTime !== undefined) claims.auth_time = source.authTime;
    if (source?.acr !== undefined) claims.acr = source.acr;
    const wantsRoles = token.scopes.has("roles") || (typeof token.aud === "string" && (await includesRoles(token.aud)));
    if (wantsRoles) claims.roles = person?.roles ?? [];
    return claims;
  };
}

/** RFC 6749 §5.1: an answer without `scope` says that everything asked for was given, which must not stand for nothing of it. */
function refuseScopesLost({ oidc }: KoaContextWithOIDC, token: JwtToken): void {
  const asked = oidc.params?.scope;
  if (token.kind !== "ClientCredentials" || typeof asked !== "string" || asked.trim() === "" || token.scope) return;
  throw new errors.InvalidScope("none of the requested scopes is available to this client at this resource", asked);
}
