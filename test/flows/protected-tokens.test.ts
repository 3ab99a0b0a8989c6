/** Access tokens that not everybody can verify (HS256, RFC 7515) or read (JWE, RFC 7516): their resource servers can, and this server finds them again. */
import { createHmac, generateKeyPairSync, type KeyObject } from "node:crypto";
import {
  compactDecrypt,
  createRemoteJWKSet,
  decodeJwt,
  decodeProtectedHeader,
  type JWK,
  type JWTPayload,
  jwtDecrypt,
  jwtVerify,
} from "jose";
import { beforeAll, expect, it } from "vitest";
import { createVerifier } from "../../src/resource-server/verifier.ts";
import { describeFlows } from "../support/flows.ts";
import { introspect, type Person, post, refresh, type SeededClient, signIn, type Tokens, userinfo } from "../support/grantor.ts";
import { waitFor } from "../support/wait-for.ts";

const SIGNED = "https://signed.example";
const OTHER = "https://other-secret.example";
const RSA = "https://rsa.example";
const EC = "https://ec.example";
const BOTH = "https://both.example";
const INACTIVE = { active: false };

describeFlows("tokens that only their resource servers can check or read", (flow) => {
  let app: SeededClient;
  /** The resource servers, as the client that introspects for all of them. */
  let server: SeededClient;
  let ada: Person;
  const secrets: Record<string, string> = {};
  const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const scopeOf: Record<string, string> = { [SIGNED]: "signed", [OTHER]: "other", [RSA]: "rsa", [EC]: "ec", [BOTH]: "both" };

  beforeAll(async () => {
    server = await flow.grantor.client({
      type: "service",
      metadata: { scope: "signed ec" },
      tokenExchange: { audiences: [SIGNED, EC], scopes: { rsa: ["signed"], signed: ["ec"] }, impersonation: false },
    });
    const add = async (audience: string, input: Record<string, unknown>) => {
      const options = { scopes: [scopeOf[audience] as string], introspectors: [server.client_id], ...input };
      secrets[audience] = (await flow.grantor.services.resources.create(audience, options)).secret as string;
    };
    await add(SIGNED, { signingAlg: "HS256" });
    await add(OTHER, { signingAlg: "HS256" });
    await add(RSA, { encryption: { jwk: { ...rsa.publicKey.export({ format: "jwk" }), kid: "rsa-1" } } });
    await add(EC, {
      signingAlg: "ES256",
      encryption: { jwk: ec.publicKey.export({ format: "jwk" }), alg: "ECDH-ES+A256KW", enc: "A128CBC-HS256" },
    });
    await add(BOTH, { signingAlg: "HS256", encryption: { jwk: ec.publicKey.export({ format: "jwk" }) } });
    app = await flow.grantor.client({ metadata: { scope: `openid offline_access ${Object.values(scopeOf).join(" ")}` } });
    ada = await flow.grantor.person();
  });

  const tokensFor = async (audience: string) =>
    (await signIn(flow.grantor, app, ada, { parameters: { scope: `openid ${scopeOf[audience]}`, resource: audience } })).tokens;
  const revoke = (client: SeededClient, token: string) => post(`${flow.grantor.url}/oauth/revoke`, client, { token });
  const keySet = () => createRemoteJWKSet(new URL(`${flow.grantor.url}/.well-known/jwks.json`));
  const keyOf = (audience: string) => new TextEncoder().encode(secrets[audience]);
  const expected = (audience: string) => ({ issuer: flow.grantor.url, audience, typ: "at+jwt" });
  /** What a resource server reads in a token that is signed inside. */
  async function readNested(token: string, key: KeyObject, audience: string): Promise<JWTPayload> {
    const { plaintext, protectedHeader } = await compactDecrypt(token, key);
    expect(protectedHeader).toMatchObject({ cty: "at+jwt", kid: expect.any(String) });
    const inner = new TextDecoder().decode(plaintext);
    const inHs = decodeProtectedHeader(inner).alg === "HS256";
    return (inHs ? await jwtVerify(inner, keyOf(audience), expected(audience)) : await jwtVerify(inner, keySet(), expected(audience)))
      .payload;
  }

  it("signs with the secret of the resource, in text as it was shown", async () => {
    const { access_token } = await tokensFor(SIGNED);
    const { payload, protectedHeader } = await jwtVerify(access_token, keyOf(SIGNED), { ...expected(SIGNED), algorithms: ["HS256"] });
    expect(protectedHeader).toEqual({ alg: "HS256", typ: "at+jwt" });
    expect(payload).toMatchObject({ sub: ada.id, client_id: app.client_id, scope: "signed", status: { status_list: expect.anything() } });
    await expect(jwtVerify(access_token, keyOf(OTHER), expected(SIGNED))).rejects.toThrow();
    expect(await introspect(flow.grantor, server, access_token)).toMatchObject({
      active: true,
      sub: ada.id,
      aud: SIGNED,
      jti: payload.jti,
    });
    expect((await userinfo(flow.grantor, access_token)).status).toBe(401);
    await revoke(app, access_token);
    expect(await introspect(flow.grantor, server, access_token)).toEqual(INACTIVE);
  });

  it("takes none that another secret or a public key signed", async () => {
    const { access_token } = await tokensFor(SIGNED);
    const claims = decodeJwt(access_token);
    const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const forge = (secret: string | Buffer, header: object = {}, more: object = {}) => {
      const text = `${part({ alg: "HS256", typ: "at+jwt", ...header })}.${part({ ...claims, ...more })}`;
      return `${text}.${createHmac("sha256", secret).update(text).digest("base64url")}`;
    };
    const { keys } = (await (await fetch(`${flow.grantor.url}/.well-known/jwks.json`)).json()) as { keys: { kid: string; n?: string }[] };
    const own = secrets[SIGNED] as string;
    const { access_token: forIssuer } = (await signIn(flow.grantor, app, ada)).tokens;
    const stolen = { jti: decodeJwt(forIssuer).jti, scope: "openid" };
    for (const forged of [
      forge(secrets[OTHER] as string),
      forge(own, {}, { scope: "everything" }), // the resource server itself can sign, and still issues nothing
      forge(own, { kid: "x" }),
      forge(own, {}, { jti: undefined }),
      forge(own, {}, { jti: 1 }),
      forge(own, {}, stolen),
      forge(own, {}, { ...stolen, aud: flow.grantor.url }),
      forge(own, {}, { aud: OTHER }),
      forge(own, {}, { aud: flow.grantor.url }),
      forge(own, {}, { aud: [SIGNED] }),
      forge(own, {}, { jti: "another" }),
      ...keys.flatMap((key) => [forge(JSON.stringify(key), { kid: key.kid }), forge(key.n ?? "x", { kid: key.kid })]),
    ])
      expect(await introspect(flow.grantor, server, forged)).toEqual(INACTIVE);
    // A token for the issuer itself is none that the secret of a resource signs.
    for (const more of [{ aud: flow.grantor.url, scope: "openid" }, stolen, { ...stolen, aud: flow.grantor.url }])
      expect((await userinfo(flow.grantor, forge(own, {}, more))).status).toBe(401);
    expect((await userinfo(flow.grantor, forIssuer)).status).toBe(200);
  });

  it("knows no token under a secret that was replaced, and those under the new one", async () => {
    const { access_token, refresh_token } = await tokensFor(OTHER);
    expect(await introspect(flow.grantor, server, access_token)).toMatchObject({ active: true });
    secrets[OTHER] = (await flow.grantor.services.resources.rotateSecret(OTHER)).secret as string;
    await waitFor("the server to hear of it", async () => (await introspect(flow.grantor, server, access_token)).active === false);
    expect((await revoke(app, access_token)).status).toBe(200);
    const next = (await (await refresh(flow.grantor, app, refresh_token as string)).json()) as Tokens;
    await jwtVerify(next.access_token, keyOf(OTHER), expected(OTHER));
    expect(await introspect(flow.grantor, server, next.access_token)).toMatchObject({ active: true });
  });

  it.each([
    [RSA, "RSA-OAEP-256", "A256GCM", rsa.privateKey],
    [EC, "ECDH-ES+A256KW", "A128CBC-HS256", ec.privateKey],
    [BOTH, "ECDH-ES", "A256GCM", ec.privateKey],
  ])("signs and then encrypts for %s with %s and %s, and finds it again", async (audience, alg, enc, key) => {
    const { access_token, refresh_token } = await tokensFor(audience);
    expect(decodeProtectedHeader(access_token)).toMatchObject({ alg, enc, cty: "at+jwt" });
    await expect(jwtDecrypt(access_token, key)).rejects.toThrow(); // it holds a JWT, and no claims
    const claims = await readNested(access_token, key, audience);
    expect(claims).toMatchObject({ sub: ada.id, aud: audience, scope: scopeOf[audience], status: { status_list: expect.anything() } });
    const seen = await introspect(flow.grantor, server, access_token);
    expect(seen).toMatchObject({ active: true, sub: ada.id, aud: audience, jti: claims.jti, exp: claims.exp });
    expect(await introspect(flow.grantor, app, access_token)).toMatchObject({ active: true });

    // What is inside was never given to anybody, and nothing but the very string finds it.
    const { plaintext } = await compactDecrypt(access_token, key);
    const parts = access_token.split(".");
    for (const other of [
      claims.jti as string,
      `${access_token}A`,
      `${access_token}=`,
      parts.with(4, `${parts[4]?.slice(0, -1)}${parts[4]?.endsWith("A") ? "B" : "A"}`).join("."),
      [...parts.slice(0, 4), ""].join("."),
      `${access_token}.x`,
      "a.b.c.d.e",
      new TextDecoder().decode(plaintext),
      "....",
    ])
      expect(await introspect(flow.grantor, server, other)).toEqual(INACTIVE);
    expect((await userinfo(flow.grantor, access_token)).status).toBe(401);

    const next = (await (await refresh(flow.grantor, app, refresh_token as string)).json()) as Tokens;
    await revoke(server, access_token); // not its own
    expect(await introspect(flow.grantor, server, access_token)).toMatchObject({ active: true });
    await revoke(app, access_token);
    expect(await introspect(flow.grantor, server, access_token)).toEqual(INACTIVE);
    expect(await introspect(flow.grantor, server, next.access_token)).toMatchObject({ active: true });
    await flow.later(901, async () => expect(await introspect(flow.grantor, server, next.access_token)).toEqual(INACTIVE));
    await revoke(app, next.refresh_token as string);
    expect(await introspect(flow.grantor, server, next.access_token)).toEqual(INACTIVE);
  });

  it("is verified by grantor/resource-server with the secret or the private key, revocation included", async () => {
    const ownKeys: Record<string, KeyObject> = { [RSA]: rsa.privateKey, [EC]: ec.privateKey, [BOTH]: ec.privateKey };
    for (const audience of [SIGNED, RSA, EC, BOTH]) {
      const key = ownKeys[audience]?.export({ format: "jwk" }) as JWK | undefined;
      const secret = [SIGNED, BOTH].includes(audience) ? secrets[audience] : undefined;
      const make = () =>
        createVerifier({ issuer: flow.grantor.url, audience, ...(secret && { secret }), ...(key && { decryptionKey: key }) });
      const { access_token } = await tokensFor(audience);
      expect(await make().verify(access_token, {})).toMatchObject({ sub: ada.id, aud: audience });
      await revoke(app, access_token);
      await expect(make().verify(access_token, {})).rejects.toMatchObject({ status: 401 });
    }
  });

  it("gives a repeated refresh the same token, which is found", async () => {
    const { refresh_token } = await tokensFor(RSA);
    const answers = await Promise.all([1, 2, 3].map(async () => (await refresh(flow.grantor, app, refresh_token as string)).json()));
    const [first] = answers as Tokens[];
    for (const answer of answers) expect(answer).toEqual(first);
    expect(await introspect(flow.grantor, server, first?.access_token as string)).toMatchObject({ active: true });
  });

  it("exchanges them, and for them", async () => {
    const exchange = async (token: string, resource: string) => {
      const response = await post(`${flow.grantor.url}/oauth/token`, server, {
        grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
        subject_token: token,
        subject_token_type: "urn:ietf:params:oauth:token-type:access_token",
        resource,
      });
      expect(response.status).toBe(200);
      return ((await response.json()) as Tokens).access_token;
    };
    const { access_token } = await tokensFor(RSA);
    const signed = await exchange(access_token, SIGNED);
    await jwtVerify(signed, keyOf(SIGNED), expected(SIGNED));
    const nested = await exchange(signed, EC);
    expect(await readNested(nested, ec.privateKey, EC)).toMatchObject({
      sub: ada.id,
      act: { sub: server.client_id, act: { sub: server.client_id } },
    });
    expect(await introspect(flow.grantor, server, nested)).toMatchObject({ active: true, sub: ada.id });
  });

  it("keeps no secret, no issued string and no jti of an encrypted token in the stores", async () => {
    const { access_token } = await tokensFor(RSA);
    const { jti } = await readNested(access_token, rsa.privateKey, RSA);
    const { rows } = await flow.grantor.services.database.pool.query(
      "SELECT row_to_json(r)::text AS row FROM engine_record r UNION ALL SELECT row_to_json(r)::text FROM resource r",
    );
    const dump = rows.map(({ row }: { row: string }) => row).join("\n");
    for (const secret of [access_token, jti as string, secrets[SIGNED] as string, secrets[BOTH] as string])
      expect(dump).not.toContain(secret);
  });
});
