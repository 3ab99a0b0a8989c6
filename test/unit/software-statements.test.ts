/** RFC 7591 §2.3: who may vouch for an application, and what counts of what they say. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT, UnsecuredJWT } from "jose";
import { afterEach, describe, expect, test } from "vitest";
import { createSoftwareStatements, withStatement } from "../../src/clients/software-statements.ts";
import { readStatementIssuers } from "../../src/clients/statement-issuers.ts";
import { type TempDir, tempDir } from "../support/temp-dir.ts";

const ISSUER = "https://issuer.example";
const NOW = 1_800_000_000;
const keys = await generateKeyPair("ES256", { extractable: true });
const others = await generateKeyPair("ES256", { extractable: true });
const publicJwk = { ...(await exportJWK(keys.publicKey)), alg: "ES256", kid: "one" };
const otherJwk = { ...(await exportJWK(others.publicKey)), alg: "ES256", kid: "two" };

const sign = (claims: JWTPayload = {}, { key = keys.privateKey, header = {} as object } = {}) =>
  new SignJWT({ iss: ISSUER, client_name: "Stated", ...claims }).setProtectedHeader({ alg: "ES256", kid: "one", ...header }).sign(key);

const NO_FETCH = () => (() => expect.unreachable("nothing is fetched")) as never;
const statements = createSoftwareStatements({
  issuers: [{ issuer: ISSUER, jwks: { keys: [publicJwk] } }],
  audiences: ["https://id.example", "https://id.example/oauth/register"],
  fetchFrom: NO_FETCH,
  now: () => NOW * 1000,
});
const refusal = (statement: unknown, of = statements) =>
  of.verify(statement).then(
    () => undefined,
    (error: { code: string; message: string }) => error,
  );

describe("a software statement", () => {
  test("of a trusted issuer is good, now and for us", async () => {
    for (const claims of [
      {},
      { iat: NOW, nbf: NOW, exp: NOW + 1 },
      { iat: NOW + 20 }, // its clock may differ
      { aud: "https://id.example" },
      { aud: ["https://elsewhere.example", "https://id.example/oauth/register"] },
    ]) {
      const statement = await sign(claims);
      expect(await statements.verify(statement)).toBe(statement);
    }
  });

  test("is refused when it is not what its issuer signed, or not now, or not for us", async () => {
    const good = await sign();
    const [header, payload, signature = ""] = good.split(".");
    const forged = Buffer.from(JSON.stringify({ iss: ISSUER, client_name: "Forged" })).toString("base64url");
    const symmetric = await new SignJWT({ iss: ISSUER })
      .setProtectedHeader({ alg: "HS256", kid: "one" })
      .sign(new TextEncoder().encode(JSON.stringify(publicJwk)));
    for (const bad of [
      7,
      {},
      "nonsense",
      "a.b.c",
      `${header}.${payload}`,
      `${header}.${forged}.${signature}`,
      `${header}.${payload}.${signature.slice(0, -4)}AAAA`,
      await sign({}, { key: others.privateKey }),
      await sign({}, { header: { kid: "unknown" } }),
      new UnsecuredJWT({ iss: ISSUER }).encode(),
      symmetric,
      await sign({ exp: NOW - 31 }),
      await sign({ nbf: NOW + 31 }),
      await sign({ iat: NOW + 31 }),
      await sign({ aud: "https://elsewhere.example" }),
      await sign({ aud: [] as string[] }),
      await sign({ exp: "soon" as never }),
      await sign({ client_uri: `https://app.example/${"x".repeat(16_384)}` }),
    ])
      expect([bad, (await refusal(bad))?.code]).toEqual([bad, "invalid_software_statement"]);
  });

  test("is not approved when nobody here trusts who signed it", async () => {
    for (const iss of ["https://else.example", "https://issuer.example/", ""])
      expect((await refusal(await sign({ iss })))?.code).toBe("unapproved_software_statement");
    const nobody = createSoftwareStatements({ issuers: [], audiences: [], fetchFrom: NO_FETCH });
    expect((await refusal(await sign(), nobody))?.code).toBe("unapproved_software_statement");
  });

  test("without a kid is good when any of its issuer's keys has signed it", async () => {
    const both = createSoftwareStatements({
      issuers: [{ issuer: ISSUER, jwks: { keys: [otherJwk, publicJwk] } }],
      audiences: [],
      fetchFrom: NO_FETCH,
    });
    const header = { kid: undefined };
    expect(await refusal(await sign({}, { header }), both)).toBeUndefined();
    const stranger = await generateKeyPair("ES256");
    expect((await refusal(await sign({}, { header, key: stranger.privateKey }), both))?.code).toBe("invalid_software_statement");
  });

  test("says of the application what may be said of one, before what it says by itself", () => {
    const statement = new UnsecuredJWT({
      iss: ISSUER,
      jti: "x",
      client_name: "Stated",
      jwks_uri: "https://issuer.example/jwks",
      verified: true,
      client_id: "mine",
    }).encode();
    const given = { client_name: "Said", jwks: { keys: [] }, client_uri: "https://app.example", software_statement: statement };
    expect(withStatement(given, statement)).toEqual({
      client_name: "Stated",
      client_uri: "https://app.example",
      jwks_uri: "https://issuer.example/jwks",
      software_statement: statement,
    });
  });
});

describe("keys of an issuer that are fetched", () => {
  const remote = (answers: (() => Response | Promise<Response>)[]) => {
    const asked: string[] = [];
    const of = createSoftwareStatements({
      issuers: [{ issuer: ISSUER, jwksUri: "https://issuer.example/jwks" }],
      audiences: [],
      fetchFrom: () =>
        ((url: string) => {
          asked.push(url);
          return Promise.resolve((answers.shift() ?? (() => expect.unreachable()))());
        }) as never,
    });
    return { of, asked };
  };

  test("are fetched once, however many statements with unknown keys come", async () => {
    const { of, asked } = remote([() => Response.json({ keys: [publicJwk] })]);
    const statement = await sign();
    await Promise.all(Array.from({ length: 10 }, () => of.verify(statement)));
    for (let n = 0; n < 10; n++)
      expect((await refusal(await sign({}, { header: { kid: `made-up-${n}` } }), of))?.code).toBe("invalid_software_statement");
    expect(asked).toEqual(["https://issuer.example/jwks"]);
  });

  test("and cannot be had, are not the statement's fault", async () => {
    const failures = [
      () => Promise.reject(new TypeError("fetch failed")),
      () => new Response("no", { status: 500 }),
      () => new Response("<html>", { status: 200 }),
      () => Response.json({ keys: "none" }),
    ];
    for (const failure of failures) {
      const { of } = remote([failure]);
      expect(await refusal(await sign(), of)).toMatchObject({ code: "temporarily_unavailable", status: 503 });
    }
  });

  test("are not asked for an issuer that nobody trusts", async () => {
    const { of, asked } = remote([]);
    expect((await refusal(await sign({ iss: "https://else.example" }), of))?.code).toBe("unapproved_software_statement");
    expect(asked).toEqual([]);
  });
});

describe("SOFTWARE_STATEMENT_ISSUERS_FILE", () => {
  let dir: TempDir;
  afterEach(() => dir.remove());
  const read = (content: unknown) => {
    dir = tempDir("statements");
    const path = join(dir.path, "issuers.json");
    writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
    return readStatementIssuers(path);
  };

  test("names issuers with their keys, or where those are", () => {
    const issuers = [
      { issuer: ISSUER, jwks: { keys: [publicJwk] } },
      { issuer: "https://two.example", jwks_uri: "https://two.example/jwks" },
    ];
    expect(read({ issuers })).toEqual({
      required: false,
      issuers: [issuers[0], { issuer: "https://two.example", jwksUri: "https://two.example/jwks" }],
    });
    expect(readStatementIssuers(undefined)).toEqual({ required: false, issuers: [] });
  });

  test("is refused with every fault at once, and without a value of it", async () => {
    const secret = await exportJWK(keys.privateKey);
    const issuers = [
      { issuer: ISSUER, jwks: { keys: [secret] } },
      { issuer: ISSUER, jwks_uri: "ftp://x" },
      { jwks_uri: "https://x.example/" },
      { issuer: "x" },
      7,
    ];
    let message = "";
    try {
      read({ issuers, required: "yes", verified: true });
    } catch (error) {
      message = (error as Error).message;
    }
    for (const part of [
      "issuers.0.jwks",
      "private",
      "issuers.1.jwks_uri",
      "issuers.2.issuer",
      "issuers.3",
      "either jwks or jwks_uri",
      "issuers.4",
      "required",
      "verified",
    ])
      expect(message).toContain(part);
    expect(message).not.toContain(secret.d);
  });

  test.each(["", "{", "[]", '"x"', "null", '{"issuers":[]}'])("is refused when it is %j", (content) => {
    expect(() => read(content)).toThrow(/SOFTWARE_STATEMENT_ISSUERS_FILE: /);
  });

  test("is refused when it is not there", () => {
    dir = tempDir("statements");
    expect(() => readStatementIssuers(join(dir.path, "none.json"))).toThrow(/ENOENT/);
  });
});
