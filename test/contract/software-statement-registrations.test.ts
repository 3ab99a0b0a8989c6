/** Registrations with a software statement (RFC 7591 §2.3): it comes before what the application says of itself. */
import { generateKeyPairSync } from "node:crypto";
import { SignJWT } from "jose";
import { describe, expect, test } from "vitest";
import { type Json, registrationEngine, WEB } from "../support/registration-engine.ts";

const engine = registrationEngine();
const { start, register, manage } = engine;

describe("registration with a software statement", () => {
  const ISSUER = "https://issuer.example";
  const signer = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const issuers = [{ issuer: ISSUER, jwks: { keys: [{ ...signer.publicKey.export({ format: "jwk" }) }] } }];
  const sign = (claims: Json) => new SignJWT({ iss: ISSUER, ...claims }).setProtectedHeader({ alg: "ES256" }).sign(signer.privateKey);

  test("says what the statement says, whatever the application says, then and later", async () => {
    await start("open", issuers);
    const statement = await sign({ client_name: "Stated", software_id: "s-1", scope: "openid", verified: true, first_party: true });
    const { status, body } = await register({ ...WEB, client_name: "Said", scope: "openid email", software_statement: statement });
    expect([status, body]).toEqual([201, expect.objectContaining({ client_name: "Stated", software_id: "s-1", scope: "openid" })]);
    expect(body.software_statement).toBe(statement); // RFC 7591 §3.2.1: unmodified
    expect(await engine.clients.find(String(body.client_id))).toMatchObject({
      verified: false,
      firstParty: false,
      softwareStatement: statement,
    });
    expect((await manage("GET", body)).body).toMatchObject({ software_statement: statement, client_name: "Stated" });

    const contradicting = {
      client_id: body.client_id,
      ...WEB,
      client_name: "Your Bank",
      scope: "openid email",
      client_uri: "https://app.example/",
    };
    for (const software_statement of [undefined, null, statement]) {
      const updated = await manage("PUT", body, { ...contradicting, software_statement });
      expect(updated).toMatchObject({ status: 200, body: { client_name: "Stated", scope: "openid", client_uri: "https://app.example/" } });
      expect(updated.body.software_statement).toBe(statement);
      Object.assign(body, updated.body);
    }
    const newer = await sign({ client_name: "Stated anew" });
    const renewed = await manage("PUT", body, { ...contradicting, software_statement: newer });
    expect(renewed).toMatchObject({ status: 200, body: { client_name: "Stated anew", scope: "openid email", software_statement: newer } });
  });

  test("is refused with the error that says why, once it is known who asks", async () => {
    await start("token", issuers);
    const { token } = await engine.tokens.createInitial();
    const refused = async (software_statement: unknown) => (await register({ ...WEB, software_statement }, token)).body.error;
    expect(await refused("nonsense")).toBe("invalid_software_statement");
    expect(await refused(7)).toBe("invalid_software_statement");
    expect(await refused(await sign({ exp: 1 }))).toBe("invalid_software_statement");
    expect(await refused(await sign({ iss: "https://else.example" }))).toBe("unapproved_software_statement");
    expect(await refused(await sign({ redirect_uris: ["http://evil.example/"] }))).toBe("invalid_redirect_uri");
    expect(await refused(await sign({ grant_types: ["implicit"] }))).toBe("invalid_client_metadata");
    expect((await register({ ...WEB, software_statement: "nonsense" })).status).toBe(401);
    const { body } = await register({ ...WEB, software_statement: await sign({}) }, token);
    const update = { client_id: body.client_id, ...WEB, software_statement: await sign({ iss: "https://else.example" }) };
    expect((await manage("PUT", body, update)).body.error).toBe("unapproved_software_statement");
    expect((await manage("PUT", { ...body, registration_access_token: "made-up" }, update)).status).toBe(401);
  });

  test("keeps to the limits of the initial access token, whatever the statement says", async () => {
    await start("token", issuers);
    const { token } = await engine.tokens.createInitial({ redirectHosts: ["app.example"] });
    const software_statement = await sign({ redirect_uris: ["https://else.example/cb"] });
    expect((await register({ ...WEB, software_statement }, token)).body.error).toBe("invalid_redirect_uri");
  });

  test("may be needed", async () => {
    await start("open", issuers, true);
    for (const software_statement of [undefined, null, ""])
      expect((await register({ ...WEB, software_statement })).body.error).toBe("invalid_client_metadata");
    expect((await register({ ...WEB, software_statement: await sign({}) })).status).toBe(201);
  });

  test("waits for keys that cannot be had now, which nobody without a token has fetched", async () => {
    let fetches = 0;
    engine.keysFetch = () => {
      fetches += 1;
      return Promise.reject(new TypeError("fetch failed"));
    };
    await start("token", [{ issuer: ISSUER, jwksUri: "https://issuer.example/jwks" }]);
    const metadata = { ...WEB, software_statement: await sign({}) };
    expect((await register(metadata)).status).toBe(401);
    expect((await register(metadata, "made-up")).status).toBe(401);
    const { token } = await engine.tokens.createInitial();
    const { body } = await register(WEB, token);
    const update = { client_id: body.client_id, ...metadata };
    expect((await manage("PUT", { ...body, registration_access_token: token }, update)).status).toBe(401);
    expect(fetches).toBe(0);
    expect((await manage("PUT", body, update)).status).toBe(503);
    expect(await register(metadata, token)).toMatchObject({ status: 503, body: { error: "temporarily_unavailable" } });
  });
});
