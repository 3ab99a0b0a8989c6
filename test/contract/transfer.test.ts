/** What goes into a file comes out of it elsewhere, once. */
import { describe, expect, test } from "vitest";
import type { z } from "zod";
import { sealTotpSecret } from "../../src/factors/totp.ts";
import { deriveKeys } from "../../src/secrets.ts";
import { Prisma } from "../../src/storage/generated/client.ts";
import { createSealer } from "../../src/storage/seal.ts";
import { accountNoun } from "../../src/transfer/account-noun.ts";
import { clientNoun } from "../../src/transfer/client-noun.ts";
import { ON_CONFLICT } from "../../src/transfer/import-data.ts";
import { providerNoun } from "../../src/transfer/provider-noun.ts";
import { resourceNoun } from "../../src/transfer/resource-noun.ts";
import { roleNoun } from "../../src/transfer/role-noun.ts";
import { changed, PASSPHRASE, PROVIDER_SECRET, RESOURCE_SECRET, set, TOTP, twoServers } from "../support/transfer.ts";

const servers = twoServers();
const { exported, imported } = servers;

describe("an export", () => {
  test("holds every column, but for what is listed here", () => {
    const none = undefined as never;
    const shapeOf = ({ schema }: { schema: z.ZodType }) => (schema as z.ZodObject).shape;
    const left = (shape: object, columns: object) => Object.keys(columns).filter((column) => !(column in shape));
    expect(left(shapeOf(roleNoun(none)), Prisma.RoleScalarFieldEnum)).toEqual([]);
    expect(left(shapeOf(clientNoun(none, none)), Prisma.ClientScalarFieldEnum)).toEqual([]);
    expect(left(shapeOf(resourceNoun(none, none, "")), Prisma.ResourceScalarFieldEnum)).toEqual([]);
    expect(left(shapeOf(providerNoun(none, none)), Prisma.IdentityProviderScalarFieldEnum)).toEqual([]);
    const account = shapeOf(accountNoun({ feed: none, sealer: none, endAccount: none, tellOwner: none }));
    const partOf = (name: string) => shapeOf({ schema: (account[name] as z.ZodArray).element as z.ZodType });
    expect(left(account, Prisma.AccountScalarFieldEnum)).toEqual([]);
    for (const [name, columns] of [
      ["passkeys", Prisma.PasskeyScalarFieldEnum],
      ["recoveryCodes", Prisma.RecoveryCodeScalarFieldEnum],
      ["identities", Prisma.FederatedIdentityScalarFieldEnum],
      ["roles", Prisma.AccountRoleScalarFieldEnum],
      ["consents", Prisma.ConsentScalarFieldEnum],
      ["applications", Prisma.ClientOwnerScalarFieldEnum],
    ] as const)
      expect(left(partOf(name), columns), name).toEqual(["accountId"]);
    expect(left(partOf("credentials"), Prisma.CredentialScalarFieldEnum)).toEqual(["id", "accountId"]);
  });

  test("holds no secret, unless under a passphrase", async () => {
    const opens = [TOTP, RESOURCE_SECRET, PROVIDER_SECRET];
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
    await servers.here.transfer.export({ only: ["role"] }, async (lines) => void parts.push(lines));
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
    expect(servers.there.told.filter((each) => each.startsWith("end"))).toEqual([]);

    const plain = (all: string[]) => all.map((text) => ({ ...JSON.parse(text), sealed: undefined, at: undefined, secrets: undefined }));
    expect(plain(await exported(PASSPHRASE, servers.there))).toEqual(plain(lines));
    const [totp] = await servers.there.prisma.credential.findMany({ where: { kind: "totp" } });
    expect(createSealer(deriveKeys(servers.there.secrets, "grantor/totp")).open(totp?.secret ?? "", "totp:ada")).toBe(TOTP);

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
    expect(await servers.there.prisma.credential.findMany({ select: { kind: true } })).toEqual([{ kind: "password" }]);
    expect(await servers.there.prisma.resource.findMany({ select: { hmacSecret: true } })).toEqual([{ hmacSecret: null }]);

    await imported(await exported(PASSPHRASE), "replace", { passphrase: PASSPHRASE });
    expect(await servers.there.prisma.credential.count()).toBe(2);
    await imported(changed(lines, "account", set({ name: "Ada L." })), "replace");
    expect(await servers.there.prisma.credential.count()).toBe(2);
  });

  test("of what is here and says something else fails, skips or replaces, as is asked", async () => {
    const lines = await exported();
    await imported(lines);
    const others = changed(changed(lines, "account", set({ name: "Eve" })), "client", set({ verified: false }));
    await expect(imported(others)).rejects.toThrow(/line 4: the client shop is here already.*\n.*line 7: the account ada is here already/);
    expect((await imported(others, "skip")).tallies.account).toMatchObject({ skipped: 1, replaced: 0 });
    expect((await imported(others, "replace", { dryRun: true })).tallies.account).toMatchObject({ replaced: 1 });
    expect((await servers.there.prisma.account.findFirst())?.name).toBe("Ada");
    servers.there.told.length = 0;
    expect((await imported(others, "replace")).tallies.account).toMatchObject({ replaced: 1 });
    expect(await servers.there.prisma.account.findFirst({ include: { roles: true, passkeys: true } })).toMatchObject({
      name: "Eve",
      roles: [{}],
      passkeys: [{}],
    });
    // Whoever was signed in came in by what was replaced, and until then.
    expect(servers.there.told).toEqual(["client shop", "end account ada", "account ada", "end account ada"]);
  });

  test("changes nothing of what cannot be ended first: given again it would find it as the file says, and end nothing", async () => {
    const lines = await exported();
    await imported(lines);
    const suspended = changed(lines, "client", set({ suspendedAt: "2026-01-02T03:04:05.678Z" }));
    const { prisma, endings } = servers.there;
    for (const [file, of] of [
      [changed(lines, "account", set({ disabledAt: "2026-01-02T03:04:05.678Z" })), "account ada"],
      [suspended, "client shop"],
    ] as const) {
      endings.fail = new Error("Redis is away");
      await expect(imported(file, "replace")).rejects.toThrow("Redis is away");
      endings.fail = undefined;
      servers.there.told.length = 0;
      await imported(file, "replace");
      expect(servers.there.told).toContain(`end ${of}`);
    }
    expect([
      await prisma.client.count({ where: { suspendedAt: null } }),
      await prisma.account.count({ where: { disabledAt: null } }),
    ]).toEqual([0, 1]);
  });

  test("leaves an administrator who can sign in where there was one", async () => {
    const admin = { roles: [{ roleName: "admin", grantedAt: "2026-01-02T03:04:05.678Z" }] };
    const lines = changed(await exported(), "account", set(admin));
    await imported(lines);
    const losses = [{ roles: [] }, { ...admin, disabledAt: admin.roles[0]?.grantedAt }, { ...admin, deleteAt: admin.roles[0]?.grantedAt }];
    for (const loss of losses)
      for (const dryRun of [true, false])
        await expect(imported(changed(lines, "account", set(loss)), "replace", { dryRun })).rejects.toThrow(
          "line 7: ada@example.org is the last administrator who can sign in",
        );
    expect(await servers.there.prisma.accountRole.findMany({ select: { roleName: true } })).toEqual([{ roleName: "admin" }]);

    // Somebody else who can, in the file before them or here already, is enough; somebody disabled is not.
    const of = (id: string, members: object) => {
      const [line] = changed(
        lines.slice(6, 7),
        "account",
        set({ id, email: `${id}@example.org`, passkeys: [], identities: [], ...members }),
      );
      return JSON.stringify({ ...JSON.parse(line as string), id });
    };
    const end = JSON.stringify({ end: { role: 2, client: 1, resource: 1, provider: 1, account: 2 } });
    const both = (bob: object, ada: object) => [
      ...lines.slice(0, 6),
      of("bob", bob),
      ...changed(lines.slice(6, 7), "account", set(ada)),
      end,
    ];
    await expect(imported(both({ ...admin, disabledAt: admin.roles[0]?.grantedAt }, { roles: [] }), "replace")).rejects.toThrow(
      "line 8: ada",
    );
    expect((await imported(both(admin, { roles: [] }), "replace")).tallies.account).toMatchObject({ created: 1, replaced: 1 });
    await expect(imported(both({ roles: [] }, { roles: [] }), "replace")).rejects.toThrow("line 7: bob@example.org is the last");
    await imported(changed(lines, "account", set(admin)), "replace");
    await imported(both({ roles: [] }, admin), "replace");
  });

  test("does with links, and tells owners by mail, what the same change by the command line would", async () => {
    const lines = await exported();
    await imported(lines);
    const { prisma, secrets, told } = servers.there;
    const link = { purpose: "reset-password", accountId: "ada", expiresAt: new Date(Date.now() + 3_600_000) };
    const replaced = async (change: object) => {
      await prisma.oneTimeToken.deleteMany();
      await prisma.oneTimeToken.create({ data: { hash: "link", ...link } });
      told.length = 0;
      await imported(changed(lines, "account", set(change)), "replace");
      const { usedAt } = await prisma.oneTimeToken.findUniqueOrThrow({ where: { hash: "link" } });
      return { mails: told.filter((each) => each.startsWith("mail")), isVoid: usedAt !== null };
    };
    expect(await replaced({ name: "Ada L." })).toEqual({ mails: [], isVoid: false });
    expect(await replaced({ passkeys: [] })).toEqual({ mails: ["mail ada second_factor_removed"], isVoid: false });
    expect(await replaced({ emailVerified: false })).toEqual({ mails: ["mail ada address_unverified"], isVoid: true });
    expect(await replaced({ email: "ada@example.com" })).toEqual({ mails: [], isVoid: true });
    expect(await replaced({ credentials: [] })).toEqual({ mails: [], isVoid: true });
    // An authenticator app, which a file without secrets does not take away, is a second factor too.
    const secret = sealTotpSecret(createSealer(deriveKeys(secrets, "grantor/totp")), "ada", TOTP);
    await prisma.credential.create({ data: { accountId: "ada", kind: "totp", secret } });
    expect(await replaced({ passkeys: [] })).toEqual({ mails: [], isVoid: true });
  });

  test("takes nobody's address, passkey or scope away", async () => {
    const lines = await exported();
    await servers.there.prisma.account.create({ data: { id: "other", email: "ada@example.org" } });
    await servers.there.prisma.resource.create({
      data: { audience: "https://other.example", scopes: [{ name: "api:write", description: "" }] },
    });
    for (const how of ["fail", "replace"] as const) {
      const refused = imported(lines, how);
      await expect(refused).rejects.toThrow("line 5: api:write belongs to another resource here (https://other.example)");
      await expect(refused).rejects.toThrow("line 7: the address ada@example.org belongs to another account here (other)");
    }
    expect(await servers.there.prisma.client.count()).toBe(0);
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
    expect(await servers.there.prisma.consent.count()).toBe(0);
  });
});
