import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { redirectUriFault, webUriFault } from "../../src/clients/client-uris.ts";

const HTTPS = "https://app.example/callback";

describe("redirect URIs of a web application", () => {
  test.each([
    HTTPS,
    "https://app.example:8443/cb?tenant=1",
    "http://localhost:3001/cb",
    "http://127.0.0.1/cb",
    "http://[::1]:5000/cb",
    "https://app.example",
  ])("%s is taken", (uri) => expect(redirectUriFault(uri, "web")).toBeUndefined());

  test.each([
    "http://app.example/cb",
    "http://127.0.0.1.evil.example/cb",
    "http://localhost.evil.example/",
    "http://10.0.0.1/cb",
    "com.example.app:/cb",
    "javascript:alert(1)",
    "data:text/html,x",
    "file:///etc/passwd",
    "https://*.example/cb",
    "https://app.example/*",
    `${HTTPS}#fragment`,
    `${HTTPS}#`,
    "https://user@app.example/",
    "https://user:password@app.example/",
    "https://app.example\\@evil.example/",
    "https:app.example/cb",
    "https:/app.example/cb",
    "https:///app.example/cb",
    "//app.example/cb",
    "/cb",
    "",
    " https://app.example/cb",
    "https://app.example/c b",
    "https://app.example/c\tb",
    "https://app.example/\u0000",
    "https://ä.example/",
    `https://app.example/${"x".repeat(2000)}`,
  ])("%j is refused", (uri) => expect(redirectUriFault(uri, "web")).toEqual(expect.any(String)));
});

describe("redirect URIs of a native application", () => {
  test.each([
    HTTPS,
    "http://127.0.0.1/cb",
    "http://127.0.0.1:51004/cb",
    "http://[::1]/cb",
    "http://localhost/cb",
    "com.example.app:/oauth2redirect",
    "com.example.app://cb",
  ])("%s is taken", (uri) => expect(redirectUriFault(uri, "native")).toBeUndefined());

  test.each([
    "myapp:/cb",
    "myapp://callback",
    "http://app.example/cb",
    "http://192.168.1.1/cb",
    "https://127.0.0.1/cb",
    "javascript:x.y",
    "urn:example.org:cb",
    "com.example.app://u@h/cb",
  ])("%s is refused", (uri) => expect(redirectUriFault(uri, "native")).toEqual(expect.any(String)));
});

test("an accepted URI leads where it says: https or this machine", () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.webUrl({ withFragments: true, withQueryParameters: true, validSchemes: ["http", "https", "ftp"] }), fc.string()),
      (uri) => {
        if (redirectUriFault(uri, "web") !== undefined) return;
        const { protocol, hostname, hash, username } = new URL(uri);
        expect(protocol === "https:" || ["localhost", "127.0.0.1", "[::1]"].includes(hostname)).toBe(true);
        expect(hash + username).toBe("");
      },
    ),
  );
});

test("other URIs are https, or http on this machine", () => {
  for (const uri of [HTTPS, "http://localhost:3001/logo.png"]) expect(webUriFault(uri)).toBeUndefined();
  for (const uri of ["http://app.example/", "ftp://app.example/", "com.example.app:/x", "https://u:p@app.example/"])
    expect(webUriFault(uri)).toEqual(expect.any(String));
});
