import type { Config } from "../config.ts";
import type { Letterhead } from "../mail/letter.ts";
import { createMailer, type Mailer } from "../mail/mailer.ts";
import type { Logger } from "../observability/logger.ts";
import { deriveKeys, type Secrets } from "../secrets.ts";
import type { ChangeFeed } from "../storage/change-feed.ts";
import type { Database } from "../storage/database.ts";
import { type AccountData, createAccountData } from "./account-data.ts";
import { type AccountPasswords, createAccountPasswords } from "./account-passwords.ts";
import { type AccountStore, createAccountStore } from "./account-store.ts";
import { type ApplicationNotices, createApplicationNotices } from "./application-mails.ts";
import { type Authentication, createAuthentication } from "./authentication.ts";
import { type Bootstrap, createBootstrap } from "./bootstrap.ts";
import { type ConsentStore, createConsentStore } from "./consent-store.ts";
import { countedThrottle } from "./counted-throttle.ts";
import { createDeletion, type Deletion } from "./deletion.ts";
import { createEmailChange, type EmailChange } from "./email-change.ts";
import { createInteractionState, type InteractionState } from "./interaction-state.ts";
import { createKnownDevices, type KnownDevices } from "./known-devices.ts";
import { createOneTimeTokens } from "./one-time-tokens.ts";
import { createOwnerInvitations, type OwnerInvitations } from "./owner-invitations.ts";
import { createPasswordChange, type PasswordChange } from "./password-change.ts";
import { createPasswordPolicy, type PasswordPolicy } from "./password-policy.ts";
import { createPasswordReset, type PasswordReset } from "./password-reset.ts";
import { createPasswords, type Passwords, passwordCost } from "./passwords.ts";
import { createRoles, type Roles } from "./roles.ts";
import { createSecurityNotices, type SecurityNotices } from "./security-notices.ts";
import { createSignUp, type SignUp } from "./sign-up.ts";
import { sweepAccounts } from "./sweep.ts";
import { createThrottle, type Throttle, type ThrottleStore } from "./throttle.ts";
import { createVerification, type Verification } from "./verification.ts";

const SWEEP_EVERY_MS = 3_600_000;

/** Everything about people, joined: what the server and the command line have in common. */
export interface People {
  readonly accounts: AccountStore;
  readonly roles: Roles;
  readonly consents: ConsentStore;
  readonly passwords: Passwords;
  readonly passwordPolicy: PasswordPolicy;
  readonly accountPasswords: AccountPasswords;
  readonly passwordReset: PasswordReset;
  readonly authentication: Authentication;
  readonly signUp: SignUp;
  readonly verification: Verification;
  readonly emailChange: EmailChange;
  readonly passwordChange: PasswordChange;
  readonly data: AccountData;
  readonly deletion: Deletion;
  readonly bootstrap: Bootstrap;
  readonly devices: KnownDevices;
  readonly interactionState: InteractionState;
  readonly mailer: Mailer;
  readonly letterhead: Letterhead;
  readonly notices: SecurityNotices;
  readonly applicationNotices: ApplicationNotices;
  readonly ownerInvitations: OwnerInvitations;
  readonly throttle: Throttle;
  /** Waits a few seconds for mail that is on its way. Comes before the database is closed. */
  close(): Promise<void>;
}

export interface PeopleOptions {
  config: Pick<
    Config,
    "issuer" | "brand" | "loopback" | "dataDir" | "mailFrom" | "signUp" | "password" | "accountDeletionDelay" | "anonymousRequestsPerMinute"
  >;
  secrets: Secrets;
  database: Pick<Database, "prisma" | "pool">;
  feed: ChangeFeed;
  /** Where guesses are counted; the database without it. */
  redis?: Extract<ThrottleStore, { redis: unknown }>["redis"] | undefined;
  log: Logger;
  /** Ends every session, grant and token of an account. */
  endAccount(accountId: string): Promise<void>;
  /** Whether signing in with the password asks for more. */
  hasSecondFactor(accountId: string): Promise<boolean>;
  /** For the audit of what happens by itself: an account was deleted when its time had come. */
  onDeleted(accountId: string): void;
  /** Told of what is held up, and of mails. */
  counts?: { throttled(kind: string): void; mail(outcome: "sent" | "failed" | "dropped"): void };
  /** Milliseconds since the epoch. */
  now?: () => number;
}

