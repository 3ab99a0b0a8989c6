import { text } from "../i18n/messages.ts";
import type { Prisma } from "../storage/generated/client.ts";
import { AccountError } from "./account-error.ts";
import { lockAccount } from "./account-lock.ts";

/**
 * Nobody takes their last way in away: a password, an account at another provider, or a passkey of today's host name has to be left.
 * Asked after the removal, in its transaction; holds the account's row until its end, so that of two removals the second sees what the first left.
 * @param rpId the host name for which passkeys work
 * @throws AccountError `last_way_in` (409)
 */
export async function requireWayIn(tx: Prisma.TransactionClient, accountId: string, rpId: string): Promise<void> {
  await lockAccount(tx, accountId);
  const left = [
    await tx.credential.count({ where: { accountId, kind: "password" } }),
    await tx.federatedIdentity.count({ where: { accountId } }),
    await tx.passkey.count({ where: { accountId, rpId } }),
  ];
  if (left.every((count) => count === 0)) throw new AccountError("last_way_in", text("faults:last_way_in"));
}
