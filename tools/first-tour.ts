/** For screenshots.ts: a server that nobody administers yet, and the link that it prints. */
import { fileURLToPath } from "node:url";
import type { Browser, Page } from "playwright-core";
import { startGuarded } from "../test/support/guarded-process.ts";
import { at, DESK, open } from "./tour.ts";

const MAIN = fileURLToPath(new URL("../src/main.ts", import.meta.url));

/** @param env of the server, beside PATH */
export async function startFirst(browser: Browser, env: Record<string, string>, picture: (page: Page, name: string) => Promise<void>) {
  const server = await startGuarded([process.execPath, MAIN], { env: { PATH: process.env.PATH ?? "", ...env } });
  try {
    const [, link = ""] = await server.waitForOutput(/^ {2}(http\S+)$/m);
    const page = await open(browser, DESK);
    await page.goto(link);
    await at(page, "Create the first administrator");
    await picture(page, "first-administrator");
    await page.context().close();
  } finally {
    server.signal("SIGTERM");
    await server.exited;
  }
}
