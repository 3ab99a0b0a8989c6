/** Secrets of applications: which of them count, for how long, in every process. */
import { describe, expect, test } from "vitest";
import type { ClientStore } from "../../src/clients/client-store.ts";
import { clientStores, WEB } from "../support/client-stores.ts";
import { waitFor } from "../support/wait-for.ts";

const stores = clientStores();

describe("a secret", () => {
  test("opens its own client alone, and the old one nothing any more once rotated", async () => {
    const [one, other] = [await stores.here.create(WEB), await stores.here.create(WEB)];
    const { clientId } = one.client;
    expect(await stores.here.checkSecret(clientId, one.secret as string)).toBe(true);
    for (const wrong of [other.secret as string, "", one.client.secretHash as string])
      expect(await stores.here.checkSecret(clientId, wrong)).toBe(false);
    expect(await stores.here.checkSecret("nobody", one.secret as string)).toBe(false);
    expect(await stores.there.checkSecret(clientId, one.secret as string)).toBe(true);
    const { secret: next } = await stores.here.rotateSecret(clientId);
    expect(await stores.here.checkSecret(clientId, one.secret as string)).toBe(false);
    expect(await stores.here.checkSecret(clientId, next)).toBe(true);
    await waitFor("the other process", () => stores.there.checkSecret(clientId, next));
    expect(await stores.there.checkSecret(clientId, one.secret as string)).toBe(false);
  });

  test("counts beside the one before it for as long as was said, in every process, and no third one does", async () => {
    const made = await stores.here.create(WEB);
    const { clientId } = made.client;
    const first = made.secret as string;
    const valid = async (store: ClientStore, ...secrets: string[]) =>
      Promise.all(secrets.map((secret) => store.checkSecret(clientId, secret)));
    expect(made.client.secretCreatedAt).toEqual(new Date(stores.now));
    stores.now += 5_000;
    const { client, secret: second } = await stores.here.rotateSecret(clientId, { overlap: 60 });
    expect(client).toMatchObject({ secretCreatedAt: new Date(stores.now), previousSecret: { until: new Date(stores.now + 60_000) } });
    expect(await valid(stores.here, first, second)).toEqual([true, true]);
    await waitFor("the other process", () => stores.there.checkSecret(clientId, second));
    expect(await valid(stores.there, first, second)).toEqual([true, true]);
    stores.now += 59_999;
    expect(await valid(stores.there, first, second)).toEqual([true, true]);
    stores.now += 1; // nobody has swept, and the record is in the cache
    for (const store of [stores.here, stores.there]) expect(await valid(store, first, second)).toEqual([false, true]);
    const { secret: third } = await stores.here.rotateSecret(clientId, { overlap: 60 });
    const { secret: fourth } = await stores.here.rotateSecret(clientId, { overlap: 86_400 });
    expect(await valid(stores.here, second, third, fourth)).toEqual([false, true, true]);
    expect(await stores.here.endPreviousSecret(clientId)).not.toHaveProperty("previousSecret");
    expect(await valid(stores.here, third, fourth)).toEqual([false, true]);
    const { secret: fifth } = await stores.here.rotateSecret(clientId, { overlap: 86_400 });
    const { secret: sixth } = await stores.here.rotateSecret(clientId); // ends what still overlaps, too
    expect(await valid(stores.here, fourth, fifth, sixth)).toEqual([false, false, true]);
  });

  test("stays one of two when it is replaced by several at once", async () => {
    const made = await stores.here.create(WEB);
    const { clientId } = made.client;
    const rotated = await Promise.all(
      Array.from({ length: 6 }, (_, n) => (n % 2 ? stores.here : stores.there).rotateSecret(clientId, { overlap: 60 })),
    );
    const secrets = [made.secret as string, ...rotated.map(({ secret }) => secret)];
    const newest = await stores.database.prisma.client.findUniqueOrThrow({ where: { id: clientId } });
    for (const store of [stores.here, stores.there]) {
      await waitFor("the last rotation", async () => (await store.find(clientId))?.secretHash === newest.secretHash);
      expect((await Promise.all(secrets.map((secret) => store.checkSecret(clientId, secret)))).filter(Boolean)).toHaveLength(2);
    }
  });

  test("that was made beforehand is put in place once, however often and wherever it is ordered, and only while what is expected is so", async () => {
    const made = await stores.here.create(WEB);
    const { clientId } = made.client;
    const secret = "made-beforehand";
    const orders = Array.from({ length: 4 }, (_, n) =>
      (n % 2 ? stores.here : stores.there).rotateSecret(clientId, { overlap: 60, secret }),
    );
    const rotated = await Promise.all(orders);
    expect(rotated.map(({ repeated }) => repeated).sort()).toEqual([false, true, true, true]);
    const valid = async () => Promise.all([made.secret as string, secret].map((each) => stores.here.checkSecret(clientId, each)));
    await waitFor("the rotation", async () => (await valid())[1]);
    expect(await valid()).toEqual([true, true]);
    const refuse = () => {
      throw new Error("not as expected");
    };
    await expect(stores.here.rotateSecret(clientId, { expect: refuse })).rejects.toThrow("not as expected");
    await expect(stores.here.endPreviousSecret(clientId, refuse)).rejects.toThrow("not as expected");
    expect(await stores.here.rotateSecret(clientId, { secret, expect: refuse })).toMatchObject({ repeated: true, secret });
    expect(await valid()).toEqual([true, true]);
  });

  test("overlaps for no longer than can be overlooked", async () => {
    const { client } = await stores.here.create(WEB);
    for (const overlap of [-1, 0.5, Number.NaN, 30 * 86_400 + 1])
      await expect(stores.here.rotateSecret(client.clientId, { overlap })).rejects.toMatchObject({ code: "invalid_client_metadata" });
    await expect(stores.here.endPreviousSecret("nobody")).rejects.toMatchObject({ code: "not_found" });
  });

  test("leaves nothing when its time is over, and that is no change of the client", async () => {
    const { client } = await stores.here.create(WEB);
    await stores.here.rotateSecret(client.clientId, { overlap: 60 });
    const stored = () => stores.database.prisma.client.findUniqueOrThrow({ where: { id: client.clientId } });
    const before = await stored();
    await stores.here.sweep();
    expect(await stored()).toEqual(before);
    stores.now += 60_000;
    await stores.here.sweep();
    expect(await stored()).toEqual({ ...before, previousSecretHash: null, previousSecretUntil: null });
  });

  test("goes with the one before it when the application authenticates without one", async () => {
    const made = await stores.here.create(WEB);
    const { clientId } = made.client;
    const { secret } = await stores.here.rotateSecret(clientId, { overlap: 60 });
    const { client } = await stores.here.update(clientId, { metadata: { token_endpoint_auth_method: "none" } });
    for (const member of ["secretHash", "secretCreatedAt", "previousSecret"]) expect(client).not.toHaveProperty(member);
    for (const each of [made.secret as string, secret]) expect(await stores.here.checkSecret(clientId, each)).toBe(false);
    // By its own registration (RFC 7592), too; and the next secret stands alone.
    await stores.here.update(clientId, { metadata: { token_endpoint_auth_method: "client_secret_basic" } });
    await stores.here.rotateSecret(clientId, { overlap: 60 });
    const metadata = { ...made.client.metadata, token_endpoint_auth_method: "none" as const };
    await stores.here.replace({ clientId, metadata });
    expect(await stores.here.find(clientId)).not.toHaveProperty("previousSecret");
    await stores.here.replace({ clientId, metadata: made.client.metadata, secret: "made-by-the-engine" });
    expect(await stores.here.find(clientId)).not.toHaveProperty("previousSecret");
    expect(await stores.here.checkSecret(clientId, "made-by-the-engine")).toBe(true);
  });

  test("is made and forgotten with the authentication method", async () => {
    const { client } = await stores.here.create({ ...WEB, type: "spa" });
    await expect(stores.here.rotateSecret(client.clientId)).rejects.toMatchObject({ code: "invalid_client_metadata" });
    const confidential = await stores.here.update(client.clientId, { metadata: { token_endpoint_auth_method: "client_secret_post" } });
    expect(await stores.here.checkSecret(client.clientId, confidential.secret as string)).toBe(true);
    const renamed = await stores.here.update(client.clientId, { metadata: { client_name: "New" } });
    expect(renamed.secret).toBeUndefined();
    expect(await stores.here.checkSecret(client.clientId, confidential.secret as string)).toBe(true);
    await stores.here.update(client.clientId, { metadata: { token_endpoint_auth_method: "none" } });
    expect(await stores.here.checkSecret(client.clientId, confidential.secret as string)).toBe(false);
  });
});
