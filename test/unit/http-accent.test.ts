import fc from "fast-check";
import { expect, test } from "vitest";
import { accentOf, accentStylesheet, contrastOf } from "../../src/http/accent.ts";

const color = fc.integer({ min: 0, max: 0xffffff }).map((value) => `#${value.toString(16).padStart(6, "0")}`);

test("the ratio of contrast is WCAG's", () => {
  expect(contrastOf("#000000", "#ffffff")).toBe(21);
  expect(contrastOf("#767676", "#ffffff")).toBeCloseTo(4.54, 2);
  expect(contrastOf("#3152c8", "#3152c8")).toBe(1);
});

test("whatever the colour, everything that is written in it or on it can be read in both schemes", () => {
  fc.assert(
    fc.property(color, (any) => {
      const { accent, onAccent, strong, link, darkLink, darkStrong } = accentOf(any);
      expect(accent).toBe(any);
      const pairs = [
        [onAccent, accent],
        [onAccent, strong],
        // grantor.css: ground and surface of the light scheme
        [link, "#f3f4f7"],
        [link, "#ffffff"],
        // the dark one: surface, ground, and the text on buttons
        [darkLink, "#191d26"],
        [darkLink, "#101319"],
        [darkLink, "#0d1017"],
        [darkStrong, "#0d1017"],
      ] as const;
      for (const [one, other] of pairs) expect(contrastOf(one, other), `${one} on ${other}`).toBeGreaterThanOrEqual(4.5);
    }),
  );
});

test("a colour that can be read stays as it is", () => {
  expect(accentStylesheet("#3152c8")).toContain(":root{--accent:#3152c8;--on-accent:#ffffff;--accent-strong:#2843a4;--link:#3152c8}");
});
