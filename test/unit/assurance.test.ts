import { expect, test } from "vitest";
import { ACR_VALUES, acrOf, reaches, requiredAcr, withSecondFactor } from "../../src/factors/assurance.ts";

const [password, twoFactor, passkey] = ACR_VALUES as [string, string, string];

test.each([
  [["pwd"], password],
  [["fed"], password],
  [["pwd", "otp", "mfa"], twoFactor],
  [["pwd", "recovery", "mfa"], twoFactor],
  [["hwk", "user", "mfa"], passkey],
  [["pwd", "swk", "user", "mfa"], passkey],
])("%j is %s", (amr, acr) => {
  expect(acrOf(amr)).toBe(acr);
});

test("what a second factor adds is said once", () => {
  expect(withSecondFactor(["pwd"], "otp")).toEqual(["pwd", "otp", "mfa"]);
  expect(withSecondFactor(["pwd", "otp", "mfa"], "hwk", "user", "mfa")).toEqual(["pwd", "otp", "mfa", "hwk", "user"]);
});

test.each([
  [undefined, false, password],
  [undefined, true, twoFactor],
  ["", false, password],
  [twoFactor, false, twoFactor],
  [`${passkey} ${twoFactor}`, false, twoFactor],
  [`${passkey} ${password}`, true, twoFactor],
  [passkey, true, passkey],
  ["urn:mace:incommon:iap:silver 1", false, password],
  [`urn:mace:incommon:iap:silver ${passkey}`, false, passkey],
  [17, false, password],
])("%j with %s demands %s", (asked, secondFactor, required) => {
  expect(requiredAcr({ asked, secondFactor })).toBe(required);
});

test("each reaches itself and what is weaker", () => {
  const reached = ACR_VALUES.map((acr) => ACR_VALUES.map((required) => reaches(acr, required)));
  expect(reached).toEqual([
    [true, false, false],
    [true, true, false],
    [true, true, true],
  ]);
  for (const acr of [undefined, "", "urn:grantor:acr:other"])
    expect(ACR_VALUES.map((required) => reaches(acr, required))).toEqual(reached[0]);
});
