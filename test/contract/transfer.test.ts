/** What goes into a file comes out of it elsewhere, once; and a file with anything wrong in it changes nothing. */
import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { sealResourceSecret } from "../../src/clients/resource-secrets.ts";
import { sealTotpSecret } from "../../src/factors/totp.ts";
import { sealProviderSecret } from "../../src/federation/provider-store.ts";
import { deriveKeys, type Secrets } from "../../src/secrets.ts";
import type { Database } from "../../src/storage/database.ts";
import { Prisma, type PrismaClient } from "../../src/storage/generated/client.ts";
import { createSealer } from "../../src/storage/seal.ts";
import { ON_CONFLICT, type OnConflict } from "../../src/transfer/import-data.ts";
import { createTransfer, type Transfer } from "../../src/transfer/transfer.ts";
import { type TempDir, tempDir } from "../support/temp-dir.ts";
import { testDatabase } from "../support/test-database.ts";

const PASSPHRASE = "a passphrase of nobody";
const HASH = `$argon2id$v=19$m=19456,t=2,p=1$${"c2FsdHNhbHRzYWx0cw"}$${Buffer.alloc(32, 7).toString("base64").replace(/=+$/, "")}`;
const TOTP = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";
const API = "https://api.example";

const secretsOf = (key: string): Secrets => ({
  databaseUrl: undefined,
  redisUrl: undefined,
  smtpUrl: undefined,
  secretKeys: [Buffer.from(key)],
});

interface Server {
  readonly database: Database;
  readonly prisma: PrismaClient;
  readonly secrets: Secrets;
  readonly transfer: Transfer;
  /** Told to other processes, and ended. */
  readonly told: string[];
}

async function openServer(): Promise<Server> {
  const database = await testDatabase();
  const secrets = secretsOf(randomBytes(32).toString("hex"));
  const told: string[] = [];
  const note = (what: string) => async (id: string) => void told.push(`${what} ${id}`);
  const transfer = createTransfer({
    config: { issuer: "https://id.example" },
    secrets,
    database,
    feed: { publish: async (topic, id) => void told.push(`${topic} ${id}`) },
    endings: async () => ({ endAccount: note("end account"), endClient: note("end client") }),
  });
  return { database, prisma: database.prisma, secrets, transfer, told };
}

let dir: TempDir;
let [here, there]: [Server, Server] = [undefined as never, undefined as never];
let files = 0;

beforeAll(async () => {
  dir = tempDir("transfer");
  [here, there] = await Promise.all([openServer(), openServer()]);
  await seed(here);
});
afterAll(async () => {
  await here?.database.close();
  await there?.database.close();
  dir.remove();
});
beforeEach(() => {
  there.told.length = 0;
});
afterEach(async () => {
  const { prisma } = there;
  await prisma.account.deleteMany();
  await prisma.resource.deleteMany();
  await prisma.client.deleteMany();
  await prisma.role.deleteMany();
  await prisma.identityProvider.deleteMany();
});

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
      hmacSecret: sealResourceSecret(sealer("grantor/resource-secrets"), API, "the-secret-of-the-api"),
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
      clientSecret: sealProviderSecret("corp", "the-secret-at-corp", sealer("grantor/identity-providers")),
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

async function exported(passphrase?: string, server = here): Promise<string[]> {
  const parts: string[] = [];
  await server.transfer.export(passphrase === undefined ? {} : { passphrase }, async (lines) => void parts.push(lines));
  const text = parts.join("");
  expect(text.endsWith("\n")).toBe(true);
  return text.trimEnd().split("\n");
}

function fileOf(lines: readonly string[]): string {
  files += 1;
  const file = join(dir.path, `export-${files}.jsonl`);
  writeFileSync(file, `${lines.join("\n")}\n`);
  return file;
}

const imported = (
  lines: readonly string[],
  onConflict: OnConflict = "fail",
  { passphrase, dryRun = false }: { passphrase?: string; dryRun?: boolean } = {},
) => there.transfer.import({ file: fileOf(lines), onConflict, dryRun }, async () => passphrase);

const isEmpty = async () =>
  (await there.prisma.account.count()) + (await there.prisma.client.count()) + (await there.prisma.role.count()) === 0;

const set = (members: object) => (entry: Record<string, unknown>) => Object.assign(entry, members);

/** The line of a noun with something else in its entry. */
function changed(lines: readonly string[], noun: string, change: (entry: Record<string, unknown>) => unknown): string[] {
  return lines.map((text) => {
    const line = JSON.parse(text);
    if (line.noun !== noun) return text;
    change(line.entry);
    return JSON.stringify(line);
  });
}

