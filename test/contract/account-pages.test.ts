import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createAccountRoutes } from "../../src/accounts/account-routes.ts";
import { type Host, startHost } from "../support/host.ts";
import { openPeople, PASSWORD, type TestPeople } from "../support/people.ts";
import { stores as arrangements, type Stores } from "../support/stores.ts";

let stores: Stores;
let people: TestPeople;
let host: Host;
const events: string[] = [];

const serve = (of: TestPeople, https = false) =>
  startHost({
    ...(https ? { issuer: "https://id.example.com" } : {}),
    routes: ({ render, forms }) => [
      createAccountRoutes({
        people: of,
        forms,
        render,
        https,
        loopback: !https,
        onEvent: (_ctx, { event }) => events.push(event),
      }).routes() as never,
    ],
  });

beforeAll(async () => {
  stores = await arrangements[0].open();
  people = await openPeople(stores);
  host = await serve(people);
});
afterAll(async () => {
  await host?.close();
  await people?.[Symbol.asyncDispose]();
  await stores?.close();
});

/** Just enough of a browser: cookies by path, and forms as they are on the page. */
class Browser {
  readonly jar = new Map<string, { value: string; path: string }>();
  readonly #host: Host;
  constructor(of: Host) {
    this.#host = of;
  }

  async send(path: string, form?: Record<string, string>) {
    const pathname = path.split("?")[0] ?? "";
    const cookies = [...this.jar]
      .filter(([, { path: of }]) => of === "/" || pathname.startsWith(of))
      .map(([name, { value }]) => `${name}=${value}`);
    const headers: Record<string, string> = { accept: "text/html", ...(cookies.length > 0 && { cookie: cookies.join("; ") }) };
    const answer = await this.#host.send(
      path,
      form === undefined
        ? { headers }
        : {
            method: "POST",
            headers: { ...headers, "content-type": "application/x-www-form-urlencoded" },
            body: new URLSearchParams(form).toString(),
          },
    );
    for (const cookie of answer.headers["set-cookie"] ?? []) {
      const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(cookie) ?? [];
      if (value === "" || /expires=Thu, 01 Jan 1970/i.test(cookie)) this.jar.delete(name);
      else this.jar.set(name, { value, path: /path=([^;]+)/i.exec(cookie)?.[1] ?? "/" });
    }
    return { ...answer, hidden: hiddenFields(answer.text) };
  }

  /** Opens a page and posts its form with what is typed. */
  async fill(path: string, typed: Record<string, string> = {}) {
    const page = await this.send(path);
    return this.send(path.split("?")[0] ?? "", { ...page.hidden, ...typed });
  }
}

function hiddenFields(html: string): Record<string, string> {
  const fields: Record<string, string> = {};
  for (const [input] of html.matchAll(/<input[^>]*type="hidden"[^>]*>/g)) {
    const name = /name="([^"]*)"/.exec(input)?.[1];
    if (name !== undefined) fields[name] = /value="([^"]*)"/.exec(input)?.[1] ?? "";
  }
  return fields;
}

const linkTo = async (email: string) => `/verify-email?token=${(await people.mailTo(email)).token}`;

