import { describe, expect, test } from "vitest";
import { policyFaults, standsFor } from "../../src/clients/token-exchange-policy.ts";
import { actorClaim, exchangeRequest, mayAct } from "../../src/oidc/token-exchange-request.ts";

const ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token";
const JWT = "urn:ietf:params:oauth:token-type:jwt";
const API = "https://api.example";

const asked = { subject_token: "s", subject_token_type: ACCESS_TOKEN, resource: API };
const errorOf = (params: Record<string, unknown>) => {
  try {
    return exchangeRequest(params);
  } catch (error) {
    return (error as { error: string }).error;
  }
};

describe("a request for an exchange (RFC 8693 §2.1)", () => {
  test("names a subject token, and one resource by either of two names", () => {
    const expected = { subjectToken: "s", actorToken: undefined, audience: API };
    expect(exchangeRequest(asked)).toEqual(expected);
    expect(exchangeRequest({ ...asked, resource: undefined, audience: API, subject_token_type: JWT })).toEqual(expected);
    expect(exchangeRequest({ ...asked, audience: API, resource: [API, API] })).toEqual(expected);
    expect(exchangeRequest({ ...asked, actor_token: "a", actor_token_type: JWT })).toEqual({ ...expected, actorToken: "a" });
    expect(errorOf({ ...asked, audience: "https://other.example" })).toBe("invalid_target");
    expect(errorOf({ ...asked, resource: [API, "https://other.example"] })).toBe("invalid_target");
    expect(errorOf({ ...asked, resource: undefined })).toBe("invalid_request");
    expect(errorOf({ ...asked, subject_token: undefined })).toBe("invalid_request");
  });

  test("says what the tokens are, and asks for an access token", () => {
    for (const type of [undefined, "access_token", "urn:ietf:params:oauth:token-type:id_token", "urn:ietf:params:oauth:token-type:saml2"]) {
      expect(errorOf({ ...asked, subject_token_type: type })).toBe("invalid_request");
      expect(errorOf({ ...asked, actor_token: "a", actor_token_type: type })).toBe("invalid_request");
      if (type !== undefined) expect(errorOf({ ...asked, requested_token_type: type })).toBe("invalid_request");
    }
    expect(errorOf({ ...asked, actor_token_type: ACCESS_TOKEN })).toBe("invalid_request");
    expect(exchangeRequest({ ...asked, requested_token_type: ACCESS_TOKEN }).audience).toBe(API);
  });
});

describe("who acts", () => {
  const actor = { iss: "https://id.example", sub: "gateway", client_id: "gateway" };

  test("is allowed where a token names them, or nobody (RFC 8693 §4.4)", () => {
    for (const allowed of [undefined, { sub: "gateway" }, { client_id: "gateway", iss: "https://id.example" }, actor])
      expect(mayAct(allowed, actor)).toBe(true);
    for (const other of [
      { sub: "other" },
      { sub: "gateway", iss: "https://other.example" },
      { sub: "gateway", email: "a@b.example" },
      {},
      null,
      "gateway",
      [],
    ])
      expect(mayAct(other, actor)).toBe(false);
    expect(mayAct({ toString: "x" }, actor)).toBe(false);
  });

  test("stands before those who acted earlier, up to five", () => {
    let act: unknown;
    for (const sub of ["a", "b", "c", "d", "e"]) act = actorClaim(sub, act);
    expect(act).toEqual({ sub: "e", act: { sub: "d", act: { sub: "c", act: { sub: "b", act: { sub: "a" } } } } });
    expect(() => actorClaim("f", act)).toThrow(expect.objectContaining({ error: "invalid_request" }));
  });
});

describe("a policy", () => {
  test("lets scopes stand for themselves, and for what it says", () => {
    const scopes = { "a:read": ["b:read", "c:read"], "a:write": ["b:write"] };
    expect([...standsFor({ scopes }, ["a:read", "openid"])]).toEqual(["a:read", "b:read", "c:read", "openid"]);
    expect([...standsFor({ scopes }, [])]).toEqual([]);
    expect([...standsFor({ scopes: {} }, ["constructor", "__proto__"])]).toEqual(["constructor", "__proto__"]);
  });

  test("names resources and scopes", () => {
    const policy = { audiences: [API], scopes: { "a:read": ["b:read"] }, impersonation: false };
    expect(policyFaults(policy)).toEqual([]);
    for (const wrong of [
      { audiences: [] },
      { audiences: ["api"] },
      { audiences: Array.from({ length: 101 }, (_, index) => `${API}/${index}`) },
      { scopes: { "a b": ["b"] } },
      { scopes: { a: ['"'] } },
    ])
      expect(policyFaults({ ...policy, ...wrong })).toMatchObject([{ member: "token_exchange" }]);
  });
});
