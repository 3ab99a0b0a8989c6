/** What is ordered of an account beside its change: who may sign in, with what, as what. */
import { z } from "zod";
import type { Account } from "../accounts/account.ts";
import { AccountError } from "../accounts/account-error.ts";
import type { AccountStore } from "../accounts/account-store.ts";
import type { ClientOwners } from "../clients/client-owners.ts";
import type { AccountOperations } from "../operations/account-operations.ts";
import type { RoleOperations } from "../operations/role-operations.ts";
import type { WayInOperations } from "../operations/way-in-operations.ts";
import { accountId, accountSchema, accountView, waysInSchema, waysInView } from "./account-views.ts";
import { refuseMightier } from "./containment.ts";
import { type Caller, type Endpoint, operation } from "./endpoint.ts";
import { timeSchema } from "./schemas.ts";

/** What all endpoints about accounts ask. */
export interface AccountEndpoints {
  readonly accounts: Pick<AccountStore, "find" | "list">;
  readonly operations: AccountOperations;
  readonly waysIn: WayInOperations;
  /** @throws {AccountError} `not_found` */
  readonly roles: Pick<RoleOperations, "get">;
  readonly owners: Pick<ClientOwners, "managementScopesOf">;
}

/** @returns throws `forbidden` before somebody could come to sign in as the owner of an account, and by it as an application, that may do more than they */
export const takeovers =
  ({ owners }: Pick<AccountEndpoints, "owners">) =>
  async (caller: Caller, account: Account): Promise<void> =>
    refuseMightier(caller, account, await owners.managementScopesOf(account.id));

const params = { account_id: accountId };
const rolesSchema = z.object({ roles: z.array(z.string()) }).meta({ id: "AccountRoles" });
const rolesView = ({ roles }: Account): z.input<typeof rolesSchema> => ({ roles: [...roles] });

export function accountOrderEndpoints(options: AccountEndpoints & { known(id: string): Promise<Account> }): Endpoint[] {
  const { operations, waysIn, known } = options;
  const refuseTakeover = takeovers(options);

  /** One that there is none of permits nothing. */
  async function permissionsOf(name: string): Promise<readonly string[]> {
    try {
      return (await options.roles.get(name)).permissions;
    } catch (error) {
      if (error instanceof AccountError && error.code === "not_found") return [];
      throw error;
    }
  }

  /** An order without further words, which answers with the account as it then is. */
  const order = (
    verb: string,
    { operationId, summary, description }: { operationId: string; summary: string; description: string },
    carryOut: (account: Account, caller: Caller) => Promise<Account>,
  ): Endpoint =>
    operation({
      method: "POST",
      path: `/accounts/{account_id}/${verb}`,
      operationId,
      tag: "accounts",
      summary,
      description,
      scope: "grantor:accounts:write",
      params,
      response: accountSchema,
      handle: async (input, caller) => accountView(await carryOut(await known(input.params.account_id), caller)),
    });

  return [
    order(
      "disable",
      {
        operationId: "disableAccount",
        summary: "Let nobody sign in to an account",
        description: "Every session and token of it ends. The only administrator cannot be disabled.",
      },
      ({ id }, { by }) => operations.disable(by, id),
    ),
    order(
      "enable",
      { operationId: "enableAccount", summary: "Let its owner sign in again", description: "What had ended stays ended." },
      async (account, caller) => {
        await refuseTakeover(caller, account);
        return operations.enable(caller.by, account.id);
      },
    ),
    order(
      "sign-out",
      {
        operationId: "signOutAccount",
        summary: "Sign somebody out everywhere",
        description: "Every session, grant and token of the account ends, and its owner may sign in again.",
      },
      ({ id }, { by }) => operations.signOut(by, id),
    ),
    order(
      "reset-password",
      {
        operationId: "mailPasswordReset",
        summary: "Mail somebody a link with which they choose another password",
        description: "The old one works until then.",
      },
      ({ id }, { by }) => waysIn.resetPassword(by, id),
    ),
    operation({
      method: "POST",
      path: "/accounts/{account_id}/password",
      operationId: "setPassword",
      tag: "accounts",
      summary: "Put another password in place",
      description: "Every session and token of the account ends, and links that were mailed before are void.",
      scope: "grantor:accounts:write",
      params,
      body: z.strictObject({ password: z.string().describe("By the rules of sign-up: at least 15 characters, and not a common one.") }),
      response: accountSchema,
      async handle({ params: { account_id }, body: { password } }, caller) {
        const account = await known(account_id);
        await refuseTakeover(caller, account);
        return accountView(await operations.update(caller.by, account.id, { password }));
      },
    }),
    operation({
      method: "GET",
      path: "/accounts/{account_id}/ways-in",
      operationId: "getWaysIn",
      tag: "accounts",
      summary: "See what somebody signs in with",
      scope: "grantor:accounts:read",
      params,
      response: waysInSchema,
      handle: async ({ params: { account_id } }) => waysInView(await waysIn.show((await known(account_id)).id)),
    }),
    operation({
      method: "POST",
      path: "/accounts/{account_id}/remove-second-factor",
      operationId: "removeSecondFactor",
      tag: "accounts",
      summary: "Take second factors away from somebody who has lost them",
      description: "Authenticator app, passkeys and recovery codes. What is left is what signs in. They hear of it by mail.",
      scope: "grantor:accounts:write",
      params,
      response: waysInSchema,
      async handle({ params: { account_id } }, caller) {
        const account = await known(account_id);
        await refuseTakeover(caller, account);
        return waysInView(await waysIn.removeSecondFactor(caller.by, account.id));
      },
    }),
    operation({
      method: "GET",
      path: "/accounts/{account_id}/roles",
      operationId: "getAccountRoles",
      tag: "accounts",
      summary: "Get the roles of an account",
      scope: "grantor:roles:read",
      params,
      response: rolesSchema,
      handle: async ({ params: { account_id } }) => rolesView(await known(account_id)),
    }),
    operation({
      method: "PUT",
      path: "/accounts/{account_id}/roles",
      operationId: "setAccountRoles",
      tag: "accounts",
      summary: "Put roles in place of those that an account has",
      description: "One that there is none of is made. What they permit counts from the next token. The only administrator stays one.",
      scope: "grantor:roles:write",
      params,
      body: z.strictObject({ roles: z.array(z.string()).max(200) }),
      response: rolesSchema,
      needsMatch: true,
      async handle({ params: { account_id }, body: { roles }, expect }, caller) {
        const account = await known(account_id);
        const permissions = new Map<string, readonly string[]>();
        for (const name of new Set(roles)) permissions.set(name, await permissionsOf(name));
        const order = (before: Account) => {
          for (const [name, permitted] of permissions)
            if (!before.roles.includes(name)) refuseMightier(caller, { roles: [name], permissions: permitted });
          expect(rolesView(before));
        };
        return rolesView(await operations.update(caller.by, account.id, { roles }, order));
      },
    }),
    operation({
      method: "POST",
      path: "/invitations",
      operationId: "invite",
      tag: "accounts",
      summary: "Invite somebody",
      description: "Mails a link with which the owner of the address opens an account.",
      scope: "grantor:accounts:write",
      body: z.strictObject({ email: z.string().meta({ example: "ann@example.com" }) }),
      response: z.object({ email: z.string(), expires_at: timeSchema }).meta({ id: "Invitation" }),
      status: 202,
      async handle({ body: { email } }, { by }) {
        const invitation = await operations.invite(by, email);
        return { email: invitation.email, expires_at: invitation.expiresAt.toISOString() };
      },
    }),
  ];
}
