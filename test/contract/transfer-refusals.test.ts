/** A file with anything wrong in it changes nothing, and is refused by its lines. */
import { describe, expect, test } from "vitest";
import { API, changed, HASH, PASSPHRASE, set, twoServers } from "../support/transfer.ts";

const servers = twoServers();
const { exported, imported } = servers;

const isEmpty = async () =>
  (await servers.there.prisma.account.count()) + (await servers.there.prisma.client.count()) + (await servers.there.prisma.role.count()) ===
  0;

describe("nothing is taken of a file", () => {
  const hostile: [string, (lines: string[]) => string[] | Promise<string[]>, RegExp][] = [
    ["that is empty", () => [], /line 1: /],
    ["of something else", () => ['{"users":[]}'], /line 1: grantor: must be a file that grantor export has written/],
    ["in another form", (lines) => lines.map((line) => line.replace('"format":1', '"format":2')), /line 1: format: is of a release/],
    [
      "from nowhere",
      (lines) => lines.map((line) => line.replace('"issuer":"https://id.example"', '"issuer":"nowhere"')),
      /line 1: issuer: must be a URL/,
    ],
    [
      "with a passkey whose id no index takes",
      (lines) => changed(lines, "account", (entry) => Object.assign((entry.passkeys as [object])[0], { id: "鍵".repeat(1_364) })),
      /line 7: passkeys.0.id: must be base64url/,
    ],
    [
      "with a subject that no index takes",
      (lines) => changed(lines, "account", (entry) => Object.assign((entry.identities as [object])[0], { subject: "人".repeat(500) })),
      /line 7: identities.0.subject: must be at most/,
    ],
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
    [
      "with a role that somebody has twice",
      (lines) => changed(lines, "account", (entry) => (entry.roles as unknown[]).push((entry.roles as unknown[])[0])),
      /line 7: roles: hold something twice/,
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
