/** TRACEABILITY.md names tests that exist. */
import { globSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const TESTS = fileURLToPath(new URL("..", import.meta.url));

test("every test that a requirement is said to have is there", () => {
  const rows = readFileSync(new URL("../TRACEABILITY.md", import.meta.url), "utf8");
  const named = new Set(
    [...rows.matchAll(/`((?:unit|contract|flows|browser|faults|support)\/[\w*-]+)`/g)].map(([, name]) => name as string),
  );
  expect(named.size).toBeGreaterThan(100);
  const gone = [...named].filter((name) => globSync([`${name}.test.ts`, `${name}.ts`], { cwd: TESTS }).length === 0);
  expect(gone).toEqual([]);
});
