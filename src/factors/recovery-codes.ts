/**
 * Codes for whoever has lost their second factor: ten, shown once, each good for one sign-in. They are short enough to be written down, so what
 * is stored of them is keyed: a dump of the database opens nothing.
 */
import { createHash, createHmac, randomInt } from "node:crypto";
import { lockAccount } from "../accounts/account-lock.ts";
import type { PrismaClient } from "../storage/generated/client.ts";

const RECOVERY_CODES = 10;
/** Fewer are a reason to make new ones. */
export const FEW_RECOVERY_CODES = 4;
/** 32 characters of which none is taken for another: 50 bits in ten of them. NIST SP 800-63B-4 §3.1.2.1 asks for 20. */
const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";
const GROUP = 5;

export interface RecoveryCodes {
  /** Ten new ones; earlier ones are void. @returns them as they are shown, for the only time */
  renew(accountId: string): Promise<readonly string[]>;
  /** Uses a code up, however it was typed. MUST accept each once: it is taken by compare-and-set. */
  use(accountId: string, code: string): Promise<boolean>;
  /** Whether a stored code can still be used: one that a SECRET_KEY has keyed which is gone matches nothing. */
  isKnown(hash: string): boolean;
}

/** @param keys the first keys new codes, all are tried  @param now milliseconds since the epoch */
export function createRecoveryCodes(prisma: PrismaClient, keys: readonly Buffer[], now: () => number = Date.now): RecoveryCodes {
  const known = keys.map((key) => ({ key, id: createHash("sha256").update("grantor/key-id").update(key).digest("base64url").slice(0, 6) }));
  const hashes = (accountId: string, code: string) =>
    known.map(({ key, id }) => `${id}.${createHmac("sha256", key).update(`${accountId}\n${code}`).digest("base64url")}`);

  return {
    async renew(accountId) {
      const codes = new Set<string>();
      while (codes.size < RECOVERY_CODES) codes.add(newCode());
      await prisma.$transaction(async (tx) => {
        await lockAccount(tx, accountId); // of two new sets at once one stays
        await tx.recoveryCode.deleteMany({ where: { accountId } });
        const rows = [...codes].map((code) => ({ accountId, hash: hashes(accountId, code)[0] as string, createdAt: new Date(now()) }));
        await tx.recoveryCode.createMany({ data: rows });
      });
      return [...codes].map((code) => `${code.slice(0, GROUP)}-${code.slice(GROUP)}`);
    },
    async use(accountId, typed) {
      const code = normalize(typed);
      if (code === undefined) return false;
      const taken = await prisma.$executeRaw`
        UPDATE recovery_code SET used_at = ${new Date(now())}
        WHERE account_id = ${accountId} AND hash = ANY(${hashes(accountId, code)}) AND used_at IS NULL`;
      return taken > 0;
    },
    isKnown: (hash) => known.some(({ id }) => hash.startsWith(`${id}.`)),
  };
}

const newCode = (): string => Array.from({ length: 2 * GROUP }, () => ALPHABET[randomInt(ALPHABET.length)]).join("");

/** As Crockford's base 32 is read: letters that look like digits are those, and what sets groups apart is nothing. */
function normalize(typed: string): string | undefined {
  const code = typed
    .toLowerCase()
    .replace(/[\s\p{Pd}]/gu, "")
    .replaceAll("o", "0")
    .replace(/[il]/g, "1");
  return code.length === 2 * GROUP && [...code].every((character) => ALPHABET.includes(character)) ? code : undefined;
}
