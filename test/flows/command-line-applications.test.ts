/** Applications, resources and tokens by the command line, on the stores of a running server: what it does counts there at once. */
import { generateKeyPairSync } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { grantor as command, grantorJson, grantorProgram } from "../support/command-line.ts";
import { AUDIENCE, type CommandLine, commandLineBeside, REDIRECT, type Registered } from "../support/command-line-beside.ts";
import { type Grantor, introspect, post, type SeededClient, startGrantor } from "../support/grantor.ts";
import { type Stores, stores } from "../support/stores.ts";
import { tempDir } from "../support/temp-dir.ts";
import { waitFor } from "../support/wait-for.ts";

describe.each(stores)("applications by the command line, beside a server on $name", ({ open }) => {
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

  const token: CommandLine["token"] = (client) => beside.token(client);
  const accessToken: CommandLine["accessToken"] = (client) => beside.accessToken(client);
  const audited: CommandLine["audited"] = (event, column, id) => beside.audited(event, column, id);

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
    await waitFor("the old secret to be refused", async () => (await token(client)).status === 401);
    const again = { ...client, client_secret };
    const jwt = await accessToken(again);
    expect(await introspect(grantor, web, jwt)).toMatchObject({ active: true, client_id: client.client_id });

    expect(await json("client", "delete", client.client_id)).toEqual({ client_id: client.client_id, deleted: true });
    expect(await introspect(grantor, web, jwt)).toEqual({ active: false });
    await waitFor("the application to be unknown", async () => (await token(again)).status === 401);
    const gone = await command(env, ["client", "delete", client.client_id]);
    expect(gone).toMatchObject({ status: 1, stdout: "", stderr: `error: there is no client "${client.client_id}"\n` });
  });

  it("says who looks after an application, and lets two secrets of it count side by side", async () => {
    const { email } = await grantor.person();
    const made = await json<SeededClient>("client", "create", "--name", "Shared", "--type", "service", "--owner", email);
    expect(await json("client", "show", made.client_id)).toMatchObject({ owners: [email] });
    const rotated = await json<SeededClient>("client", "rotate-secret", made.client_id, "--overlap", "3600");
    expect(rotated).toMatchObject({ secret_created_at: expect.any(Number), previous_secret_until: expect.any(Number) });
    const known = async (client: SeededClient) => (await token(client)).status !== 401; // whatever it asks for
    await waitFor("the new secret", () => known(rotated));
    expect(await known(made)).toBe(true);
    await json("client", "rotate-secret", made.client_id);
    await waitFor("both to end", async () => !(await known(rotated)) && !(await known(made)));
    await json("client", "update", made.client_id, "--no-owner");
    expect(await json("client", "show", made.client_id)).toMatchObject({ owners: [] });
    const nobody = await command(env, ["client", "update", made.client_id, "--owner", "nobody@example.org"]);
    expect(nobody).toMatchObject({ status: 1, stderr: expect.stringContaining("There is no account") });
    await json("client", "delete", made.client_id);
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
});
