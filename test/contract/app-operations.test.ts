/** What developers may do with applications, and with whose. */
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Account } from "../../src/accounts/account.ts";
import { createClientOwners } from "../../src/clients/client-owners.ts";
import { type ClientStore, createClientStore } from "../../src/clients/client-store.ts";
import type { Resource } from "../../src/clients/resource.ts";
import type { AuditEvent } from "../../src/observability/audit-log.ts";
import { type AppOperations, type AppOperationsOptions, createAppOperations } from "../../src/operations/app-operations.ts";
import { createOwnerNotices, type Developer } from "../../src/operations/owner-notices.ts";
import { type ChangeFeed, openChangeFeed } from "../../src/storage/change-feed.ts";
import type { Database } from "../../src/storage/database.ts";
import { testDatabase } from "../support/test-database.ts";

const at = new Date("2026-01-01T00:00:00Z");
const account = (id: string, more: Partial<Account> = {}): Account => ({
  id,
  email: `${id}@example.test`,
  emailVerified: true,
  claims: {},
  createdAt: at,
  updatedAt: at,
  roles: [],
  requiresSecondFactor: false,
  permissions: [],
  ...more,
});
const resource = (audience: string, scopes: string[], scopesByRole = false): Resource => ({
  audience,
  name: audience,
  scopes: scopes.map((name) => ({ name, description: name })),
  signingAlg: "RS256",
  scopesByRole,
  includeRoles: false,
  introspectors: [],
  createdAt: at,
});
const APIS = [resource("https://open.example", ["open:read"]), resource("https://by-role.example", ["role:read", "role:write"], true)];
const ada = account("ada");
const bob = account("bob");
const WEB = { client_name: "Notes", redirect_uris: ["https://notes.example/cb"] };

let database: Database;
let feed: ChangeFeed;
let clients: ClientStore;
let events: AuditEvent[];
let mails: string[];
let ids: number;

beforeEach(async () => {
  database = await testDatabase();
  feed = await openChangeFeed(database, pino({ level: "silent" }));
  clients = createClientStore(database.prisma, feed);
  [events, mails, ids] = [[], [], 0];
  for (const { id, email } of [ada, bob]) await database.prisma.account.create({ data: { id, email } });
});

afterEach(async () => {
  clients.close();
  await feed.close();
  await database.close();
});

const by = (who: Account): Developer => ({ account: who, by: { actor: who.id }, origin: {} });
const next = () => `app-${++ids}`;

function operations(options: Partial<AppOperationsOptions> = {}): AppOperations {
  const owners = createClientOwners(database.prisma);
  const accounts = { find: async (id: string) => [ada, bob].find((each) => each.id === id) };
  const notices = { tell: (to: Account, change: string) => void mails.push(`${to.id} ${change}`) };
  return createAppOperations({
    clients,
    owners,
    resources: () => APIS,
    told: createOwnerNotices({ owners, accounts, notices }),
    audit: { record: (event) => void events.push(event) },
    developers: "everyone",
    appsPerPerson: 2,
    loopback: true,
    ...options,
  });
}

test("who may register applications", async () => {
  const role = { developers: { role: "developer" } } as const;
  const developer = account("ada", { roles: ["developer"] });
  const admin = account("ada", { roles: ["admin"] });
  const cases = [
    [{}, ada, undefined],
    [{}, account("ada", { emailVerified: false }), "unconfirmed_address"],
    [{}, account("ada", { disabledAt: at }), "not_a_developer"],
    [role, ada, "not_a_developer"],
    [role, developer, undefined],
    [role, admin, undefined],
    [{ developers: "nobody" }, admin, "nobody_may"],
  ] as const;
  for (const [options, who, refusal] of cases) {
    const apps = operations(options);
    expect(await apps.refusalFor(who)).toBe(refusal);
    expect(await apps.isWelcome(who)).toBe(refusal === undefined || refusal === "unconfirmed_address");
    const made = apps.create(by(who), { type: "web", metadata: WEB, clientId: next() });
    if (refusal === undefined) await clients.delete((await made).client.clientId);
    else await expect(made).rejects.toMatchObject({ code: "not_allowed", status: 403 });
  }
});

