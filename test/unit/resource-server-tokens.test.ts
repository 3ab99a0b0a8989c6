/** `grantor/resource-server`: which tokens it takes, and how it says no. */
import { createVerifier, type RequestLike, type VerifierOptions } from "grantor/resource-server";
import type { JWTPayload } from "jose";
import { SignJWT, UnsecuredJWT } from "jose";
import { beforeAll, beforeEach, describe, expect, it, test } from "vitest";
import { AUDIENCE, refusal, TestIssuer, type TestKey, testKey } from "../support/issuer.ts";

let keys: TestKey[];
let issuer: TestIssuer;
beforeAll(async () => {
  keys = [await testKey("one"), await testKey("two")];
});
beforeEach(() => {
  issuer = new TestIssuer("https://id.example", keys);
});

const verifier = (options: Partial<VerifierOptions> = {}) =>
  createVerifier({ issuer: issuer.url, audience: AUDIENCE, fetch: issuer.fetch, now: issuer.now, ...options });

const request = (authorization?: string): RequestLike => ({
  method: "GET",
  url: "/things",
  headers: { authorization, host: "api.example" },
});

describe("a good token", () => {
  it("gives its claims, from a string, a Fetch request or one of node:http", async () => {
    const { verify } = verifier();
    const token = await issuer.token();
    const inputs = [
      token,
      new Request("https://api.example/things", { headers: { Authorization: `Bearer ${token}` } }),
      request(`bearer ${token}`),
      request(`BEARER   ${token}`),
    ];
    for (const input of inputs)
      expect(await verify(input)).toMatchObject({ iss: issuer.url, sub: "ada", client_id: "app", scope: "things:read" });
    expect(issuer.fetched).toEqual(["/.well-known/oauth-authorization-server", "/.well-known/jwks.json", "/oauth/status-lists/a"]);
  });

  it.each(["RS256", "PS256", "ES256", "EdDSA", "Ed25519"])("may be signed with %s", async (alg) => {
    const key = await testKey("other", alg);
    issuer.keys = [...keys, key];
    expect(await verifier().verify(await issuer.token({}, { by: key }))).toMatchObject({ sub: "ada" });
    expect(await refusal(verifier({ algorithms: ["ES384"] }).verify(await issuer.token({}, { by: key })))).toMatchObject({ status: 401 });
  });

  it("names its key by a string, or not at all", async () => {
    const key = await testKey("only", "ES256");
    issuer.keys = [...keys, key];
    const { verify } = verifier();
    const signed = (header: object) =>
      new SignJWT(issuer.claims()).setProtectedHeader({ alg: "ES256", typ: "at+jwt", ...header }).sign(key.privateKey);
    expect(await verify(await signed({}))).toMatchObject({ sub: "ada" });
    for (const kid of [5, ["only"], { only: true }, null])
      expect(await refusal(verify(await signed({ kid })))).toMatchObject({ status: 401, code: "invalid_token" });
  });

  it("may have several audiences, and the clocks may differ by the tolerance", async () => {
    const { verify } = verifier({ audience: ["https://other.example", AUDIENCE] });
    await verify(await issuer.token({ aud: ["https://x.example", AUDIENCE] }));
    await verify(await issuer.token({ exp: issuer.seconds() - 3, nbf: issuer.seconds() + 3 }));
  });
});

describe("a token that comes again", () => {
  it("is checked again for all that may have changed, and gives claims that nobody else has changed", async () => {
    for (const options of [{}, { maxVerifiedTokens: 0 }, { maxVerifiedTokens: 2 }]) {
      const { verify } = verifier(options);
      const token = await issuer.token({ exp: issuer.seconds() + 20, roles: ["clerk"] });
      const claims = await verify(token);
      claims.roles?.push("admin");
      await verify(token, { roles: "clerk" });
      expect(await refusal(verify(token, { roles: "admin" }))).toMatchObject({ status: 403 });
      for (const other of ["a", "b", "c"]) await verify(await issuer.token({ jti: other }));
      const [header, payload, signature] = token.split(".") as [string, string, string];
      const forged = `${header}.${payload}.${signature.slice(0, -8)}AAAAAAAA`;
      expect(await refusal(verify(forged))).toMatchObject({ code: "invalid_token" });
      issuer.ahead += 27_000;
      expect((await refusal(verify(token))).message).toBe("the access token has expired");
    }
  });
});

