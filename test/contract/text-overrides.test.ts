import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { say, text } from "../../src/i18n/messages.ts";
import { overrideTexts } from "../../src/i18n/overrides.ts";
import { type TempDir, tempDir } from "../support/temp-dir.ts";

let directory: TempDir;
let views: string;
beforeEach(() => {
  directory = tempDir("texts");
  views = directory.path;
});
afterEach(() => directory.remove());

async function write(file: string, content: unknown): Promise<void> {
  const path = join(views, "locales", file);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, typeof content === "string" ? content : JSON.stringify(content));
}

test("an operator's texts take the places of ours, one by one", async () => {
  await write("en/sign-in.json", { title: "Welcome to the harbour" });
  await write("de/errors.json", { page: { reference: "Kennzeichen" }, wait_seconds_other: "{{count}} Sekündchen" });
  overrideTexts(views);
  expect(say("en", text("sign-in:title"))).toBe("Welcome to the harbour");
  expect(say("en", text("sign-in:submit"))).toBe("Sign in");
  expect(say("de", text("errors:page.reference"))).toBe("Kennzeichen");
  expect(say("de", text("errors:wait_seconds", { count: 7 }))).toBe("7 Sekündchen");
  expect(say("en", text("errors:page.reference"))).toBe("Reference");
});

test("what was left out in one language may be said in another", async () => {
  await write("en/home.json", { about: "Sign in once." });
  await write("de/home.json", { about: "Einmal anmelden bei {{brand}}." });
  overrideTexts(views);
  expect(say("de", text("home:about", { brand: "Hafen" }))).toBe("Einmal anmelden bei Hafen.");
});

test.each([
  ["nl/home.json", { title: "x" }, /locales.nl is none of the languages en, de/],
  ["en/hom.json", { title: "x" }, /hom\.json is named like no file of ours: there are .*home/],
  ["en/home.json", '{ "title": ', /home\.json is no JSON/],
  ["en/home.json", [], /home\.json holds no object/],
  ["en/home.json", { titel: "x" }, /home\.json has "titel", which no page and no mail says/],
  ["en/home.json", { title: 5 }, /"title" in .*home\.json is no text/],
  ["en/home.json", { about: "At {{brnd}}" }, /"about" in .*home\.json names brnd/],
  ["en/home.json", { about: "At <b>{{brand}}</b>" }, /names b, which/],
])("%s with %j stops the start", async (file, content, words) => {
  await write(file, content);
  expect(() => overrideTexts(views)).toThrow(words);
});

test("a directory without texts is one with templates alone", () => {
  overrideTexts(views);
});
