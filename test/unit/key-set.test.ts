import { createHmac, createSecretKey, randomBytes } from "node:crypto";
import { createLocalJWKSet, importJWK, type JWTHeaderParameters, jwtVerify, SignJWT } from "jose";
import { beforeAll, describe, expect, test } from "vitest";
import { generateSigningJwk, publicKeyObject, publicPart, SIGNING_ALGS, type SigningAlg } from "../../src/keys/algorithms.ts";
import { earlierKeys, publicJwks, signingJwks } from "../../src/keys/jwks.ts";
import type { SigningJwk } from "../../src/keys/key-rows.ts";
import { createTokenVerifier } from "../../src/keys/key-set.ts";
import type { KeySnapshot, LoadedKey } from "../../src/keys/signing-keys.ts";

const ISSUER = "https://issuer.example";
const EXPECTED = { issuer: ISSUER, typ: "at+jwt" };
const NOW = Date.parse("2026-01-01T00:00:00Z");
const SECONDS = NOW / 1000;

let snapshot: KeySnapshot;
const verifier = createTokenVerifier(
  () => snapshot,
  () => NOW,
);

const key = (alg: SigningAlg): LoadedKey => snapshot.keys.find((candidate) => candidate.alg === alg) as LoadedKey;

async function sign(alg: SigningAlg, claims: Record<string, unknown> = {}, header: Partial<JWTHeaderParameters> = {}, by = key(alg)) {
  return new SignJWT({ iss: ISSUER, sub: "alice", exp: SECONDS + 60, ...claims })
    .setProtectedHeader({ alg, kid: by.kid, typ: "at+jwt", ...header })
    .sign(await importJWK(by.privateJwk as never, alg));
}

async function loaded(alg: SigningAlg): Promise<LoadedKey> {
  const privateJwk = await generateSigningJwk(alg);
  const publicJwk = publicPart(privateJwk) as LoadedKey["publicJwk"];
  return {
    kid: privateJwk.kid,
    alg,
    state: "current",
    createdAt: new Date(NOW),
    privateJwk,
    publicJwk,
    publicKey: publicKeyObject(publicJwk),
  };
}

beforeAll(async () => {
  snapshot = { keys: await Promise.all(SIGNING_ALGS.map(loaded)), expired: [] };
});

describe("a token of ours", () => {
  test.each(SIGNING_ALGS)("signed with %s is answered with its claims", async (alg) => {
    expect(verifier.verify(await sign(alg), EXPECTED)).toMatchObject({ sub: "alice", iss: ISSUER });
  });

  test("is refused once its time is over, to the second", async () => {
    expect(verifier.verify(await sign("ES256", { exp: SECONDS }), EXPECTED)).toBeUndefined();
    expect(verifier.verify(await sign("ES256", { exp: SECONDS + 1 }), EXPECTED)).toBeDefined();
    expect(verifier.verify(await sign("ES256", { exp: undefined }), EXPECTED)).toBeUndefined();
    expect(verifier.verify(await sign("ES256", { nbf: SECONDS + 5 }), EXPECTED)).toBeUndefined();
  });

  test("is refused with another issuer or type", async () => {
    expect(verifier.verify(await sign("ES256", { iss: "https://other.example" }), EXPECTED)).toBeUndefined();
    for (const typ of ["JWT", undefined, "logout+jwt"])
      expect(verifier.verify(await sign("ES256", {}, { typ } as never), EXPECTED)).toBeUndefined();
  });

  test("is refused when any part of it was changed, cut or spelt otherwise", async () => {
    const jwt = await sign("RS256");
    const [head, body, tail] = jwt.split(".") as [string, string, string];
    const otherBody = Buffer.from(JSON.stringify({ iss: ISSUER, sub: "mallory", exp: SECONDS + 60 })).toString("base64url");
    const otherSpelling = `${tail.slice(0, -1)}${String.fromCharCode(tail.charCodeAt(tail.length - 1) + 1)}`;
    for (const wrong of [
      `${head}.${otherBody}.${tail}`,
      `${head}.${body}.`,
      `${head}.${body}`,
      `${jwt}=`,
      `${jwt}.x`,
      `${head}.${body}.${otherSpelling}`,
      "",
      "a.b.c",
    ])
      expect(verifier.verify(wrong, EXPECTED)).toBeUndefined();
  });
});

