/** `grantor/resource-server`: tokens that are bound to a key (RFC 9449). */
import { createVerifier, type DpopOptions, type RequestLike, type VerifierOptions } from "grantor/resource-server";
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { type ProofKey, type ProofOptions, proofKey } from "../support/dpop.ts";
import { AUDIENCE, refusal, TestIssuer, type TestKey, testKey } from "../support/issuer.ts";

const URL_OF_THINGS = "https://api.example/things";

let keys: TestKey[];
let key: ProofKey;
let issuer: TestIssuer;
let token: string;
beforeAll(async () => {
  keys = [await testKey("one")];
  key = await proofKey();
});
beforeEach(async () => {
  vi.useFakeTimers({ toFake: ["Date"], now: 1_900_000_000_000 });
  issuer = new TestIssuer("https://id.example", keys);
  token = await issuer.token({ cnf: { jkt: key.jkt } });
});

afterEach(() => {
  vi.useRealTimers();
});

const verifier = (dpop?: DpopOptions, options: Partial<VerifierOptions> = {}) =>
  createVerifier({
    issuer: issuer.url,
    audience: AUDIENCE,
    realm: "things",
    fetch: issuer.fetch,
    now: issuer.now,
    ...(dpop && { dpop }),
    ...options,
  });

const prove = (options: ProofOptions = {}, method = "GET", url = URL_OF_THINGS, by = key) =>
  by.prove(method, url, { accessToken: token, ...options });
const request = (
  proof: string | undefined,
  { scheme = "DPoP", presented = token, method = "GET", url = URL_OF_THINGS } = {},
): RequestLike =>
  new Request(url, { method, headers: { Authorization: `${scheme} ${presented}`, ...(proof !== undefined && { DPoP: proof }) } });

describe("a bound token", () => {
  it("is taken with its proof, also where none is asked for, with the scheme in any case", async () => {
    const { verify } = verifier();
    expect(await verify(request(await prove()))).toMatchObject({ cnf: { jkt: key.jkt } });
    expect(await verify(request(await prove(), { scheme: "dpop" }), { dpop: true })).toMatchObject({ sub: "ada" });
  });

  it.each(["RS256", "PS256", "EdDSA", "Ed25519", "ES384"])("may be bound to a key for %s", async (alg) => {
    const other = await proofKey(alg);
    token = await issuer.token({ cnf: { jkt: other.jkt } });
    await verifier().verify(request(await prove({}, "GET", URL_OF_THINGS, other)));
  });

  it("is never taken as a bearer token", async () => {
    const { verify } = verifier();
    const node = { method: "GET", url: "/things", headers: { authorization: `Bearer ${token}`, dpop: await prove(), host: "api.example" } };
    for (const input of [request(undefined, { scheme: "Bearer" }), request(await prove(), { scheme: "Bearer" }), node, token]) {
      const error = await refusal(verify(input));
      expect(error).toMatchObject({ status: 401, code: "invalid_token" });
      expect(error.wwwAuthenticate).toMatch(
        /^DPoP realm="things", error="invalid_token", error_description="the access token is bound to a key and needs a dpop proof", algs="ES256 [A-Z0-9a-z ]+"$/,
      );
    }
  });

  it("that is bound in another way, or to nothing, is not taken", async () => {
    const { verify } = verifier();
    for (const cnf of [{ "x5t#S256": "abc" }, { jkt: key.jkt, "x5t#S256": "abc" }, {}, null, "x", { jkt: 7 }]) {
      token = await issuer.token({ cnf: cnf as never });
      for (const scheme of ["DPoP", "Bearer"])
        expect(await refusal(verify(request(await prove(), { scheme }))), JSON.stringify(cnf)).toMatchObject({ code: "invalid_token" });
    }
  });

  it("is asked for where a route wants one; an unbound one with a proof is none", async () => {
    const { verify } = verifier();
    token = await issuer.token();
    for (const input of [request(undefined, { scheme: "Bearer" }), request(await prove())]) {
      const error = await refusal(verify(input, { dpop: true }));
      expect(error.code).toBe("invalid_token");
      expect(error.wwwAuthenticate).toMatch(/^DPoP .*algs=/);
    }
    expect(await refusal(verify(request(await prove())))).toMatchObject({ code: "invalid_token" });
  });

  it("whose scope is too small hears it in its own scheme", async () => {
    const error = await refusal(verifier().verify(request(await prove()), { scope: "things:write" }));
    expect(error.wwwAuthenticate).toMatch(/^DPoP realm="things", error="insufficient_scope", .*scope="things:write", algs=/);
  });
});

