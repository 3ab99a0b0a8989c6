/** Accounts and roles by the command line, on the stores of a running server: what it does counts there at once. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { grantor as command, grantorJson } from "../support/command-line.ts";
import { type CommandLine, commandLineBeside } from "../support/command-line-beside.ts";
import { type Grantor, introspect, type Person, refresh, type SeededClient, signIn, startGrantor, userinfo } from "../support/grantor.ts";
import { ask } from "../support/server-control.ts";
import { type Stores, stores } from "../support/stores.ts";
import { waitFor } from "../support/wait-for.ts";

const PASSWORD = "correct horse battery staple";

describe.each(stores)("accounts by the command line, beside a server on $name", ({ open, redis: withRedis }) => {
  let backing: Stores;
  let beside: CommandLine;
  let grantor: Grantor;
  let env: Record<string, string>;
  let web: SeededClient;
  let service: SeededClient;
  const json: CommandLine["json"] = (...args) => beside.json(...args);

  beforeAll(async () => {
    backing = await open();
    grantor = await startGrantor(backing);
    beside = await commandLineBeside(grantor, backing);
    ({ env, web, service } = beside);
  });
  afterAll(async () => {
    await grantor?.[Symbol.asyncDispose]();
    await backing?.close();
  });

  const accessToken: CommandLine["accessToken"] = (client) => beside.accessToken(client);
  const audited: CommandLine["audited"] = (event, column, id) => beside.audited(event, column, id);

  async function person(...options: string[]): Promise<Person> {
    const email = `p${Math.random().toString(36).slice(2)}@example.org`;
    const { sub } = await json<{ sub: string }>("account", "create", "--email", email, "--password", PASSWORD, ...options);
    return { id: sub, email, password: PASSWORD };
  }

  it("ends everything of an account that it disables, and lets its owner in again", async () => {
    const ada = await person("--name", "Ada Lovelace", "--role", "editor");
    const { tokens } = await signIn(grantor, web, ada);
    expect((await userinfo(grantor, tokens.access_token)).status).toBe(200);

    expect(await json("account", "disable", ada.email)).toMatchObject({ sub: ada.id, disabled: true });
    expect((await refresh(grantor, web, tokens.refresh_token as string)).status).toBe(400);
    expect((await userinfo(grantor, tokens.access_token)).status).toBe(401);
    expect(await introspect(grantor, web, tokens.access_token)).toEqual({ active: false });
    await expect(signIn(grantor, web, ada)).rejects.toThrow(/no code/);

    expect(await json("account", "enable", ada.id)).toMatchObject({ disabled: false, roles: ["editor"], name: "Ada Lovelace" });
    expect((await refresh(grantor, web, tokens.refresh_token as string)).status).toBe(400);
    await waitFor("the account to be enabled there", () => signIn(grantor, web, ada));
    expect(await audited("account.disabled", "account_id", ada.id)).toBe("operator");
  });

  it("ends everything of an account that is signed out, gets another password or is deleted", async () => {
    const ada = await person();
    const earlier = await signIn(grantor, web, ada);
    expect(await json("account", "sign-out", ada.email)).toEqual({ sub: ada.id, email: ada.email, signed_out: true });
    expect((await refresh(grantor, web, earlier.tokens.refresh_token as string)).status).toBe(400);
    expect(await audited("account.signed_out", "account_id", ada.id)).toBe("operator");

    const first = await signIn(grantor, web, ada);
    const password = "another horse, another battery";
    await grantorJson(env, ["account", "update", ada.email, "--password", "-"], `${password}\n`);
    expect((await refresh(grantor, web, first.tokens.refresh_token as string)).status).toBe(400);
    const second = await signIn(grantor, web, { ...ada, password });

    expect(await json("account", "delete", ada.id)).toEqual({ sub: ada.id, email: ada.email, deleted: true });
    expect((await refresh(grantor, web, second.tokens.refresh_token as string)).status).toBe(400);
    expect((await userinfo(grantor, second.tokens.access_token)).status).toBe(401);
    expect((await command(env, ["account", "show", ada.email])).stderr).toBe(`error: There is no account "${ada.email}".\n`);
  });

  it("keeps the rules of sign-up, and shows a password that it made this once", async () => {
    const email = "generated@example.org";
    const weak = await command(env, ["account", "create", "--email", "nobody", "--password", "short", "--json"]);
    expect(weak).toMatchObject({ status: 1, stdout: "" });
    expect(weak.stderr).toMatch(/^error: Enter an e-mail address .* at least 15 characters/);
    const made = await json<{ sub: string; password: string }>("account", "create", "--email", email, "--admin");
    expect(made).toMatchObject({ email, email_verified: true, roles: ["admin"] });
    await signIn(grantor, web, { id: made.sub, email, password: made.password });
    expect(await json("account", "show", email)).not.toHaveProperty("password");
    expect(await command(env, ["account", "create", "--email", email])).toMatchObject({
      status: 1,
      stderr: "error: There is already an account with this e-mail address.\n",
    });
    const { accounts } = await json<{ accounts: { email: string }[] }>("account", "list", "--search", "generated");
    expect(accounts).toMatchObject([{ email }]);
    // Somebody administers the server, always.
    expect((await command(env, ["account", "update", email, "--no-admin"])).stderr).toMatch(/^error: This is the only administrator/);
    await json("account", "create", "--email", "second@example.org", "--admin");
    expect(await json("account", "update", email, "--no-admin", "--name", "Gen")).toMatchObject({ roles: [], name: "Gen" });
  });

  it("lets the owner of an address confirm it, whatever an earlier sign-up with it said", async () => {
    const ada = await person("--unverified");
    await expect(signIn(grantor, web, ada)).rejects.toThrow(/no code/);
    expect(await json("account", "update", ada.email, "--verified")).toMatchObject({ email_verified: true });
    const live = await ask(
      backing.databaseUrl,
      "SELECT count(*)::int FROM one_time_token WHERE account_id = $1 AND purpose = 'verify-email' AND used_at IS NULL",
      [ada.id],
    );
    expect(live).toBe(0);
    await waitFor("the account to be verified there", () => signIn(grantor, web, ada));
    const invitation = await json<{ link: string }>("account", "invite", "--email", "guest@example.org");
    expect(invitation.link).toContain(`${grantor.url}/sign-up?invitation=`);
  });

  it("makes roles, gives them to people and takes them away", async () => {
    const ada = await person("--role", "reader");
    const made = await command(env, ["role", "create", "writer", "--permission", "cli:read", "--permission", "later:do", "--json"]);
    expect(JSON.parse(made.stdout)).toEqual({
      name: "writer",
      description: "",
      permissions: ["cli:read", "later:do"],
      require_second_factor: false,
      accounts: 0,
    });
    expect(made.stderr).toMatch(/^No resource has the scope later:do/);
    const changed = await json(
      "role",
      "update",
      "writer",
      "--description",
      "Writes",
      "--permission",
      "cli:read",
      "--require-second-factor",
    );
    expect(changed).toMatchObject({ description: "Writes", permissions: ["cli:read"], require_second_factor: true });
    const given = await json("account", "grant-role", ada.email, "writer");
    expect(given).toMatchObject({ roles: ["reader", "writer"], permissions: ["cli:read"] });
    expect((await command(env, ["account", "show", ada.email])).stdout).toMatch(/^permissions +cli:read$/m);
    expect((await command(env, ["role", "show", "writer"])).stdout).toMatch(/^permits +cli:read\nsecond factor +required\naccounts +1$/m);
    const { roles } = await json<{ roles: { name: string }[] }>("role", "list");
    expect(roles.map(({ name }) => name)).toEqual(expect.arrayContaining(["admin", "reader", "writer"]));
    const taken = await command(env, ["account", "revoke-role", ada.id, "reader"]);
    expect(taken.stdout).toMatch(/^roles +writer$/m);
    expect(taken.stderr).toContain("account sign-out ends them at once");
    expect(await audited("account.role_revoked", "account_id", ada.id)).toBe("operator");
    expect(await json("role", "delete", "writer")).toEqual({ name: "writer", deleted: true, accounts: 1 });
    for (const [args, words] of [
      [["role", "delete", "admin"], "built in"],
      [["role", "show", "writer"], 'There is no role "writer".'],
      [["role", "create", "reader"], 'There is already a role "reader".'],
      [["role", "create", "x", "--permission", "openid"], "OpenID Connect"],
      [["account", "grant-role", ada.id, "writer"], 'There is no role "writer".'],
    ] as const)
      expect(await command(env, args)).toMatchObject({ status: 1, stdout: "", stderr: expect.stringContaining(words) });
  });

  it("helps whoever has lost their way in", async () => {
    const ada = await person();
    const bare = { has_password: true, totp: false, passkeys: 0, recovery_codes: 0, providers: [] };
    expect(await json("account", "show", ada.id)).toMatchObject(bare);
    const none = await command(env, ["account", "remove-second-factor", ada.email]);
    expect(none).toMatchObject({ status: 0, stderr: "The account had no second factor.\n" });

    const { prisma } = grantor.services.database;
    const lost = { accountId: ada.id, kind: "totp", secret: "sealed" };
    await prisma.credential.create({ data: lost });
    await prisma.credential.updateMany({ where: { accountId: ada.id, kind: "password" }, data: { standsAlone: false } });
    await prisma.passkey.create({ data: { id: "a", accountId: ada.id, publicKey: Buffer.from("key"), rpId: "localhost", name: "Key" } });
    expect(await json("account", "show", ada.id)).toMatchObject({ ...bare, totp: true, passkeys: 1 });
    const removed = await command(env, ["account", "remove-second-factor", ada.email, "--json"]);
    expect(JSON.parse(removed.stdout)).toMatchObject({ ...bare, removed: true });
    expect(removed.stderr).toMatch(/too short to be the only factor: .* account reset-password/);
    expect(await audited("second_factor.removed", "account_id", ada.id)).toBe("operator");
    const outbox = () =>
      readdirSync(join(env.DATA_DIR as string, "outbox")).map((name) => readFileSync(join(env.DATA_DIR as string, "outbox", name), "utf8"));
    expect(outbox().filter((mail) => mail.includes(`To: ${ada.email}`))).toHaveLength(1);

    const sent = await command(env, ["account", "reset-password", ada.email]);
    expect(sent).toMatchObject({ status: 0, stdout: `A link is mailed to ${ada.email}. Until it is used, the password stays.\n` });
    expect(sent.stderr).toContain("SMTP_URL is not set");
    expect(outbox().filter((mail) => mail.includes(`To: ${ada.email}`) && mail.includes("/reset-password?token="))).toHaveLength(1);
    await json("account", "disable", ada.email);
    expect(await command(env, ["account", "reset-password", ada.email])).toMatchObject({
      status: 1,
      stderr: expect.stringContaining("disabled"),
    });
  });

  if (withRedis) {
    it("asks no more stores than a command needs", async () => {
      const away = { ...env, REDIS_URL: "redis://127.0.0.1:1" };
      for (const args of [
        ["client", "list"],
        ["account", "list"],
        ["keys", "list"],
        ["migrate"],
        ["token", "inspect", await accessToken(service)],
      ]) {
        expect(await command(away, args), args.join(" ")).toMatchObject({ status: 0, stderr: "" });
      }
      const ada = await person();
      const failed = await command(away, ["account", "disable", ada.email]);
      expect(failed).toMatchObject({ status: 1, stdout: "" });
      expect(failed.stderr).toMatch(/^error: The account is disabled, but .* Redis does not answer\. Start it, or check REDIS_URL\.$/m);
      expect(await json("account", "disable", ada.email)).toMatchObject({ disabled: true });
    });
  }
});
