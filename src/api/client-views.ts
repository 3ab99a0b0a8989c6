/** How the API shows an application, and what may be said of one. */
import { z } from "zod";
import { METADATA_SCHEMAS } from "../clients/client-metadata.ts";
import type { ClientRecord } from "../clients/client-record.ts";
import { limitsToJson } from "../clients/registration-limits.ts";
import { joinScope, splitScope } from "../clients/scopes.ts";
import type { ClientOrder } from "../operations/client-operations.ts";
import { timeSchema } from "./schemas.ts";

export const clientId = z.string().meta({ description: "The application's `client_id`.", example: "s6BhdRkqt3" });

const seconds = z.int().min(1);
const exchange = z
  .strictObject({
    audiences: z.array(z.string()).describe("Resources that it may get tokens for."),
    scopes: z.record(z.string(), z.array(z.string())).default({}).describe("What a scope of the exchanged token stands for there."),
    impersonation: z.boolean().default(false).describe("Whether the new token may leave out who acts."),
  })
  .describe("What it may exchange (RFC 8693).");

/** Only an operator says this of an application. */
const settings = {
  require_pkce: z.boolean(),
  first_party: z.boolean().describe("People are not asked for consent."),
  verified: z.boolean().describe("People are shown that you know who stands behind it."),
  require_second_factor: z.boolean().describe("Whoever signs in for it does so with two factors, or with a passkey."),
  brand_color: z.string().meta({ example: "#3152c8" }),
  access_token_ttl: seconds.describe("Where the resource does not say less."),
  refresh_token_ttl: seconds.describe("Without use."),
  refresh_token_max_age: seconds.describe("In all."),
  token_exchange: exchange,
};

const METADATA = Object.fromEntries(Object.entries(METADATA_SCHEMAS).map(([member, schema]) => [member, (schema as z.ZodType).nullish()]));
const TAKEN_AWAY = ["brand_color", "access_token_ttl", "refresh_token_ttl", "refresh_token_max_age", "token_exchange"] as const;

/** RFC 7591 members, and what only an operator says. */
export const clientOrderSchema = z.strictObject({
  ...METADATA,
  scope: z
    .string()
    .max(4000)
    .nullish()
    .describe("Space-separated; those of this API stand among the others, and nobody gives more of these than their own token holds."),
  ...(Object.fromEntries(
    Object.entries(settings).map(([member, schema]) => [
      member,
      (TAKEN_AWAY as readonly string[]).includes(member) ? (schema as z.ZodType).nullish() : (schema as z.ZodType).optional(),
    ]),
  ) as { [K in keyof typeof settings]: z.ZodOptional<(typeof settings)[K]> }),
});

export const clientSchema = z
  .looseObject({
    client_id: clientId,
    client_name: z.string().optional(),
    redirect_uris: z.array(z.string()),
    grant_types: z.array(z.string()),
    token_endpoint_auth_method: z.string(),
    scope: z.string().optional().describe("With those of this API; absent: the OpenID ones."),
    require_pkce: settings.require_pkce,
    first_party: settings.first_party,
    verified: settings.verified,
    require_second_factor: settings.require_second_factor,
    brand_color: settings.brand_color.optional(),
    access_token_ttl: settings.access_token_ttl.optional(),
    refresh_token_ttl: settings.refresh_token_ttl.optional(),
    refresh_token_max_age: settings.refresh_token_max_age.optional(),
    token_exchange: exchange.optional(),
    secret_created_at: timeSchema.optional(),
    previous_secret_until: timeSchema.optional().describe("The secret before the current one counts until then."),
    suspended_at: timeSchema.optional().describe("Since then it is as good as not registered."),
    registration_limits: z
      .object({ scopes: z.array(z.string()).optional(), redirect_hosts: z.array(z.string()).optional() })
      .optional()
      .describe("What its initial access token allowed, and allows at every change that it makes itself."),
    software_statement: z
      .string()
      .optional()
      .describe("The software statement that it registered with (RFC 7591 §2.3), whose claims stand."),
    created_by: z.string().describe("`operator`, `registration`, `initial_access_token`, or the account or client that made it."),
    created_at: timeSchema,
    updated_at: timeSchema,
  })
  .meta({ id: "Client", description: "An application: its metadata by RFC 7591, and what operators say of it." });

export function clientView(client: ClientRecord): z.input<typeof clientSchema> {
  const { metadata, managementScopes, brandColor, accessTokenTtl, refreshTokenTtl, refreshTokenMaxAge, tokenExchange } = client;
  const scope = joinScope([...splitScope(metadata.scope), ...managementScopes]);
  return {
    client_id: client.clientId,
    ...metadata,
    ...(scope !== "" && { scope }),
    require_pkce: client.requirePkce,
    first_party: client.firstParty,
    verified: client.verified,
    require_second_factor: client.requiresSecondFactor,
    ...(brandColor !== undefined && { brand_color: brandColor }),
    ...(accessTokenTtl !== undefined && { access_token_ttl: accessTokenTtl }),
    ...(refreshTokenTtl !== undefined && { refresh_token_ttl: refreshTokenTtl }),
    ...(refreshTokenMaxAge !== undefined && { refresh_token_max_age: refreshTokenMaxAge }),
    ...(tokenExchange !== undefined && { token_exchange: exchangeView(tokenExchange) }),
    ...(client.secretCreatedAt !== undefined && { secret_created_at: client.secretCreatedAt.toISOString() }),
    ...(client.previousSecret !== undefined && { previous_secret_until: client.previousSecret.until.toISOString() }),
    ...(client.suspendedAt !== undefined && { suspended_at: client.suspendedAt.toISOString() }),
    ...(client.registrationLimits !== undefined && { registration_limits: limitsToJson(client.registrationLimits) }),
    ...(client.softwareStatement !== undefined && { software_statement: client.softwareStatement }),
    created_by: client.createdBy,
    created_at: client.createdAt.toISOString(),
    updated_at: client.updatedAt.toISOString(),
  };
}

function exchangeView({ audiences, scopes, impersonation }: NonNullable<ClientRecord["tokenExchange"]>): z.input<typeof exchange> {
  const targets = Object.entries(scopes).map(([from, to]): [string, string[]] => [from, [...to]]);
  return { audiences: [...audiences], scopes: Object.fromEntries(targets), impersonation };
}

/** What is absent stays, or comes from the type. */
export function clientOrder(body: z.output<typeof clientOrderSchema>): ClientOrder {
  const { scope, require_pkce, first_party, verified, require_second_factor, brand_color, token_exchange, ...others } = body;
  const { access_token_ttl, refresh_token_ttl, refresh_token_max_age, ...metadata } = others;
  return {
    metadata,
    ...(scope !== undefined && { scope: scope ?? "" }),
    ...(require_pkce !== undefined && { requirePkce: require_pkce }),
    ...(first_party !== undefined && { firstParty: first_party }),
    ...(verified !== undefined && { verified }),
    ...(require_second_factor !== undefined && { requiresSecondFactor: require_second_factor }),
    ...(brand_color !== undefined && { brandColor: brand_color }),
    ...(access_token_ttl !== undefined && { accessTokenTtl: access_token_ttl }),
    ...(refresh_token_ttl !== undefined && { refreshTokenTtl: refresh_token_ttl }),
    ...(refresh_token_max_age !== undefined && { refreshTokenMaxAge: refresh_token_max_age }),
    ...(token_exchange !== undefined && { tokenExchange: token_exchange }),
  };
}
