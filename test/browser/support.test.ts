import { expect, test } from "vitest";
import { launch } from "../support/chromium.ts";

test("the browser runs scripts and shows what they did", async () => {
  const browser = await launch();
  try {
    const page = await browser.newPage();
    await page.setContent("<title>before</title><script>document.title = 'after'</script>");
    expect(await page.title()).toBe("after");
    expect(await page.evaluate(() => document.compatMode)).toBe("BackCompat");
  } finally {
    await browser.close();
  }
});