export function createPeople(options: PeopleOptions): People {
  const { config, secrets, database, feed, redis, log, now = Date.now } = options;
  const { prisma } = database;
  const { endAccount } = options;
  const [throttleKey] = deriveKeys(secrets, "grantor/throttle");
  const letterhead = { issuer: config.issuer, brand: config.brand.name };

  const accounts = createAccountStore(prisma, feed, now);
  const roles = createRoles(prisma, feed);
  const consents = createConsentStore(prisma, feed, now);
  const tokens = createOneTimeTokens(prisma, now);
  const passwords = createPasswords({ cost: passwordCost(config.password) });
  const { counts } = options;
  const ownThrottle = createThrottle(redis === undefined ? { pool: database.pool } : { redis }, throttleKey as Buffer, {
    stranger: config.anonymousRequestsPerMinute,
  });
  const throttle = counts === undefined ? ownThrottle : countedThrottle(ownThrottle, counts.throttled);
  const passwordPolicy = createPasswordPolicy(config.password, config.brand.name, log, throttle);
  const accountPasswords = createAccountPasswords({ prisma, passwords, policy: passwordPolicy, hasSecondFactor: options.hasSecondFactor });
  const devices = createKnownDevices(deriveKeys(secrets, "grantor/known-devices"), now);
  const mailer = createMailer({
    smtpUrl: secrets.smtpUrl,
    from: config.mailFrom,
    dataDir: config.dataDir,
    loopback: config.loopback,
    log,
    ...(counts !== undefined && { onOutcome: counts.mail }),
  });
  const verification = createVerification({
    prisma,
    accounts,
    tokens,
    passwords,
    passwordPolicy,
    endAccount,
    throttle,
    mailer,
    letterhead,
    now,
  });
  const notices = createSecurityNotices(mailer, letterhead, now);
  const deletion = createDeletion({
    prisma,
    accounts,
    notices,
    mailer,
    letterhead,
    delay: config.accountDeletionDelay,
    endAccount,
    onDeleted: options.onDeleted,
    now,
  });
  const sweeper = setInterval(() => {
    deletion.carryOut().catch((err: unknown) => log.warn({ err }, "accounts whose time has come could not be deleted yet"));
    sweepAccounts(prisma, now()).catch((err: unknown) => log.warn({ err }, "abandoned sign-ups could not be removed"));
  }, SWEEP_EVERY_MS).unref();

  return {
    accounts,
    roles,
    consents,
    passwords,
    passwordPolicy,
    accountPasswords,
    passwordReset: createPasswordReset({
      prisma,
      accounts,
      tokens,
      passwords: accountPasswords,
      endAccount,
      throttle,
      devices,
      notices,
      mailer,
      letterhead,
      now,
    }),
    authentication: createAuthentication({ accounts, passwords, throttle, devices, verification, log }),
    signUp: createSignUp({ policy: config.signUp, verification, tokens, passwords, passwordPolicy, throttle, mailer, letterhead, now }),
    verification,
    emailChange: createEmailChange({ prisma, accounts, tokens, throttle, mailer, letterhead, notices, now }),
    passwordChange: createPasswordChange({ prisma, accounts, tokens, passwords: accountPasswords, throttle, devices }),
    data: createAccountData(prisma),
    deletion,
    bootstrap: createBootstrap({
      prisma,
      accounts,
      tokens,
      passwords,
      passwordPolicy,
      issuer: config.issuer,
      loopback: config.loopback,
      now,
    }),
    devices,
    interactionState: createInteractionState(deriveKeys(secrets, "grantor/interaction-state")),
    mailer,
    letterhead,
    notices,
    applicationNotices: createApplicationNotices(mailer, letterhead, now),
    ownerInvitations: createOwnerInvitations({ prisma, tokens, throttle, mailer, letterhead, now }),
    throttle,
    async close() {
      clearInterval(sweeper);
      await passwordPolicy.close();
      await mailer.close();
      accounts.close();
      await consents.close();
    },
  };
}
