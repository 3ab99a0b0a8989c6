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

test("a moment names its zone: the reader's, or UTC", () => {
  const at = new Date("2026-11-23T22:30Z");
  const said = (zone?: string) =>
    [wordingFor("en", zone).moment(at), wordingFor("en", zone).day(at)].map((words) => words.replace(/\s/gu, " "));
  expect(said()).toEqual(["Nov 23, 2026, 10:30 PM UTC", "November 23, 2026"]);
  expect(said("Europe/Berlin")).toEqual(["Nov 23, 2026, 11:30 PM GMT+1", "November 23, 2026"]);
  expect(said("Asia/Tokyo")).toEqual(["Nov 24, 2026, 7:30 AM GMT+9", "November 24, 2026"]);
  expect(wordingFor("de", "Europe/Berlin").moment(new Date("2026-07-01T10:00Z"))).toMatch(/12:00 MESZ$/);
});

test("several things are enumerated as the language does it", () => {
  const factors = [text("events:factors.password"), text("events:factors.app")];
  expect(wordingFor("en").list(factors)).toBe("your password and a code from your authenticator app");
  expect(wordingFor("ja").list(factors)).toBe("パスワード、認証アプリのコード");
});
