import { deflateSync } from "node:zlib";
import { CompactEncrypt, CompactSign, importJWK } from "jose";
import { beforeAll, describe, expect, test } from "vitest";
import { LANGUAGES } from "../../src/i18n/languages.ts";
import { english, say, text } from "../../src/i18n/messages.ts";
import { generateSigningJwk, publicPart, SIGNING_ALGS, type SigningAlg } from "../../src/keys/algorithms.ts";
import type { PublicKey } from "../../src/keys/public-keys.ts";
import {
  inspectToken,
  readStatus,
  type SignatureFinding,
  type Sources,
  type StatusFinding,
  type StatusReference,
  type TokenInspection,
  UnreadableTokenError,
} from "../../views/assets/token-inspection.js";
import { describeInspection } from "../../views/assets/token-words.js";

const ISSUER = "https://id.example";
const LIST = `${ISSUER}/oauth/status-lists/a-list`;
const NOW = Date.parse("2026-01-01T00:00:00Z");
const seconds = NOW / 1000;

const privateKeys = new Map<SigningAlg, Awaited<ReturnType<typeof generateSigningJwk>>>();
const keys: PublicKey[] = [];
const asked: unknown[] = [];
let status: StatusFinding = { state: "valid" };
const context = {
  keys,
  issuer: ISSUER,
  now: NOW,
  statusOf: async (reference: StatusReference) => {
    asked.push(reference);
    return status;
  },
};

beforeAll(async () => {
  for (const alg of SIGNING_ALGS) {
    const jwk = await generateSigningJwk(alg);
    privateKeys.set(alg, jwk);
    keys.push({ kid: jwk.kid, alg, state: "current", jwk: publicPart(jwk) });
  }
});

async function sign(claims: object, header: object = {}, alg: SigningAlg = "RS256"): Promise<string> {
  const jwk = privateKeys.get(alg) as NonNullable<ReturnType<typeof privateKeys.get>>;
  return new CompactSign(new TextEncoder().encode(JSON.stringify(claims)))
    .setProtectedHeader({ alg, kid: jwk.kid, typ: "at+jwt", ...header })
    .sign(await importJWK(jwk as Parameters<typeof importJWK>[0], alg));
}
const claims = { iss: ISSUER, sub: "ada", client_id: "app", aud: ISSUER, iat: seconds - 10, exp: seconds + 60, scope: "openid" };
const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
const kindOf = ({ kind }: TokenInspection) => english(kind);
const describeHere = (inspection: TokenInspection) => describeInspection(inspection, NOW, "en");
const verdict = async (jwt: string) => {
  const { words, tone } = describeHere(await inspectToken(jwt, context)).verdict;
  return { tone, text: english(words) };
};

