/**
 * Initial access tokens, which let an application register (RFC 7591 §3), and registration access tokens, with which it manages its
 * registration (RFC 7592 §1.3). Kept under their SHA-256; they have no place in Redis, since many of them never expire.
 */
import type { Expectation } from "../storage/expectation.ts";
import type { Prisma, PrismaClient } from "../storage/generated/client.ts";
import { ClientError, refuseFaults } from "./client-error.ts";
import { generateSecret, hashSecret } from "./client-secrets.ts";
import { checkLimits, type RegistrationLimits } from "./registration-limits.ts";

/** Whole characters of base64url, and far too many to meet twice. */
const ID_BYTES = 12;
/** Seconds: ten years. */
export const LONGEST_LIFE = 315_360_000;
export const MOST_USES = 1_000_000;
const ID = /^[0-9a-f]{24}$/;

export type RegistrationTokenKind = "RegistrationAccessToken" | "InitialAccessToken";

export interface InitialAccessToken extends RegistrationLimits {
  /** Names it from now on, and opens nothing. */
  readonly id: string;
  /** Shown once. */
  readonly token: string;
  readonly expiresAt?: Date;
  readonly uses?: number;
}

/** An initial access token as it is listed: not the token, which is not kept. */
export interface ListedToken extends RegistrationLimits {
  /** The beginning of its hash, in hexadecimal: names it, and opens nothing. */
  readonly id: string;
  readonly createdAt: Date;
  readonly expiresAt?: Date;
  /** Absent: any number. */
  readonly usesLeft?: number;
  /** Neither expired nor used up. */
  readonly usable: boolean;
}

/** What is asked of a new one. */
export interface InitialAccessTokenOrder extends RegistrationLimits {
  /** Seconds from now; absent: it never expires. */
  readonly expires?: number;
  /** Registrations that it is good for; absent: any number. */
  readonly uses?: number;
}

export interface StoredToken {
  readonly payload: Readonly<Record<string, unknown>>;
  /** Of an initial access token. */
  readonly limits?: RegistrationLimits;
  readonly clientId?: string;
  readonly expiresAt?: Date;
}

export interface RegistrationTokens {
  /** @throws {ClientError} `invalid_client_metadata` naming every fault */
  createInitial(order?: InitialAccessTokenOrder): Promise<InitialAccessToken>;
  /** Initial access tokens, the newest first. */
  listInitial(): Promise<ListedToken[]>;
  /** By the id that it is listed with. */
  findInitial(id: string): Promise<ListedToken | undefined>;
  /** By the id that it is listed with. @returns whether there was one @throws what `expect` throws */
  deleteInitial(id: string, expect?: Expectation<ListedToken>): Promise<boolean>;
  /** A registration access token takes the place of every other one of its client. */
  save(kind: RegistrationTokenKind, token: string, stored: StoredToken): Promise<void>;
  /** Undefined also when it has expired or has no use left. */
  find(kind: RegistrationTokenKind, token: string): Promise<StoredToken | undefined>;
  destroy(kind: RegistrationTokenKind, token: string): Promise<void>;
}

