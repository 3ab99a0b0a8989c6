/** Applications as they are stored, listed and changed: what one process does counts in all. */
import { describe, expect, test } from "vitest";
import type { ClientQuestion } from "../../src/clients/client-list.ts";
import type { ClientRecord } from "../../src/clients/client-record.ts";
import { registrationResponse } from "../../src/clients/client-store.ts";
import { createRegistrationTokens } from "../../src/clients/registration-tokens.ts";
import type { Place } from "../../src/storage/listing.ts";
import { clientStores, WEB } from "../support/client-stores.ts";
import { waitFor } from "../support/wait-for.ts";

const stores = clientStores();

describe("a client", () => {
  test("is found with what it registered and what the operator decided, without its secret", async () => {
    const made = await stores.here.create({ ...WEB, firstParty: true, managementScopes: ["clients:read"] });
    const found = await stores.here.find(made.client.clientId);
    expect(found).toEqual(made.client);
    expect(found).toMatchObject({
      firstParty: true,
      verified: false,
      requirePkce: true,
      managementScopes: ["clients:read"],
      createdBy: "operator",
    });
    expect(found?.metadata).toMatchObject({ client_name: "Web", grant_types: ["authorization_code", "refresh_token"] });
    const dump = JSON.stringify(await stores.database.prisma.client.findMany());
    expect(dump).not.toContain(made.secret);
  });

  test("answers a registration as RFC 7591 has it, the secret once", async () => {
    const made = await stores.here.create(WEB);
    expect(registrationResponse(made)).toMatchObject({
      client_id: made.client.clientId,
      client_id_issued_at: stores.now / 1000,
      client_secret: expect.stringMatching(/^[\w-]{43}$/),
      client_secret_expires_at: 0,
      redirect_uris: WEB.metadata.redirect_uris,
    });
    expect(registrationResponse({ client: made.client })).not.toHaveProperty("client_secret");
  });

  test("is refused with metadata that breaks the rules, and with an id that is taken", async () => {
    await expect(stores.here.create({ metadata: {} })).rejects.toMatchObject({ code: "invalid_redirect_uri" });
    await expect(stores.here.create({ ...WEB, type: "spa", requirePkce: false })).rejects.toMatchObject({
      code: "invalid_client_metadata",
    });
    await stores.here.create({ ...WEB, clientId: "mine" });
    await expect(stores.here.create({ ...WEB, clientId: "mine" })).rejects.toMatchObject({ code: "conflict" });
  });

  test("that does not exist is not found, whatever was asked for", async () => {
    for (const id of ["", "nobody", "a\u0000b", "ü", "x".repeat(10_000), "a b"]) expect(await stores.here.find(id)).toBeUndefined();
  });

  test("is seen by every process as soon as it changes", async () => {
    expect(await stores.there.find("app")).toBeUndefined(); // remembered as absent
    await stores.here.create({ ...WEB, clientId: "app" });
    await waitFor("the new client", () => stores.there.find("app"));
    await stores.here.update("app", { verified: true });
    expect((await stores.here.find("app"))?.verified).toBe(true);
    await waitFor("the change", async () => (await stores.there.find("app"))?.verified);
    await stores.here.delete("app");
    await waitFor("the end", async () => (await stores.there.find("app")) === undefined);
  });

  test("is asked for once while it is warm", async () => {
    await stores.here.create({ ...WEB, clientId: "app" });
    await stores.here.find("app");
    await stores.database.prisma.client.update({ where: { id: "app" }, data: { verified: true } }); // behind the feed's back
    expect((await stores.here.find("app"))?.verified).toBe(false);
    stores.now += 60_001;
    expect((await stores.here.find("app"))?.verified).toBe(true);
  });
});

