/** The command line on the stores of a running server: what it does counts there at once. */
import { generateKeyPairSync } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { grantor as command, grantorJson, grantorProgram } from "../support/command-line.ts";
import {
  type Grantor,
  introspect,
  type Person,
  post,
  refresh,
  type SeededClient,
  signIn,
  startGrantor,
  userinfo,
} from "../support/grantor.ts";
import { ask } from "../support/server-control.ts";
import { type Stores, stores } from "../support/stores.ts";
import { tempDir } from "../support/temp-dir.ts";
import { waitFor } from "../support/wait-for.ts";

const AUDIENCE = "https://api.example/command-line";
const REDIRECT = "https://app.example/callback";
const PASSWORD = "correct horse battery staple";

interface Registered {
  client_id: string;
  client_secret: string;
}

describe.each(stores)("the command line beside a server on $name", ({ open, redis: withRedis }) => {
  let backing: Stores;
  let grantor: Grantor;
  let env: Record<string, string>;
  let web: SeededClient;
  let service: SeededClient;
  const json = <T = Record<string, unknown>>(...args: string[]): Promise<T> => grantorJson<T>(env, args);

  beforeAll(async () => {
    backing = await open();
    grantor = await startGrantor(backing);
    env = grantor.server.env;
    const made = await json<Registered>("client", "create", "--name", "Web", "--type", "web", "--redirect-uri", REDIRECT);
    web = { ...made, redirect_uri: REDIRECT };
    service = {
      ...(await json<Registered>("client", "create", "--name", "Robot", "--type", "service", "--scope", "cli:read")),
      redirect_uri: "",
    };
    await json(
      "resource",
      "create",
      "--audience",
      AUDIENCE,
      "--scope",
      "cli:read=Read what the test wrote",
      "--introspected-by",
      web.client_id,
    );
  });
  afterAll(async () => {
    await grantor?.[Symbol.asyncDispose]();
    await backing?.close();
  });

  const token = (client: SeededClient): Promise<Response> =>
    post(`${grantor.url}/oauth/token`, client, { grant_type: "client_credentials", resource: AUDIENCE, scope: "cli:read" });
  const accessToken = async (client: SeededClient): Promise<string> =>
    ((await (await token(client)).json()) as { access_token: string }).access_token;
  const audited = (event: string, column: "account_id" | "client_id", id: string): Promise<unknown> =>
    ask(backing.databaseUrl, `SELECT actor FROM audit_event WHERE event = $1 AND outcome = 'success' AND ${column} = $2`, [event, id]);

  async function person(...options: string[]): Promise<Person> {
    const email = `p${Math.random().toString(36).slice(2)}@example.org`;
    const { sub } = await json<{ sub: string }>("account", "create", "--email", email, "--password", PASSWORD, ...options);
    return { id: sub, email, password: PASSWORD };
  }

  it("makes applications that work at once, with the defaults of their type", async () => {
    expect(await accessToken(service)).toBeTruthy();
    expect(await json("client", "show", web.client_id)).toMatchObject({
      client_name: "Web",
      redirect_uris: [REDIRECT],
      token_endpoint_auth_method: "client_secret_basic",
      grant_types: ["authorization_code", "refresh_token"],
      response_types: ["code"],
      require_pkce: true,
      first_party: false,
      created_by: "operator",
    });
    const device = await json<Registered>("client", "create", "--name", "Television", "--type", "device", "--dpop");
    expect(device).toMatchObject({
      dpop_bound_access_tokens: true,
      token_endpoint_auth_method: "none",
      grant_types: ["urn:ietf:params:oauth:grant-type:device_code", "refresh_token"],
    });
    expect(device).not.toHaveProperty("client_secret");
    expect(await json("client", "update", device.client_id, "--no-dpop")).toMatchObject({ dpop_bound_access_tokens: false });
    expect(await json("client", "update", device.client_id, "--brand-color", "#AA3300")).toMatchObject({ brand_color: "#aa3300" });
    expect(await json("client", "update", device.client_id, "--no-brand-color")).not.toHaveProperty("brand_color");
    expect(await audited("client.created", "client_id", device.client_id)).toBe("operator");
    const { clients } = await json<{ clients: { client_id: string }[] }>("client", "list");
    expect(clients.map(({ client_id }) => client_id)).toEqual([web.client_id, service.client_id, device.client_id]);
    expect(JSON.stringify(clients)).not.toContain(web.client_secret);
  });

  it("changes, rotates and deletes an application: its tokens end", async () => {
    const made = await json<Registered>("client", "create", "--name", "Short-lived", "--type", "service", "--scope", "cli:read");
    const client: SeededClient = { ...made, redirect_uri: "" };
    expect(made).toMatchObject({ client_secret_expires_at: 0, scope: "cli:read" });

    const renamed = await json(
      "client",
      "update",
      client.client_id,
      "--name",
      "Renamed",
      "--scope",
      "cli:read grantor:keys:read",
      "--verified",
    );
    expect(renamed).toMatchObject({ client_name: "Renamed", scope: "cli:read", management_scopes: "grantor:keys:read", verified: true });
    expect(renamed).not.toHaveProperty("client_secret");
    const managed = await post(`${grantor.url}/oauth/token`, client, {
      grant_type: "client_credentials",
      resource: `${grantor.url}/api/v1`,
    });
    expect(managed.status).toBe(200);

    const { client_secret } = await json<Registered>("client", "rotate-secret", client.client_id);
    await waitFor("the old secret to be refused", async () => (await token(client)).status === 401, 2000);
    const again = { ...client, client_secret };
    const jwt = await accessToken(again);
    expect(await introspect(grantor, web, jwt)).toMatchObject({ active: true, client_id: client.client_id });

    expect(await json("client", "delete", client.client_id)).toEqual({ client_id: client.client_id, deleted: true });
    expect(await introspect(grantor, web, jwt)).toEqual({ active: false });
    await waitFor("the application to be unknown", async () => (await token(again)).status === 401, 2000);
    const gone = await command(env, ["client", "delete", client.client_id]);
    expect(gone).toMatchObject({ status: 1, stdout: "", stderr: `error: there is no client "${client.client_id}"\n` });
  });

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
    await waitFor("the account to be enabled there", () => signIn(grantor, web, ada), 5000);
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
    await waitFor("the account to be verified there", () => signIn(grantor, web, ada), 5000);
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

  it("describes resources", async () => {
    const audience = "https://api.example/other";
    const args = [
      "--audience",
      audience,
      "--scope",
      "other:read=Read others",
      "--scope",
      "other:write other:delete",
      "--access-token-ttl",
      "60",
    ];
    const made = await json("resource", "create", ...args, "--alg", "ES256", "--roles");
    expect(made).toMatchObject({ audience, access_token_ttl: 60, alg: "ES256", roles: true, introspected_by: [] });
    expect(made.scopes).toEqual([
      { name: "other:read", description: "Read others" },
      { name: "other:write", description: "" },
      { name: "other:delete", description: "" },
    ]);
    const updated = await json("resource", "update", audience, "--no-access-token-ttl", "--no-roles", "--introspected-by", web.client_id);
    expect(updated).toMatchObject({ roles: false, introspected_by: [web.client_id], alg: "ES256" });
    expect(updated).not.toHaveProperty("access_token_ttl");
    expect(await json("resource", "update", audience, "--scopes-by-role")).toMatchObject({ scopes_by_role: true });
    expect(await json("resource", "show", audience)).toMatchObject({ ...updated, scopes_by_role: true });
    expect(await command(env, ["resource", "show", "https://nobody.example"])).toMatchObject({ status: 1 });
    const { resources } = await json<{ resources: { audience: string }[] }>("resource", "list");
    expect(resources.map((each) => each.audience)).toEqual([AUDIENCE, audience]);
    expect(await json("resource", "delete", audience)).toEqual({ audience, deleted: true });
    const reserved = await command(env, ["resource", "create", "--audience", audience, "--scope", "grantor:keys:read"]);
    expect(reserved).toMatchObject({ status: 1, stderr: expect.stringContaining("kept for the management API") });
  });

  it("says who looks after an application, and lets two secrets of it count side by side", async () => {
    const { email } = await grantor.person();
    const made = await json<SeededClient>("client", "create", "--name", "Shared", "--type", "service", "--owner", email);
    expect(await json("client", "show", made.client_id)).toMatchObject({ owners: [email] });
    const rotated = await json<SeededClient>("client", "rotate-secret", made.client_id, "--overlap", "3600");
    expect(rotated).toMatchObject({ secret_created_at: expect.any(Number), previous_secret_until: expect.any(Number) });
    const known = async (client: SeededClient) => (await token(client)).status !== 401; // whatever it asks for
    await waitFor("the new secret", () => known(rotated), 2000);
    expect(await known(made)).toBe(true);
    await json("client", "rotate-secret", made.client_id);
    await waitFor("both to end", async () => !(await known(rotated)) && !(await known(made)), 2000);
    await json("client", "update", made.client_id, "--no-owner");
    expect(await json("client", "show", made.client_id)).toMatchObject({ owners: [] });
    const nobody = await command(env, ["client", "update", made.client_id, "--owner", "nobody@example.org"]);
    expect(nobody).toMatchObject({ status: 1, stderr: expect.stringContaining("There is no account") });
    await json("client", "delete", made.client_id);
  });

  it("makes and rotates the secret of a resource whose tokens it signs, shown once", async () => {
    const audience = "https://api.example/hmac";
    const { secret, ...made } = await json("resource", "create", "--audience", audience, "--alg", "HS256");
    expect([secret, made.alg]).toEqual([expect.stringMatching(/^[\w-]{43}$/), "HS256"]);
    const rotated = await json("resource", "rotate-secret", audience);
    expect(rotated).toMatchObject({ audience, secret: expect.stringMatching(/^[\w-]{43}$/) });
    expect(rotated.secret).not.toBe(secret);
    expect(await json("resource", "update", audience, "--alg", "ES256")).not.toHaveProperty("secret");
    expect(await command(env, ["resource", "rotate-secret", audience])).toMatchObject({
      status: 1,
      stderr: expect.stringContaining("ES256"),
    });
    expect(JSON.stringify(await json("resource", "list"))).not.toContain("secret");
    await json("resource", "delete", audience);
  });

  it("encrypts the tokens of a resource to the key that it is given", async () => {
    await using dir = tempDir("jwk");
    const audience = "https://api.example/encrypted";
    const pair = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const [file, secretFile, noJson] = ["jwk.json", "private.json", "key.pem"].map((name) => join(dir.path, name)) as [
      string,
      string,
      string,
    ];
    const jwk = { ...pair.publicKey.export({ format: "jwk" }), kid: "orders-1" };
    writeFileSync(file, JSON.stringify(jwk));
    writeFileSync(secretFile, JSON.stringify(pair.privateKey.export({ format: "jwk" })));
    writeFileSync(noJson, pair.privateKey.export({ format: "pem", type: "pkcs8" }));
    const made = await json("resource", "create", "--audience", audience, "--encryption-key", file, "--encryption-alg", "ECDH-ES+A256KW");
    expect(made).toMatchObject({ encryption_alg: "ECDH-ES+A256KW", encryption_enc: "A256GCM", encryption_key: { ...jwk, use: "enc" } });
    const changed = await json("resource", "update", audience, "--encryption-enc", "A128CBC-HS256");
    expect(changed).toMatchObject({ encryption_alg: "ECDH-ES+A256KW", encryption_enc: "A128CBC-HS256" });
    for (const [wrong, status, words] of [
      [["--encryption-key", secretFile], 1, "private"],
      [["--encryption-key", noJson], 2, "no JSON"],
      [["--encryption-key", join(dir.path, "absent")], 2, "ENOENT"],
      [["--encryption-alg", "RSA-OAEP-256"], 1, "ECDH-ES"],
      [["--no-encryption", "--encryption-enc", "A256GCM"], 2, "alone"],
    ] as const) {
      const answer = await command(env, ["resource", "update", audience, ...wrong]);
      expect(answer).toMatchObject({ status, stderr: expect.stringContaining(words) });
      expect(answer.stderr).not.toContain("PRIVATE KEY");
    }
    expect(await json("resource", "update", audience, "--no-encryption")).not.toHaveProperty("encryption_key");
    await json("resource", "delete", audience);
  });

  it("says what an application may exchange", async () => {
    const policy = ["--exchange-to", AUDIENCE, "--exchange-scope", "web:read=cli:read", "--exchange-scope", "web:write=cli:read cli:write"];
    const scopes = { "web:read": ["cli:read"], "web:write": ["cli:read", "cli:write"] };
    const made = await json<Registered>("client", "create", "--name", "Gateway", "--type", "service", "--scope", "cli:read", ...policy);
    expect(made).toMatchObject({
      token_exchange: { audiences: [AUDIENCE], scopes, impersonation: false },
      grant_types: ["client_credentials"],
    });
    const update = (...args: string[]) => json("client", "update", made.client_id, ...args);
    const more = await update("--exchange-impersonation", "--no-exchange-scope");
    expect(more).toMatchObject({ token_exchange: { audiences: [AUDIENCE], scopes: {}, impersonation: true } });
    const shown = await command(env, ["client", "show", made.client_id]);
    expect(shown.stdout).toMatch(new RegExp(`exchanges tokens for +${AUDIENCE}`));
    const unknown = await command(env, ["client", "update", made.client_id, "--exchange-to", "https://nobody.example"]);
    expect(unknown).toMatchObject({ status: 0, stderr: expect.stringContaining("https://nobody.example") });
    expect(await update("--no-exchange-to")).not.toHaveProperty("token_exchange");
    for (const [wrong, status] of [
      [["--exchange-scope", "web:read"], 2],
      [["--exchange-impersonation"], 1],
      [["--exchange-to", "api"], 1],
      [["--exchange-to", AUDIENCE, "--auth-method", "none"], 1],
    ] as const)
      expect(await command(env, ["client", "update", made.client_id, ...wrong])).toMatchObject({ status });
  });

  it("makes initial access tokens that are good for so many registrations", async () => {
    const made = await json<{ initial_access_token: string; expires_at: number }>(
      "registration-token",
      "create",
      "--expires",
      "60",
      "--uses",
      "1",
      "--scope",
      "openid profile",
      "--redirect-host",
      "app.example",
    );
    expect(made).toMatchObject({ scopes: ["openid", "profile"], redirect_hosts: ["app.example"] });
    expect(made.expires_at).toBeGreaterThan(Date.now() / 1000);
    const register = () =>
      fetch(`${grantor.url}/oauth/register`, {
        method: "POST",
        headers: { "Content-Type": "application/json", Authorization: `Bearer ${made.initial_access_token}` },
        body: JSON.stringify({ client_name: "Registered", redirect_uris: [REDIRECT] }),
      });
    const registered = await register();
    expect(registered.status).toBe(201);
    expect((await register()).status).toBe(401);
    const { client_id } = (await registered.json()) as { client_id: string };
    const limits = { scopes: ["openid", "profile"], redirect_hosts: ["app.example"] };
    expect(await json("client", "show", client_id)).toMatchObject({ scope: "openid profile", registration_limits: limits });
    expect(await command(env, ["registration-token", "create", "--redirect-host", "https://app.example"])).toMatchObject({ status: 1 });
    const endless = await json<{ initial_access_token: string }>("registration-token", "create");
    const list = async () => {
      const { registration_tokens } = await json<{ registration_tokens: { id: string; usable: boolean }[] }>("registration-token", "list");
      return registration_tokens;
    };
    const [newest, oldest] = await list();
    expect(newest).toEqual({ id: expect.stringMatching(/^[0-9a-f]{24}$/), created_at: expect.any(Number), usable: true });
    expect(oldest).toMatchObject({ ...limits, uses_left: 0, usable: false, expires_at: made.expires_at });
    expect(JSON.stringify(await list())).not.toContain(endless.initial_access_token);
    const id = String(newest?.id);
    expect(await json("registration-token", "delete", id)).toEqual({ id, deleted: true });
    expect(await command(env, ["registration-token", "delete", id])).toMatchObject({ status: 1 });
    expect(await list()).toEqual([oldest]);
  });

  it("takes tokens apart, and tells those of ours that verify", async () => {
    const jwt = await accessToken(service);
    const seen = await json<Record<string, Record<string, unknown>>>("token", "inspect", jwt);
    expect(seen).toMatchObject({ kind: "access token (RFC 9068)", signature: "valid", verifies: true, expired: false, issued_here: true });
    expect(seen.claims).toMatchObject({ aud: AUDIENCE, scope: "cli:read", client_id: service.client_id });
    expect(seen.meanings?.sub).toMatch(/no person/);
    const { keys } = await json<{ keys: { kid: string; state: string }[] }>("keys", "list");
    expect(keys).toContainEqual(expect.objectContaining({ kid: seen.key?.kid, alg: "RS256", use: "sig", state: "current" }));

    const [head, , tail] = jwt.split(".");
    const forged = `${head}.${Buffer.from(JSON.stringify({ ...seen.claims, scope: "all" })).toString("base64url")}.${tail}`;
    expect(await grantorJson(env, ["token", "inspect", "-"], `${forged}\n`)).toMatchObject({ signature: "invalid", verifies: false });
    const text = await command(env, ["token", "inspect", jwt]);
    expect(text.stdout).toMatch(/signed by +\S+ \(RS256, current: signs now\)/);
    expect(text.stdout).toMatch(/exp +\d+ \(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC, in 1\d minutes\) +expires/);
    expect(seen).toMatchObject({ verdict: expect.stringMatching(/^It counts/), status: { state: "valid", idx: expect.any(Number) } });
    await post(`${grantor.url}/oauth/revoke`, service, { token: jwt });
    const revoked = await grantorProgram(env, ["token", "inspect", "-"], jwt);
    expect(revoked.stdout).toMatch(/^It does not count: it was revoked\./);
    expect(revoked.stdout).toMatch(/status +REVOKED .+ \(.+ UTC\): entry \d+ of /);
    const audience = "https://api.example/shared-secret";
    await json("resource", "create", "--audience", audience, "--alg", "HS256");
    const answer = await post(`${grantor.url}/oauth/token`, service, { grant_type: "client_credentials", resource: audience });
    const { access_token: shared } = (await answer.json()) as { access_token: string };
    const known = await command(env, ["token", "inspect", "-"], shared);
    expect(known.stdout).toMatch(/^It counts: /);
    expect(known.stdout).toMatch(/^signed by +the secret of its resource \(HS256\)$/m);
    expect(await command(env, ["token", "inspect", "opaque"])).toMatchObject({
      status: 1,
      stdout: "",
      stderr: expect.stringContaining("not a JWT"),
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
