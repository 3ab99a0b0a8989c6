/** Another provider's word: which answers are believed, and whose account they open. On the stores of a real server, with a provider over HTTP. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createFactors } from "../../src/factors/factors.ts";
import { createFederation, type Federation, type Freshness, type Outcome, type Purpose } from "../../src/federation/federation.ts";
import { createLinking, type Linking } from "../../src/federation/linking.ts";
import { createProviderStore, type ProviderStore } from "../../src/federation/provider-store.ts";
import { createUpstream } from "../../src/federation/upstream.ts";
import { createFetchFrom } from "../../src/http/fetch-guard.ts";
import { createLogger } from "../../src/observability/logger.ts";
import { openChangeFeed } from "../../src/storage/change-feed.ts";
import { createSealer } from "../../src/storage/seal.ts";
import { openPeople, PASSWORD, type TestPeople } from "../support/people.ts";
import { stores as allStores, type Stores } from "../support/stores.ts";
import { startUpstream, type TestUpstream, UPSTREAM_CLIENT } from "../support/upstream.ts";

const ISSUER = "http://localhost:3000";
const log = createLogger({ logLevel: "silent" });

let stores: Stores;
let people: TestPeople;
let upstream: TestUpstream;
let providers: ProviderStore;
let linking: Linking;
let federation: Federation;
/** Lines of the log that warn operators. */
const warned: object[] = [];
const ended: string[] = [];
const cleanUp: (() => unknown)[] = [];
let count = 0;

function build(signUp: "open" | "invite" | "closed" = "open"): { linking: Linking; federation: Federation } {
  const { prisma } = people.database;
  const made = createLinking({
    prisma,
    accounts: people.accounts,
    signUp,
    rpId: "localhost",
    endAccount: async (id) => void ended.push(id),
  });
  const listening = { info: (facts: object) => warned.push(facts), warn: (facts: object) => warned.push(facts) };
  return {
    linking: made,
    federation: createFederation({
      prisma,
      providers,
      upstream: createUpstream({ issuer: ISSUER, fetchFrom: createFetchFrom([], { timeout: 1500 }) }),
      linking: made,
      log: listening as unknown as typeof log,
    }),
  };
}

beforeAll(async () => {
  stores = await allStores[0].open();
  cleanUp.push(() => stores.close());
  people = await openPeople(stores);
  cleanUp.push(() => people[Symbol.asyncDispose]());
  upstream = await startUpstream();
  cleanUp.push(() => upstream[Symbol.asyncDispose]());
  const feed = await openChangeFeed(people.database, log);
  cleanUp.push(() => feed.close());
  providers = createProviderStore({ prisma: people.database.prisma, feed, sealer: createSealer([Buffer.alloc(32, 1)]), configured: [] });
  cleanUp.push(() => providers.close());
  const common = { ...UPSTREAM_CLIENT, kind: "oidc", issuer: upstream.issuer };
  await providers.create({ ...common, id: "acme", name: "Acme" });
  await providers.create({ ...common, id: "trusted", name: "Trusted", link_by_email: true });
  await providers.create({ ...common, id: "strict", name: "Strict", sign_up: false });
  await providers.create({
    ...common,
    id: "following",
    name: "Following",
    update_at_sign_in: true,
    roles: { claim: "realm.roles", values: { staff: ["employee"], boss: ["employee", "manager"], ghost: ["no-such-role"] } },
    second_factor_amr: ["otp"],
    claims: { nickname: "alias", zoneinfo: null },
  });
  await providers.create({ id: "github", kind: "github", name: "GitHub", base_url: upstream.issuer, ...UPSTREAM_CLIENT });
  ({ linking, federation } = build());
});

afterAll(async () => {
  for (const each of cleanUp.reverse()) await each();
});

beforeEach(() => {
  warned.length = 0;
  ended.length = 0;
  count += 1;
  upstream.wrongs = {};
  upstream.userinfo = {};
  upstream.person = { sub: `sub-${count}`, email: `person-${count}@example.org`, email_verified: true, name: `Person ${count}` };
  upstream.user = { id: 1000 + count, login: `login-${count}`, name: null };
  upstream.emails = [{ email: `hub-${count}@example.org`, primary: true, verified: true }];
});