test("whoever may not register any more looks after what they have", async () => {
  await operations().create(by(ada), { type: "web", metadata: WEB, clientId: "kept" });
  const apps = operations({ developers: "nobody" });
  expect(await apps.isWelcome(ada)).toBe(true);
  expect(await apps.isWelcome(bob)).toBe(false);
  await apps.update(by(ada), "kept", { client_name: "Still mine" });
  expect((await apps.owned("ada", "kept")).metadata.client_name).toBe("Still mine");
});

test("one account has so many applications and no more, however many it registers at once", async () => {
  const apps = operations();
  const all = await Promise.allSettled(
    Array.from({ length: 6 }, () => apps.create(by(ada), { type: "device", metadata: { client_name: "TV" }, clientId: next() })),
  );
  expect(all.filter(({ status }) => status === "fulfilled")).toHaveLength(2);
  for (const each of all) if (each.status === "rejected") expect(each.reason).toMatchObject({ code: "too_many", status: 409 });
  expect((await apps.list("ada")).clients).toHaveLength(2);
  expect(await apps.refusalFor(ada)).toBe("too_many");
  expect(await apps.refusalFor(bob)).toBeUndefined();
});

test("a form that is sent twice, also at once, makes one application", async () => {
  const apps = operations();
  const order = { type: "web", metadata: WEB, clientId: "one" } as const;
  const both = await Promise.allSettled([apps.create(by(ada), order), apps.create(by(ada), order)]);
  expect(both.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
  expect(both.find(({ status }) => status === "rejected")).toMatchObject({ reason: { code: "conflict" } });
  // Nor does it make somebody else's one's own.
  await expect(apps.create(by(bob), order)).rejects.toMatchObject({ code: "conflict" });
  await expect(apps.owned("bob", "one")).rejects.toMatchObject({ code: "not_found" });
});

test("somebody else's application is none, and is not changed", async () => {
  const apps = operations();
  await apps.create(by(ada), { type: "web", metadata: WEB, clientId: "hers" });
  for (const id of ["hers", "nothing", "", "\0", "x".repeat(300)]) {
    await expect(apps.owned("bob", id)).rejects.toMatchObject({ code: "not_found", status: 404 });
    await expect(apps.owners("bob", id)).rejects.toMatchObject({ code: "not_found" });
    await expect(apps.update(by(bob), id, { client_name: "Mine" })).rejects.toMatchObject({ code: "not_found" });
  }
  expect(await clients.find("hers")).toMatchObject({ metadata: { client_name: "Notes" }, createdBy: "ada" });
  expect(events.map(({ event, actor }) => [event, actor])).toEqual([["client.created", "ada"]]);
});

describe("an owner says of an application what is theirs to say", () => {
  const update = (change: Record<string, unknown>) => operations().update(by(ada), "app", change);
  beforeEach(async () => {
    await operations().create(by(ada), { type: "web", metadata: { ...WEB, scope: "openid open:read" }, clientId: "app" });
  });

  test("and nothing else", async () => {
    const mine = {
      grant_types: ["client_credentials"],
      application_type: "native",
      first_party: true,
      require_pkce: false,
      verified: true,
    };
    const before = await clients.find("app");
    await update({ ...mine, software_id: "x", client_name: "Notes 2" });
    expect(await clients.find("app")).toEqual({
      ...before,
      metadata: { ...before?.metadata, client_name: "Notes 2" },
      updatedAt: expect.any(Date),
    });
    for (const method of ["none", "tls_client_auth", 1])
      await expect(update({ token_endpoint_auth_method: method })).rejects.toMatchObject({
        faults: [{ member: "token_endpoint_auth_method" }],
      });
    for (const client_name of ["", " ", null])
      await expect(update({ client_name })).rejects.toMatchObject({ faults: [{ member: "client_name" }] });
  });

  test("scopes of resources that exist, never those of the management API", async () => {
    await update({ scope: "openid email role:write" });
    for (const scope of ["openid grantor:keys:write", "openid nothing"])
      await expect(update({ scope })).rejects.toMatchObject({ faults: [{ member: "scope", reason: "not_offered" }] });
    expect(await clients.find("app")).toMatchObject({ metadata: { scope: "openid email role:write" }, managementScopes: [] });
  });

  test("and the others hear of what protects it", async () => {
    await createClientOwners(database.prisma).add("app", "bob");
    await update({ client_name: "Notes 2" });
    await update({ redirect_uris: WEB.redirect_uris });
    expect(mails).toEqual([]);
    await update({ redirect_uris: [...WEB.redirect_uris, "http://localhost/cb"] });
    expect(mails).toEqual(["ada changed", "bob changed"]);
    expect(events.map(({ event, detail }) => [event, detail?.changed])).toEqual([
      ["client.created", undefined],
      ["client.updated", "client_name"],
      ["client.updated", "redirect_uris"],
    ]);
  });

  test("it is verified for as long as it is what an operator looked at", async () => {
    const changes = [
      [{ contacts: ["a@notes.example"] }, false],
      [{ redirect_uris: ["https://notes.example/other"] }, false],
      [{ scope: "openid" }, false],
      [{ redirect_uris: ["https://notes.example/cb", "https://evil.example/cb"] }, true],
      [{ post_logout_redirect_uris: ["https://phish.example/"] }, true],
      [{ client_name: "Your bank" }, true],
      [{ logo_uri: "https://notes.example/logo.png" }, true],
      [{ client_uri: "https://bank.example" }, true],
    ] as const;
    for (const [change, unverified] of changes) {
      await clients.update("app", { verified: true });
      expect([change, (await update(change)).unverified]).toEqual([change, unverified]);
      expect((await clients.find("app"))?.verified).toBe(!unverified);
    }
  });

  test("nothing, where an operator gave it more than it can have by itself, or has suspended it", async () => {
    for (const given of [
      { firstParty: true },
      { managementScopes: ["grantor:keys:read"] },
      { tokenExchange: { audiences: ["https://open.example"], scopes: {}, impersonation: false } },
    ]) {
      await clients.update("app", given);
      await expect(update({ redirect_uris: ["https://evil.example/cb"] })).rejects.toMatchObject({ faults: [{ reason: "vouched_for" }] });
      await update({ contacts: [`${Object.keys(given)[0]}@notes.example`] });
      await clients.update("app", { firstParty: false, managementScopes: [], tokenExchange: null });
    }
    await clients.suspend("app");
    await expect(update({ client_name: "Late" })).rejects.toMatchObject({ code: "suspended", status: 409 });
    expect((await clients.find("app"))?.metadata.client_name).toBe("Notes");
  });
});

test("scopes without a person: an operator's where everybody registers, and what one's roles permit elsewhere", async () => {
  const names = (apps: AppOperations, who: Account) => apps.offeredScopes(who, "service").resources.flatMap(({ scopes }) => scopes);
  const holder = account("ada", { roles: ["developer"], permissions: ["role:read"] });
  const everywhere = operations({ loopback: false });
  const byRole = operations({ loopback: false, developers: { role: "developer" } });
  expect(names(everywhere, ada)).toEqual([]);
  expect(names(everywhere, account("ada", { roles: ["admin"] }))).toEqual(["open:read", "role:read", "role:write"]);
  expect(names(byRole, holder)).toEqual(["open:read", "role:read"]);
  expect(names(operations(), ada)).toEqual(["open:read"]);

  const service = (apps: AppOperations, scope: string) =>
    apps.create(by(holder), { type: "service", metadata: { client_name: "Job", scope }, clientId: next() });
  await expect(service(everywhere, "open:read")).rejects.toMatchObject({ faults: [{ reason: "not_offered" }] });
  await expect(service(byRole, "role:write")).rejects.toMatchObject({ faults: [{ reason: "not_offered" }] });
  const { client, secret } = await service(byRole, "open:read role:read");
  expect([client.metadata.scope, typeof secret]).toEqual(["open:read role:read", "string"]);
  // What it has it keeps, when its owner's roles change.
  await byRole.update(by(account("ada", { roles: ["developer"] })), client.clientId, { scope: "role:read" });
  // With a person in between, consent decides.
  expect(everywhere.offeredScopes(ada, "web").resources).toHaveLength(2);
});
