/** What may be said of a provider, where its words are, and what is taken over from it. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { ConfigError } from "../../src/config.ts";
import { describeCause } from "../../src/federation/federation-error.ts";
import { identityOf } from "../../src/federation/identity.ts";
import { isStateOf, proofsOf } from "../../src/federation/proofs.ts";
import { type IdentityProvider, type ProviderInput, providerOf } from "../../src/federation/provider.ts";
import { readProviderFile } from "../../src/federation/provider-file.ts";
import { tempDir } from "../support/temp-dir.ts";

const dir = tempDir("providers");
afterAll(() => dir.remove());

const file = (content: unknown): string => {
  const path = join(dir.path, "providers.json");
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
  return path;
};
const faults = (content: unknown): readonly string[] => {
  try {
    readProviderFile(file(content));
    return [];
  } catch (error) {
    return (error as ConfigError).faults;
  }
};
const acme = { id: "acme", kind: "oidc", name: "Acme", issuer: "https://id.acme.example", client_id: "grantor" } as const;

test("a file says what there is, with the usual scopes and claims, and a secret may lie beside it", () => {
  expect(readProviderFile(undefined)).toEqual([]);
  writeFileSync(join(dir.path, "secret"), "of-acme\n");
  const [first, github] = readProviderFile(
    file({
      providers: [
        { ...acme, client_secret_file: "secret", claims: { name: "display_name", picture: null } },
        { id: "github", kind: "github", name: "GitHub", client_id: "x", client_secret: "y", link_by_email: true, sign_up: false },
      ],
    }),
  );
  expect(first).toMatchObject({
    clientSecret: "of-acme",
    scopes: ["openid", "profile", "email"],
    linkByEmail: false,
    signUp: true,
    source: "configuration",
  });
  expect(first?.claims).toMatchObject({ name: "display_name", email: "email", email_verified: "email_verified" });
  expect(first?.claims).not.toHaveProperty("picture");
  expect(github).toMatchObject({ issuer: "https://github.com", scopes: ["read:user", "user:email"], linkByEmail: true, signUp: false });
});

test("every fault of a file is told at once, where it is, and no value of it", () => {
  const told = faults({
    other: 1,
    providers: [
      { ...acme, id: "Acme!", issuer: "http://plain.example", client_secret: 7, link_by_email: "sikrit-yes", unknown: "sikrit" },
      {
        ...acme,
        scopes: ["profile", "a b"],
        base_url: "https://x.example",
        claims: { sub: "id" },
        roles: { claim: "g", values: { a: ["no role!"] } },
      },
      acme,
      acme,
      { id: "hub", kind: "github", name: "Hub", client_id: "x", issuer: "https://x.example", base_url: "https://hub.example/path" },
      { ...acme, id: "b", client_secret: "sikrit", client_secret_file: "secret" },
      { ...acme, id: "c", client_secret_file: "not-there" },
      "sikrit",
    ],
  });
  for (const each of told) expect(each).toMatch(/^IDENTITY_PROVIDERS_FILE: /);
  const all = told.join("\n");
  expect(all).not.toContain("sikrit");
  for (const where of [
    ...[
      "other",
      "providers[0].id:",
      "providers[0].issuer:",
      "providers[0].client_secret:",
      "providers[0].link_by_email:",
      "providers[0]: Unrecognized key",
    ],
    ...["providers[1].scopes:", "providers[1].claims:", "providers[1].roles.values.a:", "providers[3].id: another"],
    ...["providers[4].base_url:", "providers[5].client_secret_file:", "providers[6].client_secret_file:", "providers[7]:"],
  ])
    expect(all).toContain(where);
  expect(faults('{ "providers": [ sikrit')).toEqual(["IDENTITY_PROVIDERS_FILE: the file is no JSON"]);
  expect(faults([])).toHaveLength(1);
  expect(faults({})).toEqual([expect.stringContaining("providers: must be a list")]);
  expect(() => readProviderFile(join(dir.path, "nowhere.json"))).toThrow(ConfigError);
  expect(faults({ providers: [{ ...acme, issuer: "http://127.0.0.1:9000/realms/x" }] })).toEqual([]);
});

const provider = (more: Partial<ProviderInput> = {}): IdentityProvider =>
  providerOf({ ...acme, ...more } as ProviderInput, "configuration", "1");
const identity = (claims: Record<string, unknown>, more: Partial<ProviderInput> = {}) =>
  identityOf(provider(more), { issuer: acme.issuer, subject: "s", claims }, Date.now());

test("an address counts as verified only when the provider says so of one that can be used", () => {
  for (const yes of [true, "true", 1, "1"])
    expect(identity({ email: " Ada@Example.org", email_verified: yes })).toMatchObject({ email: "ada@example.org", emailVerified: true });
  for (const no of [false, "false", "yes", 0, undefined, null, {}, [true]])
    expect(identity({ email: "a@b.example", email_verified: no }).emailVerified).toBe(false);
  for (const email of [undefined, "", "no address", 7, ["a@b.example"], `${"a".repeat(250)}@b.example`])
    expect(identity({ email, email_verified: true })).toMatchObject({ email: undefined, emailVerified: false });
  expect(identity({ email: "a@b.example", xms_edov: true }, { claims: { email_verified: "xms_edov" } }).emailVerified).toBe(true);
  expect(identity({ email: "a@b.example", email_verified: true }, { claims: { email_verified: null } }).emailVerified).toBe(false);
});

test("of claims, what is no good is left out", () => {
  const said = {
    name: " Ada\u0000Lovelace ",
    given_name: "Ada",
    family_name: 7,
    nickname: "n".repeat(900),
    picture: "javascript:alert(1)",
    locale: "fr_CA",
    address: { formatted: "a\u0000b" },
    website: "https://half.example/\ud83d",
    middle_name: "half \udc4b",
  };
  const found = identity(said, { claims: { website: "website", middle_name: "middle_name", address: "address" } });
  expect(found.name).toBe("Ada Lovelace");
  expect(found.claims).toEqual({ given_name: "Ada" });
  expect(identity({ nickname: "whole 👋" }).claims).toEqual({ nickname: "whole 👋" });
  expect(identity({ name: "x".repeat(300) }).name).toBeUndefined();
  expect(identity({ picture: "https://cdn.example/a.png", locale: "ja-JP", zoneinfo: "Asia/Tokyo" }).claims).toEqual({
    picture: "https://cdn.example/a.png",
    locale: "ja",
    zoneinfo: "Asia/Tokyo",
  });
});

test("roles come from a claim or a path into one, and only those that the operator names", () => {
  const roles = { claim: "realm_access.roles", values: { staff: ["employee"], chief: ["employee", "manager"] } };
  const held = (realm_access: unknown) => identity({ realm_access }, { roles }).roles?.held;
  expect(held({ roles: ["chief", "staff", "admin", "constructor", "__proto__", 7] })).toEqual(["employee", "manager"]);
  for (const none of [undefined, null, "staff", { roles: {} }, { roles: null }, ["staff"]]) expect(held(none)).toEqual([]);
  expect(identity({ "realm_access.roles": "staff" }, { roles }).roles).toEqual({ held: ["employee"], managed: ["employee", "manager"] });
  expect(identity({ realm_access: { roles: ["staff"] } }).roles).toBeUndefined();
  expect(identity({ amr: ["pwd", "otp"] }, { second_factor_amr: ["mfa", "otp"] }).secondFactor).toBe(true);
  expect(identity({ amr: ["pwd", "otp", "mfa"] }).secondFactor).toBe(false);
});

test("what is sent along is derived from the browser's secret, one-way, each for itself", () => {
  const { state, nonce, verifier } = proofsOf("a secret");
  expect(new Set([state, nonce, verifier]).size).toBe(3);
  expect(verifier).toMatch(/^[\w-]{43}$/);
  expect([isStateOf(state, "a secret"), isStateOf(state, "another"), isStateOf("", "a secret"), isStateOf(nonce, "a secret")]).toEqual([
    true,
    false,
    false,
    false,
  ]);
});

test("of an error the log gets words, never what the provider answered", () => {
  const cause = Object.assign(new Error("parsing error"), {
    code: "X",
    cause: { code: "ECONNRESET", body: { id_token: "eyJ" } },
    error: "e".repeat(900),
  });
  expect(describeCause(cause)).toEqual({
    name: "Error",
    code: "X",
    message: "parsing error",
    error: "e".repeat(300),
    system: "ECONNRESET",
  });
  expect(describeCause(undefined)).toEqual({});
});
