/** What the tours of screenshots.ts share. */
import { readdirSync, readFileSync } from "node:fs";
import type { Browser, Page } from "playwright-core";
import type { Demo } from "../test/support/demo.ts";
import { waitFor } from "../test/support/wait-for.ts";

export const DESK = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

/** As they are called in the names of pictures. */
export const PICTURED_LANGUAGES = { arabic: "ar", german: "de", japanese: "ja" } as const;
export type PicturedLanguage = keyof typeof PICTURED_LANGUAGES;

export interface Tour {
  readonly browser: Browser;
  readonly demo: Demo;
  /** Where mails lie. */
  readonly outbox: string;
  picture(page: Page, name: string, schemes?: readonly ("light" | "dark")[]): Promise<void>;
  /** The same page once more in each, which ends as it began. @param prepare what is done to each of them before its picture */
  inLanguages(page: Page, name: string, languages: readonly PicturedLanguage[], prepare?: () => Promise<void>): Promise<void>;
}

export const open = async (browser: Browser, userAgent: string): Promise<Page> =>
  (await browser.newContext({ userAgent, deviceScaleFactor: 1.5 })).newPage();

export const at = (page: Page, heading: string) => page.getByRole("heading", { level: 1, name: heading, exact: true }).waitFor();
export const fill = (page: Page, label: string, text: string) => page.getByLabel(label, { exact: true }).fill(text);
export const press = (page: Page, button: string) => page.getByRole("button", { name: button, exact: true }).click();
export const follow = (page: Page, link: string) => page.getByRole("link", { name: link, exact: true }).click();

export async function signIn(page: Page, { email, password }: { email: string; password: string }): Promise<void> {
  await fill(page, "E-mail address", email);
  await fill(page, "Password", password);
  await press(page, "Sign in");
}

/** The newest mail that has a link to a page, which comes after the answer. */
export const newestLink = (outbox: string, page: string): Promise<string> =>
  waitFor(`a mail with a link to ${page}`, () => {
    const mails = readdirSync(outbox).filter((file) => file.endsWith(".eml"));
    const links = mails.sort().flatMap((file) => readFileSync(`${outbox}/${file}`, "utf8").match(/^http\S+$/gm) ?? []);
    return links.findLast((link) => link.includes(page));
  });
