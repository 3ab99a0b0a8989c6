/** The token inspector: what it shows of tokens of every sort, and that a token never leaves the page. */
import { CompactEncrypt, CompactSign, importJWK } from "jose";
import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { launch } from "../support/chromium.ts";
import { grantorJson } from "../support/command-line.ts";
import { type Grantor, post, type SeededClient, startGrantor, type Tokens } from "../support/grantor.ts";
import { type Stores, stores } from "../support/stores.ts";
import { waitFor } from "../support/wait-for.ts";
import { type Manner, type Visitor, violations, visit } from "./visitor.ts";

/** Seconds. */
const TTL = 1;
const COUNTS = "It counts: this server signed it, it is in its time, and it was not revoked.";

let backing: Stores;
let grantor: Grantor;
let browser: Browser;
let service: SeededClient;
let visitor: Visitor;
/** Everything that the browser sent. */
let sent: string[] = [];

beforeAll(async () => {
  browser = await launch();
  backing = await stores[1].open();
  grantor = await startGrantor(backing, { STATUS_LIST_TTL: `${TTL}` });
  service = await grantor.client({ type: "service" });
});
afterAll(async () => {
  await browser?.close();
  await grantor?.[Symbol.asyncDispose]();
  await backing?.close();
});
afterEach(() => visitor?.leave());

async function accessToken(): Promise<string> {
  const answer = await post(`${grantor.url}/oauth/token`, service, { grant_type: "client_credentials" });
  return ((await answer.json()) as Tokens).access_token;
}

/** What this server could have signed. */
async function sign(claims: object, header: object = {}): Promise<string> {
  const { privateJwk, alg, kid } =
    grantor.services.keys.snapshot().keys.find((key) => key.alg === "RS256" && key.state === "current") ?? {};
  return new CompactSign(new TextEncoder().encode(JSON.stringify({ iss: grantor.url, sub: "somebody", ...claims })))
    .setProtectedHeader({ alg: String(alg), kid: String(kid), typ: "at+jwt", ...header })
    .sign(await importJWK(privateJwk as Parameters<typeof importJWK>[0], alg));
}

const now = () => Math.floor(Date.now() / 1000);
const decoded = (part: string | undefined) => JSON.parse(Buffer.from(part ?? "", "base64url").toString());
const encoded = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");

async function open(manner: Manner = "mouse"): Promise<void> {
  visitor = await visit(browser, manner, { issuer: grantor.url, application: "http://127.0.0.1:1" });
  sent = [];
  visitor.context.on("request", (request) => {
    sent.push(`${request.url()} ${JSON.stringify(request.headers())} ${request.postData() ?? ""}`);
  });
  await visitor.page.goto(`${grantor.url}/apps/inspector`);
  await visitor.at("Token inspector");
}

const verdict = () => visitor.page.getByRole("status").innerText();
/** What stands beside a label or a claim's name. */
const beside = (name: string) =>
  visitor.page
    .locator("dl > div", { has: visitor.page.locator("dt", { hasText: new RegExp(`^${name}$`) }) })
    .locator("dd")
    .allInnerTexts();

/** Pastes a token and waits for what is said of it. */
async function inspect(token: string): Promise<string> {
  const field = visitor.page.getByLabel("Token", { exact: true });
  await field.fill("");
  await expect.poll(verdict).toBe("");
  await field.fill(token);
  return waitFor("a verdict", async () => (await verdict()) || false);
}

function expectNothingSent(token: string): void {
  for (const part of token.split(".").filter((text) => text.length > 8))
    expect(sent.filter((request) => request.includes(part))).toEqual([]);
}