const signingIn: Purpose = { interaction: "uid-abcdefghij", keep: false, fresh: false };

/** Goes there and back as a browser would. */
async function visit(provider: string, purpose: Purpose = signingIn, at: Federation = federation) {
  const begun = await at.begin(provider, purpose);
  const response = await fetch(begun.url, { redirect: "manual" });
  const url = new URL(response.headers.get("Location") ?? "");
  return { ...begun, answer: url };
}
async function answer(provider: string, purpose: Purpose = signingIn, at: Federation = federation): Promise<Outcome | undefined> {
  const { answer: url, secret } = await visit(provider, purpose, at);
  return at.answer(provider, { url, secret, signedIn: async () => ("accountId" in purpose ? purpose.accountId : undefined) });
}
async function account(provider = "acme") {
  const outcome = await answer(provider);
  if (outcome === undefined || !("signedIn" in outcome)) throw new Error(`not signed in: ${JSON.stringify(outcome)}`);
  return outcome;
}
const email = () => upstream.person.email as string;
const withPassword = async (address: string, emailVerified = true) =>
  people.accounts.create({ email: address, emailVerified, passwordHash: await people.passwords.hash(PASSWORD) });

describe("the request", () => {
  test("has PKCE, state and nonce, none of them guessable from another, and a callback of the provider's own", async () => {
    const { url } = await federation.begin("acme", signingIn, { loginHint: "ada@example.org", uiLocales: "de" });
    const asked = new URL(url).searchParams;
    expect(asked.get("code_challenge_method")).toBe("S256");
    expect(asked.get("redirect_uri")).toBe(`${ISSUER}/federation/acme/callback`);
    expect(asked.get("scope")).toBe("openid profile email");
    expect([asked.get("login_hint"), asked.get("ui_locales"), asked.get("prompt")]).toEqual(["ada@example.org", "de", null]);
    const proofs = ["state", "nonce", "code_challenge"].map((name) => asked.get(name));
    expect(new Set(proofs).size).toBe(3);
    for (const each of proofs) expect(each).toMatch(/^[\w-]{43}$/);
    // The database has the hash of the browser's secret, and nothing that could be sent in its place.
    const rows = JSON.stringify(await people.database.prisma.oneTimeToken.findMany({ where: { purpose: "federation-request" } }));
    for (const each of proofs) expect(rows).not.toContain(each);
  });

  test("of a provider that is down, disabled or unknown is none", async () => {
    upstream.wrongs = { metadata: 500 };
    const { federation: fresh } = build();
    await expect(fresh.begin("acme", signingIn)).rejects.toMatchObject({ problem: "unavailable" });
    expect(warned).toMatchObject([{ provider: "acme", problem: "unavailable" }]);
    upstream.wrongs = {};
    await fresh.begin("acme", signingIn);
    await expect(fresh.begin("nobody", signingIn)).rejects.toMatchObject({ problem: "gone" });
    await providers.update("strict", { disabled: true });
    await expect(fresh.begin("strict", signingIn)).rejects.toMatchObject({ problem: "gone" });
    expect((await fresh.offered()).map(({ id }) => id)).not.toContain("strict");
    await providers.update("strict", { disabled: null });
  });
});

