import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Account } from "../../src/accounts/account.ts";
import { loadConfig } from "../../src/config.ts";
import { createChallenges } from "../../src/factors/challenges.ts";
import { createPasskeys, type Passkeys } from "../../src/factors/passkeys.ts";
import { createLogger } from "../../src/observability/logger.ts";
import { openServices, type Services } from "../../src/open-services.ts";
import { deriveKeys, loadSecrets, type Secrets } from "../../src/secrets.ts";
import { Authenticator, type Untruths } from "../support/authenticator.ts";
import { stores as arrangements, type Stores } from "../support/stores.ts";

const ISSUER = "https://id.example.com";
const SESSION = "session-of-ada";
const INTERACTION = "interaction-one";

describe.each(arrangements)("passkeys on $name", ({ open }) => {
  let stores: Stores;
  let services: Services;
  let secrets: Secrets;
  let passkeys: Passkeys;
  let ada: Account;
  let authenticator: Authenticator;
  let now = Date.now();
  let serial = 0;
  const lines: Record<string, unknown>[] = [];
  const log = createLogger({ logLevel: "info" }, { destination: { write: (line: string) => void lines.push(JSON.parse(line)) } });

  beforeAll(async () => {
    stores = await open();
    const env = { ...stores.env, ISSUER };
    const config = loadConfig(env);
    secrets = await loadSecrets(config, env);
    services = await openServices(config, secrets, log, () => now);
    passkeys = services.passkeys;
  });
  afterAll(async () => {
    await services?.close();
    await stores?.close();
  });
  beforeEach(async () => {
    ada = await newAccount();
    authenticator = new Authenticator({ origin: ISSUER });
  });

  async function newAccount(more: { passwordHash?: string } = { passwordHash: "$argon2id$of-a-long-password" }): Promise<Account> {
    serial += 1;
    return services.people.accounts.create({ email: `person${serial}@example.com`, emailVerified: true, ...more });
  }
  /** As another process, with the same keys or others, at the same address or another. */
  const elsewhere = ({ issuer = ISSUER, keys = deriveKeys(secrets, "grantor/passkey-challenges") } = {}) =>
    createPasskeys({
      prisma: services.database.prisma,
      challenges: createChallenges({ keys, records: services.records, now: () => now }),
      factors: services.secondFactors.factors,
      issuer,
      brand: "Grantor",
      log,
      now: () => now,
    });
  const given = (credential: string, name = "") => ({ credential, name, otherwise: "Passkey" });
  async function register(account = ada, by = authenticator, untruths: Untruths = {}, session = SESSION) {
    return passkeys.register(account, session, given(by.create(await passkeys.creationOptions(account, session), untruths)));
  }
  async function signIn(untruths: Untruths = {}, { by = authenticator, accountId }: { by?: Authenticator; accountId?: string } = {}) {
    return passkeys.verify(INTERACTION, by.get(await passkeys.requestOptions(INTERACTION, accountId), untruths), accountId);
  }

  test("what a browser is asked for", async () => {
    expect(await passkeys.creationOptions(ada, SESSION)).toMatchObject({
      rp: { id: "id.example.com", name: "Grantor" },
      user: { id: Buffer.from(ada.id).toString("base64url"), name: ada.email },
      authenticatorSelection: { residentKey: "required", userVerification: "required" },
      attestation: "none",
      timeout: 300_000,
      excludeCredentials: [],
    });
    const { challenge, ...request } = await passkeys.requestOptions(INTERACTION);
    expect(request).toEqual({ rpId: "id.example.com", timeout: 300_000, userVerification: "required" });
    expect(Buffer.from(challenge, "base64url").length).toBeGreaterThanOrEqual(32);
  });

  test.each([-7, -8, -257] as const)("is made and signs in, algorithm %s", async (algorithm) => {
    const by = new Authenticator({ origin: ISSUER, algorithm });
    expect(await register(ada, by)).toMatchObject({ ok: true, passkey: { name: "Passkey", synced: false, works: true } });
    const signedIn = await signIn({}, { by });
    const [passkey] = await passkeys.list(ada.id);
    expect(signedIn).toEqual({ ok: true, accountId: ada.id, passkey: passkey?.id, amr: ["hwk", "user", "mfa"] });
    expect(passkey).toMatchObject({ lastUsedAt: new Date(now) });
    expect((await passkeys.creationOptions(ada, SESSION)).excludeCredentials).toEqual([
      { id: passkey?.id, type: "public-key", transports: ["internal"] },
    ]);
  });

  test("one that is kept in sync says so, and has no counter", async () => {
    const by = new Authenticator({ origin: ISSUER, synced: true });
    expect(await register(ada, by)).toMatchObject({ passkey: { synced: true } });
    for (let times = 0; times < 2; times++) expect(await signIn({}, { by })).toMatchObject({ ok: true, amr: ["swk", "user", "mfa"] });
  });

  test("as a second factor it has to be that person's", async () => {
    await register();
    const options = await passkeys.requestOptions(INTERACTION, ada.id);
    expect(options.allowCredentials).toHaveLength(1);
    expect(await signIn({}, { accountId: ada.id })).toMatchObject({ ok: true });
    // Security keys of old send no user handle there.
    expect(await signIn({ userHandle: "" }, { accountId: ada.id })).toMatchObject({ ok: true });
    const bob = await newAccount();
    expect(await signIn({}, { accountId: bob.id })).toEqual({ ok: false, reason: "other_account", accountId: ada.id });
    expect(await signIn({ userHandle: "" }, { accountId: bob.id })).toMatchObject({ reason: "other_account" });
    // A challenge for one is none for the other, nor for a sign-in without a first factor.
    const forAda = authenticator.get(options);
    expect(await passkeys.verify(INTERACTION, forAda)).toMatchObject({ reason: "expired" });
    expect(await passkeys.verify(INTERACTION, forAda, bob.id)).toMatchObject({ reason: "expired" });
  });

  describe("refused at sign-in:", () => {
    beforeEach(() => register());

    const handle = (id: string) => Buffer.from(id).toString("base64url");
    test.each<[string, Untruths, string]>([
      ["another origin", { origin: "https://id.example.com.evil.example" }, "invalid"],
      ["another RP ID", { rpId: "evil.example" }, "invalid"],
      ["no user verification", { userVerified: false }, "invalid"],
      ["an answer of another kind", { type: "webauthn.create" }, "invalid"],
      ["a challenge that nobody made", { challenge: Buffer.alloc(54, 7).toString("base64url") }, "expired"],
      ["a short challenge", { challenge: "AAAA" }, "expired"],
      ["a passkey that nobody has", { credentialId: "AAAAAAAAAAAAAAAAAAAAAA" }, "unknown_passkey"],
      ["no user handle", { userHandle: "" }, "other_account"],
      ["another's user handle", { userHandle: handle("somebody-else") }, "other_account"],
    ])("%s", async (_what, untruths, reason) => {
      expect(await signIn(untruths)).toMatchObject({ ok: false, reason });
      expect((await passkeys.list(ada.id))[0]?.lastUsedAt).toBeUndefined();
    });

    test("another's passkey under one's own user handle", async () => {
      const bob = await newAccount();
      expect(await signIn({ userHandle: handle(bob.id) })).toMatchObject({ ok: false, reason: "other_account" });
    });

    test("a signature of another key", async () => {
      const [theirs] = authenticator.credentials;
      const by = new Authenticator({ origin: ISSUER });
      await register(await newAccount(), by);
      const untruths = { credentialId: theirs?.id ?? "", userHandle: theirs?.userHandle ?? "", counter: 99 };
      expect(await signIn(untruths, { by })).toMatchObject({ ok: false, reason: "invalid" });
    });

    test.each(["", "{}", "null", "[]", '{"id":1}', `{"id":"${"A".repeat(2000)}"}`, "�"])(
      "what no browser sends: %s",
      async (credential) => {
        expect(await passkeys.verify(INTERACTION, credential)).toEqual({ ok: false, reason: "invalid" });
        expect(await passkeys.register(ada, SESSION, given(credential))).toEqual({ ok: false, reason: "invalid" });
      },
    );

    test("bytes that are not what they should be", async () => {
      const whole = JSON.parse(authenticator.get(await passkeys.requestOptions(INTERACTION)));
      for (const part of ["authenticatorData", "signature", "clientDataJSON"]) {
        const credential = JSON.stringify({ ...whole, response: { ...whole.response, [part]: "AAAA" } });
        expect(await passkeys.verify(INTERACTION, credential)).toMatchObject({ ok: false, reason: "invalid" });
      }
    });

    test("a challenge of another interaction", async () => {
      const credential = authenticator.get(await passkeys.requestOptions("interaction-two"));
      expect(await passkeys.verify(INTERACTION, credential)).toMatchObject({ ok: false, reason: "expired" });
    });

    test("a challenge that is five minutes old", async () => {
      const credential = authenticator.get(await passkeys.requestOptions(INTERACTION));
      now += 300_000;
      expect(await passkeys.verify(INTERACTION, credential)).toMatchObject({ ok: false, reason: "expired" });
    });

    test("a challenge of a server with other keys; after a rotation both are known", async () => {
      const [ours, theirs] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];
      const credential = authenticator.get(await elsewhere({ keys: [theirs] }).requestOptions(INTERACTION));
      expect(await elsewhere({ keys: [ours] }).verify(INTERACTION, credential)).toMatchObject({ reason: "expired" });
      expect(await elsewhere({ keys: [ours, theirs] }).verify(INTERACTION, credential)).toMatchObject({ ok: true });
    });

    test("the same answer again, however many come at once", async () => {
      const by = new Authenticator({ origin: ISSUER, synced: true }); // no counter would notice
      await register(ada, by);
      const credential = by.get(await passkeys.requestOptions(INTERACTION));
      const processes = [passkeys, elsewhere()];
      const results = await Promise.all(Array.from({ length: 12 }, (_, i) => processes[i % 2]?.verify(INTERACTION, credential)));
      expect(results.filter((result) => result?.ok)).toHaveLength(1);
      expect(await passkeys.verify(INTERACTION, credential)).toMatchObject({ ok: false, reason: "expired" });
      // Another spelling of the same bytes is the same challenge.
      const parsed = JSON.parse(credential);
      const data = JSON.parse(Buffer.from(parsed.response.clientDataJSON, "base64url").toString());
      expect(await signIn({ challenge: `${data.challenge}A` }, { by })).toMatchObject({ ok: false });
    });

    test("a counter that does not grow, which is reported", async () => {
      expect(await signIn({ counter: 10 })).toMatchObject({ ok: true });
      for (const counter of [10, 9, 0]) {
        lines.length = 0;
        expect(await signIn({ counter })).toEqual({ ok: false, reason: "counter_went_back", accountId: ada.id });
        expect(lines).toContainEqual(expect.objectContaining({ level: "warn", accountId: ada.id }));
      }
      expect(await signIn({ counter: 11 })).toMatchObject({ ok: true });
    });

    test("of two answers with one counter, one counts", async () => {
      const options = await Promise.all([passkeys.requestOptions(INTERACTION), passkeys.requestOptions(INTERACTION)]);
      const results = await Promise.all(options.map((each) => passkeys.verify(INTERACTION, authenticator.get(each, { counter: 40 }))));
      expect(results.filter(({ ok }) => ok)).toHaveLength(1);
    });
  });

  describe("refused when it is made:", () => {
    test.each<[string, Untruths, string]>([
      ["another origin", { origin: "https://evil.example" }, "invalid"],
      ["another RP ID", { rpId: "evil.example" }, "invalid"],
      ["no user verification", { userVerified: false }, "invalid"],
      ["an answer of another kind", { type: "webauthn.get" }, "invalid"],
      ["a challenge that nobody made", { challenge: Buffer.alloc(54, 7).toString("base64url") }, "expired"],
    ])("%s", async (_what, untruths, reason) => {
      expect(await register(ada, authenticator, untruths)).toEqual({ ok: false, reason });
      expect(await passkeys.list(ada.id)).toEqual([]);
    });

    test.each(["\u0000", "\ud800", "<b>", ""])("a transport that has no name: %j", async (transport) => {
      const made = JSON.parse(authenticator.create(await passkeys.creationOptions(ada, SESSION)));
      const credential = JSON.stringify({ ...made, response: { ...made.response, transports: ["usb", transport] } });
      expect(await passkeys.register(ada, SESSION, given(credential))).toEqual({ ok: false, reason: "invalid" });
    });

    test("a credential id that there is, of another account", async () => {
      await register();
      const [{ id = "" } = {}] = authenticator.credentials;
      const bob = await newAccount();
      expect(await register(bob, new Authenticator({ origin: ISSUER }), { credentialId: id })).toEqual({ ok: false, reason: "known" });
      expect(await passkeys.list(bob.id)).toEqual([]);
      expect(await signIn()).toMatchObject({ ok: true, accountId: ada.id });
    });

    test("an answer in another session, for another account, or at a sign-in", async () => {
      const credential = authenticator.create(await passkeys.creationOptions(ada, SESSION));
      expect(await passkeys.register(ada, "another-session", given(credential))).toEqual({ ok: false, reason: "expired" });
      expect(await passkeys.register(await newAccount(), SESSION, given(credential))).toEqual({ ok: false, reason: "expired" });
      expect(await passkeys.verify(SESSION, credential)).toMatchObject({ ok: false });
      expect(await passkeys.register(ada, SESSION, given(credential))).toMatchObject({ ok: true });
    });

    test("the same answer again, however many come at once", async () => {
      const credential = authenticator.create(await passkeys.creationOptions(ada, SESSION));
      const results = await Promise.all(Array.from({ length: 8 }, () => passkeys.register(ada, SESSION, given(credential))));
      expect(results.filter(({ ok }) => ok)).toHaveLength(1);
      expect(results.filter((result) => !result.ok && result.reason === "expired")).toHaveLength(7);
      // Not even when the passkey is gone.
      await passkeys.remove(ada.id, authenticator.credentials[0]?.id ?? "");
      expect(await passkeys.register(ada, SESSION, given(credential))).toEqual({ ok: false, reason: "expired" });
    });

    test("more than an account can have", async () => {
      for (let count = 0; count < 30; count++) expect(await register()).toMatchObject({ ok: true });
      expect(await register()).toEqual({ ok: false, reason: "too_many" });
    });
  });

  test("its owner names and removes it, and nobody else does", async () => {
    const made = await passkeys.register(
      ada,
      SESSION,
      given(authenticator.create(await passkeys.creationOptions(ada, SESSION)), " My phone "),
    );
    const id = made.ok ? made.passkey.id : "";
    expect(made).toMatchObject({ passkey: { name: "My phone" } });
    const bob = await newAccount();
    expect(await passkeys.rename(bob.id, id, "Mine")).toBe(false);
    expect(await passkeys.remove(bob.id, id)).toBe(false);
    expect(await passkeys.rename(ada.id, id, "Old phone")).toBe(true);
    expect(await passkeys.list(ada.id)).toMatchObject([{ id, name: "Old phone" }]);
    expect(await passkeys.remove(ada.id, id)).toBe(true);
    expect(await passkeys.remove(ada.id, id)).toBe(false);
    expect(await signIn()).toMatchObject({ ok: false, reason: "unknown_passkey" });
  });

  test("one that is removed while somebody signs in with it is not there, and no copy; it counts no more for what it has begun", async () => {
    const { factors } = services.secondFactors;
    const before = lines.length;
    for (let round = 0; round < 4; round += 1) {
      await register();
      const [{ id = "" } = {}] = await passkeys.list(ada.id);
      expect(await factors.stillHas(ada.id, { passkey: id })).toBe(true);
      const [signedIn, removed] = await Promise.all([signIn(), passkeys.remove(ada.id, id)]);
      expect(removed).toBe(true);
      expect(signedIn).toMatchObject(signedIn.ok ? { passkey: id } : { reason: "unknown_passkey" });
      expect(await factors.stillHas(ada.id, { passkey: id })).toBe(false);
    }
    expect(JSON.stringify(lines.slice(before))).not.toContain("copy");
  });

  test("the last way in stays, also when all are removed at once", async () => {
    const carl = await newAccount({});
    await register(carl);
    await register(carl);
    const ids = (await passkeys.list(carl.id)).map(({ id }) => id);
    const removals = await Promise.allSettled(ids.map((id) => passkeys.remove(carl.id, id)));
    expect(removals.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    expect(removals.find(({ status }) => status === "rejected")).toMatchObject({ reason: { code: "last_way_in" } });
    expect(await passkeys.list(carl.id)).toHaveLength(1);
  });

  test("the last second factor stays with a password that is short", async () => {
    await services.database.prisma.credential.updateMany({ where: { accountId: ada.id }, data: { standsAlone: false } });
    await register();
    const [{ id = "" } = {}] = await passkeys.list(ada.id);
    await expect(passkeys.remove(ada.id, id)).rejects.toMatchObject({ code: "password_too_short" });
    expect(await passkeys.list(ada.id)).toHaveLength(1);
  });

  test("at another host name it rests, is marked, may go, and works again when the server comes back", async () => {
    await register();
    const moved = elsewhere({ issuer: "https://login.example.org" });
    const before = await passkeys.countElsewhere();
    expect(await moved.countElsewhere()).toBeGreaterThan(0);
    expect(await moved.list(ada.id)).toMatchObject([{ works: false }]);
    expect((await moved.requestOptions(INTERACTION, ada.id)).allowCredentials).toEqual([]);
    expect((await moved.creationOptions(ada, SESSION)).excludeCredentials).toEqual([]);
    const there = authenticator.get(await moved.requestOptions(INTERACTION), {
      rpId: "login.example.org",
      origin: "https://login.example.org",
    });
    expect(await moved.verify(INTERACTION, there)).toMatchObject({ ok: false, reason: "other_host" });
    expect(await signIn()).toMatchObject({ ok: true });
    expect(await passkeys.countElsewhere()).toBe(before);
    expect(await moved.remove(ada.id, authenticator.credentials[0]?.id ?? "")).toBe(true);
  });

  test("there is none where the server has no name", () => {
    expect(passkeys.possible).toBe(true);
    expect(elsewhere({ issuer: "http://127.0.0.1:3000" }).possible).toBe(false);
    expect(elsewhere({ issuer: "http://[::1]:3000" }).possible).toBe(false);
  });
});
