import { describe, expect, test } from "vitest";
import { resourceServerInfo } from "../../src/clients/resource-server-info.ts";

const ISSUER = "https://issuer.example";
const API = "https://api.example";
const resource = {
  scopes: [
    { name: "api:read", description: "" },
    { name: "api:write", description: "" },
  ],
  scopesByRole: false as boolean,
  accessTokenTtl: 60,
  signingAlg: "ES256",
} as const;
const client = (grantor_scopes?: string[], management_scopes: string[] = []) => ({
  grantor_scopes,
  management_scopes,
  stranger: false,
});
const at = (audience: string, of: ReturnType<typeof client>, found: typeof resource | undefined = undefined) =>
  resourceServerInfo({ audience, resource: found }, of, ISSUER);

describe("the scopes that a client can have", () => {
  test("at the issuer are the OpenID ones that it registered, or all of them when it registered none", () => {
    expect(at(ISSUER, client())?.scope).toBe("openid profile email address phone offline_access roles");
    expect(at(ISSUER, client(["api:read", "email", "openid"]))?.scope).toBe("openid email");
    expect(at(ISSUER, client(["api:read"]))?.scope).toBe("");
    expect(at(ISSUER, client())).toMatchObject({ audience: ISSUER, accessTokenFormat: "jwt", jwt: { sign: { alg: "RS256" } } });
  });

  test("at a resource are those of the resource that it registered", () => {
    expect(at(API, client(["openid", "api:write", "other"]), resource)).toEqual({
      audience: API,
      scope: "api:write",
      accessTokenFormat: "jwt",
      accessTokenTTL: 60,
      jwt: { sign: { alg: "ES256" } },
    });
  });

  test("at a resource that it is not registered for, or that does not exist, are not even none", () => {
    for (const other of [client(), client(["openid"]), client(["openid"], ["api:read"])]) expect(at(API, other, resource)).toBeUndefined();
    expect(at(API, client(["api:read"]))).toBeUndefined();
  });

  test("at a resource without scopes are none, for everybody but strangers who come without a person", () => {
    const open = { audience: API, resource: { ...resource, scopes: [] } };
    const stranger = { ...client(), stranger: true };
    expect(resourceServerInfo(open, client(), ISSUER, { clientAlone: true })?.scope).toBe("");
    expect(resourceServerInfo(open, stranger, ISSUER)?.scope).toBe("");
    expect(resourceServerInfo(open, stranger, ISSUER, { clientAlone: true })).toBeUndefined();
  });

  test("at the management API are those that an operator gave, never those that it registered", () => {
    expect(at(`${ISSUER}/api/v1`, client(["clients:read"], []))).toBeUndefined();
    expect(at(`${ISSUER}/api/v1`, client(["openid"], ["clients:read"]))?.scope).toBe("clients:read");
  });

  test("at the management API are for a person only those that their roles permit", () => {
    const operated = client(["openid"], ["clients:read", "clients:write"]);
    const scope = (permits: (scope: string) => boolean) =>
      resourceServerInfo({ audience: `${ISSUER}/api/v1` }, operated, ISSUER, { permits })?.scope;
    expect(scope((name) => name === "clients:read")).toBe("clients:read");
    expect(scope(() => false)).toBe("");
  });

  test("at a resource whose scopes go by roles are for a person those that the client registered and their roles permit", () => {
    const registered = client(["openid", "api:read"]);
    const scope = (permits?: (name: string) => boolean, target: typeof resource = { ...resource, scopesByRole: true }) =>
      resourceServerInfo({ audience: API, resource: target }, registered, ISSUER, { permits })?.scope;
    expect(scope(() => true)).toBe("api:read");
    expect(scope((name) => name === "api:write")).toBe("");
    expect(scope(undefined), "nobody has signed in yet, or the client asks for itself").toBe("api:read");
    expect(
      scope(() => false, resource),
      "they do not go by roles",
    ).toBe("api:read");
  });
});
