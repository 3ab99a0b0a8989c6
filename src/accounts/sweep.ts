import { Prisma, type PrismaClient } from "../storage/generated/client.ts";

/** Dead links are kept this long, so that an abandoned sign-up can still be told from an account that an operator made. */
const KEPT_MS = 86_400_000;

/** A sign-up that nobody has confirmed, of `account a`: whoever began it has nothing here yet. */
const UNCONFIRMED_SIGN_UP = Prisma.sql`
  NOT a.email_verified
  AND NOT EXISTS (SELECT 1 FROM credential c WHERE c.account_id = a.id)
  AND NOT EXISTS (SELECT 1 FROM passkey p WHERE p.account_id = a.id)
  AND NOT EXISTS (SELECT 1 FROM federated_identity f WHERE f.account_id = a.id)
  AND NOT EXISTS (SELECT 1 FROM account_role r WHERE r.account_id = a.id)
  AND EXISTS (SELECT 1 FROM one_time_token t WHERE t.account_id = a.id AND t.purpose = 'verify-email' AND t.data ? 'passwordHash')`;

/**
 * Removes sign-ups that nobody confirmed, then links that are dead. An account that an operator made is never removed.
 * @param now milliseconds since the epoch
 */
export async function sweepAccounts(prisma: PrismaClient, now: number): Promise<void> {
  const at = new Date(now);
  const before = new Date(now - KEPT_MS);
  await prisma.$executeRaw`
    DELETE FROM account a
    WHERE ${UNCONFIRMED_SIGN_UP} AND a.created_at < ${before}
      AND NOT EXISTS (SELECT 1 FROM one_time_token t WHERE t.account_id = a.id AND t.purpose = 'verify-email' AND t.expires_at > ${at})`;
  await prisma.oneTimeToken.deleteMany({ where: { expiresAt: { lt: before } } });
}

/**
 * Frees an address for whoever has just proved that it is theirs: a sign-up with it that nobody confirmed is gone, and its links too.
 * @param email normalised  @returns the id that it had
 */
export async function removeUnconfirmedSignUp(within: Prisma.TransactionClient, email: string): Promise<string | undefined> {
  const [gone] = await within.$queryRaw<{ id: string }[]>`
    DELETE FROM account a WHERE a.email = ${email} AND ${UNCONFIRMED_SIGN_UP} RETURNING a.id`;
  return gone?.id;
}
