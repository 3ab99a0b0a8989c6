/** Pages of accounts and applications: what operators look for, found in the order of creation, each once. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { AccountQuestion } from "../../src/accounts/account-list.ts";
import { Prisma } from "../../src/storage/generated/client.ts";
import { matchesWords, type Place, pageOfIds } from "../../src/storage/listing.ts";
import { openPeople, type TestPeople } from "../support/people.ts";
import { stores as arrangements, type Stores } from "../support/stores.ts";

let stores: Stores;
let people: TestPeople;

beforeAll(async () => {
  stores = await arrangements[0].open();
  people = await openPeople(stores);
  await people.roles.ensureBuiltIn();
});
afterAll(async () => {
  await people?.[Symbol.asyncDispose]();
  await stores?.close();
});

/** Every page of a question, and what each held. */
async function pages(question: AccountQuestion): Promise<string[][]> {
  const all: string[][] = [];
  for (let after: Place | undefined; ; ) {
    const page = await people.accounts.list({ ...question, ...(after && { after }) });
    all.push(page.accounts.map(({ email }) => email));
    if (page.next === undefined) return all;
    after = page.next;
  }
}
const found = async (question: AccountQuestion) => (await pages(question)).flat();

describe("accounts", () => {
  test("are listed page by page, each once and in the order of creation, however many come and go meanwhile", async () => {
    for (let n = 0; n < 7; n += 1) await people.accounts.create({ email: `list${n}@pages.example` });
    const before = (await found({ search: "pages example" })).sort();
    expect(before).toHaveLength(7);
    const seen: string[] = [];
    let after: Place | undefined;
    for (let n = 0; ; n += 1) {
      const page = await people.accounts.list({ search: "pages.example", limit: 2, ...(after && { after }) });
      seen.push(...page.accounts.map(({ email }) => email));
      if (page.next === undefined) break;
      after = page.next;
      // One that was seen goes, and one comes: the rest is seen once all the same.
      await people.accounts.delete(page.accounts[0]?.id as string);
      await people.accounts.create({ email: `later${n}@pages.example` });
    }
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen).toEqual(expect.arrayContaining(before));
    expect(seen.filter((email) => email.startsWith("later")).length).toBeLessThanOrEqual(seen.length - 7);
  });

  test("are found by words of their address and name, the last one begun, and by nothing between words", async () => {
    await people.accounts.create({ email: "zora.o'neil@search.example", name: "Zora O’Neil-Jensen" });
    await people.accounts.create({ email: "wang@search.example", name: "王小明" });
    for (const search of ["zora", "ZOR", "neil zor", "zora jens", "search.example zora", "o'neil@search", " zora  "])
      expect(await found({ search }), search).toEqual(["zora.o'neil@search.example"]);
    expect(await found({ search: "王小" })).toEqual(["wang@search.example"]);
    for (const search of ["ora", "zora nobody", "zor neil", "'':*", "& | !", "%", "a\0b", "\\", "", "💥", "zora:*"])
      expect(await found({ search }), search).toEqual(search === "zora:*" ? ["zora.o'neil@search.example"] : []);
  });

  test("are found at once by their id or address, in any spelling, and nobody else with them", async () => {
    const { id } = await people.accounts.create({ email: "exact@known.example" });
    await people.accounts.create({ email: "exact@known.example.org" });
    expect(await found({ search: "Exact@KNOWN.example " })).toEqual(["exact@known.example"]);
    expect(await found({ search: id })).toEqual(["exact@known.example"]);
    expect(await found({ search: id, verified: true })).toEqual([]);
    expect(await found({ search: "exact known" })).toHaveLength(2);
  });

  test("are told apart by what they are", async () => {
    const start = new Date();
    const make = (name: string, rest = {}) => people.accounts.create({ email: `${name}@state.example`, ...rest });
    await make("plain");
    await make("verified", { emailVerified: true });
    await make("staff", { roles: ["staff"] });
    const { id } = await make("disabled", { roles: ["staff"] });
    await people.accounts.disable(id);
    const names = async (question: AccountQuestion) =>
      (await found({ createdSince: start, ...question })).map((email) => email.split("@")[0]).sort();
    expect(await names({ search: "state" })).toEqual(["disabled", "plain", "staff", "verified"]);
    expect(await names({ verified: true })).toEqual(["verified"]);
    expect(await names({ disabled: true })).toEqual(["disabled"]);
    expect(await names({ role: "staff" })).toEqual(["disabled", "staff"]);
    expect(await names({ role: "staff", disabled: false })).toEqual(["staff"]);
    expect(await names({ role: "staff", search: "dis" })).toEqual(["disabled"]);
    expect(await names({ role: "nobody" })).toEqual([]);
    expect(await found({ search: "state", createdSince: new Date(Date.now() + 60_000) })).toEqual([]);
  });
});

test("a page costs no more than a stretch of rows, and is short rather than slow", async () => {
  const { prisma } = people.database;
  const since = new Date("2020-01-01");
  await prisma.$executeRaw`
    INSERT INTO account (id, email, created_at, updated_at)
    SELECT 'bulk' || i, 'bulk' || i || '@' || CASE WHEN i IN (150, 9000) THEN 'seldom' WHEN i > 100 THEN 'often' ELSE 'early' END || '.example',
      ${since}::timestamptz + i * interval '1 second', now() FROM generate_series(1, 9000) i`;
  const stretches = { first: 100, long: 1_000, found: 50 };
  const all = async (search: string | undefined, filters: Prisma.Sql[] = [], limit = 20) => {
    const sizes: number[] = [];
    const ids: string[] = [];
    for (let after: Place = { at: since, id: "" }; ; ) {
      const indexed = search === undefined ? undefined : matchesWords(search);
      const page = await pageOfIds(prisma, { table: "account", filters, indexed, after, limit }, stretches);
      sizes.push(page.ids.length);
      ids.push(...page.ids.filter((id) => id.startsWith("bulk")));
      if (page.next === undefined) return { sizes, ids };
      after = page.next;
    }
  };
  // Rare: the index finds both, wherever they are. Common: among the next rows. Common, but not here: a page is empty, and the next goes on.
  expect(await all("seldom")).toEqual({ sizes: [2], ids: ["bulk150", "bulk9000"] });
  const often = await all("often");
  expect(often.ids).toEqual(Array.from({ length: 8899 }, (_, n) => `bulk${n + 101}`).filter((id) => id !== "bulk150"));
  const late = await all("often", [Prisma.sql`t.id = 'bulk8999'`]);
  expect(late.ids).toEqual(["bulk8999"]);
  expect(late.sizes.length).toBeGreaterThan(5);
  expect((await all(undefined, [Prisma.sql`t.email LIKE 'bulk%'`], 500)).ids).toHaveLength(9000);
  await prisma.$executeRaw`DELETE FROM account WHERE id LIKE 'bulk%'`;
});