describe("a change", () => {
  test("replaces what is given, removes null, keeps the rest, and checks the whole", async () => {
    const { client } = await stores.here.create({ ...WEB, metadata: { ...WEB.metadata, logo_uri: "https://app.example/logo.png" } });
    const { client: after } = await stores.here.update(client.clientId, {
      metadata: { client_name: "New", logo_uri: null },
      requirePkce: false,
    });
    expect(after).toMatchObject({ requirePkce: false, metadata: { client_name: "New", redirect_uris: WEB.metadata.redirect_uris } });
    expect(after.metadata).not.toHaveProperty("logo_uri");
    await expect(stores.here.update(client.clientId, { metadata: { redirect_uris: [] } })).rejects.toMatchObject({
      code: "invalid_redirect_uri",
    });
    await expect(stores.here.update(client.clientId, { metadata: { token_endpoint_auth_method: "none" } })).rejects.toThrow(/require_pkce/);
    await expect(stores.here.update("nobody", { verified: true })).rejects.toMatchObject({ code: "not_found" });
  });

  test("made in parallel loses none", async () => {
    const { client } = await stores.here.create(WEB);
    const changes = [
      { client_uri: "https://app.example/" },
      { tos_uri: "https://app.example/tos" },
      { policy_uri: "https://app.example/privacy" },
    ];
    await Promise.all(changes.map((metadata) => stores.here.update(client.clientId, { metadata })));
    expect((await stores.here.find(client.clientId))?.metadata).toMatchObject(Object.assign({}, ...changes));
  });
});

test("deletion takes the registration tokens along and waits for those who end its grants", async () => {
  const tokens = createRegistrationTokens(stores.database.prisma, () => stores.now);
  const { client } = await stores.here.create(WEB);
  await tokens.save("RegistrationAccessToken", "rat", { payload: {}, clientId: client.clientId });
  const ended: string[] = [];
  stores.here.onEnd(async (id) => {
    await new Promise((resolve) => setTimeout(resolve, 20));
    ended.push(id);
  });
  expect(await stores.here.delete(client.clientId)).toBe(true);
  expect(new Set(ended)).toEqual(new Set([client.clientId]));
  expect(await tokens.find("RegistrationAccessToken", "rat")).toBeUndefined();
  expect(await stores.here.delete(client.clientId)).toBe(false);
});

test("deletion can be done again when those who end its grants fail, before or after", async () => {
  for (const failing of [1, 2]) {
    const { client } = await stores.here.create(WEB);
    let calls = 0;
    stores.here.onEnd(async () => {
      calls += 1;
      if (calls === failing) throw new Error("away");
    });
    await expect(stores.here.delete(client.clientId)).rejects.toThrow("away");
    expect((await stores.here.find(client.clientId)) !== undefined).toBe(failing === 1);
    expect(await stores.here.delete(client.clientId)).toBe(failing === 1);
    expect(calls).toBeGreaterThan(failing + 1); // everything has been ended once more since
  }
});

test("a suspension is heard of everywhere, waits for those who end its grants, and can be ordered again when they fail", async () => {
  const { client } = await stores.here.create(WEB);
  const { clientId } = client;
  expect(await stores.there.find(clientId)).toEqual(client);
  let [calls, callsThere] = [0, 0];
  stores.here.onEnd(async () => {
    calls += 1;
    if (calls === 1) throw new Error("away");
  });
  stores.there.onEnd(async () => void callsThere++);
  await expect(stores.here.suspend(clientId)).rejects.toThrow("away");
  const since = new Date(stores.now);
  stores.now += 1_000;
  expect(await stores.here.suspend(clientId)).toMatchObject({ suspendedAt: since }); // it stands since the first order
  expect(calls).toBe(2);
  await waitFor("the other process to hear of it", async () => (await stores.there.find(clientId))?.suspendedAt !== undefined);
  await waitFor("it to end what it gave before", () => callsThere > 0);
  expect(await stores.here.resume(clientId)).not.toHaveProperty("suspendedAt");
  expect(calls).toBe(3); // what it was given meanwhile
  await waitFor("the other process to hear of it", async () => (await stores.there.find(clientId))?.suspendedAt === undefined);
  for (const order of [stores.here.suspend, stores.here.resume]) await expect(order("nobody")).rejects.toMatchObject({ code: "not_found" });
});

test("lifetimes are whole seconds within bounds, and go back to the settings", async () => {
  const own = { accessTokenTtl: 60, refreshTokenTtl: 3_600, refreshTokenMaxAge: 86_400 };
  const { client } = await stores.here.create({ ...WEB, ...own });
  expect(await stores.here.find(client.clientId)).toMatchObject(own);
  for (const [changes, fault] of [
    [{ accessTokenTtl: 0 }, "access_token_ttl must be a whole number of seconds from 1 to 2592000"],
    [{ accessTokenTtl: 1.5, refreshTokenTtl: 315_360_001 }, "refresh_token_ttl must be a whole number of seconds from 1 to 315360000"],
    [{ refreshTokenMaxAge: 3_599 }, "refresh_token_ttl must not be longer than refresh_token_max_age"],
  ] as const)
    await expect(stores.here.update(client.clientId, changes)).rejects.toMatchObject({
      code: "invalid_client_metadata",
      message: expect.stringContaining(fault),
    });
  expect(await stores.here.find(client.clientId)).toMatchObject(own);
  const { client: without } = await stores.here.update(client.clientId, {
    accessTokenTtl: null,
    refreshTokenTtl: null,
    refreshTokenMaxAge: null,
  });
  for (const name of Object.keys(own)) expect(without).not.toHaveProperty(name);
});

