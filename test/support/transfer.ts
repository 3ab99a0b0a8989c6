/** Two servers, of which one has something of everything, and the files that go between them. */
import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect } from "vitest";
import { sealResourceSecret } from "../../src/clients/resource-secrets.ts";
import { sealTotpSecret } from "../../src/factors/totp.ts";
import { sealProviderSecret } from "../../src/federation/provider-store.ts";
import { deriveKeys, type Secrets } from "../../src/secrets.ts";
import type { Database } from "../../src/storage/database.ts";
import type { PrismaClient } from "../../src/storage/generated/client.ts";
import { createSealer } from "../../src/storage/seal.ts";
import type { OnConflict } from "../../src/transfer/import-data.ts";
import { createTransfer, type Transfer } from "../../src/transfer/transfer.ts";
import { type TempDir, tempDir } from "./temp-dir.ts";
import { testDatabase } from "./test-database.ts";

export const PASSPHRASE = "a passphrase of nobody";
export const HASH = `$argon2id$v=19$m=19456,t=2,p=1$${"c2FsdHNhbHRzYWx0cw"}$${Buffer.alloc(32, 7).toString("base64").replace(/=+$/, "")}`;
/** The secrets of `here`, in the clear. */
export const TOTP = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";
export const RESOURCE_SECRET = "the-secret-of-the-api";
export const PROVIDER_SECRET = "the-secret-at-corp";
export const API = "https://api.example";

const secretsOf = (key: string): Secrets => ({
  databaseUrl: undefined,
  redisUrl: undefined,
  smtpUrl: undefined,
  secretKeys: [Buffer.from(key)],
});

export interface Server {
  readonly database: Database;
  readonly prisma: PrismaClient;
  readonly secrets: Secrets;
  readonly transfer: Transfer;
  /** Told to other processes, and ended. */
  readonly told: string[];
  /** Why nothing can be ended, if so. */
  readonly endings: { fail: Error | undefined };
}

async function openServer(): Promise<Server> {
  const database = await testDatabase();
  const secrets = secretsOf(randomBytes(32).toString("hex"));
  const told: string[] = [];
  const endings: Server["endings"] = { fail: undefined };
  const note = (what: string) => async (id: string) => {
    if (endings.fail !== undefined) throw endings.fail;
    told.push(`${what} ${id}`);
  };
  const transfer = createTransfer({
    config: { issuer: "https://id.example" },
    secrets,
    database,
    feed: { publish: async (topic, id) => void told.push(`${topic} ${id}`) },
    endings: async () => ({ endAccount: note("end account"), endClient: note("end client") }),
    tellOwner: async (id, change) => void told.push(`mail ${id} ${change}`),
  });
  return { database, prisma: database.prisma, secrets, transfer, told, endings };
}

export interface TwoServers {
  /** These are there from the first test on. */
  readonly here: Server;
  /** Empty before each test. */
  readonly there: Server;
  /** The lines of a file. */
  exported(passphrase?: string, server?: Server): Promise<string[]>;
  /** Into `there`. */
  imported(
    lines: readonly string[],
    onConflict?: OnConflict,
    options?: { passphrase?: string; dryRun?: boolean },
  ): ReturnType<Transfer["import"]>;
}

/** For all tests of a file. */
export function twoServers(): TwoServers {
  let dir: TempDir;
  let files = 0;
  const opened: { here: Server; there: Server } = { here: undefined as never, there: undefined as never };

  beforeAll(async () => {
    dir = tempDir("transfer");
    [opened.here, opened.there] = await Promise.all([openServer(), openServer()]);
    await seed(opened.here);
  });
  afterAll(async () => {
    await opened.here?.database.close();
    await opened.there?.database.close();
    dir.remove();
  });
  beforeEach(() => {
    opened.there.told.length = 0;
  });
  afterEach(async () => {
    const { prisma } = opened.there;
    await prisma.account.deleteMany();
    await prisma.resource.deleteMany();
    await prisma.client.deleteMany();
    await prisma.role.deleteMany();
    await prisma.identityProvider.deleteMany();
  });

  function fileOf(lines: readonly string[]): string {
    files += 1;
    const file = join(dir.path, `export-${files}.jsonl`);
    writeFileSync(file, `${lines.join("\n")}\n`);
    return file;
  }

  return Object.assign(opened, {
    async exported(passphrase?: string, server = opened.here) {
      const parts: string[] = [];
      await server.transfer.export(passphrase === undefined ? {} : { passphrase }, async (lines) => void parts.push(lines));
      const text = parts.join("");
      expect(text.endsWith("\n")).toBe(true);
      return text.trimEnd().split("\n");
    },
    imported: (
      lines: readonly string[],
      onConflict: OnConflict = "fail",
      { passphrase, dryRun = false }: { passphrase?: string; dryRun?: boolean } = {},
    ) => opened.there.transfer.import({ file: fileOf(lines), onConflict, dryRun }, async () => passphrase),
  });
}

