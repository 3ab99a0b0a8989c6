/** Accounts: made, found, changed, deleted. What is ordered of one beside that stands in account-order-endpoints.ts. */
import { z } from "zod";
import type { Account } from "../accounts/account.ts";
import { type AccountEndpoints, accountOrderEndpoints, takeovers } from "./account-order-endpoints.ts";
import { accountId, accountSchema, accountView, claimsSchema } from "./account-views.ts";
import { type Endpoint, listing, operation } from "./endpoint.ts";
import { listPlace, placePosition } from "./places.ts";
import { notFound } from "./problems.ts";
import { flagSchema, timeSchema } from "./schemas.ts";

const email = z.string().meta({ example: "ann@example.com" });
const password = z.string().describe("By the rules of sign-up: at least 15 characters, and not a common one.");
const name = z.string().describe("The full name.");

export function accountEndpoints(options: AccountEndpoints): Endpoint[] {
  const { accounts, operations } = options;
  const refuseTakeover = takeovers(options);

  /** By its id alone: operations also take addresses. */
  async function known(id: string): Promise<Account> {
    const account = await accounts.find(id);
    if (account === undefined) throw notFound("account");
    return account;
  }

  return [
    listing({
      path: "/accounts",
      operationId: "listAccounts",
      tag: "accounts",
      summary: "List or search accounts, in the order in which they were made",
      description:
        "`search` finds an id or an address at once, and else words of address and name, of which the last may be only begun. A page that is searched for may be short, or even empty, and have a `next` all the same: it costs no more than a page that is full.",
      scope: "grantor:accounts:read",
      query: {
        search: z.string().max(200).optional().meta({ example: "ann exam" }),
        email_verified: flagSchema.optional(),
        disabled: flagSchema.optional(),
        role: z.string().max(200).optional(),
        created_since: timeSchema.optional(),
      },
      item: accountSchema,
      async handle({ query: { search, email_verified: verified, disabled, role, created_since }, limit, after }) {
        const page = await accounts.list({
          limit,
          ...listPlace(after),
          ...(search !== undefined && { search }),
          ...(verified !== undefined && { verified }),
          ...(disabled !== undefined && { disabled }),
          ...(role !== undefined && { role }),
          ...(created_since !== undefined && { createdSince: new Date(created_since) }),
        });
        return { items: page.accounts.map(accountView), next: placePosition(page.next) };
      },
    }),
    operation({
      method: "POST",
      path: "/accounts",
      operationId: "createAccount",
      tag: "accounts",
      summary: "Make an account",
      description:
        "Without `password` one is made and shown this once. Unless `email_verified`, the owner of the address is mailed a link to confirm it. To let somebody choose everything by themselves, invite them.",
      scope: "grantor:accounts:write",
      body: z.strictObject({
        email,
        email_verified: z.boolean().default(false),
        password: password.optional(),
        name: name.optional(),
        claims: claimsSchema.optional(),
      }),
      response: accountSchema.extend({ password: z.string().optional().describe("Shown this once, and only when it was made here.") }),
      status: 201,
      location: ({ account_id }) => `/accounts/${account_id}`,
      shownOnce: ["password"],
      async handle({ body }, { by }) {
        const { account, generatedPassword } = await operations.create(by, {
          email: body.email,
          verified: body.email_verified,
          ...(body.password !== undefined && { password: body.password }),
          ...(body.name !== undefined && { name: body.name }),
          ...(body.claims !== undefined && { claims: body.claims }),
        });
        return { ...accountView(account), ...(generatedPassword !== undefined && { password: generatedPassword }) };
      },
    }),
    operation({
      method: "GET",
      path: "/accounts/{account_id}",
      operationId: "getAccount",
      tag: "accounts",
      summary: "Get an account",
      scope: "grantor:accounts:read",
      params: { account_id: accountId },
      response: accountSchema,
      handle: async ({ params }) => accountView(await known(params.account_id)),
    }),
    operation({
      method: "PATCH",
      path: "/accounts/{account_id}",
      operationId: "updateAccount",
      tag: "accounts",
      summary: "Change an account",
      description:
        "What is absent stays; `null` removes a name or a claim (RFC 7396). An address that no longer counts as verified ends every session and token, and its owner is mailed a link. Links that were mailed before are void.",
      scope: "grantor:accounts:write",
      params: { account_id: accountId },
      body: z.strictObject({
        email: email.optional(),
        email_verified: z.boolean().optional(),
        name: name.nullable().optional(),
        claims: claimsSchema.optional(),
      }),
      response: accountSchema,
      needsMatch: true,
      async handle({ params, body, expect }, caller) {
        const account = await known(params.account_id);
        // Whoever has the address gets a link with which a password is chosen.
        if (body.email !== undefined || body.email_verified !== undefined) await refuseTakeover(caller, account);
        const order = {
          ...(body.email !== undefined && { email: body.email }),
          ...(body.email_verified !== undefined && { verified: body.email_verified }),
          ...(body.name !== undefined && { name: body.name ?? "" }),
          ...(body.claims !== undefined && { claims: body.claims }),
        };
        return accountView(await operations.update(caller.by, account.id, order, (before) => expect(accountView(before))));
      },
    }),
    operation({
      method: "DELETE",
      path: "/accounts/{account_id}",
      operationId: "deleteAccount",
      tag: "accounts",
      summary: "Delete an account",
      description:
        "With everything of it, at once and for good; its sessions and tokens end first. The only administrator cannot be deleted.",
      scope: "grantor:accounts:write",
      params: { account_id: accountId },
      needsMatch: true,
      async handle({ params, expect }, { by }) {
        const { id } = await known(params.account_id);
        await operations.delete(by, id, (before) => expect(accountView(before)));
      },
    }),
    ...accountOrderEndpoints({ ...options, known }),
  ];
}
