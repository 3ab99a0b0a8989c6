import { z } from "zod";
import type { Role, RoleSettings } from "../accounts/roles.ts";
import type { RoleOperations } from "../operations/role-operations.ts";
import { refuseBeyond } from "./containment.ts";
import { type Endpoint, listing, operation, pageOf } from "./endpoint.ts";
import { idSchema, timeSchema } from "./schemas.ts";

const NAME = z.string().meta({ description: "The role's name.", example: "support" });

const settings = {
  description: z.string().max(200).optional(),
  permissions: z
    .array(z.string())
    .max(200)
    .optional()
    .describe("Scopes that it permits its holders, where scopes go by roles. All of them, in place of those that there were."),
  require_second_factor: z.boolean().optional().describe("Its holders sign in with two factors, or with a passkey."),
};

const roleSchema = z
  .object({
    name: NAME,
    description: z.string(),
    permissions: z.array(z.string()).describe("Scopes that it permits its holders. `admin` permits all of this API, whatever else."),
    require_second_factor: z.boolean(),
    built_in: z.boolean().describe("It stays."),
  })
  .meta({ id: "Role" });

const holderSchema = z.object({ account_id: z.string(), since: timeSchema }).meta({ id: "RoleHolder" });

const about = { tag: "roles", params: { name: NAME } } as const;
const ofHolder = { tag: "roles", params: { name: NAME, account_id: idSchema.describe("Of an account.") } } as const;

export function roleEndpoints(roles: RoleOperations): Endpoint[] {
  const view = (role: Role): z.input<typeof roleSchema> => ({
    name: role.name,
    description: role.description,
    permissions: [...roles.permits(role)],
    require_second_factor: role.requiresSecondFactor,
    built_in: roles.isBuiltIn(role.name),
  });

  return [
    listing({
      path: "/roles",
      operationId: "listRoles",
      tag: "roles",
      summary: "List roles",
      scope: "grantor:roles:read",
      item: roleSchema,
      handle: async (input) => pageOf(await roles.list(), input, ({ name }) => name, view),
    }),
    operation({
      method: "POST",
      path: "/roles",
      operationId: "createRole",
      tag: "roles",
      summary: "Make a role",
      scope: "grantor:roles:write",
      body: z.strictObject({ name: NAME, ...settings }),
      response: roleSchema,
      status: 201,
      location: ({ name }) => `/roles/${encodeURIComponent(name)}`,
      async handle({ body: { name, ...given } }, caller) {
        refuseBeyond(caller, given.permissions ?? []);
        return view(await roles.create(caller.by, name, settingsOf(given)));
      },
    }),
    operation({
      ...about,
      method: "GET",
      path: "/roles/{name}",
      operationId: "getRole",
      summary: "Get a role",
      scope: "grantor:roles:read",
      response: roleSchema,
      handle: async ({ params: { name } }) => view(await roles.get(name)),
    }),
    operation({
      ...about,
      method: "PATCH",
      path: "/roles/{name}",
      operationId: "updateRole",
      summary: "Change a role",
      description: "What is given replaces, and counts for its holders' next tokens; what is absent stays.",
      scope: "grantor:roles:write",
      body: z.strictObject(settings),
      response: roleSchema,
      needsMatch: true,
      async handle({ params: { name }, body, expect }, caller) {
        refuseBeyond(caller, body.permissions ?? []);
        const expectation = (before: Role) => {
          refuseBeyond(caller, roles.permits(before));
          expect(view(before));
        };
        return view(await roles.update(caller.by, name, settingsOf(body), expectation));
      },
    }),
    operation({
      ...about,
      method: "DELETE",
      path: "/roles/{name}",
      operationId: "deleteRole",
      summary: "Delete a role, and take it from everybody who has it",
      scope: "grantor:roles:write",
      needsMatch: true,
      async handle({ params: { name }, expect }, { by }) {
        await roles.delete(by, name, (before) => expect(view(before)));
        return undefined;
      },
    }),
    listing({
      ...about,
      path: "/roles/{name}/holders",
      operationId: "listRoleHolders",
      summary: "List the accounts that have a role",
      scope: "grantor:roles:read",
      item: holderSchema,
      async handle({ params: { name }, limit, after }) {
        const found = await roles.holders(name, { limit: limit + 1, ...(after !== undefined && { after: String(after) }) });
        const items = found.slice(0, limit).map(({ accountId, since }) => ({ account_id: accountId, since: since.toISOString() }));
        return { items, next: found.length > limit ? items.at(-1)?.account_id : undefined };
      },
    }),
    operation({
      ...ofHolder,
      method: "PUT",
      path: "/roles/{name}/holders/{account_id}",
      operationId: "grantRole",
      summary: "Give an account a role, beside those that it has",
      scope: "grantor:roles:write",
      async handle({ params: { name, account_id } }, caller) {
        refuseBeyond(caller, roles.permits(await roles.get(name)));
        await roles.grant(caller.by, account_id, name);
        return undefined;
      },
    }),
    operation({
      ...ofHolder,
      method: "DELETE",
      path: "/roles/{name}/holders/{account_id}",
      operationId: "revokeRole",
      summary: "Take a role from an account",
      scope: "grantor:roles:write",
      async handle({ params: { name, account_id } }, { by }) {
        await roles.revoke(by, account_id, name);
        return undefined;
      },
    }),
  ];
}

const settingsOf = ({ description, permissions, require_second_factor }: z.output<z.ZodObject<typeof settings>>): RoleSettings => ({
  ...(description !== undefined && { description }),
  ...(permissions !== undefined && { permissions }),
  ...(require_second_factor !== undefined && { requiresSecondFactor: require_second_factor }),
});
