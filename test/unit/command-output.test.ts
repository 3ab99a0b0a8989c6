import { expect, test } from "vitest";
import { moreNote, positiveInteger } from "../../src/admin/commands.ts";
import { details, numericDate, printable, table, time } from "../../src/admin/output.ts";
import { isManagementScope } from "../../src/clients/scopes.ts";
import { checkManagementScopes, MANAGEMENT_SCOPES } from "../../src/operations/management-scopes.ts";

test("tables line up, and say when there is nothing", () => {
  const rows = [
    [["name", "Ada"] as const, ["roles", undefined] as const],
    [["name", "Grace Hopper"] as const, ["roles", "admin"] as const],
  ];
  expect(table(rows, "Nobody.")).toBe("NAME          ROLES\nAda           -\nGrace Hopper  admin");
  expect(table([], "Nobody.")).toBe("Nobody.");
});

test("details leave out what is not there", () => {
  expect(
    details([
      ["name", "Ada"],
      ["e-mail", undefined],
      ["since", ""],
      ["id", "1"],
    ]),
  ).toBe("name  Ada\nid    1");
});

test("what a stranger wrote neither commands the terminal nor turns its lines", () => {
  for (const evil of ["\u001b[2J", "a\nb", "\u009b31m", "\u202Eevil", "\u2066x", "\u0007"]) {
    expect(printable(evil)).not.toMatch(/[\p{Cc}\u202E\u2066]/u);
    expect(table([[["name", evil] as const]], "").split("\n")).toHaveLength(2);
  }
  expect(printable("Zoë Müller 东京 👩‍🚀")).toBe("Zoë Müller 东京 👩‍🚀");
});

test("times are UTC for people and seconds for programs", () => {
  const at = new Date("2026-02-03T04:05:06.789Z");
  expect(time(at)).toBe("2026-02-03 04:05:06 UTC");
  expect(numericDate(at)).toBe(1770091506);
  expect(moreNote("next")).toEqual({ notes: ["There are more: --cursor next"] });
  expect(moreNote(undefined)).toEqual({});
});

test("numbers are whole and above 0", () => {
  expect(positiveInteger("17")).toBe(17);
  for (const wrong of ["0", "-1", "1.5", "1e3", "", " 1", "many", "9".repeat(20)]) expect(() => positiveInteger(wrong)).toThrow();
});

test("management scopes have a prefix of their own, and only those that exist are given", () => {
  expect(MANAGEMENT_SCOPES.every(isManagementScope)).toBe(true);
  expect(["openid", "things:read", "xgrantor:keys:read"].some(isManagementScope)).toBe(false);
  expect(() => checkManagementScopes(["grantor:keys:read"])).not.toThrow();
  expect(() => checkManagementScopes(["grantor:keys:read", "grantor:everything"])).toThrow(/do not exist: grantor:everything;/);
});
