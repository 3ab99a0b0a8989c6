/** `grantor/resource-server`: tokens signed with the resource's secret (HS256), and tokens encrypted to its key (JWE). */
import { AccessTokenError, createVerifier, type VerifierOptions } from "grantor/resource-server";
import { CompactEncrypt, exportJWK, generateKeyPair, type JWK, SignJWT } from "jose";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { proofKey } from "../support/dpop.ts";
import { AUDIENCE, TestIssuer, type TestKey, testKey } from "../support/issuer.ts";

const SECRET = "0123456789abcdef0123456789abcdef0123456789a";

let keys: TestKey[];
let issuer: TestIssuer;
beforeAll(async () => {
  keys = [await testKey("one")];
});
beforeEach(() => {
  issuer = new TestIssuer("https://id.example", keys);
});

const verifier = (options: Partial<VerifierOptions>) =>
  createVerifier({ issuer: issuer.url, audience: AUDIENCE, fetch: issuer.fetch, now: issuer.now, ...options });
const outcome = (verified: Promise<unknown>): Promise<string> =>
  verified.then(
    () => "good",
    (error: unknown) => {
      if (error instanceof AccessTokenError) return error.message;
      throw error;
    },
  );
const NOT_VALID = "the access token is not valid here";

describe("with a secret", () => {
  const sign = (secret: string | Uint8Array, alg = "HS256") =>
    new SignJWT(issuer.claims())
      .setProtectedHeader({ alg, typ: "at+jwt" })
      .sign(typeof secret === "string" ? new TextEncoder().encode(secret) : secret);

  it("takes what it signed, and nothing else; the status is looked at all the same", async () => {
    for (const secret of [SECRET, new TextEncoder().encode(SECRET)]) {
      const { verify } = verifier({ secret });
      const token = await sign(SECRET);
      for (let i = 0; i < 2; i++) expect(await outcome(verify(token))).toBe("good");
      expect(await outcome(verify(await sign(`${SECRET}b`)))).toBe(NOT_VALID);
      expect(await outcome(verify(await sign(SECRET.repeat(2), "HS512")))).toBe(NOT_VALID);
      expect(await outcome(verify(await issuer.token()))).toBe(NOT_VALID);
    }
    issuer.revoke(7);
    expect(await outcome(verifier({ secret: SECRET }).verify(await sign(SECRET)))).toBe("the access token was revoked");
    expect(await outcome(verifier({}).verify(await sign(SECRET)))).toBe(NOT_VALID);
  });

  it("that is too short, or beside other algorithms, is refused", () => {
    expect(() => verifier({ secret: "x".repeat(31) })).toThrow(TypeError);
    expect(() => verifier({ secret: SECRET, algorithms: ["RS256"] })).toThrow(TypeError);
  });
});

describe("with a decryption key", () => {
  const pairs: Record<string, { publicJwk: JWK; privateJwk: JWK }> = {};
  beforeAll(async () => {
    for (const [name, alg] of [
      ["rsa", "RSA-OAEP-256"],
      ["ec", "ECDH-ES"],
    ] as const) {
      const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
      pairs[name] = {
        publicJwk: { ...(await exportJWK(publicKey)), kid: name },
        privateJwk: { ...(await exportJWK(privateKey)), kid: name },
      };
    }
  });
  const privateOf = (name: string) => pairs[name]?.privateJwk as JWK;
  const encrypt = (token: string, name: string, alg: string) =>
    new CompactEncrypt(new TextEncoder().encode(token))
      .setProtectedHeader({ alg, enc: "A256GCM", cty: "at+jwt", kid: name })
      .encrypt(pairs[name]?.publicJwk as JWK);

  it.each([
    ["rsa", "RSA-OAEP-256"],
    ["ec", "ECDH-ES"],
    ["ec", "ECDH-ES+A128KW"],
    ["ec", "ECDH-ES+A256KW"],
  ])("takes what is encrypted to it: %s, %s", async (name, alg) => {
    const { verify } = verifier({ decryptionKey: [privateOf("rsa"), privateOf("ec")] });
    const token = await encrypt(await issuer.token(), name, alg);
    for (let i = 0; i < 2; i++) expect(await verify(token)).toMatchObject({ sub: "ada" });
    expect(await outcome(verifier({ decryptionKey: privateOf(name) }).verify(token))).toBe("good");
    expect(await outcome(verifier({}).verify(token))).toBe(NOT_VALID);
  });

  it("takes what is signed alone too, and nothing that is not signed or for somebody else", async () => {
    const { verify } = verifier({ decryptionKey: privateOf("ec") });
    expect(await outcome(verify(await issuer.token()))).toBe("good");
    const inside = async (token: string) => outcome(verify(await encrypt(token, "ec", "ECDH-ES")));
    expect(await inside(await issuer.token({ aud: "https://x.example" }))).toBe("the access token is meant for another resource");
    expect(await inside(await issuer.token({}, { by: await testKey("one") }))).toBe(NOT_VALID);
    expect(await inside(JSON.stringify(issuer.claims()))).toBe(NOT_VALID);
    expect(await inside(await encrypt(await issuer.token(), "ec", "ECDH-ES"))).toBe(NOT_VALID);
    expect(await outcome(verify(await encrypt(await issuer.token(), "rsa", "RSA-OAEP-256")))).toBe(
      "the access token cannot be decrypted here",
    );
    for (const wrong of ["a.b.c.d.e", "a.b.c.d", "....", "a.b.c.d.e.f"])
      expect(await outcome(verify(wrong)), wrong).toBe("the access token cannot be decrypted here");
    issuer.revoke(7);
    issuer.ahead = 11_000;
    expect(await inside(await issuer.token())).toBe("the access token was revoked");
  });

  it("also binds it to a key by what was presented", async () => {
    const key = await proofKey();
    const token = await encrypt(await issuer.token({ cnf: { jkt: key.jkt } }), "ec", "ECDH-ES");
    const { verify } = verifier({ decryptionKey: privateOf("ec") });
    const DPoP = await key.prove("GET", "https://api.example/", { accessToken: token });
    const request = new Request("https://api.example/", { headers: { Authorization: `DPoP ${token}`, DPoP } });
    expect(await outcome(verify(request))).toBe("good");
  });

  it("that is no private key is refused", () => {
    for (const decryptionKey of [pairs.ec?.publicJwk as JWK, {} as JWK, [privateOf("ec"), { kty: "oct", k: "abc" }]])
      expect(() => verifier({ decryptionKey })).toThrow(TypeError);
  });
});
