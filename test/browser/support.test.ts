import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { launch } from "../support/chromium.ts";
import { visit } from "./visitor.ts";

let browser: Browser;
beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser?.close());

test("the browser runs scripts and shows what they did", async () => {
  const page = await browser.newPage();
  await page.setContent("<title>before</title><script>document.title = 'after'</script>");
  expect(await page.title()).toBe("after");
  expect(await page.evaluate(() => document.compatMode)).toBe("BackCompat");
});

test.each([
  ["a script that the policy forbids", "<script>0</script>", "script-src-elem was violated"],
  ["a picture from elsewhere", '<img src="http://127.0.0.1:9/picture" alt="">', "a request left for http://127.0.0.1:9/picture"],
  ["a file that is missing", '<img src="/missing" alt="">', "404 for"],
  ["a page that is too wide", '<div style="width:200vw">wide</div>', undefined],
  ["a field without a label", "<input>", undefined],
])("a visitor notices %s", async (_, content, complaint) => {
  const server = createServer((req, res) => {
    res.statusCode = req.url === "/" ? 200 : 404;
    res.setHeader("Content-Type", "text/html");
    if (complaint?.includes("script-src")) res.setHeader("Content-Security-Policy", "script-src 'nonce-x'");
    res.end(
      `<!doctype html><html lang="en"><title>Page</title><link rel="icon" href="data:,"><main class="card"><h1>${content.length}</h1>${content}</main></html>`,
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const visitor = await visit(browser, "mouse", { issuer, application: "http://127.0.0.1:1" });
  await visitor.page.goto(issuer);
  const look = visitor.at(`${content.length}`);
  if (complaint === undefined) {
    await expect(look).rejects.toThrow();
    await visitor.leave();
  } else {
    await look;
    await expect(visitor.leave()).rejects.toThrow(complaint);
  }
  server.closeAllConnections();
  server.close();
});