describe("refused by 401 invalid_token", () => {
  const wrong: Record<string, (good: JWTPayload) => Promise<string>> = {
    "no JWT": async () => "abc",
    expired: () => issuer.token({ exp: issuer.seconds() - 10 }),
    "not yet good": () => issuer.token({ nbf: issuer.seconds() + 10 }),
    "without an end": () => issuer.token({ exp: undefined as never }),
    "without a subject": () => issuer.token({ sub: undefined as never }),
    "without a client": () => issuer.token({ client_id: undefined }),
    "for somebody else": () => issuer.token({ aud: issuer.url }),
    "for nobody": () => issuer.token({ aud: undefined as never }),
    "of another issuer": () => issuer.token({ iss: "https://id.example/" }),
    "an ID token": () => issuer.token({}, { typ: "JWT" }),
    "a logout token": () => issuer.token({}, { typ: "logout+jwt" }),
    "a status list": () => issuer.token({}, { typ: "statuslist+jwt" }),
    "signed by somebody else": async () => issuer.token({}, { by: await testKey("one") }),
    "signed with a key that nobody knows": async () => issuer.token({}, { by: await testKey("three") }),
    "signed with the public key as a secret": (good) =>
      new SignJWT(good)
        .setProtectedHeader({ alg: "HS256", kid: "one", typ: "at+jwt" })
        .sign(new TextEncoder().encode(JSON.stringify(keys[0]?.jwk))),
    "signed with nothing": async (good) => {
      const [, claims] = new UnsecuredJWT(good).encode().split(".");
      return `${Buffer.from('{"alg":"none","typ":"at+jwt"}').toString("base64url")}.${claims}.`;
    },
    changed: async (good) => {
      const [header, , signature] = (await issuer.token()).split(".");
      return `${header}.${Buffer.from(JSON.stringify({ ...good, sub: "eve" })).toString("base64url")}.${signature}`;
    },
    "with a header that must be understood": (good) =>
      new SignJWT(good)
        .setProtectedHeader({ alg: "RS256", kid: "one", typ: "at+jwt", crit: ["more"], more: 1 })
        .sign((keys[0] as TestKey).privateKey, { crit: { more: true } }),
    "with a status elsewhere": () =>
      issuer.token({ status: { status_list: { idx: 1, uri: "https://evil.example/oauth/status-lists/a" } } }),
    "with a status of another kind": () => issuer.token({ status: { other: {} } }),
    "with a negative index": () => issuer.token({ status: { status_list: { idx: -1, uri: issuer.listUri() } } }),
    "with an index that is no number": () => issuer.token({ status: { status_list: { idx: "1", uri: issuer.listUri() } } }),
    "with half an index": () => issuer.token({ status: { status_list: { idx: 0.5, uri: issuer.listUri() } } }),
    "with a list that is no URL": () => issuer.token({ status: { status_list: { idx: 1, uri: "list" } } }),
    "with a status that is null": () => issuer.token({ status: { status_list: null } }),
    "without a status": () => issuer.token({ status: undefined }),
  };
  it.each(Object.entries(wrong))("%s", async (_, make) => {
    const token = await make(issuer.claims());
    const error = await refusal(verifier().verify(request(`Bearer ${token}`)));
    expect(error).toMatchObject({ status: 401, code: "invalid_token" });
    expect(error.wwwAuthenticate).toMatch(/^Bearer realm="https:\/\/api.example", error="invalid_token", error_description="[a-z ]+"$/);
    expect(error.body).toEqual({ error: "invalid_token", error_description: error.message });
    if (token !== "abc") expect(JSON.stringify(error) + error.stack + error.message).not.toContain(token.split(".")[1]);
    expect(issuer.fetched.filter((path) => path.includes("evil"))).toEqual([]);
  });

  it("tells why, where that helps", async () => {
    const { verify } = verifier();
    const message = async (claims: JWTPayload) => (await refusal(verify(await issuer.token(claims)))).message;
    expect(await message({ exp: issuer.seconds() - 10 })).toBe("the access token has expired");
    expect(await message({ aud: "https://x.example" })).toBe("the access token is meant for another resource");
  });
});

describe("status", () => {
  it("if-present takes a token without one, and looks at one that is there; off looks at none", async () => {
    issuer.revoke(7);
    const without = await issuer.token({ status: undefined });
    const revoked = await issuer.token();
    await verifier({ status: "if-present" }).verify(without);
    expect(await refusal(verifier({ status: "if-present" }).verify(revoked))).toMatchObject({ code: "invalid_token" });
    await verifier({ status: "off" }).verify(without);
    await verifier({ status: "off" }).verify(revoked);
    expect((await refusal(verifier().verify(revoked))).message).toBe("the access token was revoked");
  });
});

describe("what is presented", () => {
  it.each([undefined, "", "Basic YTpi", "Bearerabc"])("no token is 401 without an error (RFC 6750 §3.1): %s", async (header) => {
    const error = await refusal(verifier({ realm: "things" }).verify(request(header), { scope: ["things:read", "things:write"] }));
    expect(error).toMatchObject({ status: 401, code: "missing_token" });
    expect(error.headers).toEqual({ "WWW-Authenticate": 'Bearer realm="things", scope="things:read things:write"' });
  });

  it("names both schemes where an API says that it takes DPoP, and that alone where it asks for it", async () => {
    const { verify } = verifier({ realm: "things", dpop: { algorithms: ["ES256"] } });
    expect((await refusal(verify(request()))).wwwAuthenticate).toBe('Bearer realm="things", DPoP realm="things", algs="ES256"');
    expect((await refusal(verify(request(), { dpop: true }))).wwwAuthenticate).toBe('DPoP realm="things", algs="ES256"');
  });

  it.each(["Bearer", "Bearer ", "Bearer a b", "Bearer ä", "DPoP", "DPoP a,b"])(
    "a malformed header is 400 invalid_request: %s",
    async (header) => {
      const error = await refusal(verifier().verify(request(header)));
      expect(error).toMatchObject({ status: 400, code: "invalid_request" });
      expect(error.wwwAuthenticate).toContain('error="invalid_request"');
    },
  );
});