describe("a token that somebody else made", () => {
  test("under an unknown key, or one that claims our kid, is refused", async () => {
    const foreign = await loaded("RS256");
    expect(verifier.verify(await sign("RS256", {}, {}, foreign), EXPECTED)).toBeUndefined();
    expect(verifier.verify(await sign("RS256", {}, { kid: key("RS256").kid }, foreign), EXPECTED)).toBeUndefined();
    expect(verifier.verify(await sign("RS256", {}, { kid: undefined } as never), EXPECTED)).toBeUndefined();
  });

  test("with alg none, a symmetric one keyed with our public key, or another scheme of the same key is refused", async () => {
    const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const body = part({ iss: ISSUER, sub: "mallory", exp: SECONDS + 60 });
    const { kid, publicKey } = key("RS256");
    const none = `${part({ alg: "none", kid, typ: "at+jwt" })}.${body}.AA`;
    const signed = `${part({ alg: "HS256", kid, typ: "at+jwt" })}.${body}`;
    const hmac = createHmac("sha256", publicKey.export({ type: "spki", format: "pem" }))
      .update(signed)
      .digest("base64url");
    expect(verifier.verify(none, EXPECTED)).toBeUndefined();
    expect(verifier.verify(`${signed}.${hmac}`, EXPECTED)).toBeUndefined();
    const { alg: _, ...bare } = key("RS256").privateJwk as SigningJwk;
    const pss = await new SignJWT({ iss: ISSUER, exp: SECONDS + 60 })
      .setProtectedHeader({ alg: "PS256", kid, typ: "at+jwt" })
      .sign(await importJWK(bare as never, "PS256"));
    expect(verifier.verify(pss, EXPECTED)).toBeUndefined();
  });
});

describe("a token that a resource's secret signed", () => {
  const [ours, theirs] = [randomBytes(32), randomBytes(32)];
  const secrets: Record<string, Buffer> = { "https://one.example": ours, "https://two.example": theirs };
  const withSecrets = createTokenVerifier(
    () => snapshot,
    () => NOW,
    (audience) => {
      const secret = secrets[audience];
      return secret && createSecretKey(secret);
    },
  );
  const claims = { aud: "https://one.example" };
  const hs256 = (secret: Buffer, more: Record<string, unknown> = {}, header: Partial<JWTHeaderParameters> = {}) =>
    new SignJWT({ iss: ISSUER, sub: "alice", exp: SECONDS + 60, ...claims, ...more })
      .setProtectedHeader({ alg: "HS256", typ: "at+jwt", ...header })
      .sign(secret);

  test("is answered with its claims, under the secret of its audience alone", async () => {
    expect(withSecrets.verify(await hs256(ours), EXPECTED)).toMatchObject({ sub: "alice" });
    expect(withSecrets.verify(await hs256(ours, {}, { kid: key("RS256").kid }), EXPECTED)).toMatchObject({ sub: "alice" });
    expect(withSecrets.verify(await hs256(theirs), EXPECTED)).toBeUndefined();
    expect(withSecrets.verify(await hs256(ours, { aud: "https://two.example" }), EXPECTED)).toBeUndefined();
    for (const aud of [
      "https://three.example",
      ISSUER,
      undefined,
      ["https://one.example"],
      ["https://one.example", "https://two.example"],
      1,
    ])
      expect(withSecrets.verify(await hs256(ours, { aud }), EXPECTED)).toBeUndefined();
    expect(verifier.verify(await hs256(ours), EXPECTED)).toBeUndefined();
  });

  test("is checked as every other one is", async () => {
    expect(withSecrets.verify(await hs256(ours, { exp: SECONDS }), EXPECTED)).toBeUndefined();
    expect(withSecrets.verify(await hs256(ours, { iss: "https://other.example" }), EXPECTED)).toBeUndefined();
    expect(withSecrets.verify(await hs256(ours, {}, { typ: "JWT" }), EXPECTED)).toBeUndefined();
    const [head, body, tail] = (await hs256(ours)).split(".") as [string, string, string];
    for (const wrong of [`${head}.${body}.`, `${head}.${body}.AA`, `${head}.${body}.${tail}AA`, `${head}.${body}.${tail.slice(0, -2)}`])
      expect(withSecrets.verify(wrong, EXPECTED)).toBeUndefined();
  });

  test("is none when one of our public keys served as the secret, or its header names another algorithm", async () => {
    const { kid, publicKey } = key("RS256");
    for (const form of [
      publicKey.export({ type: "spki", format: "pem" }),
      publicKey.export({ type: "spki", format: "der" }),
      JSON.stringify(key("RS256").publicJwk),
    ])
      expect(withSecrets.verify(await hs256(Buffer.from(form), {}, { kid }), EXPECTED)).toBeUndefined();
    const [, body, tail] = (await hs256(ours)).split(".") as [string, string, string];
    for (const alg of ["HS384", "HS512", "hs256", "none", "RS256", undefined]) {
      const head = Buffer.from(JSON.stringify({ alg, kid, typ: "at+jwt" })).toString("base64url");
      expect(withSecrets.verify(`${head}.${body}.${tail}`, EXPECTED)).toBeUndefined();
    }
    // A key pair of ours still signs what it signs, for whomever.
    expect(withSecrets.verify(await sign("RS256", claims), EXPECTED)).toMatchObject({ sub: "alice" });
  });
});

