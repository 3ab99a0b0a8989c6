/**
 * Everything below HTTP, joined: stores, keys, people, applications, endings. The server and the command line stand on the same services.
 * Which stores they use follows from the environment alone.
 */
import { type AccountSessions, createAccountSessions } from "./accounts/account-sessions.ts";
import { createPeople, type People } from "./accounts/people.ts";
import { type ClientFailures, createClientFailures } from "./clients/client-failures.ts";
import { type ClientOwners, createClientOwners } from "./clients/client-owners.ts";
import { type ClientStore, createClientStore } from "./clients/client-store.ts";
import { type ClientUse, createClientUse } from "./clients/client-use.ts";
import { createRegistrationTokens, type RegistrationTokens } from "./clients/registration-tokens.ts";
import { sealResourceSecretsAgain } from "./clients/resource-secrets.ts";
import { openResourceStore, type ResourceStore } from "./clients/resource-store.ts";
import { readStatementIssuers, type StatementPolicy } from "./clients/statement-issuers.ts";
import type { Config } from "./config.ts";
import { createChallenges } from "./factors/challenges.ts";
import { hasSecondFactor } from "./factors/factors.ts";
import { createPasskeys, type Passkeys } from "./factors/passkeys.ts";
import { createSecondFactors, type SecondFactors } from "./factors/second-factors.ts";
import { readProviderFile } from "./federation/provider-file.ts";
import { createProviderStore, type ProviderStore, sealProviderSecretsAgain } from "./federation/provider-store.ts";
import { overrideTexts } from "./i18n/overrides.ts";
import { keyPolicy } from "./keys/key-schedule.ts";
import { createTokenVerifier, type TokenVerifier } from "./keys/key-set.ts";
import { type KeyStore, openKeyStore } from "./keys/signing-keys.ts";
import { checkpointKeys, createStatements } from "./keys/statements.ts";
import type { CheckpointKeys } from "./observability/audit-checkpoints.ts";
import { keepAuditLog } from "./observability/audit-keeper.ts";
import { type AuditLog, createAuditLog } from "./observability/audit-log.ts";
import { type AuditSealer, createAuditSealer } from "./observability/audit-sealer.ts";
import type { Logger } from "./observability/logger.ts";
import { createMetrics, type Metrics } from "./observability/metrics.ts";
import { version } from "./observability/version.ts";
import { deriveKeys, type Secrets } from "./secrets.ts";
import { type ChangeFeed, openChangeFeed } from "./storage/change-feed.ts";
import { type Database, openDatabase } from "./storage/database.ts";
import type { Endings } from "./storage/endings.ts";
import { liveSessions } from "./storage/live-sessions.ts";
import { openRecords } from "./storage/open-records.ts";
import type { RecordStore } from "./storage/record-store.ts";
import { createSealer, type Sealer } from "./storage/seal.ts";
import type { StatusListRegistry } from "./storage/status-list-registry.ts";
import { longestTokenLife } from "./tokens/longest-token-life.ts";

/** Milliseconds between two removals of what has expired. */
const SWEEP_INTERVAL = 60_000;

export interface Services {
  readonly database: Database;
  readonly feed: ChangeFeed;
  readonly records: RecordStore;
  readonly recordSealer: Sealer;
  readonly endings: Endings;
  readonly statusLists: StatusListRegistry;
  readonly keys: KeyStore;
  readonly tokenVerifier: TokenVerifier;
  readonly people: People;
  readonly accountSessions: AccountSessions;
  readonly secondFactors: SecondFactors;
  readonly passkeys: Passkeys;
  readonly identityProviders: ProviderStore;
  readonly clients: ClientStore;
  readonly clientOwners: ClientOwners;
  readonly clientFailures: ClientFailures;
  readonly clientUse: ClientUse;
  readonly registrationTokens: RegistrationTokens;
  readonly statementPolicy: StatementPolicy;
  readonly resources: ResourceStore;
  readonly audit: AuditLog;
  readonly auditSealer: AuditSealer;
  readonly checkpointKeys: CheckpointKeys;
  readonly metrics: Metrics;
  /** Seconds that a grant lives after it was last used. */
  readonly grantTtl: number;
  /** Closes everything, in the opposite order. */
  close(): Promise<void>;
}

/**
 * @param now milliseconds since the epoch
 * @throws {Error} with the words that say what to set or start
 */