/** @param now milliseconds since the epoch */
export function createRegistrationTokens(prisma: PrismaClient, now: () => number = Date.now): RegistrationTokens {
  const listed = ({ hash, createdAt, expiresAt, usesRemaining, limits }: Prisma.RegistrationTokenGetPayload<object>): ListedToken => ({
    id: idOf(hash),
    createdAt,
    ...(limits as RegistrationLimits | null),
    ...(expiresAt !== null && { expiresAt }),
    ...(usesRemaining !== null && { usesLeft: usesRemaining }),
    usable: (expiresAt === null || expiresAt.getTime() > now()) && usesRemaining !== 0,
  });

  return {
    async createInitial({ expires, uses, ...asked } = {}) {
      refuseFaults(
        Object.entries({ expires: [expires, LONGEST_LIFE], uses: [uses, MOST_USES] } as const).flatMap(([member, [value, most]]) =>
          value === undefined || (Number.isSafeInteger(value) && value > 0 && value <= most)
            ? []
            : [{ member, message: `must be a whole number from 1 to ${most}` }],
        ),
      );
      const limits = checkLimits(asked);
      const token = generateSecret();
      const hash = hashSecret(token);
      const expiresAt = expires === undefined ? undefined : new Date(now() + expires * 1000);
      await prisma.registrationToken.create({
        data: {
          hash,
          kind: "InitialAccessToken",
          payload: { iat: Math.floor(now() / 1000), kind: "InitialAccessToken" },
          ...(Object.keys(limits).length > 0 && { limits: limits as Prisma.InputJsonObject }),
          createdAt: new Date(now()),
          ...(expiresAt !== undefined && { expiresAt }),
          ...(uses !== undefined && { usesRemaining: uses }),
        },
      });
      return { id: idOf(hash), token, ...limits, ...(expiresAt !== undefined && { expiresAt }), ...(uses !== undefined && { uses }) };
    },

    async listInitial() {
      const rows = await prisma.registrationToken.findMany({ where: { kind: "InitialAccessToken" }, orderBy: { createdAt: "desc" } });
      return rows.map(listed);
    },

    async findInitial(id) {
      const row = ID.test(id) ? await prisma.registrationToken.findFirst({ where: named(id) }) : null;
      return row === null ? undefined : listed(row);
    },

    async deleteInitial(id, expect) {
      if (!ID.test(id)) return false;
      return prisma.$transaction(async (tx) => {
        const found = await tx.registrationToken.findFirst({ where: named(id), select: { hash: true } });
        if (found === null) return false;
        // Nobody takes a use of it between the look at it and its end.
        await tx.$queryRaw`SELECT hash FROM registration_token WHERE hash = ${found.hash} FOR UPDATE`;
        const before = await tx.registrationToken.findUnique({ where: found });
        if (before === null) return false;
        expect?.(listed(before));
        await tx.registrationToken.delete({ where: found });
        return true;
      });
    },

    async save(kind, token, { payload, clientId, expiresAt }) {
      const data = { kind, payload: payload as Prisma.InputJsonObject, clientId: clientId ?? null, expiresAt: expiresAt ?? null };
      const hash = hashSecret(token);
      await prisma.$transaction(async (tx) => {
        if (kind === "RegistrationAccessToken" && clientId !== undefined) {
          // Of several changes at once each brings one: the last alone counts.
          await tx.$queryRaw`SELECT id FROM client WHERE id = ${clientId} FOR NO KEY UPDATE`;
          await tx.registrationToken.deleteMany({ where: { kind, clientId, hash: { not: hash } } });
        }
        await tx.registrationToken.upsert({ where: { hash }, create: { hash, ...data }, update: data });
      });
    },

    async find(kind, token) {
      const row = await prisma.registrationToken.findFirst({ where: { hash: hashSecret(token), kind, ...usable(now()) } });
      if (row === null) return undefined;
      return {
        payload: row.payload as Record<string, unknown>,
        ...(row.limits !== null && { limits: row.limits as RegistrationLimits }),
        ...(row.clientId !== null && { clientId: row.clientId }),
        ...(row.expiresAt !== null && { expiresAt: row.expiresAt }),
      };
    },

    async destroy(kind, token) {
      await prisma.registrationToken.deleteMany({ where: { hash: hashSecret(token), kind } });
    },
  };
}

const idOf = (hash: string): string => Buffer.from(hash, "base64url").subarray(0, ID_BYTES).toString("hex");
const named = (id: string) => ({ kind: "InitialAccessToken", hash: { startsWith: Buffer.from(id, "hex").toString("base64url") } });

/**
 * Takes one use, in the transaction that stores the registration: of parallel registrations no more succeed than there are uses,
 * and one that fails costs none.
 * @returns what the token allows; undefined: what everybody may
 * @throws {ClientError} `invalid_token` when there is none left
 */
export async function takeInitialAccessToken(
  tx: Prisma.TransactionClient,
  token: string,
  now: number,
): Promise<RegistrationLimits | undefined> {
  const [taken] = await tx.registrationToken.updateManyAndReturn({
    where: { hash: hashSecret(token), kind: "InitialAccessToken", ...usable(now) },
    data: { usesRemaining: { decrement: 1 } }, // null, for any number of uses, stays null
  });
  if (taken === undefined) throw new ClientError("invalid_token", "the initial access token has been used up or has expired");
  return (taken.limits as RegistrationLimits | null) ?? undefined;
}

const usable = (now: number) => ({
  AND: [
    { OR: [{ expiresAt: null }, { expiresAt: { gt: new Date(now) } }] },
    { OR: [{ usesRemaining: null }, { usesRemaining: { gt: 0 } }] },
  ],
});
