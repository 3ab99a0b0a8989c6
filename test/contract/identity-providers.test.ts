/** Where providers come from, and what is kept of them: a file that wins, rows with sealed secrets. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ProviderInput, providerOf } from "../../src/federation/provider.ts";
import { createProviderStore, type ProviderStore, sealProviderSecretsAgain } from "../../src/federation/provider-store.ts";
import { createLogger } from "../../src/observability/logger.ts";
import { openChangeFeed } from "../../src/storage/change-feed.ts";
import { createSealer } from "../../src/storage/seal.ts";
import { openPeople, type TestPeople } from "../support/people.ts";
import { stores as allStores, type Stores } from "../support/stores.ts";
import { UPSTREAM_CLIENT } from "../support/upstream.ts";
import { waitFor } from "../support/wait-for.ts";

const log = createLogger({ logLevel: "silent" });

let stores: Stores;
let people: TestPeople;
let providers: ProviderStore;
const cleanUp: (() => unknown)[] = [];

beforeAll(async () => {
  stores = await allStores[0].open();
  cleanUp.push(() => stores.close());
  people = await openPeople(stores);
  cleanUp.push(() => people[Symbol.asyncDispose]());
  const feed = await openChangeFeed(people.database, log);
  cleanUp.push(() => feed.close());
  providers = createProviderStore({ prisma: people.database.prisma, feed, sealer: createSealer([Buffer.alloc(32, 1)]), configured: [] });
  cleanUp.push(() => providers.close());
  await providers.create({ ...UPSTREAM_CLIENT, id: "acme", kind: "oidc", name: "Acme", issuer: "https://acme.example" });
});

afterAll(async () => {
  for (const each of cleanUp.reverse()) await each();
});

describe("the providers", () => {
  const input = (id: string) => ({ ...UPSTREAM_CLIENT, id, kind: "oidc", name: "Stored", issuer: "https://stored.example" });
  const [first, second] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];

  test("of the configuration win, and are not changed by orders", async () => {
    const feed = await openChangeFeed(people.database, log);
    await providers.create(input("both"));
    const configured = [providerOf({ ...input("both"), name: "From the file" } as ProviderInput, "configuration", "file")];
    const other = createProviderStore({ prisma: people.database.prisma, feed, sealer: createSealer([first]), configured });
    expect((await other.list()).filter(({ id }) => id === "both")).toMatchObject([{ name: "From the file", source: "configuration" }]);
    await expect(other.update("both", { name: "Changed" })).rejects.toMatchObject({ code: "in_configuration" });
    await expect(other.delete("both")).rejects.toMatchObject({ code: "in_configuration" });
    await expect(other.create(input("both"))).rejects.toMatchObject({ code: "provider_exists" });
    // What another process changes shows here.
    await providers.create(input("later"));
    await waitFor("the other process to hear of it", async () => (await other.find("later")) !== undefined);
    await providers.update("later", { disabled: true, scopes: ["openid"] });
    await waitFor("the change", async () => (await other.find("later")) === undefined);
    expect(await other.get("later")).toMatchObject({ scopes: ["openid"], clientSecret: UPSTREAM_CLIENT.client_secret });
    await providers.delete("later");
    await waitFor("the end", async () => (await other.list()).every(({ id }) => id !== "later"));
    for (const id of ["both", "later"]) await providers.delete(id).catch(() => {});
    await expect(providers.get("both")).rejects.toMatchObject({ code: "not_found" });
    other.close();
    await feed.close();
  });

  test("keep their secrets sealed, for themselves alone, and sealed again under another SECRET_KEY", async () => {
    const { prisma } = people.database;
    await providers.create(input("sealed"));
    const stored = async () => (await prisma.identityProvider.findUniqueOrThrow({ where: { id: "sealed" } })).clientSecret as string;
    const before = await stored();
    expect(before).not.toContain(UPSTREAM_CLIENT.client_secret);
    expect(() => createSealer([first]).open(before, "identity-provider:other")).toThrow();
    await sealProviderSecretsAgain(prisma, createSealer([second, first]));
    const after = await stored();
    expect(after).not.toBe(before);
    expect(createSealer([second]).open(after, "identity-provider:sealed")).toBe(UPSTREAM_CLIENT.client_secret);
    await expect(sealProviderSecretsAgain(prisma, createSealer([first]))).rejects.toThrow(/provider update [\w-]+ --client-secret/);
    await providers.update("sealed", { client_secret: "another-secret-of-theirs" });
    expect(createSealer([first]).open(await stored(), "identity-provider:sealed")).toBe("another-secret-of-theirs");
    await providers.delete("sealed");
    await sealProviderSecretsAgain(prisma, createSealer([first, second]));
  });

  test("that say wrong things are refused with every fault and no value", async () => {
    const wrong = { ...input("Wrong!"), issuer: "http://sikrit.example", client_secret: "", unknown: "sikrit" };
    const error = (await providers.create(wrong).catch((each: unknown) => each)) as Error;
    expect(error).toMatchObject({ code: "invalid_provider" });
    for (const where of ["id:", "issuer:", "client_secret:", "unknown"]) expect(error.message).toContain(where);
    expect(error.message).not.toContain("sikrit");
    await expect(providers.update("acme", { issuer: null })).rejects.toMatchObject({ code: "invalid_provider" });
  });
});
