/** How the command line shows an application. */
import { clientType, METADATA_MEMBERS } from "../clients/client-metadata.ts";
import type { ClientRecord } from "../clients/client-record.ts";
import { livePreviousSecret } from "../clients/client-secrets.ts";
import { type ClientWithSecret, registrationResponse } from "../clients/client-store.ts";
import { limitsToJson } from "../clients/registration-limits.ts";
import { statementIssuer } from "../clients/software-statements.ts";
import type { Answer } from "./commands.ts";
import { details, numericDate, time, yesNo } from "./output.ts";

/** A registration response (RFC 7591 §3.2.1), and what only an operator says. */
export function toJson(shown: ClientWithSecret): Record<string, unknown> {
  const { requirePkce, firstParty, verified, managementScopes, tokenExchange, createdBy, suspendedAt, ...client } = shown.client;
  const previous = livePreviousSecret(shown.client, Date.now());
  return {
    ...registrationResponse(shown),
    require_pkce: requirePkce,
    first_party: firstParty,
    verified,
    require_second_factor: client.requiresSecondFactor,
    ...(client.brandColor !== undefined && { brand_color: client.brandColor }),
    ...(managementScopes.length > 0 && { management_scopes: managementScopes.join(" ") }),
    ...(tokenExchange && { token_exchange: tokenExchange }),
    ...(client.accessTokenTtl !== undefined && { access_token_ttl: client.accessTokenTtl }),
    ...(client.refreshTokenTtl !== undefined && { refresh_token_ttl: client.refreshTokenTtl }),
    ...(client.refreshTokenMaxAge !== undefined && { refresh_token_max_age: client.refreshTokenMaxAge }),
    ...(client.secretCreatedAt !== undefined && { secret_created_at: numericDate(client.secretCreatedAt) }),
    ...(previous !== undefined && { previous_secret_until: numericDate(previous.until) }),
    suspended: suspendedAt !== undefined,
    ...(suspendedAt !== undefined && { suspended_at: numericDate(suspendedAt) }),
    created_by: createdBy,
    ...registeredToJson(shown.client),
  };
}

/** Of one that registered itself: within which limits, on whose word. */
function registeredToJson({ registrationLimits, softwareStatement, lastUsedAt }: ClientRecord): Record<string, unknown> {
  return {
    ...(registrationLimits !== undefined && { registration_limits: limitsToJson(registrationLimits) }),
    ...(softwareStatement !== undefined && { software_statement: softwareStatement }),
    ...(lastUsedAt !== undefined && { last_used_at: numericDate(lastUsedAt) }),
  };
}

export function answer(shown: ClientWithSecret): Answer {
  const { client, secret } = shown;
  return {
    json: toJson(shown),
    text: details([
      ...identity(client),
      ...(secret === undefined ? [] : [["client_secret", `${secret}   (shown this once)`] as const]),
      ...described(client),
    ]),
  };
}

const identity = ({ clientId, metadata }: ClientRecord) => [["client_id", clientId] as const, ["name", metadata.client_name] as const];

function described(client: ClientRecord): (readonly [string, string | undefined])[] {
  const members = METADATA_MEMBERS.filter((name) => name !== "client_name" && client.metadata[name] !== undefined);
  return [
    ["type", clientType(client.metadata)],
    ...members.map((name) => [name, inWords(client.metadata[name])] as const),
    ["management scopes", client.managementScopes.join(" ")],
    ...exchangeInWords(client.tokenExchange),
    ["access token life", seconds(client.accessTokenTtl)],
    ["refresh token life, unused", seconds(client.refreshTokenTtl)],
    ["refresh token life, in all", seconds(client.refreshTokenMaxAge)],
    ["PKCE required", yesNo(client.requirePkce)],
    ["first party", yesNo(client.firstParty)],
    ["verified", yesNo(client.verified)],
    ["colour", client.brandColor],
    ["second factor required", yesNo(client.requiresSecondFactor)],
    ["suspended", time(client.suspendedAt)],
    ["secret since", time(client.secretCreatedAt)],
    ["secret before it works until", time(livePreviousSecret(client, Date.now())?.until)],
    ["made by", client.createdBy],
    ["may register scopes", client.registrationLimits?.scopes?.join(" ")],
    ["may redirect to", client.registrationLimits?.redirectHosts?.join(" ")],
    ["software statement of", client.softwareStatement && statementIssuer(client.softwareStatement)],
    ["last used", time(client.lastUsedAt)],
    ["registered", time(client.createdAt)],
    ["changed", time(client.updatedAt)],
  ];
}

const seconds = (life: number | undefined): string | undefined => (life === undefined ? undefined : `${life} s`);

function exchangeInWords(policy: ClientRecord["tokenExchange"]): (readonly [string, string])[] {
  if (policy === undefined) return [];
  return [
    ["exchanges tokens for", policy.audiences.join(" ")],
    [
      "exchanged scopes",
      Object.entries(policy.scopes)
        .flatMap(([from, to]) => to.map((scope) => `${from}=${scope}`))
        .join(" "),
    ],
    ["may impersonate", yesNo(policy.impersonation)],
  ];
}

function inWords(value: unknown): string {
  if (Array.isArray(value)) return value.join(" ");
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
