/** Secrets of applications: which of them count, for how long, in every process. */
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type ClientStore, createClientStore } from "../../src/clients/client-store.ts";
import { type ChangeFeed, openChangeFeed } from "../../src/storage/change-feed.ts";
import type { Database } from "../../src/storage/database.ts";
import { testDatabase } from "../support/test-database.ts";
import { waitFor } from "../support/wait-for.ts";

const log = pino({ level: "silent" });
const WEB = { type: "web", metadata: { client_name: "Web", redirect_uris: ["https://app.example/cb"] } } as const;

let database: Database;
let feeds: ChangeFeed[];
let now: number;
let here: ClientStore;
let there: ClientStore;

beforeEach(async () => {
  database = await testDatabase();
  now = Date.parse("2026-01-01T00:00:00Z");
  feeds = await Promise.all([openChangeFeed(database, log), openChangeFeed(database, log)]);
  [here, there] = feeds.map((feed) => createClientStore(database.prisma, feed, () => now)) as [ClientStore, ClientStore];
});

afterEach(async () => {
  for (const feed of feeds) await feed.close();
  await database.close();
});

describe("a secret", () => {
  test("opens its own client alone, and the old one nothing any more once rotated", async () => {
    const [one, other] = [await here.create(WEB), await here.create(WEB)];
    const { clientId } = one.client;
    expect(await here.checkSecret(clientId, one.secret as string)).toBe(true);
    for (const wrong of [other.secret as string, "", one.client.secretHash as string])
      expect(await here.checkSecret(clientId, wrong)).toBe(false);
    expect(await here.checkSecret("nobody", one.secret as string)).toBe(false);
    expect(await there.checkSecret(clientId, one.secret as string)).toBe(true);
    const { secret: next } = await here.rotateSecret(clientId);
    expect(await here.checkSecret(clientId, one.secret as string)).toBe(false);
    expect(await here.checkSecret(clientId, next)).toBe(true);
    await waitFor("the other process", () => there.checkSecret(clientId, next));
    expect(await there.checkSecret(clientId, one.secret as string)).toBe(false);
  });

  test("counts beside the one before it for as long as was said, in every process, and no third one does", async () => {
    const made = await here.create(WEB);
    const { clientId } = made.client;
    const first = made.secret as string;
    const valid = async (store: ClientStore, ...secrets: string[]) =>
      Promise.all(secrets.map((secret) => store.checkSecret(clientId, secret)));
    expect(made.client.secretCreatedAt).toEqual(new Date(now));
    now += 5_000;
    const { client, secret: second } = await here.rotateSecret(clientId, { overlap: 60 });
    expect(client).toMatchObject({ secretCreatedAt: new Date(now), previousSecret: { until: new Date(now + 60_000) } });
    expect(await valid(here, first, second)).toEqual([true, true]);
    await waitFor("the other process", () => there.checkSecret(clientId, second));
    expect(await valid(there, first, second)).toEqual([true, true]);
    now += 59_999;
    expect(await valid(there, first, second)).toEqual([true, true]);
    now += 1; // nobody has swept, and the record is in the cache
    for (const store of [here, there]) expect(await valid(store, first, second)).toEqual([false, true]);
    const { secret: third } = await here.rotateSecret(clientId, { overlap: 60 });
    const { secret: fourth } = await here.rotateSecret(clientId, { overlap: 86_400 });
    expect(await valid(here, second, third, fourth)).toEqual([false, true, true]);
    expect(await here.endPreviousSecret(clientId)).not.toHaveProperty("previousSecret");
    expect(await valid(here, third, fourth)).toEqual([false, true]);
    const { secret: fifth } = await here.rotateSecret(clientId, { overlap: 86_400 });
    const { secret: sixth } = await here.rotateSecret(clientId); // ends what still overlaps, too
    expect(await valid(here, fourth, fifth, sixth)).toEqual([false, false, true]);
  });

  test("stays one of two when it is replaced by several at once", async () => {
    const made = await here.create(WEB);
    const { clientId } = made.client;
    const rotated = await Promise.all(Array.from({ length: 6 }, (_, n) => (n % 2 ? here : there).rotateSecret(clientId, { overlap: 60 })));
    const secrets = [made.secret as string, ...rotated.map(({ secret }) => secret)];
    const newest = await database.prisma.client.findUniqueOrThrow({ where: { id: clientId } });
    for (const store of [here, there]) {
      await waitFor("the last rotation", async () => (await store.find(clientId))?.secretHash === newest.secretHash);
      expect((await Promise.all(secrets.map((secret) => store.checkSecret(clientId, secret)))).filter(Boolean)).toHaveLength(2);
    }
  });

  test("overlaps for no longer than can be overlooked", async () => {
    const { client } = await here.create(WEB);
    for (const overlap of [-1, 0.5, Number.NaN, 30 * 86_400 + 1])
      await expect(here.rotateSecret(client.clientId, { overlap })).rejects.toMatchObject({ code: "invalid_client_metadata" });
    await expect(here.endPreviousSecret("nobody")).rejects.toMatchObject({ code: "not_found" });
  });

  test("leaves nothing when its time is over, and that is no change of the client", async () => {
    const { client } = await here.create(WEB);
    await here.rotateSecret(client.clientId, { overlap: 60 });
    const stored = () => database.prisma.client.findUniqueOrThrow({ where: { id: client.clientId } });
    const before = await stored();
    await here.sweep();
    expect(await stored()).toEqual(before);
    now += 60_000;
    await here.sweep();
    expect(await stored()).toEqual({ ...before, previousSecretHash: null, previousSecretUntil: null });
  });

  test("goes with the one before it when the application authenticates without one", async () => {
    const made = await here.create(WEB);
    const { clientId } = made.client;
    const { secret } = await here.rotateSecret(clientId, { overlap: 60 });
    const { client } = await here.update(clientId, { metadata: { token_endpoint_auth_method: "none" } });
    for (const member of ["secretHash", "secretCreatedAt", "previousSecret"]) expect(client).not.toHaveProperty(member);
    for (const each of [made.secret as string, secret]) expect(await here.checkSecret(clientId, each)).toBe(false);
    // By its own registration (RFC 7592), too; and the next secret stands alone.
    await here.update(clientId, { metadata: { token_endpoint_auth_method: "client_secret_basic" } });
    await here.rotateSecret(clientId, { overlap: 60 });
    const metadata = { ...made.client.metadata, token_endpoint_auth_method: "none" as const };
    await here.replace({ clientId, metadata });
    expect(await here.find(clientId)).not.toHaveProperty("previousSecret");
    await here.replace({ clientId, metadata: made.client.metadata, secret: "made-by-the-engine" });
    expect(await here.find(clientId)).not.toHaveProperty("previousSecret");
    expect(await here.checkSecret(clientId, "made-by-the-engine")).toBe(true);
  });

  test("is made and forgotten with the authentication method", async () => {
    const { client } = await here.create({ ...WEB, type: "spa" });
    await expect(here.rotateSecret(client.clientId)).rejects.toMatchObject({ code: "invalid_client_metadata" });
    const confidential = await here.update(client.clientId, { metadata: { token_endpoint_auth_method: "client_secret_post" } });
    expect(await here.checkSecret(client.clientId, confidential.secret as string)).toBe(true);
    const renamed = await here.update(client.clientId, { metadata: { client_name: "New" } });
    expect(renamed.secret).toBeUndefined();
    expect(await here.checkSecret(client.clientId, confidential.secret as string)).toBe(true);
    await here.update(client.clientId, { metadata: { token_endpoint_auth_method: "none" } });
    expect(await here.checkSecret(client.clientId, confidential.secret as string)).toBe(false);
  });
});