describe("/sign-up", () => {
  test("ends in check your mail, for a new address and a known one alike", async () => {
    const browser = new Browser(host);
    const typed = { email: " New@Example.com", password: PASSWORD, name: "Ada" };
    const fresh = await browser.fill("/sign-up", typed);
    expect(fresh.status).toBe(200);
    expect(fresh.text).toContain("Check your mail");
    expect(fresh.text).toContain("new@example.com");
    await browser.fill(await linkTo("new@example.com"));
    const known = await browser.fill("/sign-up", typed);
    const plain = (text: string) => text.replace(/nonce="[^"]*"/g, "").replace(/value="[^"]*"/g, "");
    expect(plain(known.text)).toBe(plain(fresh.text));
    const names = (of: typeof fresh) => of.headers["set-cookie"]?.map((cookie) => cookie.replace(/=[\w-]{43};|expires=[^;]*/g, ""));
    expect(names(known)).toEqual(names(fresh));
  });

  test("says beside the field what is wrong, and keeps what was typed but the password", async () => {
    const page = await new Browser(host).fill("/sign-up", { email: "nobody", password: "short", name: 'A "B" <c>' });
    expect(page.status).toBe(400);
    expect(page.text).toContain("Enter an e-mail address such as");
    expect(page.text).toContain("at least 15 characters");
    expect(page.text).toContain("nobody");
    expect(page.text).not.toContain("short");
    expect(page.text).not.toContain("<c>");
  });

  test("takes a password of 256 emoji and none of 65 kB", async () => {
    const browser = new Browser(host);
    const email = "emoji@example.com";
    const password = Array.from({ length: 256 }, (_, n) => String.fromCodePoint(0x1f600 + ((n * 37) % 79))).join("");
    expect((await browser.fill("/sign-up", { email, password })).status).toBe(200);
    await browser.fill(await linkTo(email));
    expect(await people.authentication.signInWithPassword({ email, password, address: "192.0.2.1" })).toMatchObject({
      ok: true,
    });
    expect((await browser.fill("/sign-up", { email: "big@example.com", password: "a".repeat(65_536) })).status).toBe(413);
    expect((await browser.fill("/sign-up", { email: "big@example.com", password: "a".repeat(10_000) })).status).toBe(400);
  });

  test("refuses a form that does not come from its page", async () => {
    const answer = await new Browser(host).send("/sign-up", { email: "x@example.com", password: PASSWORD });
    expect(answer.status).toBe(403);
    await expect(people.mailTo("x@example.com")).rejects.toThrow("no mail");
  });

  test("says so when it is closed, and asks for an invitation when that is the rule", async () => {
    await using closed = await openPeople(stores, { signUp: "closed" });
    await using invite = await openPeople(stores, { signUp: "invite" });
    const hosts = [await serve(closed), await serve(invite)] as const;
    for (const each of hosts) expect((await new Browser(each).send("/sign-up")).status).toBe(403);
    const { link } = await invite.signUp.invite("guest@example.com");
    const guest = new Browser(hosts[1]);
    const page = await guest.send(link.slice("http://localhost:3000".length));
    expect(page.text).toContain("guest@example.com");
    expect((await guest.send("/sign-up", { ...page.hidden, email: "other@example.com", password: PASSWORD })).status).toBe(400);
    expect((await guest.send("/sign-up", { ...page.hidden, email: "guest@example.com", password: PASSWORD })).text).toContain(
      "Check your mail",
    );
    expect((await guest.send("/sign-up?invitation=used")).status).toBe(400);
    for (const each of hosts) await each.close();
  });

  test("forms with faults use up nobody's allowance", async () => {
    const browser = new Browser(host);
    for (let count = 0; count < 100; count += 1) {
      const allowed = await people.signUp
        .begin({ email: "many@example.com", password: "too short", browser: "b", address: "127.0.0.1" })
        .catch((error: Error) => error);
      expect(allowed).toBeInstanceOf(Error);
    }
    expect((await browser.fill("/sign-up", { email: "still@example.com", password: PASSWORD })).status).toBe(200);
  });
});

