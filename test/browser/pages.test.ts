/** Every page in every state: accessible by axe, in light and dark, on a phone and on a desk; whole without JavaScript. */
import { mkdir } from "node:fs/promises";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { english, text } from "../../src/i18n/messages.ts";
import { launch } from "../support/chromium.ts";
import { type Host, startHost } from "../support/host.ts";
import { samples } from "../support/page-samples.ts";
import { violations } from "./visitor.ts";

/** A directory for screenshots of every page, to be looked at; none without. */
const shots = process.env.PAGE_SHOTS;

const LOOKS = [
  { name: "phone-light", viewport: { width: 375, height: 720 }, colorScheme: "light" },
  { name: "phone-dark", viewport: { width: 375, height: 720 }, colorScheme: "dark" },
  { name: "desk-light", viewport: { width: 1280, height: 800 }, colorScheme: "light" },
  { name: "desk-dark", viewport: { width: 1280, height: 800 }, colorScheme: "dark" },
] as const;

/** Both widths and both schemes; their other combinations only when somebody wants to look at them. */
const looks = shots ? LOOKS : [LOOKS[0], LOOKS[3]];

let host: Host;
let browser: Browser;

beforeAll(async () => {
  browser = await launch();
  if (shots) await mkdir(shots, { recursive: true });
  host = await startHost({
    brand: { name: "Harbour", privacyUrl: "https://harbour.example/privacy", supportUrl: "https://harbour.example/help" },
    routes: ({ render, forms }) => [
      async (ctx) => {
        if (ctx.method === "POST") {
          await forms.verifyForm(ctx, async () => {
            ctx.body = ctx.state.form;
          });
          return;
        }
        const sample = samples[ctx.path.slice(1)];
        if (sample) render(ctx, sample.view, { ...sample.model, ...("action" in sample.model ? { action: "/post" } : {}) } as never);
      },
    ],
  });
});
afterAll(async () => {
  await browser?.close();
  await host?.close();
});

interface Opened {
  page: Page;
  /** What the browser has found wrong so far. */
  complaints: string[];
}

async function open(name: string, context?: BrowserContext): Promise<Opened> {
  const page = await (context ?? (await browser.newContext())).newPage();
  const complaints: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error" && !message.text().includes("ERR_")) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(error.message));
  // The logo's host does not exist here; and what goes on by itself stays to be looked at.
  for (const pattern of ["https://**", "**/assets/send.js*"]) await page.route(pattern, (route) => route.abort());
  await page.goto(`${host.url}/${name}`);
  return { page, complaints };
}

/** Nothing is wider than the screen, and what can be pressed is large enough for a finger. */
const layoutOf = (page: Page) =>
  page.evaluate(() => ({
    overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    small: [
      ...document.querySelectorAll(
        "button, input:not([type=hidden], [type=checkbox], [type=radio]), .checkbox label, .others a, .sections a, .button, .brand a",
      ),
    ]
      .filter((element) => element.checkVisibility())
      .map((element) => ({ text: element.textContent || element.getAttribute("name"), height: element.getBoundingClientRect().height }))
      .filter(({ height }) => height < 44),
  }));

describe("every page", () => {
  // One tab for all of them: a new one would load axe anew for each, which takes longer than its rules.
  let tab: Opened;
  beforeAll(async () => {
    tab = await open("");
  });

  test.each(Object.keys(samples))("%s", async (name) => {
    const { page, complaints } = tab;
    complaints.length = 0;
    const [first] = looks;
    await page.setViewportSize(first.viewport);
    await page.emulateMedia({ colorScheme: first.colorScheme });
    await page.goto(`${host.url}/${name}`);
    for (const [index, { name: look, viewport, colorScheme }] of looks.entries()) {
      await page.setViewportSize(viewport);
      await page.emulateMedia({ colorScheme });
      if (shots) await page.screenshot({ path: `${shots}/${name}-${look}.png`, fullPage: true });
      // Of all rules, colours alone depend on the look.
      expect(await violations(page, index === 0 ? undefined : ["color-contrast"])).toEqual([]);
      expect(await layoutOf(page), look).toEqual({ overflow: 0, small: [] });
    }
    expect(complaints).toEqual([]);
  });
});

