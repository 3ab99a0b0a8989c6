import { z } from "zod";
import { type ListedToken, LONGEST_LIFE, MOST_USES } from "../clients/registration-tokens.ts";
import type { RegistrationTokenOperations } from "../operations/registration-token-operations.ts";
import { type Endpoint, listing, operation, pageOf } from "./endpoint.ts";
import { timeSchema } from "./schemas.ts";

const ID = z.string().meta({ description: "Names the token, and opens nothing.", example: "5f0c4f1fa1d2b3c4e5f60718" });

const limits = {
  scopes: z.array(z.string()).optional().describe("The only scopes that may be registered with it; absent: any."),
  redirect_hosts: z
    .array(z.string())
    .optional()
    .describe("Where redirect URIs may lead, such as `app.example` or `*.app.example`; absent: anywhere."),
};

const tokenSchema = z
  .object({
    id: ID,
    created_at: timeSchema,
    expires_at: timeSchema.optional().describe("Absent: it never expires."),
    uses_left: z.int().optional().describe("Absent: any number."),
    usable: z.boolean().describe("Neither expired nor used up."),
    ...limits,
    token: z.string().optional().describe("The token itself. Shown this once."),
  })
  .meta({ id: "RegistrationToken", description: "An initial access token (RFC 7591 §3), with which an application may register itself." });

export function registrationTokenEndpoints(tokens: RegistrationTokenOperations): Endpoint[] {
  return [
    listing({
      path: "/registration-tokens",
      operationId: "listRegistrationTokens",
      tag: "registration-tokens",
      summary: "List initial access tokens",
      scope: "grantor:registration-tokens:read",
      item: tokenSchema,
      handle: async (input) => pageOf([...(await tokens.list())].sort(byId), input, ({ id }) => id, view),
    }),
    operation({
      method: "POST",
      path: "/registration-tokens",
      operationId: "createRegistrationToken",
      tag: "registration-tokens",
      summary: "Make an initial access token",
      scope: "grantor:registration-tokens:write",
      body: z.strictObject({
        expires_in: z.int().min(1).max(LONGEST_LIFE).optional().describe("Seconds; absent: it never expires."),
        uses: z.int().min(1).max(MOST_USES).optional().describe("Registrations that it is good for; absent: any number."),
        ...limits,
      }),
      response: tokenSchema,
      status: 201,
      location: ({ id }) => `/registration-tokens/${id}`,
      shownOnce: ["token"],
      async handle({ body: { expires_in, uses, scopes, redirect_hosts } }, { by }) {
        const { id, token } = await tokens.create(by, {
          ...(expires_in !== undefined && { expires: expires_in }),
          ...(uses !== undefined && { uses }),
          ...(scopes !== undefined && { scopes }),
          ...(redirect_hosts !== undefined && { redirectHosts: redirect_hosts }),
        });
        return { ...view(await tokens.get(id)), token };
      },
    }),
    operation({
      method: "GET",
      path: "/registration-tokens/{id}",
      operationId: "getRegistrationToken",
      tag: "registration-tokens",
      summary: "Get an initial access token",
      scope: "grantor:registration-tokens:read",
      params: { id: ID },
      response: tokenSchema,
      handle: async ({ params: { id } }) => view(await tokens.get(id)),
    }),
    operation({
      method: "DELETE",
      path: "/registration-tokens/{id}",
      operationId: "deleteRegistrationToken",
      tag: "registration-tokens",
      summary: "Delete an initial access token",
      description: "Nobody registers with it any more; who did stays registered.",
      scope: "grantor:registration-tokens:write",
      params: { id: ID },
      needsMatch: true,
      async handle({ params: { id }, expect }, { by }) {
        await tokens.delete(by, id, (before) => expect(view(before)));
        return undefined;
      },
    }),
  ];
}

const byId = (a: ListedToken, b: ListedToken): number => (a.id < b.id ? -1 : 1);

const view = ({ id, createdAt, expiresAt, usesLeft, usable, scopes, redirectHosts }: ListedToken): z.input<typeof tokenSchema> => ({
  id,
  created_at: createdAt.toISOString(),
  ...(expiresAt !== undefined && { expires_at: expiresAt.toISOString() }),
  ...(usesLeft !== undefined && { uses_left: usesLeft }),
  usable,
  ...(scopes !== undefined && { scopes: [...scopes] }),
  ...(redirectHosts !== undefined && { redirect_hosts: [...redirectHosts] }),
});
