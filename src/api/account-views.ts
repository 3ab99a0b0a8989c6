/** How the API shows an account, and what it says of how somebody signs in. */
import { z } from "zod";
import type { Account } from "../accounts/account.ts";
import type { WaysIn } from "../operations/way-in-operations.ts";
import { timeSchema } from "./schemas.ts";

export const accountId = z.string().meta({ description: "The account's id: the `sub` of its tokens.", example: "mK2v0dXqTzqbYk1aZyB7sQ" });
export const claimsSchema = z
  .record(z.string(), z.unknown())
  .describe("Further standard claims of OpenID Connect, such as `given_name`, `locale` or `phone_number`.");

export const accountSchema = z
  .object({
    account_id: accountId,
    email: z.string().meta({ example: "ann@example.com" }),
    email_verified: z.boolean().describe("Nobody gets a token before the address is verified."),
    name: z.string().optional(),
    claims: claimsSchema,
    roles: z.array(z.string()).describe("Given and taken at `/accounts/{account_id}/roles`."),
    disabled_at: timeSchema.optional().describe("Nobody signs in to it, since then."),
    delete_at: timeSchema.optional().describe("Its owner has asked for its deletion, which comes then."),
    created_at: timeSchema,
    updated_at: timeSchema,
  })
  .meta({ id: "Account", description: "A person." });

export function accountView(account: Account): z.input<typeof accountSchema> {
  const { id, email, emailVerified, name, claims, roles, disabledAt, deleteAt, createdAt, updatedAt } = account;
  return {
    account_id: id,
    email,
    email_verified: emailVerified,
    ...(name !== undefined && { name }),
    claims: { ...claims },
    roles: [...roles],
    ...(disabledAt !== undefined && { disabled_at: disabledAt.toISOString() }),
    ...(deleteAt !== undefined && { delete_at: deleteAt.toISOString() }),
    created_at: createdAt.toISOString(),
    updated_at: updatedAt.toISOString(),
  };
}

export const waysInSchema = z
  .object({
    password: z
      .object({ changed_at: timeSchema, stands_alone: z.boolean().describe("Long enough to be the only factor.") })
      .optional()
      .describe("Absent: there is none."),
    authenticator_app: z.boolean(),
    passkeys: z.int(),
    recovery_codes: z.int().describe("Those that are left."),
    identities: z
      .array(z.object({ issuer: z.string(), subject: z.string(), label: z.string().describe("The address or name there.") }))
      .describe("Accounts at other providers that open this one."),
  })
  .meta({ id: "WaysIn", description: "What somebody signs in with. Nothing of it opens anything." });

export function waysInView({ factors: { password, totp, passkeys, recoveryCodes }, identities }: WaysIn): z.input<typeof waysInSchema> {
  return {
    ...(password !== undefined && { password: { changed_at: password.changedAt.toISOString(), stands_alone: password.standsAlone } }),
    authenticator_app: totp,
    passkeys,
    recovery_codes: recoveryCodes,
    identities: identities.map(({ issuer, subject, label }) => ({ issuer, subject, label })),
  };
}