test.each(["login-branded", "sign-up-wrong", "consent", "device-confirm", "account", "error", "app-overview", "app-failures"])(
  "%s from right to left",
  async (name) => {
    const { page, complaints } = await open(`${name}?ui_locales=ar`);
    expect(await page.evaluate(() => [document.documentElement.lang, getComputedStyle(document.body).direction])).toEqual(["ar", "rtl"]);
    for (const { name: look, viewport, colorScheme } of looks) {
      await page.setViewportSize(viewport);
      await page.emulateMedia({ colorScheme });
      if (shots) await page.screenshot({ path: `${shots}/rtl-${name}-${look}.png`, fullPage: true });
      expect(await layoutOf(page), look).toEqual({ overflow: 0, small: [] });
    }
    expect(await violations(page)).toEqual([]);
    expect(complaints).toEqual([]);
    await page.context().close();
  },
);

test("errors stand beside their field, are described by it and lead to it", async () => {
  const { page } = await open("sign-up-wrong");
  const email = page.getByLabel("E-mail address");
  expect(await email.getAttribute("aria-invalid")).toBe("true");
  expect(await page.locator(`#${await email.getAttribute("aria-describedby")}`).textContent()).toBe(
    english(text("faults:email_malformed")),
  );
  await page
    .getByRole("alert")
    .getByRole("link", { name: /15 characters/ })
    .click();
  expect(await page.evaluate(() => document.activeElement?.getAttribute("name"))).toBe("password");
  await page.context().close();
});

test("by keyboard alone: type, tab and press Enter", async () => {
  const { page } = await open("login-plain");
  await page.waitForFunction(() => document.activeElement?.getAttribute("name") === "email");
  await page.keyboard.type("ada@example.org");
  await page.keyboard.press("Tab");
  await page.keyboard.type("a password of words");
  await page.keyboard.press("Enter");
  await page.waitForURL("**/post");
  expect(JSON.parse((await page.textContent("body")) ?? "")).toEqual({ email: "ada@example.org", password: "a password of words" });
  await page.context().close();
});

test("the password can be shown, and is sent as a password all the same", async () => {
  const { page } = await open("login-plain");
  await page.getByLabel("Password", { exact: true }).fill("a password of words");
  await page.getByRole("button", { name: "Show password" }).click();
  expect(await page.locator("#password").getAttribute("type")).toBe("text");
  await page.getByRole("button", { name: "Show password" }).click();
  expect(await page.locator("#password").getAttribute("type")).toBe("password");
  await page.context().close();
});

test.each([
  ["login", "Sign in", { email: "", password: "" }],
  ["consent", "Allow", { decision: "allow" }],
  ["consent", "Deny", { decision: "deny" }],
  ["sign-up", "Create account", { email: "", name: "", password: "" }],
  ["verify-email", "Confirm address", { token: "t" }],
  ["verify-email-elsewhere", "Confirm address", { token: "t", name: "", password: "" }],
])("%s without JavaScript: the button “%s” sends its form", async (name, button, form) => {
  const { page } = await open(name, await browser.newContext({ javaScriptEnabled: false }));
  expect(await page.getByRole("button", { name: "Show password" }).count()).toBe(0);
  await page.getByRole("button", { name: button, exact: true }).click();
  await page.waitForURL("**/post");
  expect(JSON.parse((await page.textContent("body")) ?? "")).toEqual(form);
  await page.context().close();
});

test.each([
  ["device-confirm", ["confirm=yes", "abort=yes"]],
  ["logout", ["logout=yes"]],
  ["device-input", []],
])("%s carries the engine's fields and no token of ours", async (name, buttons) => {
  const { text } = await host.send(`/${name}`);
  expect(text).toContain('<input type="hidden" name="xsrf" value="x">');
  expect(text).not.toContain('name="csrf"');
  for (const pair of buttons) {
    const [field, value] = pair.split("=");
    expect(text).toContain(`name="${field}" value="${value}"`);
  }
});
