import { generateKeyPairSync } from "node:crypto";
import { describe, expect, test } from "vitest";
import { resourceEncryption } from "../../src/clients/resource-encryption.ts";

const rsa = (modulusLength = 2048, publicExponent = 65_537) => generateKeyPairSync("rsa", { modulusLength, publicExponent });
const ec = (namedCurve: string) => generateKeyPairSync("ec", { namedCurve }).publicKey.export({ format: "jwk" });
const jwkOf = ({ publicKey }: ReturnType<typeof rsa>) => publicKey.export({ format: "jwk" });

const pair = rsa();
const public2048 = jwkOf(pair);

describe("what a resource's tokens are encrypted to", () => {
  test.each([
    ["RSA", public2048, "RSA-OAEP-256"],
    ["P-256", ec("P-256"), "ECDH-ES"],
    ["P-384", ec("P-384"), "ECDH-ES"],
    ["P-521", ec("P-521"), "ECDH-ES"],
    ["X25519", generateKeyPairSync("x25519").publicKey.export({ format: "jwk" }), "ECDH-ES"],
  ])("may be a key of type %s, whose thumbprint names it unless it has a kid", (_type, jwk, alg) => {
    const { jwk: kept, ...rest } = resourceEncryption({ jwk });
    expect(rest).toEqual({ alg, enc: "A256GCM" });
    expect(kept).toEqual({ ...jwk, use: "enc", kid: expect.stringMatching(/^[\w-]{43}$/) });
    expect(resourceEncryption({ jwk: { ...jwk, kid: "mine", x5c: ["dropped"], other: 1 } }).jwk).toEqual({
      ...jwk,
      use: "enc",
      kid: "mine",
    });
  });

  test("has an alg that its key can do, which the key itself may name", () => {
    expect(resourceEncryption({ jwk: { ...ec("P-256"), alg: "ECDH-ES+A256KW" } }).alg).toBe("ECDH-ES+A256KW");
    expect(resourceEncryption({ jwk: ec("P-256"), alg: "ECDH-ES+A128KW", enc: "A128GCM" })).toMatchObject({
      alg: "ECDH-ES+A128KW",
      enc: "A128GCM",
    });
    for (const wrong of [
      { jwk: public2048, alg: "ECDH-ES" },
      { jwk: public2048, alg: "RSA1_5" },
      { jwk: public2048, alg: "RSA-OAEP" },
      { jwk: ec("P-256"), alg: "RSA-OAEP-256" },
      { jwk: ec("P-256"), alg: "dir" },
      { jwk: { ...public2048, alg: "RSA-OAEP" } },
      { jwk: { ...ec("P-256"), alg: "ECDH-ES" }, alg: "ECDH-ES+A256KW" },
      { jwk: public2048, enc: "A192GCM" },
      { jwk: public2048, enc: "none" },
    ])
      expect(() => resourceEncryption(wrong)).toThrow(/encryption must|encryption has/);
  });

  test("is public, large enough, on its curve, and meant for it", () => {
    const point = ec("P-256");
    const wrong: Record<string, unknown> = {
      private: pair.privateKey.export({ format: "jwk" }),
      "private EC": generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ format: "jwk" }),
      symmetric: { kty: "oct", k: "AAAA" },
      "1024 bits": jwkOf(rsa(1024)),
      "8192 bits": { ...public2048, n: Buffer.alloc(1024, 255).toString("base64url") },
      "exponent 3": jwkOf(rsa(2048, 3)),
      "an even exponent": { ...public2048, e: Buffer.from([1, 0, 0, 0]).toString("base64url") },
      "for signatures": { ...public2048, use: "sig" },
      "for verifying": { ...public2048, key_ops: ["verify"] },
      "off its curve": { ...point, x: point.y, y: point.x },
      "another curve": ec("secp256k1"),
      Ed25519: generateKeyPairSync("ed25519").publicKey.export({ format: "jwk" }),
      "without a modulus": { kty: "RSA", e: "AQAB" },
      "a kid that is no text": { ...public2048, kid: 1 },
      "a whole set": { keys: [public2048] },
      nothing: {},
      "no object": "jwk",
      null: null,
    };
    for (const [name, jwk] of Object.entries(wrong)) expect(() => resourceEncryption({ jwk }), name).toThrow(/encryption has a key/);
    expect(() => resourceEncryption({})).toThrow("encryption needs a key");
    expect(() => resourceEncryption({ enc: "A256GCM" })).toThrow("encryption needs a key");
  });
});