describe("an answer", () => {
  test("counts once, with the secret of the browser that asked, at the provider that was asked", async () => {
    const { answer: url, secret } = await visit("acme");
    const other = await visit("acme");
    const signedIn = async () => undefined;
    expect(await federation.answer("acme", { url, secret: other.secret, signedIn })).toBeUndefined();
    expect(await federation.answer("trusted", { url: other.answer, secret: other.secret, signedIn })).toBeUndefined();
    const twice = new URL(url);
    twice.searchParams.append("state", url.searchParams.get("state") ?? "");
    expect(await federation.answer("acme", { url: twice, secret, signedIn })).toBeUndefined();
    const outcomes = await Promise.all(Array.from({ length: 8 }, () => federation.answer("acme", { url, secret, signedIn })));
    expect(outcomes.filter((each) => each !== undefined)).toHaveLength(1);
    expect(await federation.answer("acme", { url, secret, signedIn })).toBeUndefined();
  });

  test.each([
    ["another issuer in the answer", { answer: { iss: "https://evil.example" } }, "refused"],
    ["no issuer where it is announced", { answer: { iss: undefined } }, "refused"],
    ["another issuer in the ID token", { claims: { iss: "https://evil.example" } }, "refused"],
    ["another nonce", { claims: { nonce: "another" } }, "refused"],
    ["no nonce", { claims: { nonce: undefined } }, "refused"],
    ["another audience", { claims: { aud: "somebody-else" } }, "refused"],
    ["audiences without azp", { claims: { aud: [UPSTREAM_CLIENT.client_id, "other"], azp: "other" } }, "refused"],
    ["a subject that nobody can have", { claims: { sub: "a\u0000b" } }, "refused"],
    ["an ID token that has expired", { claims: { exp: 1000 } }, "refused"],
    ["a signature of another key", { signature: true }, "refused"],
    ["a redirect of the token request", { redirects: true }, "refused"],
    ["access_denied", { answer: { code: undefined, error: "access_denied" } }, "denied"],
    ["another error", { answer: { code: undefined, error: "server_error", error_description: "<b>ours</b>" } }, "unavailable"],
    ["a token endpoint that fails", { status: 500 }, "unavailable"],
    ["a token endpoint that does not answer", { silent: true }, "unavailable"],
  ])("with %s opens nothing", async (_what, wrongs, problem) => {
    upstream.wrongs = wrongs;
    expect(await answer("acme")).toMatchObject({ problem });
    expect(await people.accounts.findByEmail(email())).toBeUndefined();
    expect(warned).toHaveLength(1);
    expect(JSON.stringify(warned)).not.toMatch(/eyJ|at-[0-9a-f]|"code":"[0-9a-f]{32}"/);
  });

  test("without a code is refused, and of one that was redeemed already", async () => {
    upstream.wrongs = { answer: { code: undefined } };
    expect(await answer("acme")).toMatchObject({ problem: "refused" });
    upstream.wrongs = { answer: { code: "made-up" } };
    expect(await answer("acme")).toMatchObject({ problem: "refused" });
  });

  test("says when somebody signed in, where a new sign-in was asked for", async () => {
    const seconds = Math.floor(Date.now() / 1000);
    const fresh: Purpose = { ...signingIn, fresh: true };
    const recent: Purpose = { ...signingIn, maxAge: 300 };
    expect(await answer("acme", fresh)).toMatchObject({ problem: "not_fresh" });
    upstream.person.auth_time = seconds - 3600;
    expect(await answer("acme", fresh)).toMatchObject({ problem: "not_fresh" });
    expect(await answer("acme", recent)).toMatchObject({ problem: "not_fresh" });
    upstream.person.auth_time = seconds - 200;
    expect(await answer("acme", recent)).toMatchObject({ signedIn: { how: "created" } });
    upstream.person.auth_time = seconds;
    expect(await answer("acme", fresh)).toMatchObject({ signedIn: { how: "known" } });
    const [first, second] = upstream.requests.slice(-5).filter((each) => each.has("prompt") || each.has("max_age"));
    expect([first?.get("prompt"), second?.get("prompt")]).toEqual(["login", "login"]);
    expect(upstream.requests.at(-2)?.get("max_age")).toBe("300");
  });

  test("of a provider whose metadata leads elsewhere in this network is none", async () => {
    let connections = 0;
    const inside = createServer().on("connection", (socket) => {
      connections += 1;
      socket.destroy();
    });
    await new Promise<void>((resolve) => inside.listen(0, "127.0.0.1", resolve));
    try {
      const { port } = inside.address() as AddressInfo;
      for (const endpoint of ["token_endpoint", "jwks_uri"]) {
        upstream.wrongs = { endpoints: { [endpoint]: `http://127.0.0.1:${port}/` } };
        expect(await answer("acme", signingIn, build().federation)).toMatchObject({ problem: "unavailable" });
      }
      expect(connections).toBe(0);
    } finally {
      inside.close();
    }
  });

  test("is not asked of a provider that cannot say when somebody signed in", async () => {
    const offered = async (freshness?: Freshness) => (await federation.offered(freshness)).map(({ id }) => id);
    expect(await offered()).toContain("github");
    for (const freshness of [{ fresh: true }, { fresh: false, maxAge: 300 }]) {
      expect(await offered(freshness)).not.toContain("github");
      await expect(federation.begin("github", { ...signingIn, ...freshness })).rejects.toMatchObject({ problem: "not_fresh" });
    }
  });
});

