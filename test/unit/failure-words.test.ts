/** Why a request was refused, in words: every reason has them, and of redirect URIs the difference is named. */
import { expect, test } from "vitest";
import { differenceOf, explainFailure } from "../../src/app-pages/failure-words.ts";
import type { ClientRecord } from "../../src/clients/client-record.ts";
import { english, textsOf } from "../../src/i18n/messages.ts";

const client = (redirect_uris: readonly string[]) =>
  ({ metadata: { redirect_uris, token_endpoint_auth_method: "client_secret_basic" } }) as unknown as ClientRecord;
const REGISTERED = "https://app.example:8443/Callback?a=1";

test.each([
  ["https://app.example:8443/Callback?a=1", "none"],
  ["https://app.example:8443/Callback/?a=1", "trailing_slash"],
  ["http://app.example:8443/Callback?a=1", "scheme"],
  ["https://app.example/Callback?a=1", "port"],
  ["https://app.example:8443/callback?a=1", "path_case"],
  ["https://app.example:8443/other?a=1", "path"],
  ["https://app.example:8443/Callback?a=2", "query"],
  ["https://www.app.example:8443/Callback?a=1", "www"],
  ["https://else.example/", "other"],
  ["callback", "other"],
] as const)("%s differs from the registered one in: %s", (sent, difference) => {
  expect(differenceOf(sent, REGISTERED)).toBe(difference);
  expect(english(explainFailure({ error: "invalid_redirect_uri", detail: { redirect_uri: sent } }, client([REGISTERED])).remedy)).toMatch(
    /^[A-Z]/,
  );
});

test("a scheme's own port is no difference in the port, and loopback has several names", () => {
  expect(differenceOf("http://app.example/cb", "https://app.example/cb")).toBe("scheme");
  expect(differenceOf("http://localhost:4000/cb", "http://127.0.0.1:4000/cb")).toBe("loopback_name");
});

test("the nearest of the registered URIs is the one that is named", () => {
  const { what, remedy } = explainFailure(
    { error: "invalid_redirect_uri", detail: { redirect_uri: "http://app.example/cb" } },
    client(["https://other.example/x", "https://app.example/cb", "http://app.example/else"]),
  );
  expect(english(what)).toContain("https://app.example/cb");
  expect(english(remedy)).toContain("https");
});

test("a request without a redirect URI, of an application without any, and an error of which nothing is known have words too", () => {
  for (const [detail, uris] of [
    [{}, [REGISTERED]],
    [{ redirect_uri: REGISTERED }, []],
  ] as const)
    expect(english(explainFailure({ error: "invalid_redirect_uri", detail }, client(uris)).what)).toMatch(/redirect URI/);
  expect(english(explainFailure({ error: "odd_error", detail: {} }, client([])).what)).toContain("odd_error");
});

test("whatever has words can be said, also when nothing was sent that they name", () => {
  const names = Object.entries(textsOf("en", "remedies")).flatMap(([name, words]) =>
    typeof words === "object" && "what" in words && "remedy" in words ? [name] : [],
  );
  expect(names.length).toBeGreaterThan(30);
  for (const name of names.filter((each) => !each.startsWith("redirect_uri"))) {
    const { what, remedy } = explainFailure({ error: name, detail: {} }, client([]));
    for (const words of [what, remedy]) expect(english(words)).toMatch(/^[A-Z"]/);
    if (name !== "other") expect(what).toMatchObject({ key: `remedies:${name}.what` });
  }
});
