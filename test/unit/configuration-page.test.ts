import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { settings } from "../../src/settings.ts";

const page = readFileSync(new URL("../../docs/configuration.md", import.meta.url), "utf8");
const rows = new Map([...page.matchAll(/^\| `([A-Z_]+)` \| (.*?) \|/gm)].map(([, name, fallback]) => [name as string, fallback as string]));

test("docs/configuration.md has every setting, and no other", () => {
  expect([...rows.keys()]).toEqual(Object.keys(settings.shape));
});

test.each(Object.entries(settings.shape))("%s: the documented default is the real one", (name, schema) => {
  const fallback = schema.parse(undefined);
  // Where there is none, the page says in words what happens instead.
  if (typeof fallback === "string" || typeof fallback === "number") expect(rows.get(name)).toBe(`\`${fallback}\``);
  else expect(rows.get(name)).not.toBe("");
});
