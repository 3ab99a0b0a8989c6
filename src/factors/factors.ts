/**
 * factors/ owns what people prove themselves with beside a password: authenticator apps, recovery codes, passkeys, and how sure a sign-in is of
 * its person (assurance.ts). It owns neither passwords (accounts/) nor the pages that ask. This is what an account has of them, and the one way
 * in which a second factor goes.
 */
import { AccountError } from "../accounts/account-error.ts";
import { lockAccount } from "../accounts/account-lock.ts";
import { text } from "../i18n/messages.ts";
import type { Prisma, PrismaClient } from "../storage/generated/client.ts";

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

/** Whether a sign-in in which this was done lacks the second factor that its account has. */
export const lacksSecondFactor = (amr: readonly string[], factors: Pick<AccountFactors, "totp" | "passkeys">): boolean =>
  hasSecondFactor(factors) && !amr.includes("mfa");

/** What a sign-in has shown that can be taken from an account: it counts for as long as it is there. */
export interface Shown {
  /** When the password was chosen, in milliseconds since the epoch. */
  readonly password?: number | undefined;
  /** The id of a passkey. */
  readonly passkey?: string | undefined;
  /** An account at another provider. */
  readonly identity?: { readonly issuer: string; readonly subject: string } | undefined;
}

export interface Factors {
  /** Never from a cache. */
  of(accountId: string): Promise<AccountFactors>;
  /** Whether all of it is still the account's. Never from a cache. */
  stillHas(accountId: string, shown: Shown): Promise<boolean>;
  /**
   * Whether a sign-in counts when it comes to its end, which may be long after its last step: what it has shown is still the account's, and no
   * second factor came meanwhile that it was not asked for. Never from a cache.
   */
  stillSuffices(
    accountId: string,
    signIn: { readonly shown?: Shown | undefined; readonly amr?: readonly string[] | undefined },
  ): Promise<boolean>;
  /**
   * Takes a second factor away. The last one stays with a password that is too short to be the only factor.
   * Of two removals at once the second sees what the first has left.
   * @param remove within the transaction; returns whether there was something to remove
   * @returns what `remove` returned  @throws AccountError `password_too_short`: nothing was removed
   */
  remove(accountId: string, remove: (tx: Prisma.TransactionClient) => Promise<boolean>): Promise<boolean>;
  /** What an operator does for somebody who has lost everything: no second factor is left. @returns whether there was one */
  removeAll(accountId: string): Promise<boolean>;
}

/** @param rpId that passkeys are made for today  @param knownCode see RecoveryCodes.isKnown */
export function createFactors(prisma: PrismaClient, rpId: string, knownCode: (hash: string) => boolean): Factors {
  async function read(accountId: string, tx: Prisma.TransactionClient = prisma): Promise<AccountFactors> {
    const [credentials, passkeys, codes] = await Promise.all([
      tx.credential.findMany({ where: { accountId }, select: { kind: true, standsAlone: true, updatedAt: true } }),
      tx.passkey.count({ where: { accountId, rpId } }),
      tx.recoveryCode.findMany({ where: { accountId, usedAt: null }, select: { hash: true } }),
    ]);
    const password = credentials.find(({ kind }) => kind === "password");
    return {
      ...(password && { password: { standsAlone: password.standsAlone, changedAt: password.updatedAt } }),
      totp: credentials.some(({ kind }) => kind === "totp"),
      passkeys,
      recoveryCodes: codes.filter(({ hash }) => knownCode(hash)).length,
    };
  }

  async function stillHas(accountId: string, { password, passkey, identity }: Shown): Promise<boolean> {
    const there = await Promise.all([
      password === undefined ||
        prisma.credential.count({ where: { accountId, kind: "password", updatedAt: new Date(password) } }).then(isSome),
      passkey === undefined || prisma.passkey.count({ where: { accountId, id: passkey } }).then(isSome),
      identity === undefined || prisma.federatedIdentity.count({ where: { accountId, ...identity } }).then(isSome),
    ]);
    return !there.includes(false);
  }

  return {
    of: (accountId) => read(accountId),
    stillHas,
    stillSuffices: async (accountId, { shown = {}, amr = [] }) =>
      (await stillHas(accountId, shown)) && !lacksSecondFactor(amr, await read(accountId)),
    remove: (accountId, remove) =>
      prisma.$transaction(async (tx) => {
        await lockAccount(tx, accountId);
        if (!(await remove(tx))) return false;
        const left = await read(accountId, tx);
        if (hasSecondFactor(left)) return true;
        if (left.password?.standsAlone === false) throw new AccountError("password_too_short", text("factors:password_too_short"));
        return true;
      }),
    removeAll: (accountId) =>
      prisma.$transaction(async (tx) => {
        await lockAccount(tx, accountId);
        const totp = await tx.credential.deleteMany({ where: { accountId, kind: "totp" } });
        const passkeys = await tx.passkey.deleteMany({ where: { accountId } });
        await tx.recoveryCode.deleteMany({ where: { accountId } });
        return totp.count + passkeys.count > 0;
      }),
  };
}

const isSome = (count: number): boolean => count > 0;