describe("the token inspector", () => {
  test("says of a token what the command line says, and sends it nowhere", async () => {
    await open();
    const token = await accessToken();
    expect(await inspect(`Bearer ${token}\n`)).toBe(COUNTS);
    const cli = await grantorJson<Record<string, Record<string, string>>>(grantor.server.env, ["token", "inspect", "-"], token);
    expect(cli).toMatchObject({ verdict: COUNTS, status: { state: "valid" } });
    expect(await beside("signed by")).toEqual([`${cli.key?.kid} (RS256, current: signs now)`]);
    expect((await beside("status"))[0]).toContain(`valid: entry ${cli.status?.idx} of ${cli.status?.uri}; the list is of 2`);
    expect(await beside("verifies")).toEqual(["yes"]);
    expect((await beside("exp"))[1]).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC, in 1\d minutes$/);
    for (const [name, meaning] of Object.entries(cli.meanings ?? {})) expect((await beside(name)).at(-1), name).toBe(meaning);
    expect((await beside("kid"))[1]).toBe("the name of the key");
    expect(await violations(visitor.page)).toEqual([]);

    expectNothingSent(token);
    expect(sent.map((request) => new URL(request.split(" ")[0] as string).pathname)).toEqual(
      expect.arrayContaining(["/.well-known/jwks.json", new URL(String(cli.status?.uri)).pathname]),
    );
    expect(visitor.page.url()).toBe(`${grantor.url}/apps/inspector`);
    expect(await visitor.page.evaluate(() => [localStorage.length, sessionStorage.length, document.cookie])).toEqual([0, 0, ""]);

    await visitor.page.getByRole("button", { name: "Clear" }).click();
    await expect.poll(verdict).toBe("");
    expect(await visitor.page.getByLabel("Token", { exact: true }).inputValue()).toBe("");
    expect(await visitor.page.locator("#findings").innerText()).toBe("");
    // Whoever comes back finds nothing of it either.
    await inspect(token);
    await visitor.page.goto(grantor.url);
    await visitor.page.goBack();
    expect(await visitor.page.getByLabel("Token", { exact: true }).inputValue()).toBe("");
  });

  test("shows that a token was revoked, within the life of the list", async () => {
    await open();
    const token = await accessToken();
    expect(await inspect(token)).toBe(COUNTS);
    expect((await post(`${grantor.url}/oauth/revoke`, service, { token })).status).toBe(200);
    await waitFor("the list to say so", async () => (await inspect(token)) === "It does not count: it was revoked.");
    expect((await beside("status"))[0]).toMatch(/^REVOKED: entry \d+ of /);
    expect(await beside("signature")).toEqual(["valid"]);
    expectNothingSent(token);
    const cli = await grantorJson(grantor.server.env, ["token", "inspect", "-"], token);
    expect(cli).toMatchObject({
      verdict: "It does not count: it was revoked.",
      verifies: true,
      status: { state: "revoked", since: expect.any(String) },
    });
  });

  test("tells forged, expired, foreign and encrypted tokens apart", async () => {
    await open();
    const token = await accessToken();
    const [head, body, tail] = token.split(".");
    const forged = `${head}.${encoded({ ...decoded(body), scope: "everything" })}.${tail}`;
    expect(await inspect(forged)).toBe("It does not count: its signature is not valid.");
    expect((await beside("status"))[0]).toBe("not known: the token is not known to be ours");

    expect(await inspect(await sign({ exp: now() + 60 }, { kid: "somebody-elses" }))).toBe(
      "It does not count: its key is none of this server's.",
    );
    expect(await inspect(await sign({ exp: now() - 3 * 3600 }))).toBe("It does not count: it has expired.");
    expect(await beside("in its time")).toEqual(["no: it expired 3 hours ago"]);
    expect(await inspect(await sign({ iss: "https://other.example", exp: now() + 60 }))).toMatch(/^Another server issued it/);
    const foreignList = { status: { status_list: { idx: 1, uri: "http://127.0.0.1:9/oauth/status-lists/x" } } };
    expect(await inspect(await sign({ exp: now() + 60, ...foreignList }))).toBe("It verifies. Whether it was revoked is not known.");
    expect(sent.filter((request) => request.startsWith("http://127.0.0.1:9"))).toEqual([]);

    const jwe = new CompactEncrypt(new TextEncoder().encode(token)).setProtectedHeader({ alg: "dir", enc: "A256GCM", typ: "at+jwt" });
    expect(await inspect(await jwe.encrypt(new Uint8Array(32)))).toMatch(/^Only the resource server that it is encrypted to can read it/);
    expect(await beside("kind")).toEqual(["encrypted access token (RFC 9068), a JWE"]);
    const shared = new CompactSign(Buffer.from(body ?? "", "base64url")).setProtectedHeader({ alg: "HS256", typ: "at+jwt" });
    expect(await inspect(await shared.sign(new Uint8Array(32)))).toBe(
      "Nothing speaks against it, but its signature cannot be checked here.",
    );

    expect(await inspect(await sign({ name: "<img src=x onerror=alert(1)>" }))).toMatch(/^It counts/);
    expect((await beside("name"))[0]).toBe("<img src=x onerror=alert(1)>");
  });

  test("says in words what is no token", async () => {
    await open();
    const field = visitor.page.getByLabel("Token", { exact: true });
    expect(await inspect("an-opaque-refresh-token")).toMatch(/^This is not a JWT: a JWT has three parts/);
    expect(await field.getAttribute("aria-invalid")).toBe("true");
    expect(await violations(visitor.page)).toEqual([]);
    expect(await inspect("a.b.c")).toMatch(/^This is not a JWT: its header cannot be read/);
    expect(await inspect(await accessToken())).toBe(COUNTS);
    expect(await field.getAttribute("aria-invalid")).toBe("false");

    await visitor.page.goto(`${grantor.url}/apps/inspector?ui_locales=ar`);
    await visitor.page.locator("#token").fill(await sign({ exp: now() - 3 * 3600 }));
    await expect.poll(verdict).toBe("لا يُعتد به: صلاحيته انتهت.");
    expect(await visitor.page.locator("#findings").innerText()).not.toMatch(/signed by|issued|expires|algorithm/);
  });

  test("by keyboard on a phone, in the dark", async () => {
    await open("keyboard on a phone");
    const { page } = visitor;
    await page.emulateMedia({ colorScheme: "dark" });
    const token = await sign({ exp: now() + 60, scope: "a-very-long-scope-name-".repeat(20) });
    const field = page.getByLabel("Token", { exact: true });
    for (let tabs = 0; tabs < 5 && !(await field.evaluate((element) => element === document.activeElement)); tabs++)
      await page.keyboard.press("Tab");
    await page.keyboard.insertText(token);
    await expect.poll(verdict).toBe("It counts: this server signed it, and it is in its time.");
    expect(await violations(page)).toEqual([]);
    expect(await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)).toBe(0);
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await expect.poll(verdict).toBe("");
    expect(await field.evaluate((element) => element === document.activeElement)).toBe(true);
    expectNothingSent(token);
  });

  test("without scripts it says why it needs one, and what else there is", async () => {
    await open("without scripts");
    expect(await visitor.words()).toContain("needs a script, because nothing is sent to the server");
    expect(await visitor.words()).toContain("token inspect -");
    expect(await visitor.page.locator("textarea").isVisible()).toBe(false);
    await visitor.page.goto(grantor.url);
    await visitor.follow("Token inspector");
    await visitor.at("Token inspector");
  });
});
