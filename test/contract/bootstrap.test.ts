/** How a server gets its first administrator. */
import { beforeEach, describe, expect, test } from "vitest";
import { openPeople, PASSWORD } from "../support/people.ts";
import { stores as arrangements, type Stores } from "../support/stores.ts";

const ADDRESS = "192.0.2.1";
const BROWSER = "b".repeat(43);
const ATTACKERS = "a".repeat(43);

describe("the first administrator", () => {
  let stores: Stores;
  beforeEach(async () => {
    stores = await arrangements[0].open();
    return () => stores.close();
  });
  const tokenOf = (link: string | undefined) => new URL(link ?? "http://nowhere").searchParams.get("token") ?? "";

  test("comes by a link that works once among many, for an hour, and is gone when there is one", async () => {
    let time = Date.now();
    await using people = await openPeople(stores, { now: () => time });
    const { bootstrap } = people;
    const expired = tokenOf(await bootstrap.link());
    expect(await bootstrap.isLive(expired)).toBe(true);
    time += 3_600_000;
    expect(await bootstrap.isLive(expired)).toBe(false);

    const link = await bootstrap.link();
    expect(link).toMatch(/^http:\/\/localhost:3000\/bootstrap\?token=[\w-]{43}$/);
    const token = tokenOf(link);
    await expect(bootstrap.create({ token, email: "x", password: "short" })).rejects.toMatchObject({
      code: "invalid_input",
      faults: [{}, {}],
    });
    await expect(bootstrap.create({ token: expired, email: "x", password: "short" })).rejects.toMatchObject({ code: "link_invalid" });
    expect(await bootstrap.isLive(token)).toBe(true);
    const tries = await Promise.allSettled(
      Array.from({ length: 10 }, (_, n) => bootstrap.create({ token, email: `root${n}@example.com`, password: PASSWORD })),
    );
    expect(tries.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    const { accounts } = await people.accounts.list();
    expect(accounts).toMatchObject([{ emailVerified: true, roles: ["admin"] }]);
    const signedIn = await people.authentication.signInWithPassword({
      email: accounts[0]?.email ?? "",
      password: PASSWORD,
      address: ADDRESS,
    });
    expect(signedIn.ok).toBe(true);
    time += 10_000;
    expect(await bootstrap.link()).toBeUndefined();
    expect(await people.mails()).toEqual([]);
  });

  test("several processes that start together print one link; an earlier one stays good", async () => {
    let time = Date.now();
    await using one = await openPeople(stores, { now: () => time });
    await using two = await openPeople(stores, { now: () => time });
    const links = await Promise.all([one, two, one, two, one].map(({ bootstrap }) => bootstrap.link()));
    const printed = links.filter((link) => link !== undefined);
    expect(printed).toHaveLength(1);
    time += 6_000;
    const later = await two.bootstrap.link();
    expect(later).toBeDefined();
    expect(await two.bootstrap.isLive(tokenOf(printed[0]))).toBe(true);
    await one.bootstrap.create({ token: tokenOf(later), email: "root@example.com", password: PASSWORD });
    expect(await two.bootstrap.isLive(tokenOf(printed[0]))).toBe(false);
    await expect(two.bootstrap.create({ token: tokenOf(printed[0]), email: "eve@example.com", password: PASSWORD })).rejects.toMatchObject({
      code: "link_invalid",
    });
  });

  test("never comes by a link on a public issuer, nor beside an administrator from the command line", async () => {
    await using people = await openPeople(stores);
    const token = tokenOf(await people.bootstrap.link());
    await using live = await openPeople(stores, { issuer: "https://id.example.com", loopback: false });
    expect(await live.bootstrap.link()).toBeUndefined();
    expect(await live.bootstrap.isLive(token)).toBe(false);
    const { id } = await people.accounts.create({ email: "ops@example.com", emailVerified: true, roles: ["admin"] });
    expect(await people.bootstrap.isLive(token)).toBe(false);
    // Nobody does this through us to the only administrator.
    await people.database.prisma.account.update({ where: { id }, data: { disabledAt: new Date() } });
    expect(await people.bootstrap.isLive(token)).toBe(true);
  });

  test("takes over an unverified sign-up and voids it, but nobody's verified account", async () => {
    await using people = await openPeople(stores);
    await people.signUp.begin({ email: "root@example.com", password: "the squatter's own password", browser: ATTACKERS, address: ADDRESS });
    const squatters = (await people.mailTo("root@example.com")).token ?? "";
    await people.accounts.create({ email: "ada@example.com", emailVerified: true, passwordHash: await people.passwords.hash(PASSWORD) });
    const token = tokenOf(await people.bootstrap.link());
    await expect(people.bootstrap.create({ token, email: "ada@example.com", password: "another long password" })).rejects.toMatchObject({
      code: "email_taken",
    });
    const account = await people.bootstrap.create({ token, email: "Root@example.com", password: PASSWORD, name: "Root" });
    expect(account).toMatchObject({ email: "root@example.com", name: "Root", roles: ["admin"], emailVerified: true });
    await expect(people.verification.confirm(squatters, { browser: BROWSER })).rejects.toMatchObject({ code: "link_invalid" });
  });
});