describe("a proof", () => {
  const seconds = () => issuer.seconds();
  const wrong: Record<string, () => Promise<string | undefined>> = {
    missing: async () => undefined,
    empty: async () => "",
    "no JWT": async () => "abc",
    "two of them": async () => `${await prove()}, ${await prove()}`,
    "of another type": () => prove({ header: { typ: "JWT" } }),
    "without a key": () => prove({ header: { jwk: undefined } }),
    "with another's key in it": async () => prove({ header: { jwk: (await proofKey()).jwk } }),
    "with a private key": async () => prove({ header: { jwk: { ...key.jwk, d: "AAAA" } } }),
    "for another method": () => prove({}, "POST"),
    "for the method in small letters": () => prove({}, "get"),
    "for another path": () => prove({}, "GET", "https://api.example/other"),
    "for a longer path": () => prove({}, "GET", "https://api.example/things/"),
    "for another host": () => prove({}, "GET", "https://evil.example/things"),
    "for another scheme": () => prove({}, "GET", "http://api.example/things"),
    "for another port": () => prove({}, "GET", "https://api.example:8443/things"),
    "for no URL": () => prove({}, "GET", "/things"),
    "for another token": () => prove({ accessToken: "other" }),
    "for no token": () => prove({ claims: { ath: undefined } }),
    old: () => prove({ claims: { iat: seconds() - 70 } }),
    "of the future": () => prove({ claims: { iat: seconds() + 10 } }),
    "without a time": () => prove({ claims: { iat: undefined } }),
    "without a jti": () => prove({ claims: { jti: undefined } }),
    "with a jti that is no text": () => prove({ claims: { jti: 7 } }),
    "with a jti without end": () => prove({ claims: { jti: "x".repeat(257) } }),
  };
  it.each(Object.entries(wrong))("that is wrong is 401 invalid_dpop_proof: %s", async (_, make) => {
    const error = await refusal(verifier().verify(request(await make())));
    expect(error).toMatchObject({ status: 401, code: "invalid_dpop_proof" });
    expect(error.wwwAuthenticate).toMatch(
      /^DPoP realm="things", error="invalid_dpop_proof", error_description="[a-z ]+", algs="[A-Za-z0-9 ]+"$/,
    );
    expect(`${JSON.stringify(error)}${error.stack}`).not.toContain(token.split(".")[1]);
  });

  it("with a key that the token is not bound to: the token is not valid here", async () => {
    const other = await proofKey();
    expect(await refusal(verifier().verify(request(await prove({}, "GET", URL_OF_THINGS, other))))).toMatchObject({
      code: "invalid_token",
    });
  });

  it("is compared without query and fragment, normalized", async () => {
    const { verify } = verifier();
    const same: [string, string][] = [
      ["https://api.example/things?a=b", "https://api.example/things"],
      ["https://api.example/things", "https://API.example:443/x/../things?c#d"],
      ["https://api.example/a%2fb/%7Ec", "https://api.example/a%2Fb/~c"],
    ];
    for (const [asked, proven] of same) await verify(request(await prove({}, "GET", proven), { url: asked }));
    const different: [string, string] = ["https://api.example/a%2fb", "https://api.example/a/b"];
    expect(await refusal(verify(request(await prove({}, "GET", different[1]), { url: different[0] })))).toMatchObject({
      code: "invalid_dpop_proof",
    });
  });

  it("is for where the API says that it is, when a proxy stands before it", async () => {
    const { verify } = verifier(undefined, { origin: "https://api.example" });
    const headers = async () => ({ authorization: `DPoP ${token}`, dpop: await prove(), host: "10.0.0.7:8080" });
    await verify({ method: "GET", url: "/things?x", headers: await headers() });
    await verify({ method: "GET", url: "http://10.0.0.7:8080/things", headers: await headers() });
    expect(await refusal(verify({ method: "GET", url: "//api.example/things", headers: await headers() }))).toMatchObject({ status: 401 });
    const unpinned = verifier().verify;
    expect(await refusal(unpinned({ method: "GET", url: "/things", headers: await headers() }))).toMatchObject({ status: 401 });
    const direct = { ...(await headers()), host: "api.example" };
    expect(await refusal(unpinned({ method: "GET", url: "/things", headers: direct }))).toMatchObject({ status: 401 });
    await unpinned({ method: "GET", url: "/things", headers: direct, ...{ socket: { encrypted: true } } });
    expect(await refusal(unpinned({ method: "GET", url: "/things", headers: { ...direct, host: "" } }))).toMatchObject({ status: 401 });
  });

  it("is used once, also by many at once, for as long as it is good", async () => {
    const { verify } = verifier();
    const proof = await prove();
    const outcomes = await Promise.allSettled(Array.from({ length: 10 }, () => verify(request(proof))));
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    issuer.ahead = 64_000;
    expect((await refusal(verify(request(proof)))).message).toBe("the dpop proof was used before");
    issuer.ahead = 67_000;
    expect((await refusal(verify(request(proof)))).message).toBe("the dpop proof is not of now");
  });

  it("is remembered in a store of one's own", async () => {
    const remembered: [string, number][] = [];
    const replays = {
      remember: async (proof: string, until: number) => {
        remembered.push([proof, until]);
        return remembered.length === 1;
      },
    };
    const { verify } = verifier({ replays, maxAge: 30 });
    await verify(request(await prove({ claims: { jti: "first" } })));
    expect(remembered).toEqual([[`${key.jkt}.first`, issuer.seconds() + 35]]);
    expect(await refusal(verify(request(await prove())))).toMatchObject({ code: "invalid_dpop_proof" });
    const away = { remember: () => Promise.reject(new Error("the store is away")) };
    expect(await refusal(verifier({ replays: away }).verify(request(await prove())))).toMatchObject({ status: 503 });
  });
});

describe("with nonces", () => {
  const nonceSecret = "0123456789abcdef0123456789abcdef";

  it("a proof needs one that this API gave out, not long ago, whichever of its processes (RFC 9449 §9)", async () => {
    const [one, two] = [verifier({ nonceSecret }), verifier({ nonceSecret: new TextEncoder().encode(nonceSecret) })];
    const error = await refusal(one.verify(request(await prove())));
    expect(error).toMatchObject({ status: 401, code: "use_dpop_nonce" });
    expect(error.wwwAuthenticate).toContain('error="use_dpop_nonce"');
    const nonce = error.headers["DPoP-Nonce"] as string;
    expect(nonce).toMatch(/^[A-Za-z0-9_-]{43}$/);
    await one.verify(request(await prove({ nonce })));
    issuer.ahead = 59_000;
    await two.verify(request(await prove({ nonce, claims: { iat: issuer.seconds() } })));
    issuer.ahead = 121_000;
    expect(await refusal(two.verify(request(await prove({ nonce, claims: { iat: issuer.seconds() } }))))).toMatchObject({
      code: "use_dpop_nonce",
    });
    expect(await refusal(one.verify(request(await prove({ nonce: "made-up" }))))).toMatchObject({ code: "use_dpop_nonce" });
  });
});
