/**
 * factors/ owns what people prove themselves with beside a password: authenticator apps, recovery codes, passkeys, and how sure a sign-in is of
 * its person (assurance.ts). It owns neither passwords (accounts/) nor the pages that ask. This is what an account has of them.
 */
import { lockWaysIn } from "../accounts/ways-in.ts";
import type { PrismaClient } from "../storage/generated/client.ts";

/** What an account has to sign in with. */
export interface AccountFactors {
  /** Absent: it has none. `standsAlone`: long enough to be the only factor; `changedAt`: when it was chosen. */
  readonly password?: { readonly standsAlone: boolean; readonly changedAt: Date };
  /** An authenticator app was set up. */
  readonly totp: boolean;
  /** Passkeys that work at today's host name. */
  readonly passkeys: number;
  /** Recovery codes that are left. They are no second factor of their own: they stand in for a lost one. */
  readonly recoveryCodes: number;
}

/** Whether signing in with one factor asks for another. */
export const hasSecondFactor = ({ totp, passkeys }: Pick<AccountFactors, "totp" | "passkeys">): boolean => totp || passkeys > 0;

export interface Factors {
  /** Never from a cache. */
  of(accountId: string): Promise<AccountFactors>;
  /** What an operator does for somebody who has lost everything: no second factor is left. @returns whether there was one */
  removeAll(accountId: string): Promise<boolean>;
}

/** @param rpId that passkeys are made for today  @param knownCode see RecoveryCodes.isKnown */
export function createFactors(prisma: PrismaClient, rpId: string | undefined, knownCode: (hash: string) => boolean): Factors {
  return {
    async of(accountId) {
      const [credentials, passkeys, codes] = await Promise.all([
        prisma.credential.findMany({ where: { accountId }, select: { kind: true, standsAlone: true, updatedAt: true } }),
        rpId === undefined ? 0 : prisma.passkey.count({ where: { accountId, rpId } }),
        prisma.recoveryCode.findMany({ where: { accountId, usedAt: null }, select: { hash: true } }),
      ]);
      const password = credentials.find(({ kind }) => kind === "password");
      return {
        ...(password && { password: { standsAlone: password.standsAlone, changedAt: password.updatedAt } }),
        totp: credentials.some(({ kind }) => kind === "totp"),
        passkeys,
        recoveryCodes: codes.filter(({ hash }) => knownCode(hash)).length,
      };
    },
    removeAll: (accountId) =>
      prisma.$transaction(async (tx) => {
        await lockWaysIn(tx, accountId, rpId);
        const totp = await tx.credential.deleteMany({ where: { accountId, kind: "totp" } });
        const passkeys = await tx.passkey.deleteMany({ where: { accountId } });
        await tx.recoveryCode.deleteMany({ where: { accountId } });
        return totp.count + passkeys.count > 0;
      }),
  };
}
