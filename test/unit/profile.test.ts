import { expect, test } from "vitest";
import type { Account } from "../../src/accounts/account.ts";
import { claimsWith, PROFILE_CLAIMS, profileOf, readProfile } from "../../src/accounts/profile.ts";
import { english } from "../../src/i18n/messages.ts";

const NOW = Date.parse("2026-05-05T00:00:00Z");
const faultsOf = (typed: Record<string, string>) => readProfile(typed, NOW).faults.map(({ field }) => field);

test("what is right is taken, tidied; what is empty is not said", () => {
  const typed = {
    name: "  Ada\u0007  Lovelace ",
    given_name: "Ada",
    picture: "https://pictures.example/ada.png",
    website: "http://ada.example",
    birthdate: "1815-12-10",
    zoneinfo: "Europe/London",
    locale: "de",
  };
  expect(faultsOf({ ...typed, birthdate: "1915-12-10" })).toEqual([]);
  expect(faultsOf({ ...typed, birthdate: "1915" })).toEqual([]);
  expect(faultsOf({})).toEqual([]);
  expect(faultsOf(typed)).toEqual(["birthdate"]); // before 1900
  expect(readProfile(typed, NOW).profile).toMatchObject({ name: "Ada   Lovelace", family_name: "" });
});

test.each([
  ["picture", "http://pictures.example/ada.png"],
  ["picture", "javascript:alert(1)"],
  ["picture", "data:image/png;base64,AAAA"],
  ["picture", "https://user:password@pictures.example/"],
  ["picture", `https://pictures.example/${"a".repeat(2000)}`],
  ["website", "ada.example"],
  ["website", "javascript:alert(1)"],
  ["birthdate", "10.12.1990"],
  ["birthdate", "1990-02-30"],
  ["birthdate", "1990-13-01"],
  ["birthdate", "2026-05-06"],
  ["birthdate", "1899"],
  ["birthdate", "2027"],
  ["zoneinfo", "Europe/Atlantis"],
  ["zoneinfo", "__proto__"],
  ["locale", "tlh"],
  ["locale", "en-GB"],
  ["nickname", "a".repeat(201)],
  ["name", "a".repeat(201)],
])("%s: %s is refused, with a sentence", (field, value) => {
  const { faults } = readProfile({ [field]: value }, NOW);
  expect(faults.map((fault) => fault.field)).toEqual([field]);
  expect(english(faults[0]?.message ?? "")).toMatch(/\w.*\.$/);
});

test("claims that people do not set by themselves stay, and what is emptied goes", () => {
  const claims = { phone_number: "+1 555", given_name: "Ada", nickname: "Countess" };
  const account = { id: "a", email: "a@example.com", claims } as unknown as Account;
  const { profile } = readProfile({ ...profileOf(account), nickname: "", locale: "fr", phone_number: "0", email_verified: "true" }, NOW);
  expect(claimsWith(claims, profile)).toEqual({ phone_number: "+1 555", given_name: "Ada", locale: "fr" });
  expect(Object.keys(profile).sort()).toEqual(["name", ...PROFILE_CLAIMS].sort());
});