export async function openServices(config: Config, secrets: Secrets, log: Logger, now: () => number = Date.now): Promise<Services> {
  if (config.viewsDir !== undefined) overrideTexts(config.viewsDir);
  const metrics = createMetrics({ version: version() });
  const statementPolicy = readStatementIssuers(config.softwareStatementIssuersFile);
  const closers: (() => unknown)[] = [];
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  try {
    const database = await openDatabase(config, secrets, log, metrics.sqlTook);
    closers.push(() => database.close());
    const feed = await openChangeFeed(database, log);
    closers.push(() => feed.close());

    const { records, recordSealer, endings, statusLists, redis, grantTtl, ...opened } = await openRecords(
      config,
      secrets,
      database,
      log,
      metrics.recordStoreTook,
    );
    closers.push(() => opened.close());

    const audit = createAuditLog(database.pool, log, { onRecord: metrics.eventRecorded, onLost: metrics.auditEventsLost });
    closers.push(() => audit.close());
    const keySealer = createSealer(deriveKeys(secrets, "grantor/signing-keys"));
    const keys = await openKeyStore({
      database,
      feed,
      sealer: keySealer,
      policy: keyPolicy(config),
      longestToken: (tx) => longestTokenLife(tx, config),
      onEvent: ({ event, detail }) => audit.record({ event, outcome: "success", detail }),
      log,
    });
    closers.push(() => keys.close());
    const auditKeys = checkpointKeys(createStatements(database, keySealer, config.issuer));
    const auditSealer = createAuditSealer({ pool: database.pool, keys: auditKeys, log, interval: config.auditSealInterval });
    closers.push(
      keepAuditLog({ pool: database.pool, sealer: auditSealer, log, interval: config.auditSealInterval, retention: config.auditRetention }),
    );
    const clients = createClientStore(database.prisma, feed, now);
    closers.push(() => clients.close());
    clients.onEnd((clientId) => endings.endClient(clientId));
    const clientUse = createClientUse({
      prisma: database.prisma,
      clients,
      onRemoved: (clientId) => audit.record({ event: "client.deleted", outcome: "success", clientId, detail: { reason: "unused" } }),
      log,
      now,
    });
    closers.push(() => clientUse.close());
    const clientFailures = createClientFailures(database.pool, log, now);
    closers.push(() => clientFailures.close());
    const providerSealer = createSealer(deriveKeys(secrets, "grantor/identity-providers"));
    await sealProviderSecretsAgain(database.prisma, providerSealer);
    const configured = readProviderFile(config.identityProvidersFile);
    const identityProviders = createProviderStore({ prisma: database.prisma, feed, sealer: providerSealer, configured });
    closers.push(() => identityProviders.close());
    const resourceSealer = createSealer(deriveKeys(secrets, "grantor/resource-secrets"));
    await sealResourceSecretsAgain(database.prisma, resourceSealer);
    const resources = await openResourceStore({
      prisma: database.prisma,
      feed,
      issuer: config.issuer,
      sealer: resourceSealer,
      now,
      onReadError: (err) => log.error({ err }, "resources could not be read again; the earlier ones stay in use"),
    });
    closers.push(() => resources.close());
    const secondFactors = createSecondFactors(database.prisma, secrets, config, now);
    const people = createPeople({
      config,
      secrets,
      database,
      feed,
      redis,
      log,
      now,
      counts: metrics,
      endAccount: (accountId) => endings.endAccount(accountId),
      hasSecondFactor: async (accountId) => hasSecondFactor(await secondFactors.factors.of(accountId)),
      onDeleted: (accountId) => audit.record({ event: "account.deleted", outcome: "success", actor: accountId, accountId }),
    });
    closers.push(() => people.close());
    const accountSessions = createAccountSessions({ database, live: liveSessions(records, recordSealer, now), log, now });
    closers.push(() => accountSessions.close());
    endings.onSessionEnd((uid) => accountSessions.forget(uid));
    await people.roles.ensureBuiltIn();
    const lost = await secondFactors.totp.sealAgain();
    if (lost > 0)
      log.error({ accounts: lost }, "SECRET_KEY opens the authenticator secrets of some accounts no more: set the one that was in use");
    const passkeys = createPasskeys({
      prisma: database.prisma,
      challenges: createChallenges({ keys: deriveKeys(secrets, "grantor/passkey-challenges"), records, now }),
      factors: secondFactors.factors,
      issuer: config.issuer,
      brand: config.brand.name,
      log,
      now,
    });

    const sweeper = setInterval(() => {
      accountSessions
        .sweep()
        .catch((err: unknown) => log.warn({ err }, "what was noted of sessions that are over could not be removed yet"));
      clientFailures.sweep().catch((err: unknown) => log.warn({ err }, "failed requests of yesterday could not be removed yet"));
      clients.sweep().catch((err: unknown) => log.warn({ err }, "secrets of applications whose time is over could not be removed yet"));
      clientUse.removeUnused().catch((err: unknown) => log.warn({ err }, "applications that nobody uses could not be removed yet"));
      opened.sweep().catch((err: unknown) => log.warn({ err }, "expired records could not be removed yet"));
      // One that a process with another first SECRET_KEY made, after this one had started.
      sealResourceSecretsAgain(database.prisma, resourceSealer).catch((err: unknown) =>
        log.warn({ err }, "secrets of resources keep their seal"),
      );
      sealProviderSecretsAgain(database.prisma, providerSealer).catch((err: unknown) =>
        log.warn({ err }, "secrets of other providers keep their seal"),
      );
      secondFactors.totp.sealAgain().catch((err: unknown) => log.warn({ err }, "secrets of authenticator apps keep their seal"));
    }, SWEEP_INTERVAL).unref();
    closers.push(() => clearInterval(sweeper));

    return {
      database,
      feed,
      records,
      recordSealer,
      endings,
      statusLists,
      keys,
      tokenVerifier: createTokenVerifier(
        () => keys.snapshot(),
        now,
        (audience) => resources.hmacKeyFor(audience),
      ),
      people,
      accountSessions,
      identityProviders,
      secondFactors,
      passkeys,
      clients,
      clientFailures,
      clientOwners: createClientOwners(database.prisma, now),
      clientUse,
      registrationTokens: createRegistrationTokens(database.prisma, now),
      statementPolicy,
      resources,
      audit,
      auditSealer,
      checkpointKeys: auditKeys,
      metrics,
      grantTtl,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}