describe("/verify-email", () => {
  test("changes nothing until the button is pressed, then once", async () => {
    const browser = new Browser(host);
    const email = "button@example.com";
    await browser.fill("/sign-up", { email, password: PASSWORD });
    const link = await linkTo(email);
    for (let look = 0; look < 3; look += 1) expect((await browser.send(link)).text).toContain(email);
    expect((await people.accounts.findByEmail(email))?.emailVerified).toBe(false);
    const done = await browser.fill(link);
    expect(done.status).toBe(200);
    expect(done.text).toContain("Your address is confirmed");
    expect(done.text).toContain('href="/sign-in"');
    expect((await people.accounts.findByEmail(email))?.emailVerified).toBe(true);
    expect(people.devices.recognize(email, browser.jar.get("grantor_device")?.value)).toBeDefined();
    const again = await browser.send(link);
    expect(again.status).toBe(400);
    expect(again.text).toContain("This link was used already or is too old");
    for (const broken of [
      "/verify-email",
      "/verify-email?token=",
      "/verify-email?token=x",
      "/verify-email?token=a&token=b",
      "/verify-email?token=%00",
    ]) {
      expect((await browser.send(broken)).status).toBe(400);
    }
  });

  test("asks for a password, and says why, in any browser but the one that signed up", async () => {
    const browser = new Browser(host);
    const email = "squatted@example.com";
    await new Browser(host).fill("/sign-up", { email, password: "the squatter's own password", name: "Mallory" });
    await browser.fill("/sign-up", { email, password: PASSWORD });
    const own = await linkTo(email);
    expect((await browser.send(own)).text).not.toContain('name="password"');
    await new Browser(host).fill("/sign-up", { email, password: "the squatter's own password", name: "Mallory" });
    const link = await linkTo(email);
    const page = await browser.send(link);
    expect(page.text).toContain('name="password"');
    expect(page.text).toContain("somebody else may have asked");
    expect(page.text).not.toContain("Mallory");
    for (const password of ["", "short"]) {
      const refused = await browser.fill(link, { password, name: "Ada" });
      expect(refused.status).toBe(400);
      expect(refused.text).toContain("at least 15 characters");
      expect(refused.text).toContain('value="Ada"');
      expect(refused.text).toContain('name="password"');
    }
    const chosen = "another few words of mine";
    expect((await browser.fill(link, { password: chosen, name: "Ada" })).text).toContain("Your address is confirmed");
    expect(await people.accounts.findByEmail(email)).toMatchObject({ emailVerified: true, name: "Ada" });
    for (const [password, ok] of [
      ["the squatter's own password", false],
      [PASSWORD, false],
      [chosen, true],
    ] as const) {
      expect((await people.authentication.signInWithPassword({ email, password, address: "192.0.2.3" })).ok).toBe(ok);
    }
    expect((await browser.send(own)).status).toBe(400);
  });

  test("leads back to the sign-in that waits, in the same browser only, and never where we did not sign", async () => {
    const state = encodeURIComponent(people.interactionState.sign("uid-abcdefghij"));
    const browser = new Browser(host);
    const page = await browser.send(`/sign-up?interaction=${state}`);
    expect(page.text).toContain('href="/interaction/uid-abcdefghij"');
    await browser.send("/sign-up", { ...page.hidden, email: "back@example.com", password: PASSWORD });
    const phone = new Browser(host);
    await browser.send("/sign-up", { ...page.hidden, email: "phone@example.com", password: PASSWORD });
    expect((await browser.fill(await linkTo("back@example.com"))).text).toContain('href="/interaction/uid-abcdefghij"');
    const elsewhere = await phone.fill(await linkTo("phone@example.com"), { password: PASSWORD });
    expect(elsewhere.text).toContain('href="/sign-in"');
    expect(elsewhere.text).toContain("another browser");
    for (const forged of ["uid-abcdefghij", "https://evil.example.com", `${state}x`]) {
      const other = await browser.send(`/sign-up?interaction=${forged}`);
      expect(other.status).toBe(200);
      expect(other.text).not.toContain("/interaction/");
      expect(other.text).not.toContain("evil");
    }
  });
});

describe("/bootstrap", () => {
  test("makes the first administrator by a form, then is gone", async () => {
    const link = new URL((await people.bootstrap.link()) ?? "");
    const path = `${link.pathname}${link.search}`;
    const browser = new Browser(host);
    const wrong = await browser.fill(path, { email: "root@example.com", password: "short" });
    expect(wrong.status).toBe(400);
    expect(wrong.text).toContain("at least 15 characters");
    const made = await browser.fill(path, { email: "root@example.com", password: PASSWORD, name: "Root" });
    expect(made.status).toBe(200);
    expect(made.text).toContain("The administrator&#39;s account is ready");
    expect(made.text).toContain('href="/sign-in"');
    expect(events.at(-1)).toBe("administrator.created");
    expect(new Set(events)).toEqual(new Set(["sign_up.requested", "email.verified", "administrator.created"]));
    expect((await people.accounts.get("root@example.com")).roles).toEqual(["admin"]);
    expect((await browser.send(path)).status).toBe(400);
    expect((await browser.send("/bootstrap")).status).toBe(400);
  });
});

test("on https the cookies are bound to host or path", async () => {
  const secure = await serve(people, true);
  const browser = new Browser(secure);
  const state = people.interactionState.sign("uid-abcdefghij");
  const page = await browser.send(`/sign-up?interaction=${state}`);
  const answer = await browser.send("/sign-up", { ...page.hidden, email: "https@example.com", password: PASSWORD });
  const cookie = (answer.headers["set-cookie"] ?? []).find((each) => each.includes("grantor_asked")) ?? "";
  expect(cookie).toMatch(/^__Host-grantor_asked=[\w-]{43};/);
  for (const attribute of [/path=\/;/i, /httponly/i, /samesite=lax/i, /secure/i]) expect(cookie).toMatch(attribute);
  await browser.fill(await linkTo("https@example.com"));
  expect([...browser.jar.keys()]).toContain("__Host-grantor_device");
  expect([...browser.jar.keys()]).not.toContain("__Host-grantor_asked");
  await secure.close();
});
