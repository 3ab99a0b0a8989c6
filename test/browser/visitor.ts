/** A person at a browser of their own. Whatever a page must not do is noticed on the way, and every page that they come to is looked at. */
import { mkdirSync, readFileSync } from "node:fs";
import { AxeBuilder } from "@axe-core/playwright";
import type { Browser, BrowserContext, Locator, Page } from "playwright-core";
import { expect } from "vitest";
import { noteSent } from "../support/secrets-watch.ts";

/** A directory for screenshots of every page that is come to; none without. */
const shots = process.env.PAGE_SHOTS;

/** How somebody gets about. */
export type Manner = "mouse" | "keyboard on a phone" | "without scripts";

const SETTINGS: Record<Manner, Parameters<Browser["newContext"]>[0]> = {
  mouse: {},
  "keyboard on a phone": { viewport: { width: 375, height: 720 } },
  "without scripts": { javaScriptEnabled: false, colorScheme: "dark" },
};

export interface Visitor {
  readonly manner: Manner;
  readonly page: Page;
  readonly context: BrowserContext;
  /** Waits for the page with a heading, and looks at it. */
  at(heading: string | RegExp): Promise<void>;
  fill(label: string, text: string): Promise<void>;
  /** Presses a button that leads to another page. */
  press(button: string | RegExp): Promise<void>;
  follow(link: string | RegExp): Promise<void>;
  /** Ticks a box that is not ticked. */
  tick(label: string): Promise<void>;
  /** Presses a button that answers with a file. @returns what is in it */
  download(button: string): Promise<string>;
  /** The text of the page's card. */
  words(): Promise<string>;
  /** A further tab of the same browser. */
  tab(): Promise<Visitor>;
  /** Closes the browser. @throws Error with everything that was noticed */
  leave(): Promise<void>;
}

export interface Surroundings {
  readonly issuer: string;
  /** Where pages may lead, but nothing be fetched from. */
  readonly application: string;
  /** Other origins of which the same is true. */
  readonly elsewhere?: readonly string[];
}

/** Milliseconds in which a page comes, on two busy cores. */
const PATIENCE = 15_000;

/** Tabs that reach everything on our longest page. */
const MOST_TABS = 40;

export async function visit(browser: Browser, manner: Manner, { issuer, application, elsewhere = [] }: Surroundings): Promise<Visitor> {
  const context = await browser.newContext(SETTINGS[manner]);
  context.setDefaultTimeout(PATIENCE);
  const complaints: string[] = [];
  /** Documents that came with an error's status, of which the browser speaks in its console. */
  const refused = new Set<string>();
  context.on("response", (response) => {
    if (response.status() < 400) return;
    if (response.request().isNavigationRequest() && response.status() < 500) refused.add(response.url());
    else complaints.push(`${response.status()} for ${response.url()}`);
  });
  context.on("request", (request) => {
    noteSent(request.url(), request.postData());
    const { origin, protocol } = new URL(request.url());
    if (origin === issuer || protocol === "data:") return;
    if (![application, ...elsewhere].includes(origin) || !request.isNavigationRequest())
      complaints.push(`a request left for ${request.url()}`);
  });
  context.on("console", (message) => {
    const expected = message.text().startsWith("Failed to load resource") && refused.has(message.location().url);
    if (["error", "warning"].includes(message.type()) && !expected) complaints.push(`console: ${message.text()}`);
  });
  context.on("weberror", (error) => complaints.push(error.error().message));
  if (manner !== "without scripts") {
    await context.exposeBinding("notice", (_source, what: string) => void complaints.push(what));
    await context.addInitScript(() => {
      addEventListener("securitypolicyviolation", (event) => {
        (globalThis as unknown as { notice(what: string): void }).notice(`${event.violatedDirective} was violated by ${event.blockedURI}`);
      });
    });
  }

  const withPage = (page: Page): Visitor => ({
    manner,
    page,
    context,
    async at(heading) {
      try {
        await page.getByRole("heading", { level: 1, name: heading, exact: true }).waitFor();
      } catch (cause) {
        throw new Error(`not at "${heading}" but at ${page.url()}:\n${await page.locator("body").innerText()}`, { cause });
      }
      if (new URL(page.url()).origin === issuer) await look(page, manner);
    },
    async fill(label, text) {
      const field = page.getByLabel(label, { exact: true });
      if (manner !== "keyboard on a phone") return field.fill(text);
      await tabTo(page, field);
      await page.keyboard.press("Control+A");
      await page.keyboard.type(text);
    },
    async press(button) {
      const target = page.getByRole("button", { name: button, exact: true });
      if (manner !== "keyboard on a phone") return leading(page, () => target.click());
      await tabTo(page, target);
      await leading(page, () => page.keyboard.press("Space"));
    },
    async follow(link) {
      const target = page.getByRole("link", { name: link, exact: true });
      if (manner !== "keyboard on a phone") return leading(page, () => target.click());
      await tabTo(page, target);
      await leading(page, () => page.keyboard.press("Enter"));
    },
    async tick(label) {
      const box = page.getByLabel(label, { exact: true });
      if (manner !== "keyboard on a phone") return box.check();
      await tabTo(page, box);
      await page.keyboard.press("Space");
    },
    async download(button) {
      const target = page.getByRole("button", { name: button, exact: true });
      if (manner === "keyboard on a phone") await tabTo(page, target);
      const [download] = await Promise.all([
        page.waitForEvent("download"),
        manner === "keyboard on a phone" ? page.keyboard.press("Space") : target.click(),
      ]);
      return readFileSync(await download.path(), "utf8");
    },
    words: async () => ((await page.locator("main").textContent()) ?? "").replace(/\s+/g, " ").trim(),
    tab: async () => withPage(await context.newPage()),
    async leave() {
      await context.close();
      if (complaints.length > 0) throw new Error(`a page did what it must not:\n${complaints.join("\n")}`);
    },
  });
  return withPage(await context.newPage());
}

