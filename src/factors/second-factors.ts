import type { Config } from "../config.ts";
import { deriveKeys, type Secrets } from "../secrets.ts";
import type { PrismaClient } from "../storage/generated/client.ts";
import { createSealer } from "../storage/seal.ts";
import { createFactors, type Factors } from "./factors.ts";
import { createRecoveryCodes, type RecoveryCodes } from "./recovery-codes.ts";
import { createTotp, type Totp } from "./totp.ts";

/** Second factors but passkeys, joined. */
export interface SecondFactors {
  readonly factors: Factors;
  readonly totp: Totp;
  readonly recoveryCodes: RecoveryCodes;
}

/** WebAuthn §5.1.2: what passkeys are made for, the issuer's host name. */
export const rpIdOf = (issuer: string): string => new URL(issuer).hostname;

/** @param now milliseconds since the epoch */
export function createSecondFactors(
  prisma: PrismaClient,
  secrets: Secrets,
  config: Pick<Config, "issuer" | "brand">,
  now: () => number = Date.now,
): SecondFactors {
  const recoveryCodes = createRecoveryCodes(prisma, deriveKeys(secrets, "grantor/recovery-codes"), now);
  const factors = createFactors(prisma, rpIdOf(config.issuer), recoveryCodes.isKnown);
  const sealer = createSealer(deriveKeys(secrets, "grantor/totp"));
  return { factors, recoveryCodes, totp: createTotp({ prisma, sealer, issuer: config.brand.name, factors, now }) };
}
