import { z } from "zod";
import { type IdentityProvider, PROVIDER_KINDS, providerInput } from "../federation/provider.ts";
import type { ProviderChanges } from "../federation/provider-store.ts";
import type { ProviderOperations } from "../operations/provider-operations.ts";
import { type Endpoint, listing, operation, pageOf } from "./endpoint.ts";

const ID = z.string().meta({ description: "Part of the path of its callback.", example: "google" });

/** The names and the rules are those of IDENTITY_PROVIDERS_FILE. */
const { id: _id, kind: _kind, ...changeable } = providerInput.shape;
const changes = z.strictObject(
  Object.fromEntries(Object.entries(changeable).map(([name, schema]) => [name, (schema as z.ZodType).nullable().optional()])),
);

const providerSchema = z
  .object({
    id: ID,
    kind: z.enum(PROVIDER_KINDS),
    name: z.string().describe("What people read."),
    issuer: z.string().optional().describe("OpenID Connect: its issuer identifier."),
    base_url: z.string().optional().describe("GitHub: where it is."),
    redirect_uri: z.string().describe("What to register there."),
    client_id: z.string(),
    has_client_secret: z.boolean().describe("The secret itself is never shown."),
    scopes: z.array(z.string()),
    claims: z.record(z.string(), z.string()).describe("Our name of a claim, and the provider's."),
    roles: z.object({ claim: z.string(), values: z.record(z.string(), z.array(z.string())) }).optional(),
    link_by_email: z.boolean(),
    sign_up: z.boolean(),
    update_at_sign_in: z.boolean(),
    second_factor_amr: z.array(z.string()),
    disabled: z.boolean(),
    source: z.enum(["configuration", "database"]).describe("What is in the configuration is changed there alone."),
  })
  .meta({ id: "IdentityProvider", description: "A provider at which people can sign in." });

const about = { tag: "identity-providers", params: { id: ID } } as const;

export function identityProviderEndpoints(providers: ProviderOperations, issuer: string): Endpoint[] {
  const view = (provider: IdentityProvider): z.input<typeof providerSchema> => ({
    id: provider.id,
    kind: provider.kind,
    name: provider.name,
    [provider.kind === "oidc" ? "issuer" : "base_url"]: provider.issuer,
    redirect_uri: `${issuer}/federation/${provider.id}/callback`,
    client_id: provider.clientId,
    has_client_secret: provider.clientSecret !== undefined,
    scopes: [...provider.scopes],
    claims: { ...provider.claims },
    ...(provider.roles && {
      roles: {
        claim: provider.roles.claim,
        values: Object.fromEntries(Object.entries(provider.roles.values).map(([value, names]) => [value, [...names]])),
      },
    }),
    link_by_email: provider.linkByEmail,
    sign_up: provider.signUp,
    update_at_sign_in: provider.updateAtSignIn,
    second_factor_amr: [...provider.secondFactorAmr],
    disabled: provider.disabled,
    source: provider.source,
  });

  return [
    listing({
      path: "/identity-providers",
      operationId: "listIdentityProviders",
      tag: "identity-providers",
      summary: "List the providers at which people can sign in",
      scope: "grantor:identity-providers:read",
      item: providerSchema,
      handle: async (input) => pageOf([...(await providers.list())].sort(byId), input, ({ id }) => id, view),
    }),
    operation({
      method: "POST",
      path: "/identity-providers",
      operationId: "createIdentityProvider",
      tag: "identity-providers",
      summary: "Let people sign in with another provider",
      scope: "grantor:identity-providers:write",
      body: providerInput,
      response: providerSchema,
      status: 201,
      location: ({ id }) => `/identity-providers/${encodeURIComponent(id)}`,
      handle: async ({ body }, { by }) => view(await providers.create(by, body)),
    }),
    operation({
      ...about,
      method: "GET",
      path: "/identity-providers/{id}",
      operationId: "getIdentityProvider",
      summary: "Get a provider",
      scope: "grantor:identity-providers:read",
      response: providerSchema,
      handle: async ({ params: { id } }) => view(await providers.get(id)),
    }),
    operation({
      ...about,
      method: "PATCH",
      path: "/identity-providers/{id}",
      operationId: "updateIdentityProvider",
      summary: "Change a provider",
      description: "What is given replaces, at once; what is absent stays, and `null` goes back to the default.",
      scope: "grantor:identity-providers:write",
      body: changes,
      response: providerSchema,
      needsMatch: true,
      async handle({ params: { id }, body, expect }, { by }) {
        return view(await providers.update(by, id, body as ProviderChanges, (before) => expect(view(before))));
      },
    }),
    operation({
      ...about,
      method: "DELETE",
      path: "/identity-providers/{id}",
      operationId: "deleteIdentityProvider",
      summary: "Delete a provider",
      description: "Nobody signs in with it any more; who is signed in stays so.",
      scope: "grantor:identity-providers:write",
      needsMatch: true,
      async handle({ params: { id }, expect }, { by }) {
        await providers.delete(by, id, (before) => expect(view(before)));
        return undefined;
      },
    }),
  ];
}

const byId = (a: IdentityProvider, b: IdentityProvider): number => (a.id < b.id ? -1 : 1);