describe("an export", () => {
  test("holds every column, but for what is listed here", () => {
    const carried: Record<string, Set<string>> = {};
    for (const file of ["role", "client", "resource", "provider", "account"])
      carried[file] = new Set(
        [...readFileSync(new URL(`../../src/transfer/${file}-noun.ts`, import.meta.url), "utf8").matchAll(/\b(\w+): /g)].map(
          ([, name]) => name as string,
        ),
      );
    const left = (noun: string, columns: object) => Object.keys(columns).filter((column) => !carried[noun]?.has(column));
    expect(left("role", Prisma.RoleScalarFieldEnum)).toEqual([]);
    expect(left("client", Prisma.ClientScalarFieldEnum)).toEqual([]);
    expect(left("resource", Prisma.ResourceScalarFieldEnum)).toEqual([]);
    expect(left("provider", Prisma.IdentityProviderScalarFieldEnum)).toEqual([]);
    for (const columns of [
      Prisma.AccountScalarFieldEnum,
      Prisma.PasskeyScalarFieldEnum,
      Prisma.RecoveryCodeScalarFieldEnum,
      Prisma.FederatedIdentityScalarFieldEnum,
      Prisma.AccountRoleScalarFieldEnum,
      Prisma.ConsentScalarFieldEnum,
      Prisma.ClientOwnerScalarFieldEnum,
      Prisma.CredentialScalarFieldEnum,
    ])
      expect(left("account", columns).filter((column) => column !== "accountId")).toEqual([]);
  });

  test("holds no secret, unless under a passphrase", async () => {
    const opens = [TOTP, "the-secret-of-the-api", "the-secret-at-corp"];
    for (const lines of [await exported(), await exported(PASSPHRASE)])
      for (const secret of opens) {
        expect(lines.join("\n")).not.toContain(secret);
        expect(lines.join("\n")).not.toContain(Buffer.from(secret).toString("base64url"));
      }
    expect((await exported()).filter((line) => line.includes('"sealed"'))).toEqual([]);
    expect((await exported(PASSPHRASE)).filter((line) => line.includes('"sealed"'))).toHaveLength(3);
  });

  test("of some nouns holds those alone", async () => {
    const parts: string[] = [];
    await here.transfer.export({ only: ["role"] }, async (lines) => void parts.push(lines));
    expect(
      parts
        .join("")
        .split("\n")
        .map((line) => line && (JSON.parse(line).noun ?? "")),
    ).toEqual(["", "role", "role", "", ""]);
  });
});

