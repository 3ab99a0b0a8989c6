import { z } from "zod";
import { RESOURCE_ALGS, type Resource } from "../clients/resource.ts";
import type { ResourceInput } from "../clients/resource-input.ts";
import type { ResourceWithSecret } from "../clients/resource-store.ts";
import type { ResourceOperations } from "../operations/resource-operations.ts";
import { type Endpoint, listing, operation } from "./endpoint.ts";
import { timeSchema } from "./schemas.ts";

const AUDIENCE = z.string().meta({
  description: "What clients name as `resource` and tokens hold as `aud`. In a path it is percent-encoded.",
  example: "https://api.example.com",
});
const SCOPE = z.object({
  name: z.string().meta({ example: "orders:read" }),
  description: z.string().describe("What a person reads who is asked to allow it."),
});
const JWK = z.record(z.string(), z.unknown()).describe("A public JSON Web Key (RFC 7517).");

/** What may be said of a resource; what is absent stays, or is as it is by default. */
const settings = {
  name: z.string().optional().describe("What people read."),
  scopes: z
    .array(z.strictObject({ name: SCOPE.shape.name, description: SCOPE.shape.description.default("") }))
    .optional()
    .describe("Of its own: no other resource may have a scope of the same name."),
  access_token_ttl: z
    .int()
    .min(1)
    .nullable()
    .optional()
    .describe("Seconds that its access tokens live; `null`: as the server's setting says."),
  alg: z.enum(RESOURCE_ALGS).optional().describe("What signs its tokens. For `HS256` a secret is made, and shown once."),
  encryption: z
    .strictObject({ alg: z.string().optional(), enc: z.string().optional(), jwk: JWK.optional() })
    .nullable()
    .optional()
    .describe("Its tokens are encrypted to this key of its own, so that nobody else reads them; `null`: they are only signed."),
  scopes_by_role: z.boolean().optional().describe("A person gets only those of its scopes that a role of theirs permits."),
  roles: z.boolean().optional().describe("Every token for it tells the person's roles."),
  introspected_by: z.array(z.string()).optional().describe("Clients that may introspect its tokens."),
};

const secretSchema = z.string().optional().describe("What signs its tokens with `HS256`. Shown this once.");
const resourceSchema = z
  .object({
    audience: AUDIENCE,
    name: z.string(),
    scopes: z.array(SCOPE),
    access_token_ttl: z.int().optional().describe("Seconds; absent: as the server's setting says."),
    alg: z.enum(RESOURCE_ALGS),
    encryption: z.object({ alg: z.string(), enc: z.string(), jwk: JWK }).optional(),
    scopes_by_role: z.boolean(),
    roles: z.boolean(),
    introspected_by: z.array(z.string()),
    created_at: timeSchema,
    secret: secretSchema,
  })
  .meta({ id: "Resource", description: "An API that tokens are for (RFC 8707)." });

const about = { tag: "resources", params: { audience: AUDIENCE } } as const;
const SHOWN_ONCE = ["secret"];

export function resourceEndpoints(resources: ResourceOperations): Endpoint[] {
  return [
    listing({
      path: "/resources",
      operationId: "listResources",
      tag: "resources",
      summary: "List resources",
      description: "In the order of their audiences. The issuer itself and this API are resources that are always there, and not listed.",
      scope: "grantor:resources:read",
      item: resourceSchema,
      async handle({ limit, after }) {
        const page = await resources.list({ limit, ...(after !== undefined && { cursor: String(after) }) });
        return { items: page.resources.map(resourceView), next: page.next };
      },
    }),
    operation({
      method: "POST",
      path: "/resources",
      operationId: "createResource",
      tag: "resources",
      summary: "Register a resource",
      scope: "grantor:resources:write",
      body: z.strictObject({ audience: AUDIENCE, ...settings }),
      response: resourceSchema,
      status: 201,
      location: ({ audience }) => `/resources/${encodeURIComponent(audience)}`,
      shownOnce: SHOWN_ONCE,
      async handle({ body: { audience, ...given } }, { by }) {
        return withSecret(await resources.create(by, audience, inputOf(given)));
      },
    }),
    operation({
      ...about,
      method: "GET",
      path: "/resources/{audience}",
      operationId: "getResource",
      summary: "Get a resource",
      scope: "grantor:resources:read",
      response: resourceSchema,
      handle: async ({ params: { audience } }) => resourceView(await resources.get(audience)),
    }),
    operation({
      ...about,
      method: "PATCH",
      path: "/resources/{audience}",
      operationId: "updateResource",
      summary: "Change a resource",
      description: "What is given replaces; what is absent stays.",
      scope: "grantor:resources:write",
      body: z.strictObject(settings),
      response: resourceSchema,
      shownOnce: SHOWN_ONCE,
      needsMatch: true,
      async handle({ params: { audience }, body, expect }, { by }) {
        return withSecret(await resources.update(by, audience, inputOf(body), (before) => expect(resourceView(before))));
      },
    }),
    operation({
      ...about,
      method: "DELETE",
      path: "/resources/{audience}",
      operationId: "deleteResource",
      summary: "Delete a resource",
      description: "No token for it is issued any more; those that there are end by their time.",
      scope: "grantor:resources:write",
      needsMatch: true,
      async handle({ params: { audience }, expect }, { by }) {
        await resources.delete(by, audience, (before) => expect(resourceView(before)));
        return undefined;
      },
    }),
    operation({
      ...about,
      method: "POST",
      path: "/resources/{audience}/rotate-secret",
      operationId: "rotateResourceSecret",
      summary: "Make a new secret for a resource whose tokens are signed with HS256",
      description: "Tokens under the old secret are none any more.",
      scope: "grantor:resources:write",
      response: resourceSchema,
      handle: async ({ params: { audience } }, { by }) => withSecret(await resources.rotateSecret(by, audience)),
    }),
  ];
}

type Given = z.output<z.ZodObject<typeof settings>>;

function inputOf({ access_token_ttl, alg, encryption, scopes_by_role, roles, introspected_by, name, scopes }: Given): ResourceInput {
  const input = {
    name,
    scopes,
    accessTokenTtl: access_token_ttl,
    signingAlg: alg,
    encryption,
    scopesByRole: scopes_by_role,
    includeRoles: roles,
    introspectors: introspected_by,
  };
  return Object.fromEntries(Object.entries(input).filter(([, value]) => value !== undefined));
}

function resourceView(resource: Resource): z.input<typeof resourceSchema> {
  const { audience, name, scopes, accessTokenTtl, signingAlg, encryption, scopesByRole, includeRoles, introspectors, createdAt } = resource;
  return {
    audience,
    name,
    scopes: scopes.map((scope) => ({ name: scope.name, description: scope.description })),
    ...(accessTokenTtl !== undefined && { access_token_ttl: accessTokenTtl }),
    alg: signingAlg,
    ...(encryption !== undefined && { encryption: { alg: encryption.alg, enc: encryption.enc, jwk: { ...encryption.jwk } } }),
    scopes_by_role: scopesByRole,
    roles: includeRoles,
    introspected_by: [...introspectors],
    created_at: createdAt.toISOString(),
  };
}

const withSecret = ({ secret, ...resource }: ResourceWithSecret): z.input<typeof resourceSchema> => ({
  ...resourceView(resource),
  ...(secret !== undefined && { secret }),
});
