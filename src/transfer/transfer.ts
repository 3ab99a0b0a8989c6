import type { Config } from "../config.ts";
import { version } from "../observability/version.ts";
import { deriveKeys, type Secrets } from "../secrets.ts";
import type { ChangeFeed } from "../storage/change-feed.ts";
import type { Database } from "../storage/database.ts";
import type { Endings } from "../storage/endings.ts";
import { createSealer } from "../storage/seal.ts";
import { type AccountNounOptions, accountNoun } from "./account-noun.ts";
import { clientNoun } from "./client-noun.ts";
import { type Exported, type ExportOrder, exportData } from "./export-data.ts";
import { type Imported, type ImportOptions, type ImportOrder, importData } from "./import-data.ts";
import type { AnyNoun, NounName } from "./noun.ts";
import { providerNoun } from "./provider-noun.ts";
import { resourceNoun } from "./resource-noun.ts";
import { roleNoun } from "./role-noun.ts";

export interface Transfer {
  /** @see exportData */
  export(order: ExportOrder, write: (lines: string) => Promise<void>): Promise<Exported>;
  /** @see importData */
  import(order: ImportOrder, passphrase: ImportOptions["passphrase"]): Promise<Imported>;
}

export interface TransferOptions {
  config: Pick<Config, "issuer">;
  secrets: Secrets;
  database: Pick<Database, "prisma">;
  feed: Pick<ChangeFeed, "publish">;
  /** What ends sessions, grants and tokens of what is replaced; opened when it is needed. */
  endings: () => Promise<Pick<Endings, "endAccount" | "endClient">>;
  /** @see AccountNounOptions.tellOwner */
  tellOwner: AccountNounOptions["tellOwner"];
}

export function createTransfer({ config, secrets, database: { prisma }, feed, endings, tellOwner }: TransferOptions): Transfer {
  const { issuer } = config;
  const sealer = (label: string) => createSealer(deriveKeys(secrets, label));
  const nouns: Readonly<Record<NounName, AnyNoun>> = {
    role: roleNoun(feed),
    client: clientNoun(feed, async (clientId) => (await endings()).endClient(clientId)),
    resource: resourceNoun(feed, sealer("grantor/resource-secrets"), issuer),
    provider: providerNoun(feed, sealer("grantor/identity-providers")),
    account: accountNoun({
      feed,
      sealer: sealer("grantor/totp"),
      endAccount: async (accountId) => (await endings()).endAccount(accountId),
      tellOwner,
    }),
  };
  return {
    export: (order, write) => exportData({ prisma, nouns, version: version(), issuer }, order, write),
    import: (order, passphrase) => importData({ prisma, nouns, passphrase }, order),
  };
}
