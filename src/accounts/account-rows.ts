/** An account as its rows in the database, and back. */
import { text } from "../i18n/messages.ts";
import { Prisma } from "../storage/generated/client.ts";
import type { Account } from "./account.ts";
import { AccountError } from "./account-error.ts";

export const WITH_ROLES = { roles: { include: { role: true } } } as const;
type Stored = Prisma.AccountGetPayload<{ include: typeof WITH_ROLES }>;

export function fromStored(stored: Stored): Account;
export function fromStored(stored: Stored | null): Account | undefined;
export function fromStored(stored: Stored | null): Account | undefined {
  if (stored === null) return undefined;
  const roles = stored.roles.map((link) => link.roleName).sort();
  return Object.freeze({
    id: stored.id,
    email: stored.email,
    emailVerified: stored.emailVerified,
    ...(stored.name === null ? {} : { name: stored.name }),
    claims: stored.claims as Record<string, unknown>,
    ...(stored.disabledAt === null ? {} : { disabledAt: stored.disabledAt }),
    ...(stored.deleteAt === null ? {} : { deleteAt: stored.deleteAt }),
    createdAt: stored.createdAt,
    updatedAt: stored.updatedAt,
    roles,
    requiresSecondFactor: stored.roles.some((link) => link.role.requiresSecondFactor),
    permissions: [...new Set(stored.roles.flatMap((link) => link.role.permissions))].sort(),
  });
}

/** Prisma's nested write of roles; one that there is none of is made. */
export function roleLinks(names: readonly string[]): Prisma.AccountRoleCreateWithoutAccountInput[] {
  return [...new Set(names)].map((name) => ({ role: { connectOrCreate: { where: { name }, create: { name } } } }));
}

/**
 * Prisma's nested write that puts a password in place of whatever was there.
 * @param standsAlone long enough to be the only factor
 */
export function passwordLink(accountId: string, secret: string, standsAlone = true): Prisma.CredentialUpdateManyWithoutAccountNestedInput {
  return {
    upsert: {
      where: { accountId_kind: { accountId, kind: "password" } },
      create: { kind: "password", secret, standsAlone },
      update: { secret, standsAlone },
    },
  };
}

/** What the database refuses, in this room's words. */
export function translate(error: unknown): never {
  if (error instanceof Prisma.PrismaClientKnownRequestError) {
    if (error.code === "P2002") throw new AccountError("email_taken", text("faults:email_taken"), { cause: error });
    if (error.code === "P2025") throw new AccountError("not_found", "There is no such account.", { cause: error });
  }
  throw error;
}