test("the colour of an application's pages is an operator's to give and to take", async () => {
  const { client } = await stores.here.create({ ...WEB, brandColor: "#AA3300" });
  expect(await stores.here.find(client.clientId)).toMatchObject({ brandColor: "#aa3300" });
  for (const brandColor of ["red", "#a30", "#aa3300;}", ""])
    await expect(stores.here.update(client.clientId, { brandColor })).rejects.toThrow("brand_color must be a colour such as #3152c8");
  expect((await stores.here.update(client.clientId, { brandColor: null })).client).not.toHaveProperty("brandColor");
});

test("a list is in the order of creation, page by page, whole", async () => {
  const made: string[] = [];
  for (let index = 0; index < 5; index++) {
    if (index % 2 === 0) stores.now += 1;
    made.push((await stores.here.create({ ...WEB, ...(index === 4 && { createdBy: "account" }) })).client.clientId);
  }
  const seen: string[] = [];
  let after: Place | undefined;
  do {
    const page = await stores.here.list({ limit: 2, ...(after !== undefined && { after }) });
    seen.push(...page.clients.map(({ clientId }) => clientId));
    after = page.next;
  } while (after !== undefined);
  expect([...seen].sort()).toEqual([...made].sort());
  expect(seen[4]).toBe(made[4]);
  expect((await stores.here.list({ createdBy: "account" })).clients.map(({ clientId }) => clientId)).toEqual([made[4]]);
});

test("a list is of those that somebody looks for", async () => {
  const person = await stores.database.prisma.account.create({ data: { id: "person", email: "person@example.com" } });
  const make = async (client_name: string, rest = {}) =>
    (await stores.here.create({ type: "web", metadata: { client_name, redirect_uris: ["https://app.example/cb"] }, ...rest })).client
      .clientId;
  const shop = await make("Corner Shop", { verified: true });
  const bakery = await make("Corner Bakery", { owner: person.id });
  const { clientId: service } = (await stores.here.create({ type: "service", metadata: { client_name: "Night shift" } })).client;
  await stores.here.suspend(bakery);
  const found = async (question: ClientQuestion) => (await stores.here.list(question)).clients.map(({ clientId }) => clientId);
  expect((await found({ search: "corner" })).sort()).toEqual([shop, bakery].sort());
  expect(await found({ search: "sho corn" })).toEqual([]);
  expect(await found({ search: "corn sho" })).toEqual([]);
  expect(await found({ search: "corner sho" })).toEqual([shop]);
  expect(await found({ search: shop })).toEqual([shop]);
  expect(await found({ search: shop, suspended: true })).toEqual([]);
  expect(await found({ suspended: true })).toEqual([bakery]);
  expect(await found({ verified: true })).toEqual([shop]);
  expect(await found({ owner: person.id })).toEqual([bakery]);
  expect(await found({ owner: person.id, search: "shop" })).toEqual([]);
  expect(await found({ grantType: "client_credentials" })).toEqual([service]);
  expect(await found({ search: "a\0b" })).toEqual([]);
});

test("what is to be as it was seen is changed only so, and of two changes at once by the same sight one counts", async () => {
  const { client } = await stores.here.create(WEB);
  const seen = (before: ClientRecord) => {
    if (before.updatedAt.getTime() !== client.updatedAt.getTime() || before.verified) throw new Error("changed meanwhile");
  };
  const changes = await Promise.allSettled([
    stores.here.suspend(client.clientId, seen),
    stores.there.update(client.clientId, { verified: true }, (before) => {
      seen(before);
      return {};
    }),
  ]);
  expect(changes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  await expect(stores.here.delete(client.clientId, seen)).rejects.toThrow("changed meanwhile");
  expect(await stores.here.find(client.clientId)).toBeDefined();
  expect(await stores.here.delete(client.clientId, () => {})).toBe(true);
});
