/**
 * The ways into an account, and which of them may be taken away: nobody locks themselves out, and a short password never stands alone
 * (NIST SP 800-63B-4 §3.1.1.2). Asked in the transaction that takes one away.
 */
import type { Prisma } from "../storage/generated/client.ts";

export interface WaysIn {
  /** A password, and whether it is long enough to be the only factor. */
  readonly password: "none" | "short" | "long";
  /** Whether an authenticator app is set up. */
  readonly totp: boolean;
  /** Passkeys of today's RP ID: others do not work. */
  readonly passkeys: number;
  /** Accounts at other providers. */
  readonly providers: number;
}

/** Why a way in has to stay for now. */
export type Objection = "last_way_in" | "short_password";

/**
 * Reads them, and holds them until the transaction ends: of two that each take away the last but one, the second sees what the first left.
 * @param rpId today's RP ID
 */
export async function lockWaysIn(tx: Prisma.TransactionClient, accountId: string, rpId: string | undefined): Promise<WaysIn> {
  await tx.$queryRaw`SELECT 1 FROM account WHERE id = ${accountId} FOR UPDATE`;
  const credentials = await tx.credential.findMany({ where: { accountId }, select: { kind: true, standsAlone: true, usedStep: true } });
  const password = credentials.find(({ kind }) => kind === "password");
  return {
    password: password === undefined ? "none" : password.standsAlone ? "long" : "short",
    totp: credentials.some(({ kind, usedStep }) => kind === "totp" && usedStep !== null),
    passkeys: rpId === undefined ? 0 : await tx.passkey.count({ where: { accountId, rpId } }),
    providers: await tx.federatedIdentity.count({ where: { accountId } }),
  };
}

/** @param left what would be left */
export function objectionTo(left: WaysIn): Objection | undefined {
  if (left.password === "none") return left.passkeys + left.providers === 0 ? "last_way_in" : undefined;
  return left.password === "short" && !left.totp && left.passkeys === 0 ? "short_password" : undefined;
}