describe("the published key set", () => {
  test("verifies for a stranger and holds nothing private", async () => {
    const { body, etag, cacheControl } = publicJwks(snapshot, 300);
    const set = JSON.parse(body);
    expect(set.keys.map(({ alg }: { alg: string }) => alg)).toEqual([...SIGNING_ALGS]);
    for (const jwk of set.keys) expect(Object.keys(jwk)).not.toEqual(expect.arrayContaining(["d"]));
    expect(body).not.toMatch(/"(d|p|q|dp|dq|qi)":/);
    expect(etag).toMatch(/^"[\w-]{43}"$/);
    expect(cacheControl).toBe("public, max-age=300");
    const stranger = createLocalJWKSet(set);
    for (const alg of SIGNING_ALGS)
      await jwtVerify(await sign(alg), stranger, { issuer: ISSUER, typ: "at+jwt", currentDate: new Date(NOW) });
  });

  test("is made once per snapshot and cache life", () => {
    expect(publicJwks(snapshot, 300)).toBe(publicJwks(snapshot, 300));
    expect(publicJwks(snapshot, 60).cacheControl).toBe("public, max-age=60");
    expect(publicJwks({ ...snapshot, keys: snapshot.keys.slice(1) }, 300).etag).not.toBe(publicJwks(snapshot, 300).etag);
  });

  test("is one thing, what the engine signs with another, and what it recognizes of earlier times a third", async () => {
    const [next, retired, expired] = await Promise.all([loaded("RS256"), loaded("RS256"), loaded("RS256")]);
    const rotated: KeySnapshot = {
      keys: [
        ...snapshot.keys,
        { ...(next as LoadedKey), state: "next" },
        { ...(retired as LoadedKey), state: "retired", privateJwk: undefined },
      ],
      expired: [{ ...(expired as LoadedKey), state: "expired", privateJwk: undefined }],
    };
    expect(signingJwks(rotated).keys.map(({ kid }) => kid)).toEqual(snapshot.keys.map(({ kid }) => kid));
    expect(earlierKeys(rotated).map(({ kid }) => kid)).toEqual([retired?.kid, expired?.kid]);
    const published = JSON.parse(publicJwks(rotated, 300).body).keys.map(({ kid }: { kid: string }) => kid);
    expect(published).toEqual([...snapshot.keys.map(({ kid }) => kid), next?.kid, retired?.kid]);
  });
});