describe("a sign-in", () => {
  test("makes a verified account without a password, from what the provider says; then knows it by issuer and subject alone", async () => {
    Object.assign(upstream.person, {
      given_name: "Ada",
      picture: "http://plain.example/a.png",
      locale: "de-AT",
      zoneinfo: "Mars",
      birthdate: "1815",
    });
    const { signedIn, amr } = await account();
    expect(signedIn).toMatchObject({ how: "created", account: { email: email(), emailVerified: true, roles: [] } });
    expect(signedIn.account.name).toBe(upstream.person.name);
    expect(signedIn.account.claims).toEqual({ given_name: "Ada", locale: "de" });
    expect(amr).toEqual(["fed"]);
    expect(await people.database.prisma.credential.count({ where: { accountId: signedIn.account.id } })).toBe(0);
    Object.assign(upstream.person, { email: "elsewhere@example.org", email_verified: false, name: "Another" });
    const again = await account();
    expect(again.signedIn).toMatchObject({ how: "known", account: { id: signedIn.account.id, name: signedIn.account.name } });
    expect(again.signedIn.account.email).not.toBe("elsewhere@example.org");
    await people.accounts.disable(signedIn.account.id);
    expect(await answer("acme")).toMatchObject({ problem: "account_closed" });
  });

  test.each([
    ["acme", false],
    ["trusted", false],
    ["trusted", undefined],
    ["trusted", "false"],
  ])("with an address that %s has not verified (%s) makes, links and verifies nothing", async (provider, verified) => {
    upstream.person.email_verified = verified;
    expect(await answer(provider)).toMatchObject({ problem: "unverified_address" });
    expect(await people.accounts.findByEmail(email())).toBeUndefined();
    const { id } = await withPassword(email());
    expect(await answer(provider)).toMatchObject({ problem: "unverified_address" });
    expect(await linking.list(id)).toEqual([]);
    await people.accounts.update(id, { emailVerified: false });
    expect(await answer(provider)).toMatchObject({ problem: "unverified_address" });
    expect((await people.accounts.get(id)).emailVerified).toBe(false);
  });

  test("with the address of an account links them only where both have verified it and the operator allows it", async () => {
    const { id } = await withPassword(email());
    expect(await answer("acme")).toMatchObject({ problem: "address_taken" });
    expect(await linking.list(id)).toEqual([]);
    upstream.person.email = email().toUpperCase();
    expect(await answer("trusted")).toMatchObject({ signedIn: { how: "linked", account: { id } } });
    expect(await linking.list(id)).toMatchObject([{ issuer: upstream.issuer, subject: upstream.person.sub }]);
    expect((await people.accounts.get(id)).name).toBeUndefined();
    expect(await answer("acme")).toMatchObject({ signedIn: { how: "known", account: { id } } }); // the same issuer
  });

  test("with the address of an unverified account makes all that was added to it void", async () => {
    const { id } = await withPassword(email(), false);
    await people.signUp.begin({ email: email(), password: PASSWORD, browser: "b", address: "192.0.2.9" });
    const { token } = await people.mailTo(email());
    await people.database.prisma.federatedIdentity.create({ data: { issuer: "https://other.example", subject: "x", accountId: id } });
    expect(await answer("acme")).toMatchObject({ signedIn: { how: "created", account: { id, emailVerified: true } } });
    expect(ended).toEqual([id]);
    expect(await linking.list(id)).toMatchObject([{ subject: upstream.person.sub }]);
    expect(await people.authentication.signInWithPassword({ email: email(), password: PASSWORD, address: "192.0.2.9" })).toMatchObject({
      ok: false,
    });
    await expect(people.verification.confirm(token ?? "", { browser: "b" })).rejects.toMatchObject({ code: "link_invalid" });
  });

  test("makes accounts only as far as the provider and SIGN_UP let it", async () => {
    expect(await answer("strict")).toMatchObject({ problem: "no_account" });
    expect(await answer("acme", signingIn, build("closed").federation)).toMatchObject({ problem: "no_account" });
    const { federation: invited } = build("invite");
    expect(await answer("acme", signingIn, invited)).toMatchObject({ problem: "no_account" });
    await people.signUp.invite(email());
    expect(await answer("acme", signingIn, invited)).toMatchObject({ signedIn: { how: "created" } });
    upstream.person.sub = `${upstream.person.sub}-other`;
    await people.accounts.delete((await people.accounts.get(email())).id);
    expect(await answer("acme", signingIn, invited)).toMatchObject({ problem: "no_account" }); // the invitation is used up
  });

  test("raced, makes one account for one identity and one address", async () => {
    const visits = await Promise.all(Array.from({ length: 6 }, () => visit("acme")));
    const answers = visits.map(({ answer: url, secret }) => federation.answer("acme", { url, secret, signedIn: async () => undefined }));
    const ids = (await Promise.all(answers)).map((each) => each && "signedIn" in each && each.signedIn.account.id);
    expect(new Set(ids).size).toBe(1);
    expect(ids[0]).toBeTypeOf("string");
    expect(await people.database.prisma.account.count({ where: { email: email() } })).toBe(1);
    expect(await linking.list(ids[0] as string)).toHaveLength(1);
  });

  test("follows claims and roles where the operator says so, and takes nothing that is not the provider's to take", async () => {
    for (const name of ["employee", "manager", "auditor"]) await people.database.prisma.role.create({ data: { name } });
    Object.assign(upstream.person, {
      realm: { roles: ["boss", "ghost", "admin"] },
      alias: "Boss",
      zoneinfo: "Europe/Vienna",
      amr: ["pwd", "otp"],
    });
    const { signedIn, amr } = await account("following");
    const { id } = signedIn.account;
    expect(signedIn.account).toMatchObject({ roles: ["employee", "manager"], claims: { nickname: "Boss" } });
    expect(signedIn.account.claims).not.toHaveProperty("zoneinfo");
    expect(amr).toEqual(["fed", "mfa"]);
    await people.accounts.update(id, { roles: ["employee", "manager", "auditor"] });
    Object.assign(upstream.person, { realm: { roles: "staff" }, name: "Renamed", amr: ["pwd"] });
    const later = await account("following");
    expect(later.signedIn.account).toMatchObject({ id, name: "Renamed", roles: ["auditor", "employee"] });
    expect(later.amr).toEqual(["fed"]);
    delete upstream.person.realm;
    expect((await account("following")).signedIn.account.roles).toEqual(["auditor"]);
  });

  test("takes from userinfo what the ID token does not hold, of the same subject alone", async () => {
    const { email: address, ...rest } = upstream.person;
    upstream.person = rest as typeof upstream.person;
    upstream.userinfo = { email: address, email_verified: true };
    expect((await account()).signedIn.account.email).toBe(address);
    upstream.userinfo = { sub: "somebody-else", email: address, email_verified: true };
    expect(await answer("acme")).toMatchObject({ problem: "refused" });
  });
});

