import type { Prisma } from "../storage/generated/client.ts";

/**
 * Whoever changes what protects an account does so one after another: each holds its row until the end of the transaction. It comes first in
 * it, before links are used up: who took a link and then waited for the account would wait for whoever has the account and voids its links.
 */
export async function lockAccount(tx: Prisma.TransactionClient, accountId: string): Promise<void> {
  await tx.$queryRaw`SELECT id FROM account WHERE id = ${accountId} FOR UPDATE`;
}
