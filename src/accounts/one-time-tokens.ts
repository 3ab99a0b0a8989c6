import { createHash, randomBytes } from "node:crypto";
import type { Prisma, PrismaClient } from "../storage/generated/client.ts";

export type TokenPurpose =
  | "verify-email"
  | "invitation"
  | "bootstrap-admin"
  | "sign-up-notice"
  | "change-email"
  | "reset-password"
  | "share-application"
  | "federation-request"
  | "federation-result";

export interface OneTimeToken {
  readonly accountId: string | undefined;
  readonly data: Record<string, unknown>;
  readonly createdAt: Date;
  readonly expiresAt: Date;
}

/** Links that are sent or printed: 256 random bits, of which only the SHA-256 is kept. */
export interface OneTimeTokens {
  /** @param ttl seconds  @returns the token, which is shown this once */
  issue(purpose: TokenPurpose, options: { ttl: number; accountId?: string; data?: Record<string, unknown> }): Promise<string>;
  /** What a live token says, leaving it live; `undefined` when it is unknown, used or expired. */
  peek(purpose: TokenPurpose, token: string): Promise<OneTimeToken | undefined>;
  /**
   * Uses a token up. MUST succeed once however many callers try at once, in whatever process; everybody else gets `undefined`.
   * Given a transaction, a rollback leaves the token unused.
   */
  take(purpose: TokenPurpose, token: string, within?: Prisma.TransactionClient): Promise<OneTimeToken | undefined>;
  /** Uses up every live token of a purpose that an account has. */
  spendAll(purpose: TokenPurpose, accountId: string, within?: Prisma.TransactionClient): Promise<void>;
}

/** What is mailed to whoever has an account, or its address. */
const MAILED: TokenPurpose[] = ["verify-email", "reset-password", "change-email"];

/** A link of before would put another password in place of this one, or prove another address than this one. */
export async function voidMailedLinks(within: Prisma.TransactionClient, accountIds: readonly string[], at: Date): Promise<void> {
  const where = { accountId: { in: [...accountIds] }, purpose: { in: MAILED }, usedAt: null };
  await within.oneTimeToken.updateMany({ where, data: { usedAt: at } });
}

interface Row {
  account_id: string | null;
  data: Record<string, unknown>;
  created_at: Date;
  expires_at: Date;
}

/** A new token and the hash under which it is stored. */
export function makeToken(): { token: string; hash: string } {
  const token = randomBytes(32).toString("base64url");
  return { token, hash: hashToken(token) };
}

/** Whether it has the form of one; anything may come in an address. */
export const isToken = (value: string): boolean => /^[\w-]{43}$/.test(value);

export function hashToken(token: string): string {
  return createHash("sha256").update(token).digest("base64url");
}

/** @param now milliseconds since the epoch */
export function createOneTimeTokens(prisma: PrismaClient, now: () => number = Date.now): OneTimeTokens {
  return {
    async issue(purpose, { ttl, accountId, data = {} }) {
      const { token, hash } = makeToken();
      await prisma.oneTimeToken.create({
        data: {
          hash,
          purpose,
          accountId: accountId ?? null,
          data: data as Prisma.InputJsonObject,
          createdAt: new Date(now()),
          expiresAt: new Date(now() + ttl * 1000),
        },
      });
      return token;
    },
    async peek(purpose, token) {
      const row = await prisma.oneTimeToken.findUnique({ where: { hash: hashToken(token) } });
      if (row === null || row.purpose !== purpose || row.usedAt !== null || row.expiresAt.getTime() <= now()) return undefined;
      return {
        accountId: row.accountId ?? undefined,
        data: row.data as Record<string, unknown>,
        createdAt: row.createdAt,
        expiresAt: row.expiresAt,
      };
    },
    async take(purpose, token, within = prisma) {
      const at = new Date(now());
      const [row] = await within.$queryRaw<Row[]>`
        UPDATE one_time_token SET used_at = ${at}
        WHERE hash = ${hashToken(token)} AND purpose = ${purpose} AND used_at IS NULL AND expires_at > ${at}
        RETURNING account_id, data, created_at, expires_at`;
      if (row === undefined) return undefined;
      return { accountId: row.account_id ?? undefined, data: row.data, createdAt: row.created_at, expiresAt: row.expires_at };
    },
    async spendAll(purpose, accountId, within = prisma) {
      await within.oneTimeToken.updateMany({ where: { purpose, accountId, usedAt: null }, data: { usedAt: new Date(now()) } });
    },
  };
}
