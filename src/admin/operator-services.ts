/**
 * What commands work with, on the stores that the environment names, each part opened when a command first needs it: listing applications
 * asks the database alone, deleting one also needs what holds its tokens. The rooms are loaded in the same way, since loading all of them
 * takes longer than most commands.
 */
import type { AccountStore } from "../accounts/account-store.ts";
import type { PasswordPolicy } from "../accounts/password-policy.ts";
import type { Passwords } from "../accounts/passwords.ts";
import type { People } from "../accounts/people.ts";
import type { Roles } from "../accounts/roles.ts";
import type { ClientStore } from "../clients/client-store.ts";
import type { RegistrationTokens } from "../clients/registration-tokens.ts";
import type { ResourceStore } from "../clients/resource-store.ts";
import type { Config } from "../config.ts";
import type { Factors } from "../factors/factors.ts";
import type { Linking } from "../federation/linking.ts";
import type { ProviderStore } from "../federation/provider-store.ts";
import type { KeyRotation } from "../keys/key-rotation.ts";
import type { CheckpointKeys } from "../observability/audit-checkpoints.ts";
import type { AuditLog } from "../observability/audit-log.ts";
import type { AuditSealer } from "../observability/audit-sealer.ts";
import type { Logger } from "../observability/logger.ts";
import type { Secrets } from "../secrets.ts";
import type { ChangeFeed } from "../storage/change-feed.ts";
import type { Database } from "../storage/database.ts";
import type { OpenedRecords } from "../storage/open-records.ts";
import type { Transfer } from "../transfer/transfer.ts";

/** Every method opens its part at the first call. They throw with the words that say what to set or start. */
export interface OperatorServices {
  readonly config: Config;
  database(): Promise<Database>;
  accounts(): Promise<AccountStore>;
  roles(): Promise<Roles>;
  passwords(): Promise<Passwords>;
  passwordPolicy(): Promise<PasswordPolicy>;
  factors(): Promise<Factors>;
  /** Accounts at other providers that open accounts here. */
  linking(): Promise<Linking>;
  /** Everything about people, mail and counters included. */
  people(): Promise<People>;
  identityProviders(): Promise<ProviderStore>;
  clients(): Promise<ClientStore>;
  registrationTokens(): Promise<RegistrationTokens>;
  resources(): Promise<ResourceStore>;
  keyRotation(): Promise<KeyRotation>;
  records(): Promise<OpenedRecords>;
  audit(): Promise<AuditLog>;
  /** What seals the audit log, signs it and checks signatures. */
  auditSealing(): Promise<{ sealer: AuditSealer; keys: CheckpointKeys }>;
  /** What goes into a file and comes out of one. */
  transfer(): Promise<Transfer>;
  /** Waits for mail and audit records that are on their way, and closes everything in the opposite order. */
  close(): Promise<void>;
}