describe("GitHub", () => {
  test("signs in by its number, with the primary address that it has verified", async () => {
    const { signedIn } = await account("github");
    expect(signedIn).toMatchObject({ how: "created", account: { email: `hub-${count}@example.org`, emailVerified: true } });
    expect(signedIn.account.claims).toEqual({ nickname: `login-${count}` });
    const asked = upstream.requests.at(-1);
    expect([asked?.get("scope"), asked?.get("nonce"), asked?.get("code_challenge_method")]).toEqual(["read:user user:email", null, "S256"]);
    upstream.user = { ...upstream.user, login: "renamed" };
    expect((await account("github")).signedIn).toMatchObject({ how: "known", account: { id: signedIn.account.id } });
    expect(await linking.list(signedIn.account.id)).toMatchObject([
      { issuer: `${upstream.issuer}/login/oauth`, subject: `${1000 + count}` },
    ]);
  });

  test("with an address that is not verified, or that the profile alone says, makes nothing", async () => {
    const [primary] = upstream.emails;
    upstream.emails = [{ ...(primary as (typeof upstream.emails)[0]), verified: false }];
    expect(await answer("github")).toMatchObject({ problem: "unverified_address" });
    upstream.emails = [];
    upstream.user = { ...upstream.user, email: "public@example.org", email_verified: true };
    expect(await answer("github")).toMatchObject({ problem: "unverified_address" });
    upstream.wrongs = { answer: { iss: "https://evil.example" } };
    expect(await answer("github")).toMatchObject({ problem: "refused" });
  });
});