describe("inspecting a token", () => {
  test.each(SIGNING_ALGS)("finds the key and checks its signature: %s", async (alg) => {
    const seen = await inspectToken(` Bearer ${await sign(claims, {}, alg)}\n`, context);
    expect(kindOf(seen)).toBe("access token (RFC 9068)");
    expect(seen).toMatchObject({ signature: "valid", verifies: true, ours: true, expired: false });
    expect(seen.key).toEqual({ kid: privateKeys.get(alg)?.kid, alg, state: "current" });
    expect(seen.claims).toEqual(claims);
  });

  test("a status list is ours by its address; what says of no issuer is not called another server's", async () => {
    const list = (content: object) =>
      sign({ sub: LIST, iat: seconds, status_list: { bits: 1, lst: "eJw" }, ...content }, { typ: "statuslist+jwt" });
    const mine = await inspectToken(await list({ exp: seconds + 60 }), context);
    expect(kindOf(mine)).toBe("status list token (Token Status List)");
    expect(mine).toMatchObject({ ours: true, verifies: true });
    expect(english(mine.explained.find(({ name }) => name === "sub")?.meaning ?? "")).toContain("address");
    const { facts } = describeHere(await inspectToken(await list({}), context));
    expect(facts.map((fact) => fact.map(english))).toEqual(expect.arrayContaining([["status", "not published"]]));
    for (const other of [{ sub: `${ISSUER}.evil.example/oauth/status-lists/x` }, { iss: "https://other.example" }, { sub: 1 }])
      expect(await inspectToken(await list(other), context), JSON.stringify(other)).toMatchObject({ ours: false, verifies: false });
    const { iss: _, ...anonymous } = claims;
    expect(await verdict(await sign(anonymous))).toEqual({ tone: "unsure", text: expect.stringMatching(/^It does not say who issued it/) });
  });

  test("says in words what claims mean, and when times are", async () => {
    const { explained } = await inspectToken(await sign({ ...claims, exp: 1e300, mystery: 1 }), context);
    const of = (name: string) => explained.find((claim) => claim.name === name);
    expect(english(of("aud")?.meaning ?? "")).toBe("audience: this server itself, for userinfo");
    expect(of("iat")?.time).toEqual(new Date(NOW - 10_000));
    expect(of("exp")).not.toHaveProperty("time");
    expect(of("mystery")?.meaning).toBeUndefined();
    const robot = (await inspectToken(await sign({ ...claims, sub: "app" }), context)).explained.find(({ name }) => name === "sub");
    expect(english(robot?.meaning ?? "")).toContain("no person");
  });

  test("times are dates, and how far away they are", async () => {
    const at = (offset: number) => seconds + offset;
    const token = await sign({
      ...claims,
      exp: at(4 * 60 + 10),
      iat: at(-3 * 3600),
      auth_time: at(-86_400),
      nbf: at(0),
      updated_at: at(-1),
    });
    const inspection = await inspectToken(token, context);
    const rows = describeHere(inspection).claims;
    const when = Object.fromEntries(rows.flatMap((row) => (row.when ? [[row.name, english(row.when)]] : [])));
    expect(when).toEqual({
      exp: "2026-01-01 00:04:10 UTC, in 4 minutes",
      iat: "2025-12-31 21:00:00 UTC, 3 hours ago",
      auth_time: "2025-12-31 00:00:00 UTC, 1 day ago",
      nbf: "2026-01-01 00:00:00 UTC, now",
      updated_at: "2025-12-31 23:59:59 UTC, 1 second ago",
    });
    const [expires] = describeInspection(inspection, NOW, "de").claims.filter(({ name }) => name === "exp");
    expect(say("de", expires?.when ?? "")).toBe("2026-01-01 00:04:10 UTC, in 4 Minuten");
  });

  test("verifies nothing that is expired, early, foreign or signed with a revoked key", async () => {
    const seen = async (changed: object, sources: Partial<Sources> = {}) =>
      inspectToken(await sign({ ...claims, ...changed }), { ...context, ...sources });
    expect(await seen({ exp: seconds })).toMatchObject({ expired: true, verifies: false, signature: "valid" });
    expect(await seen({ nbf: seconds + 5 })).toMatchObject({ notYetValid: true, verifies: false });
    expect(await seen({ iss: "https://other.example" })).toMatchObject({ ours: false, verifies: false });
    // With or without its public half: a page has none of a revoked key.
    for (const jwk of [undefined, keys[0]?.jwk]) {
      const revoked = keys.map((key) => ({ ...key, jwk, state: "revoked" as const }));
      expect(await seen({}, { keys: revoked })).toMatchObject({ signature: "revoked_key", verifies: false, key: { state: "revoked" } });
    }
    expect(await seen({}, { keys: [] })).toMatchObject({ signature: "unknown_key", verifies: false });
  });

  test("a token that was changed, or names another algorithm, is not valid", async () => {
    const [head = "", body = "", tail = ""] = (await sign(claims)).split(".");
    const kid = privateKeys.get("RS256")?.kid;
    const signatures = [
      [`${head}.${part({ ...claims, scope: "everything" })}.${tail}`, "invalid"],
      [`${head}.${body}.${tail.slice(0, -2)}`, "invalid"],
      [`${head}.${body}.${tail.slice(0, -1)}!`, "invalid"],
      [`${part({ alg: "none" })}.${body}.`, "unsigned"],
      [`${part({ alg: "none", kid })}.${body}.${tail}`, "unsigned"],
      [`${part({ alg: "HS256", kid })}.${body}.${tail}`, "wrong_algorithm"],
      [`${part({ alg: "PS256", kid })}.${body}.${tail}`, "wrong_algorithm"],
    ] as const;
    for (const [jwt, signature] of signatures) {
      expect(await inspectToken(jwt, context)).toMatchObject({ signature, verifies: false });
      expect((await verdict(jwt)).tone).toBe("bad");
    }
  });

  test("tells the kinds of tokens apart", async () => {
    const kind = async (typ: string | undefined, content: object = claims) =>
      kindOf(await inspectToken(await sign(content, { typ }), context));
    expect(await kind("application/at+JWT")).toBe("access token (RFC 9068)");
    expect(await kind("logout+jwt")).toContain("logout token");
    const { scope: _, ...idToken } = claims;
    expect(await kind(undefined, idToken)).toBe("ID token (OpenID Connect)");
    expect(await kind("JWT", { hello: "world" })).toBe("JWT");
    expect(await kind("toString")).toBe("JWT");
  });

  test("explains what cannot be read or checked here", async () => {
    const jwe = await new CompactEncrypt(new TextEncoder().encode(await sign(claims)))
      .setProtectedHeader({ alg: "dir", enc: "A256GCM", typ: "at+jwt", kid: "theirs" })
      .encrypt(new Uint8Array(32));
    const encrypted = await inspectToken(jwe, context);
    expect(kindOf(encrypted)).toBe("encrypted access token (RFC 9068), a JWE");
    expect(encrypted).toMatchObject({ signature: "encrypted", verifies: false, claims: undefined });
    expect(await verdict(jwe)).toMatchObject({ tone: "unsure", text: expect.stringContaining("Only the resource server") });
    const { header } = describeHere(encrypted);
    expect(header).toContainEqual({ name: "enc", value: "A256GCM", when: undefined, meaning: text("tokens:header.enc") });
    expect(english(text("tokens:header.enc"))).toBe("how the content is encrypted");

    const shared = await new CompactSign(new TextEncoder().encode(JSON.stringify(claims)))
      .setProtectedHeader({ alg: "HS256", typ: "at+jwt" })
      .sign(new Uint8Array(32));
    expect(await inspectToken(shared, context)).toMatchObject({ signature: "shared_secret", verifies: false });
    expect(await verdict(shared)).toMatchObject({ tone: "unsure" });
    // Whoever knows the secrets of resources can check it, by the audience.
    const secretOf = async (audience: string) => (audience === ISSUER ? new Uint8Array(32) : undefined);
    expect(await inspectToken(shared, { ...context, secretOf })).toMatchObject({ signature: "valid", verifies: true, key: undefined });
    const other = async () => new Uint8Array(32).fill(1);
    expect(await inspectToken(shared, { ...context, secretOf: other })).toMatchObject({ signature: "invalid", verifies: false });
    const none = await inspectToken(await sign(claims), { ...context, secretOf });
    expect(none).toMatchObject({ signature: "valid", key: { alg: "RS256" } });
    expect(await verdict(await sign({ ...claims, iss: "https://other.example" }, { kid: "theirs" }))).toMatchObject({ tone: "unsure" });
  });

  test.each(["", "Bearer ", "opaque", "a.b", "a.b.c", "e30.W10.x", "e30.e30.e30.e30", `${"e30."}${"bm90IGpzb24"}.x`, "a".repeat(70_000)])(
    "cannot read %j",
    async (jwt) => {
      await expect(inspectToken(jwt, context)).rejects.toThrow(UnreadableTokenError);
    },
  );
});

