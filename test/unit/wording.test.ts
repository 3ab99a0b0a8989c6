import { expect, test } from "vitest";
import { wordingFor } from "../../src/http/wording.ts";
import { text } from "../../src/i18n/messages.ts";

const strong = { strong: ["<strong>", "</strong>"] } as const;

test("a text's markup is the template's; what a stranger typed stays text, set apart in its direction", () => {
  const { rich } = wordingFor("en");
  expect(rich("common:you_are_on", { host: "id.example", brand: "Harbour & Co" }, strong)).toBe(
    "You are on <strong><bdi>id.example</bdi></strong>, the sign-in service of <bdi>Harbour &#38; Co</bdi>.",
  );
  const evil = rich("common:you_are_on", { host: "<strong>x</strong>\u{F0001}<script>", brand: "{{host}} $t(common:look_again)" }, strong);
  expect(evil).toContain("<strong><bdi>&#60;strong&#62;x&#60;/strong&#62;&#60;script&#62;</bdi></strong>");
  expect(evil).not.toContain("<script>");
  expect(evil).not.toContain("look at this");
});

test("what logic wanted said keeps its values apart, whichever way the reader reads; words without a translation are escaped alone", () => {
  const sent = "http://app.example/cb/";
  const said = wordingFor("ar").sayExactly(text("remedies:redirect_uri.what", { sent, registered: "<b>" }));
  expect(said).toContain(`<bdi>${sent}</bdi>`);
  expect(said).toContain("<bdi>&#60;b&#62;</bdi>");
  expect(wordingFor("ar").sayExactly("a < b")).toBe("a &#60; b");
});

test("a tag without markup, a text that is not there and a value that is missing are mistakes", () => {
  const { rich, t } = wordingFor("en");
  expect(() => rich("consent:next.take_back")).toThrow(/<a>/);
  expect(() => t("common:no_such_text")).toThrow(/no_such_text/);
  expect(() => t("common:you_are_on", { host: "a" })).toThrow(/brand/);
});