describe("connecting", () => {
  test("is for who is signed in where it was begun; an identity opens one account", async () => {
    const [ada, bob] = [await withPassword(`ada-${count}@example.org`), await withPassword(`bob-${count}@example.org`)];
    upstream.person.email_verified = false;
    expect(await answer("acme", { accountId: ada.id })).toMatchObject({ added: true });
    expect(await answer("acme", { accountId: ada.id })).toMatchObject({ added: false });
    expect(await answer("acme", { accountId: bob.id })).toMatchObject({ problem: "linked_elsewhere" });
    expect((await people.accounts.get(ada.id)).email).toBe(ada.email);
    expect(await answer("acme")).toMatchObject({ signedIn: { how: "known", account: { id: ada.id } } });
    upstream.person.sub = "another";
    const { answer: url, secret } = await visit("acme", { accountId: ada.id });
    expect(await federation.answer("acme", { url, secret, signedIn: async () => bob.id })).toBeUndefined();
    expect(await linking.list(bob.id)).toEqual([]);
  });

  test("and disconnecting at once, in two tabs, end as the later of them says", async () => {
    const { id } = await withPassword(`ada-${count}@example.org`);
    for (let round = 0; round < 4; round += 1) {
      await answer("acme", { accountId: id });
      const [own] = await linking.list(id);
      const [connected, gone] = await Promise.all([answer("acme", { accountId: id }), linking.unlink(id, own as NonNullable<typeof own>)]);
      expect(gone).toBe(true);
      expect(connected).toMatchObject({ added: (await linking.list(id)).length === 1 });
    }
  });

  test("never takes the last way in away, also of two at once", async () => {
    const { signedIn } = await account();
    const { id } = signedIn.account;
    upstream.person.sub = `${upstream.person.sub}-second`;
    await answer("acme", { accountId: id });
    const own = await linking.list(id);
    expect(own).toHaveLength(2);
    const results = await Promise.allSettled(own.map((each) => linking.unlink(id, each)));
    expect(results.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    const [left] = await linking.list(id);
    await expect(linking.unlink(id, left as (typeof own)[0])).rejects.toMatchObject({ code: "last_way_in" });
    await people.accounts.update(id, { passwordHash: await people.passwords.hash(PASSWORD) });
    const { stillHas } = createFactors(people.database.prisma, "localhost", () => true);
    const { issuer, subject } = left as (typeof own)[0];
    expect(await stillHas(id, { identity: { issuer, subject } })).toBe(true);
    expect(await linking.unlink(id, left as (typeof own)[0])).toBe(true);
    expect(await linking.unlink(id, left as (typeof own)[0])).toBe(false);
    expect(await stillHas(id, { identity: { issuer, subject } })).toBe(false); // so a sign-in that is under way with it is none
  });
});

describe("what is kept for the step that waits", () => {
  test("is taken once", async () => {
    const result = {
      interaction: "uid-abcdefghij",
      keep: true,
      accountId: "a",
      identity: { issuer: "https://acme.example", subject: "1" },
      amr: ["fed"],
    };
    const secret = await federation.keep(result);
    const taken = await Promise.all(Array.from({ length: 5 }, () => federation.take(secret)));
    expect(taken.filter((each) => each !== undefined)).toEqual([result]);
  });
});
