/**
 * `node tools/screenshots.ts`: the pictures of sign-in and consent in docs/images/, taken of the demo in Chromium: on a phone and on a desk,
 * in light and dark. Needs the ports 3000 to 3002, which people see in the pictures.
 */
import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Browser } from "playwright-core";
import { removeCluster } from "../src/storage/embedded-cluster.ts";
import { launch } from "../test/support/chromium.ts";
import { type Demo, startDemo } from "../test/support/demo.ts";
import { tempDir } from "../test/support/temp-dir.ts";

const IMAGES = fileURLToPath(new URL("../docs/images/", import.meta.url));

const SIZES = { phone: { width: 375, height: 780 }, desktop: { width: 960, height: 820 } } as const;

await using dir = tempDir("screenshots");
const dataDir = `${dir.path}/data`;
try {
  await using demo = await startDemo({ DATA_DIR: dataDir, PORT: "3000", RP_PORT: "3001", API_PORT: "3002" });
  const browser = await launch();
  mkdirSync(IMAGES, { recursive: true });
  for (const size of ["phone", "desktop"] as const) {
    for (const colorScheme of ["light", "dark"] as const) await take(browser, demo, size, colorScheme);
  }
  await browser.close();
} finally {
  removeCluster(dataDir);
}

async function take(browser: Browser, { app, login }: Demo, size: keyof typeof SIZES, colorScheme: "light" | "dark"): Promise<void> {
  const context = await browser.newContext({ viewport: SIZES[size], colorScheme, deviceScaleFactor: 2 });
  const page = await context.newPage();
  const shot = (name: string) => page.screenshot({ path: `${IMAGES}${name}-${size}-${colorScheme}.png`, fullPage: true });
  await page.goto(`${app}/sign-in`);
  await page.getByLabel("E-mail address").fill(login.email);
  await shot("sign-in");
  await page.getByLabel("Password", { exact: true }).fill(login.password);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await page.getByRole("button", { name: "Allow", exact: true }).waitFor();
  await shot("consent");
  await context.close();
}
