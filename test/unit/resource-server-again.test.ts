/** `grantor/resource-server`: a token that comes again is as good as it was, and no better: what may have changed is checked each time. */
import { createVerifier, type VerifierOptions } from "grantor/resource-server";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { AUDIENCE, TestIssuer, testKey } from "../support/issuer.ts";

let issuer: TestIssuer;
let signatures: { readonly mock: { readonly calls: unknown[] } };
beforeEach(async () => {
  issuer = new TestIssuer("https://id.example", [await testKey("one"), await testKey("two")]);
  signatures = vi.spyOn(crypto.subtle, "verify");
});
afterEach(() => vi.restoreAllMocks());

const verifier = (options: Partial<VerifierOptions> = {}) =>
  createVerifier({ issuer: issuer.url, audience: AUDIENCE, fetch: issuer.fetch, now: issuer.now, ...options });
const checked = () => signatures.mock.calls.length;
const pass = (seconds: number) => {
  issuer.ahead += seconds * 1000;
};

describe("a token that comes again", () => {
  it("has its signature verified once while the keys are the same", async () => {
    const { verify } = verifier({ status: "off" });
    const token = await issuer.token();
    for (let i = 0; i < 5; i++) expect(await verify(token)).toMatchObject({ sub: "ada", jti: "a-jti", scope: "things:read" });
    expect(checked()).toBe(1);
    pass(301); // the keys are fetched again
    await verify(token);
    expect(checked()).toBe(2);
  });

  it("gives everybody claims of their own", async () => {
    const { verify } = verifier({ status: "off" });
    const token = await issuer.token({ roles: ["reader"] });
    await verify(token);
    const claims = await verify(token);
    Object.assign(claims, { sub: "root" });
    claims.roles?.push("admin");
    expect(await verify(token)).toMatchObject({ sub: "ada", roles: ["reader"] });
  });

  it("is refused once it was revoked, has expired, or its key is gone", async () => {
    const { verify } = verifier();
    const [token, short] = [await issuer.token(), await issuer.token({ exp: issuer.seconds() + 60 })];
    for (let i = 0; i < 2; i++) for (const one of [token, short]) await verify(one);
    pass(70);
    await expect(verify(short)).rejects.toThrow("the access token has expired");
    issuer.keys = issuer.keys.slice(1);
    pass(240);
    await expect(verify(token)).rejects.toMatchObject({ status: 401 });
    issuer.keys = [...issuer.keys].reverse();
    const second = await issuer.token();
    await verify(second);
    issuer.revoke(7);
    pass(11);
    await expect(verify(second)).rejects.toThrow("the access token was revoked");
  });

  it("needs what each request needs", async () => {
    const { verify } = verifier();
    const token = await issuer.token();
    await verify(token, { scope: "things:read" });
    await expect(verify(token, { scope: "things:write" })).rejects.toMatchObject({ status: 403 });
    const [head, body, tail] = token.split(".");
    await expect(verify(`${head}.${body}.${tail?.slice(4)}AAAA`)).rejects.toMatchObject({ status: 401 });
  });

  it("is remembered among as many as allowed, the ones in use before others", async () => {
    const { verify } = verifier({ status: "off", maxVerifiedTokens: 4 });
    const [used, ...others] = await Promise.all(Array.from({ length: 9 }, (_, i) => issuer.token({ jti: `${i}` })));
    for (const other of others) {
      await verify(used as string);
      await verify(other);
    }
    expect(checked()).toBe(9);
    await verify(others[0] as string);
    expect(checked()).toBe(10);
    const forgetful = verifier({ status: "off", maxVerifiedTokens: 0 });
    for (let i = 0; i < 2; i++) await forgetful.verify(used as string);
    expect(checked()).toBe(12);
  });
});