/** Does what leads to another page, and waits until the old one is gone: the new one may have the same heading. */
async function leading(page: Page, act: () => Promise<void>): Promise<void> {
  await Promise.all([page.waitForEvent("framenavigated", (frame) => frame === page.mainFrame()), act()]);
}

/** Moves the focus forward as far as needed; wherever it rests on the way, it must be seen. Once for each target in each state of a page. */
async function tabTo(page: Page, target: Locator): Promise<void> {
  await target.waitFor();
  // Until the stylesheet is there and a frame was drawn, nothing has the page's own focus, nor a ring of ours; and scripts do nothing yet.
  await page.waitForLoadState();
  await page.evaluate(() => new Promise((drawn) => requestAnimationFrame(drawn)));
  const way = `${await stateOf(page)}: ${target}`;
  if (reached.has(way)) return target.focus();
  await tabAllTheWay(page, target);
  reached.add(way);
}

/** Targets that the keyboard has reached in this process, by the state of their page. */
const reached = new Set<string>();

async function tabAllTheWay(page: Page, target: Locator): Promise<void> {
  for (let tabs = 0; tabs < MOST_TABS; tabs++) {
    if (await target.evaluate((element) => element === element.ownerDocument.activeElement)) return;
    await page.keyboard.press("Tab");
    const unseen = await page.evaluate(() => {
      const element = document.activeElement;
      if (element === null || element === document.body || !element.closest(".card, .brand")) return undefined;
      const { outlineStyle, outlineWidth } = getComputedStyle(element);
      const { top, bottom } = element.getBoundingClientRect();
      const ring = outlineStyle !== "none" && Number.parseFloat(outlineWidth) >= 2;
      return ring && bottom > 0 && top < innerHeight ? undefined : element.outerHTML;
    });
    expect(unseen, "the focus is not visible").toBeUndefined();
  }
  throw new Error(`the keyboard does not reach ${target}`);
}

/** Pages in the states that were looked at in this process. */
const seen = new Set<string>();

async function look(page: Page, manner: Manner): Promise<void> {
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  expect(overflow, `${page.url()} is wider than the screen`).toBe(0);
  const state = await stateOf(page);
  const key = `${state} (${manner})`;
  if (seen.has(key)) return;
  seen.add(key);
  if (shots) {
    mkdirSync(shots, { recursive: true });
    await page.screenshot({ path: `${shots}/${key.replace(/[^\w-]+/g, "-")}.png`, fullPage: true });
  }
  if (manner === "without scripts" || seen.has(state)) return;
  seen.add(state);
  expect(await violations(page)).toEqual([]);
}

/** Which page it is, and whether it complains. */
const stateOf = (page: Page): Promise<string> =>
  page.evaluate(() => {
    const alert = document.querySelector("[role=alert]") === null ? "" : " with an alert";
    return `${document.querySelector("main")?.className.replace(/^.*card-/, "") ?? "bare"} ${document.querySelector("h1")?.textContent}${alert}`;
  });

/** What axe has against a page, by all its rules or some. */
export async function violations(page: Page, rules?: string[]): Promise<string[]> {
  // The other mode, for pages with frames, opens a page of its own for every look.
  const axe = new AxeBuilder({ page }).setLegacyMode();
  if (rules === undefined) axe.withTags(["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]);
  else axe.withRules(rules);
  const found = await axe.analyze();
  return found.violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" | ")}`);
}
