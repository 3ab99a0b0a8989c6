/** Codes of authenticator apps: TOTP (RFC 6238) with what every app supports: SHA-1, 6 digits, 30 seconds. */
import { generateSecret, generateURI, verifySync } from "otplib";
import { AccountError } from "../accounts/account-error.ts";
import { lockAccount } from "../accounts/account-lock.ts";
import { text } from "../i18n/messages.ts";
import type { PrismaClient } from "../storage/generated/client.ts";
import type { Sealer } from "../storage/seal.ts";
import type { Factors } from "./factors.ts";

/** RFC 4226 §4: 160 bits are recommended. */
const SECRET_BYTES = 20;
/** RFC 6238 §5.2: a code of the step before or after counts too, for clocks that differ and people who type. Seconds. */
const TOLERANCE = 30;
/** Seconds in which a set-up that was begun can be ended. */
const SET_UP_TTL = 3_600;

/** An authenticator app that is being set up: nothing is stored until its first right code. */
export interface TotpSetUp {
  /** Goes along with the form and comes back: the secret, sealed, for this account alone. */
  readonly sealed: string;
  /** Base32, for typing. */
  readonly secret: string;
  /** What the app reads from a QR code: https://github.com/google/google-authenticator/wiki/Key-Uri-Format */
  readonly uri: string;
}

export interface Totp {
  /** @param label what the app shows beside the issuer's name: the address of the account */
  begin(accountId: string, label: string): TotpSetUp;
  /** The same set-up again, for a form that comes back. @throws AccountError `link_invalid` when it was begun too long ago, or elsewhere */
  resume(accountId: string, label: string, sealed: string): TotpSetUp;
  /**
   * Ends a set-up by the first code of the app, which is thereby used. An app that was there before is replaced, unless it has to be the first:
   * of several set-ups at once one is ended then.
   * @returns false: the code is wrong, or there is an app, and nothing was changed  @throws AccountError `link_invalid`, as `resume`
   */
  confirm(accountId: string, sealed: string, code: string, options?: { first: boolean }): Promise<boolean>;
  /**
   * Uses a code up. MUST accept each code once, however many processes are asked at a time (RFC 6238 §5.2): the step of a code is taken by
   * compare-and-set, and none of it or before it is taken again.
   */
  use(accountId: string, code: string): Promise<boolean>;
  /** @returns whether there was one  @throws AccountError `password_too_short`, see Factors.remove */
  remove(accountId: string): Promise<boolean>;
  /** Seals again what an older SECRET_KEY had sealed. @returns how many stay as they are, because no key opens them */
  sealAgain(): Promise<number>;
}

export interface TotpOptions {
  prisma: PrismaClient;
  sealer: Sealer;
  /** The operator's name, which the app shows. */
  issuer: string;
  factors: Pick<Factors, "remove">;
  /** Milliseconds since the epoch. */
  now: () => number;
}

export function createTotp({ prisma, sealer, issuer, factors, now }: TotpOptions): Totp {
  const seconds = () => Math.floor(now() / 1000);
  const described = (sealed: string, secret: string, label: string): TotpSetUp => ({
    sealed,
    secret,
    uri: generateURI({ issuer, label, secret }),
  });

  function open(accountId: string, sealed: string): string {
    let begun: { secret: string; at: number };
    try {
      begun = JSON.parse(sealer.open(sealed, setUpContext(accountId)));
    } catch (cause) {
      throw new AccountError("link_invalid", text("factors:set_up_over"), { cause });
    }
    if (begun.at + SET_UP_TTL < seconds()) throw new AccountError("link_invalid", text("factors:set_up_over"));
    return begun.secret;
  }

  /** The step whose code it is, among those that count now. */
  function stepOf(secret: string, code: string): number | undefined {
    if (!/^\d{6}$/.test(code)) return undefined;
    const result = verifySync({ secret, token: code, epoch: seconds(), epochTolerance: TOLERANCE });
    return result.valid && "timeStep" in result ? result.timeStep : undefined;
  }

  return {
    begin(accountId, label) {
      const secret = generateSecret({ length: SECRET_BYTES });
      return described(sealer.seal(JSON.stringify({ secret, at: seconds() }), setUpContext(accountId)), secret, label);
    },
    resume: (accountId, label, sealed) => described(sealed, open(accountId, sealed), label),
    async confirm(accountId, sealed, code, { first } = { first: false }) {
      const secret = open(accountId, sealed);
      const step = stepOf(secret, code);
      if (step === undefined) return false;
      return prisma.$transaction(async (tx) => {
        await lockAccount(tx, accountId);
        const before = await tx.credential.findUnique({ where: { accountId_kind: { accountId, kind: "totp" } } });
        if (first && before !== null) return false;
        // The same form sent twice: the code was used by then.
        if (before !== null && openTotpSecret(sealer, accountId, before.secret) === secret && (before.usedStep ?? 0n) >= step) return false;
        const stored = { secret: sealTotpSecret(sealer, accountId, secret), usedStep: step, lastUsedAt: new Date(now()) };
        await tx.credential.upsert({
          where: { accountId_kind: { accountId, kind: "totp" } },
          create: { accountId, kind: "totp", ...stored },
          update: { ...stored, createdAt: new Date(now()) },
        });
        return true;
      });
    },
    async use(accountId, code) {
      const row = await prisma.credential.findUnique({ where: { accountId_kind: { accountId, kind: "totp" } } });
      if (row === null) return false;
      const secret = openTotpSecret(sealer, accountId, row.secret);
      if (secret === undefined) throw new AccountError("unavailable", text("factors:secret_lost"));
      const step = stepOf(secret, code);
      if (step === undefined) return false;
      const taken = await prisma.$executeRaw`
        UPDATE credential SET used_step = ${BigInt(step)}, last_used_at = ${new Date(now())}
        WHERE id = ${row.id} AND (used_step IS NULL OR used_step < ${BigInt(step)})`;
      return taken === 1;
    },
    remove: (accountId) =>
      factors.remove(accountId, async (tx) => (await tx.credential.deleteMany({ where: { accountId, kind: "totp" } })).count > 0),
    async sealAgain() {
      const current = `${sealer.currentId}.%`;
      const rows = await prisma.$queryRaw<{ id: string; account_id: string; secret: string }[]>`
        SELECT id, account_id, secret FROM credential WHERE kind = 'totp' AND secret NOT LIKE ${current}`;
      let lost = 0;
      for (const { id, account_id, secret: sealed } of rows) {
        const secret = openTotpSecret(sealer, account_id, sealed);
        if (secret === undefined) lost += 1;
        // Compare and set: whoever set up another app meanwhile wins.
        else
          await prisma.credential.updateMany({
            where: { id, secret: sealed },
            data: { secret: sealTotpSecret(sealer, account_id, secret) },
          });
      }
      return lost;
    },
  };
}

/** As it is stored. */
export const sealTotpSecret = (sealer: Sealer, accountId: string, secret: string): string => sealer.seal(secret, context(accountId));

/** @returns undefined: no key opens it */
export const openTotpSecret = (sealer: Sealer, accountId: string, sealed: string): string | undefined =>
  sealer.isKnown(sealed) ? sealer.open(sealed, context(accountId)) : undefined;

const context = (accountId: string): string => `totp:${accountId}`;
const setUpContext = (accountId: string): string => `totp-set-up:${accountId}`;
