/** The demo end to end in Chromium: sign in, consent, claims, API, refresh, both ways to sign out. */
import { AxeBuilder } from "@axe-core/playwright";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadConfig } from "../../src/config.ts";
import { createLogger } from "../../src/observability/logger.ts";
import { openServices } from "../../src/open-services.ts";
import { loadSecrets } from "../../src/secrets.ts";
import { launch } from "../support/chromium.ts";
import { type Demo, startDemo } from "../support/demo.ts";
import { type Stores, stores } from "../support/stores.ts";
import type {} from "../support/stores-setup.ts"; // what a run provides
import { tempDir } from "../support/temp-dir.ts";
import { waitFor } from "../support/wait-for.ts";

const dir = tempDir("demo");
let backing: Stores;
let demo: Demo;
let browser: Browser;

beforeAll(async () => {
  backing = await stores[1].open();
  demo = await startDemo({ ...backing.env, DATA_DIR: dir.path });
  browser = await launch();
});
afterAll(async () => {
  await browser?.close();
  await demo?.[Symbol.asyncDispose]();
  await backing?.close();
  dir.remove();
});

async function device(
  options: Parameters<Browser["newContext"]>[0] = {},
): Promise<{ context: BrowserContext; page: Page; complaints: string[] }> {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  return { context, page, complaints };
}

const button = (page: Page, name: string) => page.getByRole("button", { name, exact: true });
const claim = (page: Page, name: string) => page.locator(`dt:text-is("${name}") + dd`).first();

async function signIn(page: Page, { email, password }: { email: string; password: string }): Promise<void> {
  await page.goto(demo.app);
  await page.getByRole("link", { name: "Sign in" }).click();
  await page.waitForURL(`${demo.issuer}/interaction/**`);
  await page.getByLabel("E-mail address").fill(email);
  await page.getByLabel("Password", { exact: true }).fill(password);
  await button(page, "Sign in").click();
}

async function expectAccessible(page: Page): Promise<void> {
  const { violations } = await new AxeBuilder({ page }).withTags(["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]).analyze();
  expect(violations.map((violation) => `${violation.id}: ${violation.nodes.map((node) => node.html).join(" | ")}`)).toEqual([]);
  expect(await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)).toBe(0);
}

describe("a person with two devices", () => {
  let laptop: Awaited<ReturnType<typeof device>>;
  let phone: Awaited<ReturnType<typeof device>>;
  beforeAll(async () => {
    laptop = await device();
    phone = await device({ viewport: { width: 375, height: 720 }, colorScheme: "dark" });
  });

  test("signs in and consents, in words", async () => {
    const { page, complaints } = laptop;
    await page.goto(demo.app);
    await expectAccessible(page);
    await signIn(page, demo.login);
    await page.getByText("See your things").waitFor();
    await page.getByText("Add things in your name").waitFor();
    expect(await page.textContent("main")).toContain("Example application");
    await button(page, "Allow").click();
    await page.waitForURL(`${demo.app}/`);
    expect(complaints).toEqual([]);
  });

  test("sees the claims of the ID token and of userinfo", async () => {
    const { page } = laptop;
    await page.getByRole("heading", { name: "Hello, Demo Person" }).waitFor();
    expect(await claim(page, "iss").textContent()).toBe(demo.issuer);
    expect(await claim(page, "aud").textContent()).toBe("demo-relying-party");
    expect(await claim(page, "email").textContent()).toBe(demo.login.email);
    expect(await claim(page, "roles").textContent()).toContain("admin");
    expect(await claim(page, "sid").textContent()).toBeTruthy();
  });

  test("uses the API through the application, and refreshes", async () => {
    const { page } = laptop;
    const answer = page.getByRole("status");
    await button(page, "Add a thing").click();
    await answer.getByText("201 Created").waitFor();
    await button(page, "Read my things").click();
    await answer.getByText("200 OK").waitFor();
    expect(await answer.textContent()).toContain("A thing from the example application");
    await button(page, "Read the report").click();
    await answer.getByText('{"people":1,"things":1}').waitFor();
    await page.getByText("Refreshed 1 time.").waitFor();
    await button(page, "Refresh").click();
    await page.getByText("Refreshed 2 times.").waitFor();
    await button(page, "Read my things").click();
    await answer.getByText("200 OK").waitFor();
    await expectAccessible(page);
  });

  test("is not asked for the same consent again", async () => {
    await signIn(phone.page, demo.login);
    await phone.page.getByRole("heading", { name: "Hello, Demo Person" }).waitFor();
    await expectAccessible(phone.page);
  });

  test("signs out at the server: the application hears of it, the other device stays", async () => {
    const { page } = laptop;
    await page.goto(`${demo.issuer}/sign-out`);
    await page.locator('button[name="logout"][value="yes"]').click();
    await page.waitForURL(`${demo.issuer}/`);
    await waitFor("the back-channel logout", () => demo.process.output().includes("back-channel logout received, 1 of its sessions ended"));
    await page.goto(demo.app);
    await page.getByRole("heading", { name: "Welcome" }).waitFor();
    await phone.page.reload();
    await phone.page.getByRole("heading", { name: "Hello, Demo Person" }).waitFor();
    await button(phone.page, "Refresh").click();
    await phone.page.getByText("Refreshed 1 time.").waitFor();
  });

  test("signs out from the application, and is asked for the password the next time", async () => {
    const { page, complaints } = phone;
    await button(page, "Sign out").click();
    await page.waitForURL(`${demo.issuer}/oauth/logout**`);
    await page.locator('button[name="logout"][value="yes"]').click();
    await page.waitForURL(`${demo.app}/signed-out**`);
    await page.getByRole("heading", { name: "You are signed out" }).waitFor();
    await expectAccessible(page);
    await page.getByRole("link", { name: "Sign in" }).click();
    await page.getByLabel("E-mail address").waitFor();
    expect(complaints).toEqual([]);
  });
});

test("somebody without the role hears what is missing, and may say no before", async () => {
  const config = loadConfig(demo.env);
  const services = await openServices(config, await loadSecrets(config, demo.env), createLogger({ logLevel: "silent" }));
  const guest = { email: "guest@example.org", password: "correct horse battery staple" };
  await services.people.accounts.create({
    email: guest.email,
    emailVerified: true,
    passwordHash: await services.people.passwords.hash(guest.password),
  });
  await services.close();

  const { page } = await device();
  await signIn(page, guest);
  await button(page, "Deny").click();
  await page.waitForURL(`${demo.app}/callback**`);
  await page.getByText("access_denied").waitFor();
  await page.getByRole("link", { name: "Sign in" }).click();
  await button(page, "Allow").click();
  await page.waitForURL(`${demo.app}/`);
  await button(page, "Read the report").click();
  const answer = page.getByRole("status");
  await answer.getByText("403 Forbidden").waitFor();
  expect(await answer.textContent()).toContain('WWW-Authenticate: Bearer realm="things", error="insufficient_scope"');
});
