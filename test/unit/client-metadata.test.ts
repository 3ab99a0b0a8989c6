import { generateKeyPairSync } from "node:crypto";
import { describe, expect, test } from "vitest";
import { ClientError } from "../../src/clients/client-error.ts";
import { CLIENT_TYPES, clientType, DEVICE_CODE_GRANT, parseClientMetadata, TYPE_DEFAULTS } from "../../src/clients/client-metadata.ts";

const REDIRECT = { redirect_uris: ["https://app.example/cb"] };
const SERVICE = { grant_types: ["client_credentials"] };
const jwk = generateKeyPairSync("ec", { namedCurve: "P-256" });
const publicJwk = jwk.publicKey.export({ format: "jwk" });

function refusal(input: Record<string, unknown>, rules?: Parameters<typeof parseClientMetadata>[1]): ClientError {
  try {
    parseClientMetadata(input, rules);
  } catch (error) {
    if (error instanceof ClientError) return error;
    throw error;
  }
  throw new Error("was accepted");
}

describe("metadata of a client", () => {
  test("gets the defaults of RFC 7591", () => {
    expect(parseClientMetadata(REDIRECT)).toEqual({
      ...REDIRECT,
      application_type: "web",
      token_endpoint_auth_method: "client_secret_basic",
      grant_types: ["authorization_code"],
      response_types: ["code"],
    });
    expect(parseClientMetadata(SERVICE)).toMatchObject({ response_types: [], redirect_uris: [] });
  });

  test("has defaults by type, from which the type is known again", () => {
    for (const type of CLIENT_TYPES) {
      const redirects = type === "service" || type === "device" ? {} : REDIRECT;
      expect(clientType(parseClientMetadata({ ...TYPE_DEFAULTS[type], ...redirects }))).toBe(type);
    }
    expect(parseClientMetadata({ ...TYPE_DEFAULTS.spa, ...REDIRECT })).toMatchObject({ token_endpoint_auth_method: "none" });
    expect(parseClientMetadata({ ...TYPE_DEFAULTS.device })).toMatchObject({ grant_types: [DEVICE_CODE_GRANT, "refresh_token"] });
  });

  test("loses what is not known, what only an operator may say, and what is empty", () => {
    const given = {
      ...REDIRECT,
      require_pkce: false,
      first_party: true,
      verified: true,
      management_scopes: ["x"],
      client_secret: "s",
      color: "red",
    };
    expect(parseClientMetadata({ ...given, client_name: null, logo_uri: "" })).toEqual(parseClientMetadata(REDIRECT));
  });

  test("holds lists without repetition", () => {
    const uris = [...REDIRECT.redirect_uris, ...REDIRECT.redirect_uris];
    const parsed = parseClientMetadata({ redirect_uris: uris, scope: "openid  api:read openid" });
    expect(parsed.redirect_uris).toEqual(REDIRECT.redirect_uris);
    expect(parsed.scope).toBe("openid api:read");
  });
});