describe("an import", () => {
  test("makes everything as it was, with secrets under this server's SECRET_KEY; twice changes nothing", async () => {
    const lines = await exported(PASSPHRASE);
    const first = await imported(lines, "fail", { passphrase: PASSPHRASE });
    expect(first).toMatchObject({ withSecrets: true, missing: { client: 0, role: 0 } });
    expect(first.tallies.account).toEqual({ created: 1, replaced: 0, unchanged: 0, skipped: 0 });
    expect(there.told.filter((each) => each.startsWith("end"))).toEqual([]);

    const plain = (all: string[]) => all.map((text) => ({ ...JSON.parse(text), sealed: undefined, at: undefined, secrets: undefined }));
    expect(plain(await exported(PASSPHRASE, there))).toEqual(plain(lines));
    const [totp] = await there.prisma.credential.findMany({ where: { kind: "totp" } });
    expect(createSealer(deriveKeys(there.secrets, "grantor/totp")).open(totp?.secret ?? "", "totp:ada")).toBe(TOTP);

    const unchanged = async (again: Promise<{ tallies: object }>) =>
      expect(Object.values((await again).tallies).flatMap(({ created, replaced, skipped }) => [created, replaced, skipped])).toEqual(
        Array.from({ length: 15 }, () => 0),
      );
    await unchanged(imported(lines, "replace", { passphrase: PASSPHRASE }));
    for (const how of ON_CONFLICT) await unchanged(imported(await exported(), how));
  });

  test("without secrets leaves them out, and leaves those that are here", async () => {
    const lines = await exported();
    await imported(lines);
    expect(await there.prisma.credential.findMany({ select: { kind: true } })).toEqual([{ kind: "password" }]);
    expect(await there.prisma.resource.findMany({ select: { hmacSecret: true } })).toEqual([{ hmacSecret: null }]);

    await imported(await exported(PASSPHRASE), "replace", { passphrase: PASSPHRASE });
    expect(await there.prisma.credential.count()).toBe(2);
    await imported(changed(lines, "account", set({ name: "Ada L." })), "replace");
    expect(await there.prisma.credential.count()).toBe(2);
  });

  test("of what is here and says something else fails, skips or replaces, as is asked", async () => {
    const lines = await exported();
    await imported(lines);
    const others = changed(changed(lines, "account", set({ name: "Eve" })), "client", set({ verified: false }));
    await expect(imported(others)).rejects.toThrow(/line 4: the client shop is here already.*\n.*line 7: the account ada is here already/);
    expect((await imported(others, "skip")).tallies.account).toMatchObject({ skipped: 1, replaced: 0 });
    expect((await imported(others, "replace", { dryRun: true })).tallies.account).toMatchObject({ replaced: 1 });
    expect((await there.prisma.account.findFirst())?.name).toBe("Ada");
    there.told.length = 0;
    expect((await imported(others, "replace")).tallies.account).toMatchObject({ replaced: 1 });
    expect(await there.prisma.account.findFirst({ include: { roles: true, passkeys: true } })).toMatchObject({
      name: "Eve",
      roles: [{}],
      passkeys: [{}],
    });
    // Whoever was signed in came in by what was replaced.
    expect(there.told).toEqual(["client shop", "account ada", "end account ada"]);
  });

  test("takes nobody's address, passkey or scope away", async () => {
    const lines = await exported();
    await there.prisma.account.create({ data: { id: "other", email: "ada@example.org" } });
    await there.prisma.resource.create({ data: { audience: "https://other.example", scopes: [{ name: "api:write", description: "" }] } });
    for (const how of ["fail", "replace"] as const) {
      const refused = imported(lines, how);
      await expect(refused).rejects.toThrow("line 5: api:write belongs to another resource here (https://other.example)");
      await expect(refused).rejects.toThrow("line 7: the address ada@example.org belongs to another account here (other)");
    }
    expect(await there.prisma.client.count()).toBe(0);
    expect((await imported(lines, "skip")).tallies).toMatchObject({
      account: { skipped: 1 },
      resource: { skipped: 1 },
      client: { created: 1 },
    });
  });

  test("leaves out what names something that is not here, and says so", async () => {
    const lines = (await exported()).filter((line) => !/"noun":"(?:client|role)"/.test(line));
    const counts = JSON.stringify({ end: { role: 0, client: 0, resource: 1, provider: 1, account: 1 } });
    const { missing } = await imported([...lines.slice(0, -1), counts]);
    expect(missing).toEqual({ client: 3, role: 1 });
    expect(await there.prisma.consent.count()).toBe(0);
  });
});