test("what somebody made to break whoever looks at it is unreadable, or described", async () => {
  const awkward = { toString: 1, valueOf: 1, toJSON: 1, __proto__: null };
  for (const [header, body] of [
    [{ alg: awkward, typ: awkward, cty: awkward, kid: awkward }, claims],
    [
      { alg: "RS256", typ: "statuslist+jwt", kid: "theirs" },
      { sub: awkward, status_list: null },
    ],
    [{ alg: "RS256" }, { iss: awkward, aud: awkward, exp: awkward, iat: 1e300, nbf: -1e300, status: null, scope: [awkward] }],
    [{ alg: "RS256" }, { iss: ISSUER, status: { status_list: { idx: 1e300, uri: awkward } } }],
  ]) {
    const inspection = await inspectToken(`${part(header as object)}.${part(body as object)}.AA`, context);
    expect(inspection.verifies).toBe(false);
    for (const language of LANGUAGES) say(language, describeInspection(inspection, NOW, language).verdict.words);
  }
  const bottomless = Buffer.from(`{"a":${"[".repeat(20_000)}${"]".repeat(20_000)}}`).toString("base64url");
  for (const jwt of [`${bottomless}.${part(claims)}.AA`, `${part({ alg: "RS256" })}.${bottomless}.AA`])
    await expect(inspectToken(jwt, context)).rejects.toThrow(UnreadableTokenError);
});

test("whatever can be found is said in every language, and differently", async () => {
  const keyStates = ["next", "current", "retired", "expired", "revoked", "published"];
  const signatures: SignatureFinding[] = [
    ...(["valid", "invalid", "unknown_key", "revoked_key", "expired_key", "wrong_algorithm", "unsigned"] as const),
    ...(["shared_secret", "not_supported", "no_keys", "encrypted"] as const),
  ];
  const statuses: StatusFinding[] = [
    { state: "none" },
    { state: "valid" },
    { state: "valid", asOf: new Date(NOW) },
    { state: "revoked" },
    { state: "revoked", asOf: new Date(NOW) },
    { state: "revoked", since: new Date(NOW - 1000) },
    { state: "unknown" },
  ];
  const found = await inspectToken(
    await sign({ ...claims, status: { status_list: { idx: 7, uri: LIST } }, long: "x".repeat(2000) }),
    context,
  );
  const all = [
    ...signatures.map((signature) => ({ ...found, signature })),
    ...statuses.map((finding) => ({ ...found, status: finding })),
    ...keyStates.map((state) => ({ ...found, key: { kid: "k", alg: "RS256", state } })),
    { ...found, key: undefined },
    { ...found, claims: undefined },
    { ...found, ours: false },
    { ...found, ours: false, claims: {} },
    ...[found, { ...found, explained: [] }].flatMap((each) => [each, { ...each, expired: true }, { ...each, notYetValid: true }]),
    { ...found, expired: true, signature: "invalid" as const },
  ];
  for (const inspection of all) {
    const said = LANGUAGES.map((language) => {
      const { verdict: judged, facts, header, claims: rows } = describeInspection(inspection, NOW, language);
      const words = [
        judged.words,
        ...facts.flat(),
        ...[...header, ...rows].flatMap((row) => [row.value, row.when ?? "", row.meaning ?? ""]),
      ];
      return { verdict: say(language, judged.words), all: words.map((each) => say(language, each)) };
    });
    for (const { all: sentences } of said) expect(sentences.join()).not.toContain("{{");
    expect(new Set(said.map((each) => each.verdict)).size).toBe(LANGUAGES.length);
  }
});