describe("a fault", () => {
  test("of every member is named at once, redirect URIs first", () => {
    const error = refusal({
      client_name: 5,
      logo_uri: "ftp://x",
      redirect_uris: ["https://ok.example/", "http://app.example/cb"],
      grant_types: ["password"],
    });
    expect(error.code).toBe("invalid_redirect_uri");
    expect(error.faults.map(({ member }) => member).sort()).toEqual(["client_name", "grant_types[0]", "logo_uri", "redirect_uris[1]"]);
    expect(error.message).toMatch(/^redirect_uris\[1\] must use https/);
    expect(error.message).toMatch(/^[\x20\x21\x23-\x5B\x5D-\x7E]+$/); // RFC 6749 §5.2, error_description
  });

  test.each<[string, Record<string, unknown>]>([
    ["redirect_uris", {}],
    ["redirect_uris", { redirect_uris: [] }],
    ["redirect_uris", { redirect_uris: "https://app.example/cb" }],
    ["redirect_uris[0]", { redirect_uris: [7] }],
    ["redirect_uris[0]", { ...REDIRECT, application_type: "native", redirect_uris: ["myapp:/cb"] }],
    ["post_logout_redirect_uris[0]", { ...REDIRECT, post_logout_redirect_uris: ["http://app.example/"] }],
    ["grant_types[1]", { ...REDIRECT, grant_types: ["authorization_code", "implicit"] }],
    ["grant_types", { grant_types: [] }],
    ["grant_types", { grant_types: ["refresh_token", "client_credentials"] }],
    ["response_types[0]", { ...REDIRECT, response_types: ["token"] }],
    ["response_types[0]", { ...REDIRECT, response_types: ["code id_token"] }],
    ["response_types", { ...REDIRECT, response_types: [] }],
    ["response_types", { ...REDIRECT, ...SERVICE, response_types: ["code"] }],
    ["token_endpoint_auth_method", { ...REDIRECT, token_endpoint_auth_method: "client_secret_jwt" }],
    ["token_endpoint_auth_method", { ...SERVICE, token_endpoint_auth_method: "none" }],
    ["token_endpoint_auth_signing_alg", { ...REDIRECT, token_endpoint_auth_signing_alg: "RS256" }],
    ["jwks", { ...REDIRECT, token_endpoint_auth_method: "private_key_jwt" }],
    ["jwks", { ...REDIRECT, jwks: { keys: [] } }],
    ["jwks", { ...REDIRECT, jwks: { keys: [{ kty: "oct", k: "AAAA" }] } }],
    ["jwks", { ...REDIRECT, jwks: { keys: [jwk.privateKey.export({ format: "jwk" })] } }],
    ["jwks", { ...REDIRECT, jwks: { keys: [generateKeyPairSync("rsa", { modulusLength: 1024 }).publicKey.export({ format: "jwk" })] } }],
    ["jwks", { ...REDIRECT, jwks: { keys: ["x"] } }],
    ["jwks", { ...REDIRECT, jwks: "x" }],
    ["jwks", { ...REDIRECT, jwks: { keys: [publicJwk], x: JSON.parse("[".repeat(40) + "]".repeat(40)) } }],
    ["jwks", { ...REDIRECT, jwks: { keys: [publicJwk], "\ud800": 1 } }],
    ["software_id", { ...REDIRECT, software_id: "a\0b" }],
    ["jwks_uri", { ...REDIRECT, jwks: { keys: [publicJwk] }, jwks_uri: "https://app.example/jwks" }],
    ["jwks_uri", { ...REDIRECT, jwks_uri: "http://169.254.169.254/" }],
    ["backchannel_logout_uri", { ...REDIRECT, backchannel_logout_uri: "http://10.0.0.1/" }],
    ["id_token_signed_response_alg", { ...REDIRECT, id_token_signed_response_alg: "none" }],
    ["id_token_signed_response_alg", { ...REDIRECT, id_token_signed_response_alg: "HS256" }],
    ["introspection_signed_response_alg", { ...REDIRECT, introspection_signed_response_alg: "none" }],
    ["dpop_bound_access_tokens", { ...REDIRECT, dpop_bound_access_tokens: "yes" }],
    ["scope", { ...REDIRECT, scope: 'api:"read"' }],
    ["scope", { ...REDIRECT, scope: ["openid"] }],
    ["contacts[0]", { ...REDIRECT, contacts: ["nobody"] }],
    ["client_name", { ...REDIRECT, client_name: "x".repeat(101) }],
    ["client_name", { ...REDIRECT, client_name: "Bank\u202Egro.live" }],
    ["client_name", { ...REDIRECT, client_name: `Bank${"\u0300".repeat(9)}` }],
    ["client_name", { ...REDIRECT, client_name: "\u0300Bank" }],
    ["client_name", { ...REDIRECT, client_name: "   " }],
    ["default_max_age", { ...REDIRECT, default_max_age: -1 }],
  ])("in %s is found: %j", (member, input) => {
    expect(refusal(input).faults.map((fault) => fault.member)).toContain(member);
  });

  test("is found where a key set is given for private_key_jwt", () => {
    const accepted = parseClientMetadata({ ...SERVICE, token_endpoint_auth_method: "private_key_jwt", jwks: { keys: [publicJwk] } });
    expect(accepted.jwks).toEqual({ keys: [publicJwk] });
  });
});

describe("a name", () => {
  const accepts = (client_name: string) => {
    try {
      return parseClientMetadata({ ...REDIRECT, client_name }).client_name === client_name;
    } catch {
      return false;
    }
  };

  test.each([
    "\u3164",
    "\u2800",
    "Ba\u061Cnk",
    "Ba\u00ADnk",
    "Bank\u{E0041}",
    "Ba\u200Cnk",
    "Ba\u200Dnk",
    "Bank\uFE0F",
    "\u00A0",
    "Bank\uFFFA",
  ])("is refused when somebody would not see all of it: %j", (name) => expect(accepts(name)).toBe(false));

  test.each([
    "Zoë Müller",
    "东京",
    "日本語アプリ",
    "برنامه می\u200Cخواهم",
    "Space 👩\u200D🚀",
    "I ❤\uFE0F Tea",
    "Football 🏴\u{E0067}\u{E0062}\u{E0065}\u{E006E}\u{E0067}\u{E007F}",
  ])("may be in any language, and hold emoji: %s", (name) => expect(accepts(name)).toBe(true));
});

describe("scopes", () => {
  const rules = { knownScopes: new Set(["openid", "profile", "api:read"]) };

  test("that do not exist are refused where it matters", () => {
    expect(parseClientMetadata({ ...REDIRECT, scope: "openid other" }).scope).toBe("openid other");
    expect(refusal({ ...REDIRECT, scope: "openid other management" }, rules).message).toContain("other management");
  });

  test("of a resource are not for strangers without a person", () => {
    const service = { ...SERVICE, scope: "api:read" };
    expect(refusal(service, { ...rules, stranger: true }).faults).toMatchObject([{ member: "scope" }]);
    expect(parseClientMetadata(service, rules).scope).toBe("api:read");
    expect(parseClientMetadata({ ...REDIRECT, scope: "openid api:read" }, { ...rules, stranger: true }).scope).toBe("openid api:read");
  });
});
