/**
 * The first proof that an address belongs to somebody. Whoever added something to the account before could not prove it: they may have waited
 * for its owner to come, and to use what they had prepared ("pre-hijacking"). So all of it is void.
 */
import type { Prisma } from "../storage/generated/client.ts";

/**
 * Marks the address as verified. The first time, every credential, session, link and consent of the account goes. What an operator gave stays:
 * the account itself, its name and its roles.
 * @returns whether it was the first time; false as well for an account that is disabled or not there
 */
export async function verifyFirst(tx: Prisma.TransactionClient, accountId: string, at: Date): Promise<boolean> {
  const { count } = await tx.account.updateMany({
    where: { id: accountId, emailVerified: false, disabledAt: null },
    data: { emailVerified: true },
  });
  if (count === 0) return false;
  const where = { accountId };
  await tx.credential.deleteMany({ where });
  await tx.passkey.deleteMany({ where });
  await tx.recoveryCode.deleteMany({ where });
  await tx.federatedIdentity.deleteMany({ where });
  await tx.accountSession.deleteMany({ where });
  await tx.consent.deleteMany({ where });
  await tx.oneTimeToken.updateMany({ where: { accountId, usedAt: null }, data: { usedAt: at } });
  return true;
}