/** One of everything, in which every column says something. */
async function seed({ prisma, secrets }: Server): Promise<void> {
  const at = new Date("2026-01-02T03:04:05.678Z");
  const times = { createdAt: at, updatedAt: at };
  const sealer = (label: string) => createSealer(deriveKeys(secrets, label));
  await prisma.role.createMany({
    data: [
      { name: "admin", description: "Operates this server" },
      { name: "editor", description: "Writes", permissions: ["api:write"], requiresSecondFactor: true },
    ],
  });
  await prisma.client.create({
    data: {
      id: "shop",
      metadata: {
        application_type: "web",
        client_name: "Shöp “42”",
        grant_types: ["authorization_code", "refresh_token"],
        redirect_uris: ["https://shop.example/cb"],
        response_types: ["code"],
        token_endpoint_auth_method: "client_secret_basic",
      },
      secretHash: "A".repeat(43),
      secretCreatedAt: at,
      previousSecretHash: "B".repeat(43),
      previousSecretUntil: new Date("2027-01-01T00:00:00.000Z"),
      firstParty: true,
      verified: true,
      accessTokenTtl: 60,
      branding: { color: "#112233" },
      managementScopes: ["accounts:read"],
      createdBy: "ada",
      ...times,
    },
  });
  await prisma.resource.create({
    data: {
      audience: API,
      name: "The API",
      scopes: [{ name: "api:write", description: "Write" }],
      signingAlg: "HS256",
      hmacSecret: sealResourceSecret(sealer("grantor/resource-secrets"), API, RESOURCE_SECRET),
      introspectors: { create: { clientId: "shop" } },
      ...times,
    },
  });
  await prisma.identityProvider.create({
    data: {
      id: "corp",
      kind: "oidc",
      name: "Corp",
      issuer: "https://corp.example",
      clientId: "grantor",
      clientSecret: sealProviderSecret("corp", PROVIDER_SECRET, sealer("grantor/identity-providers")),
      options: { link_by_email: true },
      ...times,
    },
  });
  const credential = { accountId: "ada", ...times };
  await prisma.account.create({
    data: { id: "ada", email: "ada@example.org", emailVerified: true, name: "Ada", claims: { locale: "en" }, ...times },
  });
  await prisma.credential.createMany({
    data: [
      { ...credential, kind: "password", secret: HASH },
      { ...credential, kind: "totp", secret: sealTotpSecret(sealer("grantor/totp"), "ada", TOTP), usedStep: 5n },
    ],
  });
  await prisma.passkey.create({
    data: {
      id: "cGFzc2tleQ",
      accountId: "ada",
      publicKey: Buffer.from([1, 2, 255]),
      counter: 9n,
      rpId: "id.example",
      name: "Phone",
      createdAt: at,
    },
  });
  await prisma.recoveryCode.create({ data: { accountId: "ada", hash: "abcdef.x", createdAt: at } });
  await prisma.federatedIdentity.create({
    data: { issuer: "https://corp.example", subject: "42", accountId: "ada", label: "ada@corp", createdAt: at },
  });
  await prisma.accountRole.create({ data: { accountId: "ada", roleName: "editor", grantedAt: at } });
  await prisma.consent.create({ data: { accountId: "ada", clientId: "shop", scopes: { openid: "openid", resources: {} }, ...times } });
  await prisma.clientOwner.create({ data: { accountId: "ada", clientId: "shop", createdAt: at } });
}

/** To be given to `changed`. */
export const set = (members: object) => (entry: Record<string, unknown>) => Object.assign(entry, members);

/** The line of a noun with something else in its entry. */
export function changed(lines: readonly string[], noun: string, change: (entry: Record<string, unknown>) => unknown): string[] {
  return lines.map((text) => {
    const line = JSON.parse(text);
    if (line.noun !== noun) return text;
    change(line.entry);
    return JSON.stringify(line);
  });
}