describe("requirements", () => {
  it("scope: all of them, else 403 with what is needed", async () => {
    const { verify } = verifier({ realm: "things" });
    const token = await issuer.token({ scope: "a b" });
    for (const scope of ["a", "a b", ["b", "a"], []]) await verify(token, { scope });
    const error = await refusal(verify(token, { scope: "a c" }));
    expect(error.status).toBe(403);
    expect(error.wwwAuthenticate).toBe(
      'Bearer realm="things", error="insufficient_scope", error_description="this needs the scope c", scope="a c"',
    );
    expect(await refusal(verify(await issuer.token({ scope: undefined }), { scope: "a" }))).toMatchObject({ status: 403 });
    expect(await refusal(verify(await issuer.token({ scope: ["a"] as never }), { scope: "a" }))).toMatchObject({ status: 403 });
  });

  it("roles: all of them, else 403", async () => {
    const { verify } = verifier({ realm: 'the "things"\r\nX: y' });
    const token = await issuer.token({ roles: ["admin", "clerk"] });
    for (const roles of ["admin", ["clerk", "admin"]]) await verify(token, { roles });
    const error = await refusal(verify(token, { roles: ["admin", 'bo"ss\\é'] }));
    expect(error).toMatchObject({ status: 403, code: "insufficient_scope" });
    expect(error.wwwAuthenticate).toBe(
      `Bearer realm="the 'things'??X: y", error="insufficient_scope", error_description="this is for people with the role bo'ss'?"`,
    );
    expect(await refusal(verify(await issuer.token({ roles: "admin" }), { roles: "admin" }))).toMatchObject({ status: 403 });
  });

  it("acr and maxAge: else a step-up challenge (RFC 9470 §3)", async () => {
    const { verify } = verifier({ realm: "things" });
    const needs = { acr: ["urn:two", "urn:three"], maxAge: 60 };
    const signedIn = (ago: number, acr?: string) => issuer.token({ auth_time: issuer.seconds() - ago, ...(acr && { acr }) });
    await verify(await signedIn(30, "urn:three"), needs);
    for (const token of [
      await signedIn(30),
      await signedIn(30, "urn:one"),
      await signedIn(90, "urn:two"),
      await issuer.token({ acr: "urn:two" }),
    ]) {
      const error = await refusal(verify(token, needs));
      expect(error).toMatchObject({ status: 401, code: "insufficient_user_authentication" });
      expect(error.wwwAuthenticate).toBe(
        'Bearer realm="things", error="insufficient_user_authentication", error_description="this needs another or a more recent sign-in", acr_values="urn:two urn:three", max_age="60"',
      );
    }
    expect((await refusal(verify(await signedIn(90), { maxAge: 0 }))).wwwAuthenticate).toMatch(/max_age="0"$/);
    expect((await refusal(verify(await signedIn(90), { acr: "urn:two" }))).wwwAuthenticate).toMatch(/acr_values="urn:two"$/);
  });

  it("that make no sense are the programmer's error", async () => {
    const token = await issuer.token();
    const { verify } = verifier();
    for (const needs of [
      { scopes: "a" },
      { role: "admin" },
      { scope: 'a"b' },
      { scope: "a  b" },
      { acr: "ü" },
      { maxAge: -1 },
      { maxAge: "x" },
      { maxAge: "5" },
      { scope: 5 },
      { scope: ["a", 5] },
      { acr: {} },
      { roles: [undefined] },
      { dpop: "false" },
    ])
      await expect(verify(token, needs as never), JSON.stringify(needs)).rejects.toThrow(TypeError);
  });
});

test("options that make no sense are refused at once", () => {
  const wrong: (Partial<Record<keyof VerifierOptions, unknown>> | { statsu: string })[] = [
    { statsu: "off" },
    { clockTolerance: "5" },
    { clockTolerance: -1 },
    { maxVerifiedTokens: "1000" },
    { timeout: Number.NaN },
    { dpop: { maxAge: "60" } },
    { dpop: { nonce: "x" } },
    { issuer: "http://id.example" },
    { issuer: "id.example" },
    { issuer: "https://id.example/?a" },
    { issuer: "https://user@id.example" },
    { audience: "" },
    { audience: [] },
    { audience: undefined },
    { algorithms: [] },
    { algorithms: ["none"] },
    { algorithms: ["RS256", "HS256"] },
    { dpop: { algorithms: ["HS256"] } },
    { dpop: { nonceSecret: "short" } },
    { status: "of" },
    { onStatusOutage: "ignore" },
    { origin: "api.example" },
    { origin: "https://api.example/" },
  ];
  for (const options of wrong) expect(() => verifier(options as never), JSON.stringify(options)).toThrow(TypeError);
  for (const url of ["http://localhost:3000", "http://127.0.0.1", "http://[::1]:3000", "https://id.example/path"])
    createVerifier({ issuer: url, audience: AUDIENCE });
});
