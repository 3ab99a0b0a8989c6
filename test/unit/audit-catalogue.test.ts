/** docs/audit-log.md names every event that is recorded, and no other. */
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { CATALOGUE } from "../support/audit-catalogue.ts";

const ROOT = new URL("../../", import.meta.url);
const sources = readdirSync(new URL("src/", ROOT), { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".ts") && !file.includes("generated"))
  .map((file) => readFileSync(new URL(`src/${file}`, ROOT), "utf8"))
  .join("\n");
const literal = [...sources.matchAll(/\bevent: "([a-z_]+(?:\.[a-z_]+)?)"/g)].map(([, event]) => event as string);

test("every event that is recorded stands in the table", () => {
  expect(new Set(literal).difference(CATALOGUE)).toEqual(new Set());
});

test("every event of the table is recorded", () => {
  const unknown = [...CATALOGUE].filter((event) => {
    const [noun, what] = event.split(".");
    return !sources.includes(`"${event}"`) && !(sources.includes(`\`${noun}.\${what}\``) && sources.includes(`"${what}"`));
  });
  expect(unknown).toEqual([]);
});
