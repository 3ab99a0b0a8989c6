import { CompactSign, importJWK } from "jose";
import { beforeAll, describe, expect, test } from "vitest";
import { inspectToken, UnreadableTokenError } from "../../src/admin/token-inspection.ts";
import { generateSigningJwk, publicKeyObject, SIGNING_ALGS, type SigningAlg } from "../../src/keys/algorithms.ts";
import type { PublicKey } from "../../src/keys/public-keys.ts";

const ISSUER = "https://id.example";
const NOW = Date.parse("2026-01-01T00:00:00Z");
const seconds = NOW / 1000;

describe("inspecting a token", () => {
  const privateKeys = new Map<SigningAlg, Awaited<ReturnType<typeof generateSigningJwk>>>();
  const keys: PublicKey[] = [];
  const context = { keys, issuer: ISSUER, now: NOW };

  beforeAll(async () => {
    for (const alg of SIGNING_ALGS) {
      const jwk = await generateSigningJwk(alg);
      privateKeys.set(alg, jwk);
      keys.push({ kid: jwk.kid, alg, state: "current", key: publicKeyObject(jwk) });
    }
  });

  async function sign(claims: object, header: object = {}, alg: SigningAlg = "RS256"): Promise<string> {
    const jwk = privateKeys.get(alg) as NonNullable<ReturnType<typeof privateKeys.get>>;
    return new CompactSign(new TextEncoder().encode(JSON.stringify(claims)))
      .setProtectedHeader({ alg, kid: jwk.kid, typ: "at+jwt", ...header })
      .sign(await importJWK(jwk as Parameters<typeof importJWK>[0], alg));
  }
  const claims = { iss: ISSUER, sub: "ada", client_id: "app", aud: ISSUER, iat: seconds - 10, exp: seconds + 60, scope: "openid" };

  test.each(SIGNING_ALGS)("finds the key and checks its signature: %s", async (alg) => {
    const seen = inspectToken(` Bearer ${await sign(claims, {}, alg)}\n`, context);
    expect(seen).toMatchObject({ kind: "access token (RFC 9068)", signature: "valid", verifies: true, ours: true, expired: false });
    expect(seen.key).toEqual({ kid: privateKeys.get(alg)?.kid, alg, state: "current" });
    expect(seen.claims).toEqual(claims);
  });

  test("says in words what claims mean, and when times are", async () => {
    const { explained } = inspectToken(await sign({ ...claims, exp: 1e300, mystery: 1 }), context);
    const of = (name: string) => explained.find((claim) => claim.name === name);
    expect(of("aud")?.meaning).toBe("audience: this server itself, for userinfo");
    expect(of("iat")?.time).toEqual(new Date(NOW - 10_000));
    expect(of("exp")).not.toHaveProperty("time");
    expect(of("mystery")?.meaning).toBeUndefined();
    const robot = inspectToken(await sign({ ...claims, sub: "app" }), context).explained.find(({ name }) => name === "sub");
    expect(robot?.meaning).toContain("no person");
  });

  test("verifies nothing that is expired, early, foreign or signed with a revoked key", async () => {
    expect(inspectToken(await sign({ ...claims, exp: seconds }), context)).toMatchObject({
      expired: true,
      verifies: false,
      signature: "valid",
    });
    expect(inspectToken(await sign({ ...claims, nbf: seconds + 5 }), context)).toMatchObject({ notYetValid: true, verifies: false });
    expect(inspectToken(await sign({ ...claims, iss: "https://other.example" }), context)).toMatchObject({ ours: false, verifies: false });
    const revoked = keys.map((key) => ({ ...key, state: "revoked" as const }));
    expect(inspectToken(await sign(claims), { ...context, keys: revoked })).toMatchObject({ signature: "valid", verifies: false });
    expect(inspectToken(await sign(claims), { ...context, keys: [] })).toMatchObject({ signature: "unknown_key", verifies: false });
  });

  test("a token that was changed, or names another algorithm, is not valid", async () => {
    const [head = "", body = "", tail = ""] = (await sign(claims)).split(".");
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const kid = privateKeys.get("RS256")?.kid;
    const signatures = [
      [`${head}.${part({ ...claims, scope: "everything" })}.${tail}`, "invalid"],
      [`${head}.${body}.${tail.slice(0, -2)}`, "invalid"],
      [`${part({ alg: "none" })}.${body}.`, "unsigned"],
      [`${part({ alg: "none", kid })}.${body}.${tail}`, "unsigned"],
      [`${part({ alg: "HS256", kid })}.${body}.${tail}`, "wrong_algorithm"],
      [`${part({ alg: "PS256", kid })}.${body}.${tail}`, "wrong_algorithm"],
    ] as const;
    for (const [jwt, signature] of signatures) expect(inspectToken(jwt, context)).toMatchObject({ signature, verifies: false });
  });

  test("tells the kinds of tokens apart", async () => {
    const kind = async (typ: string | undefined, content: object = claims) => inspectToken(await sign(content, { typ }), context).kind;
    expect(await kind("application/at+JWT")).toBe("access token (RFC 9068)");
    expect(await kind("logout+jwt")).toContain("logout token");
    const { scope: _, ...idToken } = claims;
    expect(await kind(undefined, idToken)).toBe("ID token (OpenID Connect)");
    expect(await kind("JWT", { hello: "world" })).toBe("JWT");
  });

  test.each(["", "opaque", "a.b", "a.b.c", "e30.W10.x", "e30.e30.e30.e30.e30", `${"e30."}${"bm90IGpzb24"}.x`])("cannot read %j", (jwt) => {
    expect(() => inspectToken(jwt, context)).toThrow(UnreadableTokenError);
  });
});