export function createOperatorServices(config: Config, loadSecrets: () => Promise<Secrets>, log: Logger): OperatorServices {
  const closers: (() => unknown)[] = [];

  /** @param open is run once, however many ask at once */
  function part<T>(open: () => Promise<T>, close?: (opened: T) => unknown): () => Promise<T> {
    let opening: Promise<T> | undefined;
    return () => {
      opening ??= open().then((opened) => {
        if (close !== undefined) closers.push(() => close(opened));
        return opened;
      });
      return opening;
    };
  }

  const secrets = part(loadSecrets);
  const database = part(
    async () => (await import("../storage/database.ts")).openDatabase(config, await secrets(), log),
    (opened) => opened.close(),
  );
  const feed = part<ChangeFeed>(
    async () => (await import("../storage/change-feed.ts")).openChangeFeed(await database(), log),
    (opened) => opened.close(),
  );
  const records = part<OpenedRecords>(
    async () => (await import("../storage/open-records.ts")).openRecords(config, await secrets(), await database(), log),
    (opened) => opened.close(),
  );
  const audit = part<AuditLog>(
    async () => (await import("../observability/audit-log.ts")).createAuditLog((await database()).pool, log),
    (opened) => opened.close(),
  );
  const prisma = async () => (await database()).prisma;
  const accounts = part<AccountStore>(
    async () => (await import("../accounts/account-store.ts")).createAccountStore(await prisma(), await feed()),
    (opened) => opened.close(),
  );
  const factors = part<Factors>(
    async () => (await import("../factors/second-factors.ts")).createSecondFactors(await prisma(), await secrets(), config).factors,
  );

  const people = part<People>(
    async () => {
      const [{ redis, endings }, { record }] = await Promise.all([records(), audit()]);
      if (config.viewsDir !== undefined) (await import("../i18n/overrides.ts")).overrideTexts(config.viewsDir); // for the mails
      return (await import("../accounts/people.ts")).createPeople({
        config,
        secrets: await secrets(),
        database: await database(),
        feed: await feed(),
        redis,
        log,
        endAccount: (accountId) => endings.endAccount(accountId),
        async hasSecondFactor(accountId) {
          const { hasSecondFactor } = await import("../factors/factors.ts");
          return hasSecondFactor(await (await factors()).of(accountId));
        },
        onDeleted: (accountId) => record({ event: "account.deleted", outcome: "success", actor: accountId, accountId }),
      });
    },
    (opened) => opened.close(),
  );

  return {
    config,
    database,
    records,
    accounts,
    factors,
    linking: part<Linking>(async () =>
      (await import("../federation/linking.ts")).createLinking({
        prisma: await prisma(),
        accounts: await accounts(),
        signUp: config.signUp,
        rpId: new URL(config.issuer).hostname,
        endAccount: async (accountId) => (await records()).endings.endAccount(accountId),
      }),
    ),
    roles: part<Roles>(async () => (await import("../accounts/roles.ts")).createRoles(await prisma(), await feed())),
    passwords: part<Passwords>(async () => {
      const { createPasswords, passwordCost } = await import("../accounts/passwords.ts");
      return createPasswords({ cost: passwordCost(config.password) });
    }),
    passwordPolicy: part<PasswordPolicy>(
      async () => (await import("../accounts/password-policy.ts")).createPasswordPolicy(config.password, config.brand.name, log),
      (opened) => opened.close(),
    ),
    people,
    identityProviders: part<ProviderStore>(
      async () => {
        const [{ createProviderStore }, { readProviderFile }, { deriveKeys }, { createSealer }] = await Promise.all([
          import("../federation/provider-store.ts"),
          import("../federation/provider-file.ts"),
          import("../secrets.ts"),
          import("../storage/seal.ts"),
        ]);
        return createProviderStore({
          prisma: await prisma(),
          feed: await feed(),
          sealer: createSealer(deriveKeys(await secrets(), "grantor/identity-providers")),
          configured: readProviderFile(config.identityProvidersFile),
        });
      },
      (opened) => opened.close(),
    ),
    clients: part<ClientStore>(
      async () => {
        const clients = (await import("../clients/client-store.ts")).createClientStore(await prisma(), await feed());
        clients.onEnd(async (clientId) => (await records()).endings.endClient(clientId));
        return clients;
      },
      (opened) => opened.close(),
    ),
    registrationTokens: part<RegistrationTokens>(async () =>
      (await import("../clients/registration-tokens.ts")).createRegistrationTokens(await prisma()),
    ),
    resources: part<ResourceStore>(
      async () => {
        const [{ deriveKeys }, { createSealer }] = await Promise.all([import("../secrets.ts"), import("../storage/seal.ts")]);
        return (await import("../clients/resource-store.ts")).openResourceStore({
          prisma: await prisma(),
          feed: await feed(),
          issuer: config.issuer,
          sealer: createSealer(deriveKeys(await secrets(), "grantor/resource-secrets")),
        });
      },
      (opened) => opened.close(),
    ),
    keyRotation: part<KeyRotation>(async () => {
      const [{ createKeyRotation }, { keyPolicy }, { deriveKeys }, { createSealer }, { longestTokenLife }] = await Promise.all([
        import("../keys/key-rotation.ts"),
        import("../keys/key-schedule.ts"),
        import("../secrets.ts"),
        import("../storage/seal.ts"),
        import("../tokens/longest-token-life.ts"),
      ]);
      return createKeyRotation({
        database: await database(),
        feed: await feed(),
        sealer: createSealer(deriveKeys(await secrets(), "grantor/signing-keys")),
        policy: keyPolicy(config),
        longestToken: (tx) => longestTokenLife(tx, config),
      });
    }),
    audit,
    auditSealing: part(async () => {
      const [{ createAuditSealer }, { checkpointKeys, createStatements }, { deriveKeys }, { createSealer }] = await Promise.all([
        import("../observability/audit-sealer.ts"),
        import("../keys/statements.ts"),
        import("../secrets.ts"),
        import("../storage/seal.ts"),
      ]);
      const opened = await database();
      const keySealer = createSealer(deriveKeys(await secrets(), "grantor/signing-keys"));
      const keys = checkpointKeys(createStatements(opened, keySealer, config.issuer));
      return { sealer: createAuditSealer({ pool: opened.pool, keys, log, interval: config.auditSealInterval }), keys };
    }),
    transfer: part<Transfer>(async () =>
      (await import("../transfer/transfer.ts")).createTransfer({
        config,
        secrets: await secrets(),
        database: await database(),
        feed: await feed(),
        endings: async () => (await records()).endings,
        async tellOwner(accountId, change) {
          const opened = await people();
          if (change === "address_unverified") await opened.verification.resend(accountId);
          else opened.notices.tell(await opened.accounts.get(accountId), change, {});
        },
      }),
    ),
    async close() {
      for (const closer of closers.splice(0).reverse()) {
        try {
          await closer();
        } catch (err) {
          log.warn({ err }, "not everything could be closed in order");
        }
      }
    },
  };
}
