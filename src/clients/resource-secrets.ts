/**
 * Secrets of resources whose tokens are signed with HS256: made here, 256 bits, sealed in the database, shown once. The key is the secret's text
 * in UTF-8, as that of a client secret is (OIDC Core §10.1): every library takes it as it was shown.
 */
import { createSecretKey, type KeyObject, randomBytes } from "node:crypto";
import type { PrismaClient } from "../storage/generated/client.ts";
import type { Sealer } from "../storage/seal.ts";

const SECRET_BYTES = 32;

export const newResourceSecret = (): string => randomBytes(SECRET_BYTES).toString("base64url");

export const sealResourceSecret = (sealer: Sealer, audience: string, secret: string): string => sealer.seal(secret, context(audience));

/** @throws {Error} with the words that say what to set */
export function openResourceSecret(sealer: Sealer, audience: string, sealed: string): KeyObject {
  try {
    return createSecretKey(sealer.open(sealed, context(audience)), "utf8");
  } catch (cause) {
    throw new Error(
      `The secret of the resource ${audience} is sealed under one that SECRET_KEY does not hold. Set SECRET_KEY to the value that was in use when it was made, or make another with: grantor resource rotate-secret ${audience}`,
      { cause },
    );
  }
}

/** Seals again what an older SECRET_KEY had sealed. @throws {Error} when one cannot be opened, with the words that say what to do */
export async function sealResourceSecretsAgain(prisma: PrismaClient, sealer: Sealer): Promise<void> {
  const rows = await prisma.resource.findMany({ where: { hmacSecret: { not: null } }, select: { audience: true, hmacSecret: true } });
  for (const { audience, hmacSecret } of rows) {
    if (hmacSecret === null) continue;
    const secret = openResourceSecret(sealer, audience, hmacSecret).export().toString("utf8");
    if (sealer.isCurrent(hmacSecret)) continue;
    // Compare and set: whoever made another secret meanwhile wins.
    await prisma.resource.updateMany({
      where: { audience, hmacSecret },
      data: { hmacSecret: sealResourceSecret(sealer, audience, secret) },
    });
  }
}

const context = (audience: string): string => `resource-secret:${audience}`;
