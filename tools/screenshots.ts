/**
 * `node tools/screenshots.ts`: the pictures in docs/images/, taken of the demo in Chromium: on a phone and on a desk, in light, some of them
 * in dark and in other languages too. `node tools/screenshots.ts portal` takes some of them: TOURS are there. Needs the ports 3000 to 3003,
 * which people see in the pictures, and a font with Japanese in it (Debian: fonts-ipafont-gothic). They are a quarter as large, and look the
 * same, with a palette: `pngquant --force --ext .png docs/images/*.png`.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Browser, Page } from "playwright-core";
import { removeCluster } from "../src/storage/embedded-cluster.ts";
import { launch } from "../test/support/chromium.ts";
import { type Demo, startDemo } from "../test/support/demo.ts";
import { tempDir } from "../test/support/temp-dir.ts";
import { lookAfterAccount } from "./account-tour.ts";
import { startFirst } from "./first-tour.ts";
import { LOGO_PORT, lookAfterApplications, PORTAL_SETTINGS } from "./portal-tour.ts";
import { PICTURED_LANGUAGES, type PicturedLanguage, type Tour } from "./tour.ts";
import { visit } from "./visit-tour.ts";

const IMAGES = fileURLToPath(new URL("../docs/images/", import.meta.url));

const SIZES = { phone: { width: 375, height: 780 }, desktop: { width: 960, height: 820 } } as const;
type Size = keyof typeof SIZES;
type Scheme = "light" | "dark";
const BOTH = ["phone", "desktop"] as const;

const PROVIDERS = [
  { id: "acme", kind: "oidc", name: "Acme", issuer: "https://id.acme.example", client_id: "grantor" },
  { id: "github", kind: "github", name: "GitHub", client_id: "grantor", client_secret: "never used in pictures" },
];

/** Pixels of a long page that are enough to know it by. */
const TALLEST = 1600;

const TOURS = {
  "sign-in": () =>
    withDemo({}, async (tour) => {
      for (const size of BOTH) {
        for (const colorScheme of ["light", "dark"] as const) await signIn(tour.browser, tour.demo, size, colorScheme);
      }
      await visit(tour);
    }),
  first: () => withData((dir) => startFirst(browser, { DATA_DIR: `${dir}/data`, PORT: "3000" }, picture)),
  account: () => withDemo({}, lookAfterAccount, PROVIDERS),
  portal: () => withDemo({ ...PORTAL_SETTINGS, FETCH_ALLOW: `localhost:${LOGO_PORT}` }, lookAfterApplications),
};

const browser = await launch();
mkdirSync(IMAGES, { recursive: true });
const chosen = process.argv.slice(2);
for (const [name, take] of Object.entries(TOURS)) {
  if (chosen.length === 0 || chosen.includes(name)) await take();
}
await browser.close();

function withDemo(settings: Record<string, string>, work: (tour: Tour) => Promise<void>, providers: object[] = []): Promise<void> {
  return withData(async (dir) => {
    const file = `${dir}/providers.json`;
    writeFileSync(file, JSON.stringify({ providers }));
    const ports = { PORT: "3000", RP_PORT: "3001", API_PORT: "3002" };
    await using demo = await startDemo({ DATA_DIR: `${dir}/data`, IDENTITY_PROVIDERS_FILE: file, ...ports, ...settings });
    await work({ browser, demo, outbox: `${dir}/data/outbox`, picture, inLanguages });
  });
}

/** @param work gets a directory, whose `data` may hold a server's */
async function withData(work: (dir: string) => Promise<void>): Promise<void> {
  await using dir = tempDir("screenshots");
  try {
    await work(dir.path);
  } finally {
    removeCluster(`${dir.path}/data`);
  }
}

async function save(page: Page, name: string): Promise<void> {
  const { width, height } = (await page.locator("html").boundingBox()) ?? SIZES.desktop;
  await page.screenshot({ path: `${IMAGES}${name}.png`, fullPage: true, clip: { x: 0, y: 0, width, height: Math.min(height, TALLEST) } });
}

/** The page as it stands, at both sizes. */
async function picture(page: Page, name: string, schemes: readonly Scheme[] = ["light"]): Promise<void> {
  for (const colorScheme of schemes) {
    await page.emulateMedia({ colorScheme });
    for (const size of BOTH) {
      await page.setViewportSize(SIZES[size]);
      await save(page, `${name}-${size}-${colorScheme}`);
    }
  }
  await page.emulateMedia({ colorScheme: "light" });
}

async function inLanguages(page: Page, name: string, languages: readonly PicturedLanguage[], prepare = async (): Promise<void> => {}) {
  const url = page.url();
  for (const language of languages) {
    const translated = new URL(url);
    translated.searchParams.set("ui_locales", PICTURED_LANGUAGES[language]);
    await page.goto(translated.href);
    await prepare();
    for (const size of BOTH) {
      await page.setViewportSize(SIZES[size]);
      await save(page, `${name}-${size}-${language}`);
    }
  }
  await page.goto(url);
}

async function signIn(browser: Browser, { app, login }: Demo, size: Size, colorScheme: Scheme): Promise<void> {
  const context = await browser.newContext({ viewport: SIZES[size], colorScheme, deviceScaleFactor: 2 });
  const page = await context.newPage();
  await page.goto(`${app}/sign-in`);
  await page.getByLabel("E-mail address").fill(login.email);
  await save(page, `sign-in-${size}-${colorScheme}`);
  await page.getByLabel("Password", { exact: true }).fill(login.password);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await page.getByRole("button", { name: "Allow", exact: true }).waitFor();
  await save(page, `consent-${size}-${colorScheme}`);
  await context.close();
}
