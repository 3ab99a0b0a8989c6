/**
 * Passkeys (WebAuthn Level 3): making them and signing in with them. A passkey belongs to one account and to the RP ID for which it was made,
 * the issuer's host name. User verification is always required, so that one is two factors; attestation is not asked for.
 */
import { isIP } from "node:net";
import {
  type AuthenticationResponseJSON,
  generateAuthenticationOptions,
  generateRegistrationOptions,
  type PublicKeyCredentialCreationOptionsJSON,
  type PublicKeyCredentialRequestOptionsJSON,
  type RegistrationResponseJSON,
  verifyAuthenticationResponse,
  verifyRegistrationResponse,
} from "@simplewebauthn/server";
import type { Account } from "../accounts/account.ts";
import { requireWayIn } from "../accounts/ways-in.ts";
import type { Logger } from "../observability/logger.ts";
import { Prisma, type PrismaClient, type Passkey as StoredPasskey } from "../storage/generated/client.ts";
import type { Amr } from "./assurance.ts";
import { authenticatorName } from "./authenticator-names.ts";
import { CHALLENGE_LIFE, type Challenges } from "./challenges.ts";
import type { Factors } from "./factors.ts";
import { rpIdOf } from "./second-factors.ts";
import { readAssertion, readRegistration } from "./webauthn-input.ts";

/** EdDSA, ES256, RS256 (COSE): every authenticator has one of them. */
const ALGORITHMS = [-8, -7, -257];
/** More than anybody has devices for; a bound to what one account can store. */
const MOST_PASSKEYS = 30;
/** Characters. */
export const LONGEST_PASSKEY_NAME = 80;

export interface Passkey {
  /** The credential id, base64url. */
  readonly id: string;
  readonly name: string;
  readonly createdAt: Date;
  readonly lastUsedAt: Date | undefined;
  /** Kept by a provider that copies it to its owner's other devices. */
  readonly synced: boolean;
  /** Made for the host name that the issuer has today: others do not work. */
  readonly works: boolean;
}

/** Why nothing was made; safe to say. */
export type RegistrationRefusal = "invalid" | "expired" | "known" | "too_many";

/** Why nobody is signed in. For the audit and the log; a stranger hears one sentence for all of them. */
export type AssertionRefusal = "invalid" | "expired" | "unknown_passkey" | "other_account" | "other_host" | "counter_went_back";

export type AssertionResult =
  | { readonly ok: true; readonly accountId: string /** Its id. */; readonly passkey: string; readonly amr: readonly Amr[] }
  | { readonly ok: false; readonly reason: AssertionRefusal; readonly accountId?: string };

export interface Passkeys {
  /** Whether there can be any here: an IP address is no RP ID (WebAuthn §5.1.2). */
  readonly possible: boolean;
  /** In the order in which they were made. */
  list(accountId: string): Promise<Passkey[]>;
  /** What a browser needs to make one. @param session the uid of the session in which it is made: only there the answer counts */
  creationOptions(account: Account, session: string): Promise<PublicKeyCredentialCreationOptionsJSON>;
  /**
   * Stores what a browser has made. @param credential JSON, as it was posted  @param name what its owner calls it; "" for that of its kind
   * @param otherwise the name of one whose kind is not known
   */
  register(
    account: Account,
    session: string,
    given: { credential: string; name: string; otherwise: string },
  ): Promise<{ ok: true; passkey: Passkey } | { ok: false; reason: RegistrationRefusal }>;
  /**
   * What a browser needs to sign in. @param interaction the uid of the interaction: only there the answer counts
   * @param accountId who has shown a first factor; without it anybody's passkey will do, and none is named
   */
  requestOptions(interaction: string, accountId?: string): Promise<PublicKeyCredentialRequestOptionsJSON>;
  /** Verifies what a browser has signed, and uses its challenge up. The account's own state is the caller's to look at. */
  verify(interaction: string, credential: string, accountId?: string): Promise<AssertionResult>;
  /** @returns whether there is such a passkey of theirs */
  rename(accountId: string, id: string, name: string): Promise<boolean>;
  /**
   * @returns whether there was such a passkey of theirs
   * @throws AccountError `last_way_in`, or `password_too_short` for the last second factor: it has to stay for now
   */
  remove(accountId: string, id: string): Promise<boolean>;
  /** How many were made for another host name than the issuer has today. */
  countElsewhere(): Promise<number>;
}