describe("the status of a token", () => {
  const withStatus = (reference: unknown) => sign({ ...claims, status: { status_list: reference } });

  test("is asked of lists of ours, for tokens that we signed", async () => {
    asked.length = 0;
    for (const [finding, tone] of [
      [{ state: "valid", asOf: new Date(NOW) }, "good"],
      [{ state: "revoked" }, "bad"],
      [{ state: "unknown", reason: text("tokens:reasons.cannot_read") }, "unsure"],
    ] as const) {
      status = finding;
      const token = await withStatus({ idx: 7, uri: LIST });
      expect(await inspectToken(token, context)).toMatchObject({ status: finding, reference: { idx: 7, uri: LIST }, verifies: true });
      expect((await verdict(token)).tone).toBe(tone);
    }
    expect(new Set(asked.map((reference) => JSON.stringify(reference)))).toEqual(new Set([JSON.stringify({ idx: 7, uri: LIST })]));
  });

  test("is asked of nobody else", async () => {
    asked.length = 0;
    const elsewhere = ["https://other.example/oauth/status-lists/x", `${ISSUER}.evil.example/oauth/status-lists/x`, `${LIST}/../../logout`];
    for (const uri of [...elsewhere, `${ISSUER}/oauth/logout`, `${LIST}?x`, "a"])
      expect((await inspectToken(await withStatus({ idx: 7, uri }), context)).status, uri).toMatchObject({ state: "unknown" });
    for (const reference of [undefined, null, 7, { idx: -1, uri: LIST }, { idx: 1.5, uri: LIST }, { idx: 1 }])
      expect((await inspectToken(await withStatus(reference), context)).status).toEqual({
        state: "unknown",
        reason: text("tokens:reasons.malformed"),
      });
    const [head, , tail] = (await withStatus({ idx: 7, uri: LIST })).split(".");
    const forged = `${head}.${part({ ...claims, status: { status_list: { idx: 8, uri: LIST } } })}.${tail}`;
    expect((await inspectToken(forged, context)).status).toMatchObject({ state: "unknown" });
    expect((await inspectToken(await sign(claims), context)).status).toEqual({ state: "none" });
    expect(asked).toEqual([]);
  });

  test("is read out of a signed list", async () => {
    const list = (content: object = {}, header: object = {}) =>
      sign(
        {
          sub: LIST,
          iat: seconds - 1,
          exp: seconds + 60,
          ttl: 10,
          status_list: { bits: 1, lst: deflateSync(Buffer.from([0, 0b10])).toString("base64url") },
          ...content,
        },
        { typ: "statuslist+jwt", ...header },
      );
    const read = async (jwt: string, idx = 9) => readStatus(jwt, { idx, uri: LIST }, context);
    expect(await read(await list())).toEqual({ state: "revoked", asOf: new Date(NOW - 1000) });
    expect(await read(await list(), 8)).toMatchObject({ state: "valid" });
    const two = { bits: 2, lst: deflateSync(Buffer.from([0b0001_0000])).toString("base64url") };
    expect(await read(await list({ status_list: two }), 2)).toMatchObject({ state: "revoked" });
    expect(await read(await list({ status_list: two }), 3)).toMatchObject({ state: "valid" });
    expect(await read(await list(), 16)).toEqual({ state: "unknown", reason: text("tokens:reasons.no_entry") });
    expect(await read(await list({ exp: seconds }))).toMatchObject({ state: "unknown", reason: text("tokens:reasons.list_old") });
    expect(await read(await list({ sub: `${LIST}2` }))).toMatchObject({ state: "unknown" });
    expect(await read(await list({}, { typ: "at+jwt" }))).toMatchObject({ state: "unknown" });
    const [head, body, tail] = (await list()).split(".");
    expect(await read(`${head}.${body}.${tail?.slice(4)}AAAA`)).toMatchObject({
      state: "unknown",
      reason: text("tokens:reasons.list_signature"),
    });
  });
});