describe("nothing is taken of a file", () => {
  const hostile: [string, (lines: string[]) => string[] | Promise<string[]>, RegExp][] = [
    ["that is empty", () => [], /line 1: /],
    ["of something else", () => ['{"users":[]}'], /line 1: grantor: must be a file that grantor export has written/],
    ["in another form", (lines) => lines.map((line) => line.replace('"format":1', '"format":2')), /line 1: format: is of a release/],
    ["that was cut off", (lines) => lines.slice(0, -1), /cut off/],
    ["of which a line is gone", (lines) => lines.filter((_, index) => index !== 2), /line 7: says another number/],
    ["that goes on behind its end", (lines) => [...lines, lines[1] as string], /line 9: stands behind the end/],
    [
      "with something twice",
      (lines) => [...lines.slice(0, 2), lines[1] as string, ...lines.slice(2)],
      /line 3: the id admin is in the file twice/,
    ],
    ["in another order", ([head, ...lines]) => [head as string, ...lines.reverse()], /does not belong here|behind the end/],
    ["with a line that is no JSON", (lines) => lines.with(3, "{"), /line 4: /],
    [
      "with a member that nobody knows",
      (lines) => changed(lines, "account", set({ isRoot: true })),
      /line 7: holds what is not known: isRoot/,
    ],
    ["with an id that is not the entry's", (lines) => changed(lines, "account", set({ id: "eve" })), /line 7: id: is another one/],
    ["with an address in capitals", (lines) => changed(lines, "account", set({ email: "ADA@EXAMPLE.ORG" })), /line 7: email: /],
    [
      "with a password hash that costs a gigabyte a try",
      (lines) => changed(lines, "account", withHash(HASH.replace("m=19456", "m=4194304"))),
      /line 7: credentials: /,
    ],
    ["with a password that is no hash", (lines) => changed(lines, "account", withHash("hunter2")), /line 7: credentials: /],
    ["with NUL in a name", (lines) => changed(lines, "account", set({ name: "a\0b" })), /line 7: name: must be text/],
    [
      "with half a character in claims",
      (lines) => changed(lines, "account", set({ claims: { locale: "\ud800" } })),
      /line 7: claims: must be text/,
    ],
    ["with claims of another type", (lines) => changed(lines, "account", set({ claims: { locale: 7 } })), /line 7: claims: /],
    [
      "with a redirect URI that is none",
      (lines) => changed(lines, "client", withMetadata({ redirect_uris: ["javascript:alert(1)"] })),
      /line 4: redirect_uris/,
    ],
    ["with metadata that is no client's", (lines) => changed(lines, "client", withMetadata({ client_secret: "x" })), /line 4: metadata: /],
    [
      "with metadata without a bottom",
      (lines) => lines.map((line) => line.replace('"metadata":{', `"metadata":{"jwks":${'{"a":'.repeat(20_000)}1${"}".repeat(20_000)},`)),
      /line 4: metadata: must be text throughout, and not nested/,
    ],
    [
      "with limits that are none",
      (lines) => changed(lines, "client", set({ registrationLimits: { scopes: "x" } })),
      /line 4: registrationLimits/,
    ],
    [
      "with limits that nobody may make",
      (lines) => changed(lines, "client", set({ registrationLimits: { redirectHosts: ["*"] } })),
      /line 4: redirect_hosts/,
    ],
    [
      "with a policy that is none",
      (lines) => changed(lines, "client", set({ tokenExchange: { audiences: [1] } })),
      /line 4: tokenExchange/,
    ],
    [
      "with a statement that is none",
      (lines) => changed(lines, "client", set({ softwareStatement: "x" })),
      /line 4: software_statement must/,
    ],
    [
      "with a time that no database knows",
      (lines) => changed(lines, "client", set({ createdAt: "0000-01-01T00:00:00Z" })),
      /line 4: createdAt/,
    ],
    ["with a client that needs no PKCE and no secret", (lines) => changed(lines, "client", publicWithoutPkce), /line 4: require_pkce/],
    [
      "with the issuer as a resource",
      (lines) => lines.map((line) => line.replaceAll(API, "https://id.example")),
      /line 5: audience: is a resource of the issuer/,
    ],
    [
      "with a management scope as a resource's",
      (lines) => lines.map((line) => line.replaceAll("api:write", "grantor:accounts:write")),
      /line \d: /,
    ],
    ["with a secret in the clear", (lines) => changed(lines, "resource", set({ hmacSecret: "x" })), /line 5: hmacSecret: stands apart/],
    ["with a role of no name", (lines) => lines.map((line) => line.replaceAll('"editor"', '"../x"')), /line \d: /],
    ["with a time that is none", (lines) => changed(lines, "client", set({ createdAt: "yesterday" })), /line 4: createdAt: must be a time/],
    ["that is one endless line", () => ["x".repeat(5_000_000)], /longer than/],
  ];
  const withHash = (secret: string) => (entry: Record<string, unknown>) => Object.assign((entry.credentials as [object])[0], { secret });
  const withMetadata = (members: object) => (entry: Record<string, unknown>) => Object.assign(entry.metadata as object, members);
  const publicWithoutPkce = (entry: Record<string, unknown>) => {
    withMetadata({ token_endpoint_auth_method: "none" })(entry);
    entry.requirePkce = false;
  };

  test.each(hostile)("%s", async (_, spoil, why) => {
    await expect(imported(await spoil(await exported()), "replace")).rejects.toThrow(why);
    expect(await isEmpty()).toBe(true);
  });

  test("whose secrets are those of another entry, or under another passphrase", async () => {
    const lines = await exported(PASSPHRASE);
    await expect(imported(lines, "fail", { passphrase: "another passphrase" })).rejects.toThrow("The passphrase is not the one");
    const sealed = (noun: string) => lines.map((text) => JSON.parse(text)).find((line) => line.noun === noun).sealed;
    const swapped = lines.map((text) => text.replace(sealed("account"), sealed("resource")));
    await expect(imported(swapped, "fail", { passphrase: PASSPHRASE })).rejects.toThrow(
      "line 7: its secrets were changed, or are those of another entry",
    );
    expect(await isEmpty()).toBe(true);
  });

  test("and no fault repeats what stands there", async () => {
    const lines = changed(await exported(), "account", withHash("hunter2-hunter2"));
    await expect(imported(lines)).rejects.not.toThrow("hunter2");
  });
});