export interface PasskeyOptions {
  prisma: PrismaClient;
  challenges: Challenges;
  factors: Pick<Factors, "remove">;
  /** An origin. */
  issuer: string;
  /** The operator's name, which the browser shows. */
  brand: string;
  log: Logger;
  /** Milliseconds since the epoch. */
  now: () => number;
}

export function createPasskeys(options: PasskeyOptions): Passkeys {
  const { prisma, challenges, factors, issuer, log, now } = options;
  const rpId = rpIdOf(issuer);

  const viewOf = ({ id, name, createdAt, lastUsedAt, backedUp, rpId: madeFor }: StoredPasskey): Passkey => ({
    id,
    name,
    createdAt,
    lastUsedAt: lastUsedAt ?? undefined,
    synced: backedUp,
    works: madeFor === rpId,
  });
  const forRegistration = (accountId: string, session: string) => JSON.stringify(["register", session, accountId]);
  const forSignIn = (interaction: string, accountId: string | undefined) => JSON.stringify(["sign-in", interaction, accountId ?? null]);
  /** What must be so in every answer of a browser (WebAuthn §7.1, §7.2). */
  const expected = (binding: string) => ({
    expectedOrigin: issuer,
    expectedRPID: rpId,
    requireUserVerification: true,
    expectedChallenge: (challenge: string) => challenges.fits(challenge, binding),
  });

  async function ownOf(accountId: string) {
    const rows = await prisma.passkey.findMany({ where: { accountId, rpId: rpId }, select: { id: true, transports: true } });
    return rows.map(({ id, transports }) => ({ id, transports: transports as never[] }));
  }

  async function verified(response: AuthenticationResponseJSON, binding: string, passkey: StoredPasskey) {
    try {
      const { verified: isSigned, authenticationInfo } = await verifyAuthenticationResponse({
        ...expected(binding),
        response,
        // The counter is compared where it is stored, and after the signature: anybody can write another.
        credential: { id: passkey.id, publicKey: Uint8Array.from(passkey.publicKey), counter: 0 },
      });
      return isSigned ? authenticationInfo : undefined;
    } catch (err) {
      log.info({ err }, "a passkey's signature was refused");
      return undefined;
    }
  }

  async function registered(response: RegistrationResponseJSON, binding: string) {
    try {
      const result = await verifyRegistrationResponse({ ...expected(binding), response, supportedAlgorithmIDs: ALGORITHMS });
      return result.verified ? result.registrationInfo : undefined;
    } catch (err) {
      log.info({ err }, "a new passkey was refused");
      return undefined;
    }
  }

  /** WebAuthn §7.2 step 22: a counter that does not grow may be that of a copy. Compare and set. */
  async function countUse(id: string, counter: number, backedUp: boolean): Promise<boolean> {
    const { count } = await prisma.passkey.updateMany({
      where: { id, ...(counter === 0 ? { counter: 0 } : { counter: { lt: counter } }) },
      data: { counter, backedUp, lastUsedAt: new Date(now()) },
    });
    return count === 1;
  }

  return {
    possible: isIP(rpId.replace(/^\[|\]$/g, "")) === 0,

    async list(accountId) {
      return (await prisma.passkey.findMany({ where: { accountId }, orderBy: [{ createdAt: "asc" }, { id: "asc" }] })).map(viewOf);
    },

    async creationOptions(account, session) {
      return generateRegistrationOptions({
        rpID: rpId,
        rpName: options.brand,
        userName: account.email,
        userDisplayName: account.name ?? account.email,
        // WebAuthn §14.6.1: a user handle holds nothing that tells who it is. An account's id is random.
        userID: Uint8Array.from(Buffer.from(account.id)),
        challenge: bytesOf(challenges.make(forRegistration(account.id, session))),
        timeout: CHALLENGE_LIFE * 1000,
        attestationType: "none",
        excludeCredentials: await ownOf(account.id),
        authenticatorSelection: { residentKey: "required", userVerification: "required" },
        supportedAlgorithmIDs: ALGORITHMS,
      });
    },

    async register(account, session, given) {
      const read = readRegistration(given.credential);
      const binding = forRegistration(account.id, session);
      if (read === undefined) return { ok: false, reason: "invalid" };
      if (!challenges.fits(read.challenge, binding)) return { ok: false, reason: "expired" };
      const made = await registered(read.response, binding);
      if (made === undefined) return { ok: false, reason: "invalid" };
      if (!(await challenges.take(read.challenge))) return { ok: false, reason: "expired" };
      if ((await prisma.passkey.count({ where: { accountId: account.id } })) >= MOST_PASSKEYS) return { ok: false, reason: "too_many" };
      const { credential, aaguid, credentialBackedUp } = made;
      try {
        const stored = await prisma.passkey.create({
          data: {
            id: credential.id,
            accountId: account.id,
            publicKey: credential.publicKey,
            counter: credential.counter,
            rpId: rpId,
            transports: credential.transports ?? [],
            backedUp: credentialBackedUp,
            aaguid,
            name: given.name.trim().slice(0, LONGEST_PASSKEY_NAME) || (authenticatorName(aaguid) ?? given.otherwise),
            createdAt: new Date(now()),
          },
        });
        return { ok: true, passkey: viewOf(stored) };
      } catch (error) {
        // WebAuthn §7.1 step 26: a credential id that exists, whoever's, is refused.
        if (error instanceof Prisma.PrismaClientKnownRequestError && error.code === "P2002") return { ok: false, reason: "known" };
        throw error;
      }
    },

    async requestOptions(interaction, accountId) {
      return generateAuthenticationOptions({
        rpID: rpId,
        challenge: bytesOf(challenges.make(forSignIn(interaction, accountId))),
        timeout: CHALLENGE_LIFE * 1000,
        userVerification: "required",
        ...(accountId !== undefined && { allowCredentials: await ownOf(accountId) }),
      });
    },

    async verify(interaction, credential, accountId) {
      const read = readAssertion(credential);
      const binding = forSignIn(interaction, accountId);
      if (read === undefined) return { ok: false, reason: "invalid" };
      if (!challenges.fits(read.challenge, binding)) return { ok: false, reason: "expired" };
      const passkey = await prisma.passkey.findUnique({ where: { id: read.response.id } });
      if (passkey === null) return { ok: false, reason: "unknown_passkey" };
      const refuse = (reason: AssertionRefusal): AssertionResult => ({ ok: false, reason, accountId: passkey.accountId });
      if (passkey.rpId !== rpId) return refuse("other_host");
      // WebAuthn §7.2 step 6: whoever signs in with a passkey alone is named by it, and it has to be theirs.
      const { userHandle } = read.response.response;
      const named = userHandle === undefined ? accountId : Buffer.from(userHandle, "base64url").toString();
      if (named !== passkey.accountId || (accountId ?? named) !== named) return refuse("other_account");
      const info = await verified(read.response, binding, passkey);
      if (info === undefined) return refuse("invalid");
      if (!(await challenges.take(read.challenge))) return refuse("expired");
      if (!(await countUse(passkey.id, info.newCounter, info.credentialBackedUp))) {
        // Removed by its owner at this moment.
        if ((await prisma.passkey.count({ where: { id: passkey.id } })) === 0) return refuse("unknown_passkey");
        log.warn({ passkey: passkey.id, accountId: passkey.accountId }, "a passkey's counter did not grow: there may be a copy of it");
        return refuse("counter_went_back");
      }
      // RFC 8176: `hwk` is a key that does not leave its device; one that is copied to others is `swk`.
      return { ok: true, accountId: passkey.accountId, passkey: passkey.id, amr: [info.credentialBackedUp ? "swk" : "hwk", "user", "mfa"] };
    },

    async rename(accountId, id, name) {
      const { count } = await prisma.passkey.updateMany({ where: { id, accountId }, data: { name } });
      return count === 1;
    },

    remove: (accountId, id) =>
      factors.remove(accountId, async (tx) => {
        const passkey = await tx.passkey.findFirst({ where: { id, accountId }, select: { rpId: true } });
        if (passkey === null) return false;
        await tx.passkey.delete({ where: { id } });
        // One that does not work was no way in.
        if (passkey.rpId === rpId) await requireWayIn(tx, accountId, rpId);
        return true;
      }),

    countElsewhere: () => prisma.passkey.count({ where: { NOT: { rpId } } }),
  };
}

/** For a library that takes a challenge as bytes, or as a text that it encodes once more. */
const bytesOf = (base64url: string) => Uint8Array.from(Buffer.from(base64url, "base64url"));
