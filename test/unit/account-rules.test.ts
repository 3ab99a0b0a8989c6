import { expect, test } from "vitest";
import type { Account } from "../../src/accounts/account.ts";
import { claimsFor, refusedClaims } from "../../src/accounts/account-claims.ts";
import { checkEmail, normalizeEmail } from "../../src/accounts/email-address.ts";
import { createInteractionState } from "../../src/accounts/interaction-state.ts";
import { createKnownDevices } from "../../src/accounts/known-devices.ts";

test.each(["ada@example.com", "a@b.co", "ada+tag@sub.example.museum", "root@localhost", "ädä@bücher.example", "o'hara@example.com"])(
  "%s is an address",
  (email) => {
    expect(checkEmail(normalizeEmail(email))).toEqual([]);
  },
);

test.each([
  "",
  "ada",
  "ada@",
  "@example.com",
  "ada@exa mple.com",
  "ada@example..com",
  "ada@-example.com",
  "ada@example.com, eve@example.com",
  "Ada <ada@example.com>",
  "ada@example.com\r\nBcc: eve@example.com",
  "ada@[127.0.0.1]",
  `${"a".repeat(65)}@example.com`,
  `a@${"b".repeat(60)}.${"c".repeat(60)}.${"d".repeat(60)}.${"e".repeat(60)}.${"f".repeat(20)}`,
  "ada\u0000@example.com",
])("%j is none", (email) => {
  expect(checkEmail(normalizeEmail(email))).toHaveLength(1);
});

test("spellings of one address are one", () => {
  const forms = ["  Ada@Example.COM ", "ada@example.com", "\tADA@EXAMPLE.COM\n"].map(normalizeEmail);
  expect(new Set(forms).size).toBe(1);
  expect(normalizeEmail("e\u0301va@example.com")).toBe(normalizeEmail("\u00E9VA@example.com"));
});

const account: Account = {
  id: "sub-1",
  email: "ada@example.com",
  emailVerified: true,
  name: "Ada",
  claims: {
    given_name: "Ada",
    phone_number: "+1",
    address: { country: "UK" },
    sub: "other",
    email: "x@example.com",
    roles: ["admin"],
    picture: 7,
  },
  createdAt: new Date(0),
  updatedAt: new Date(1_700_000_000_999),
  roles: ["editor"],
  requiresSecondFactor: false,
  permissions: [],
};

test("a scope releases its own claims and no others", () => {
  expect(claimsFor(account, ["openid"])).toEqual({ sub: "sub-1" });
  expect(claimsFor(account, ["openid", "profile"])).toEqual({ sub: "sub-1", name: "Ada", given_name: "Ada", updated_at: 1_700_000_000 });
  expect(claimsFor(account, ["openid", "email", "phone", "address", "roles"])).toEqual({
    sub: "sub-1",
    email: "ada@example.com",
    email_verified: true,
    phone_number: "+1",
    address: { country: "UK" },
    roles: ["editor"],
  });
  expect(claimsFor(account, ["constructor", "__proto__"])).toEqual({ sub: "sub-1" });
});

test("a record holds standard claims of the right type alone", () => {
  expect(refusedClaims({ given_name: "Ada", phone_number_verified: true, address: {} })).toEqual([]);
  expect(refusedClaims({ address: { formatted: { a: 1 } }, nickname: "x".repeat(4_000) })).toEqual(["address", "nickname"]);
  expect(
    refusedClaims({ address: { formatted: "x".repeat(3_000), country: "FR" }, website: `https://a.example/${"x".repeat(2_000)}` }),
  ).toEqual([]);
  expect(refusedClaims({ sub: "x", email: "x", roles: [], given_name: 1, address: [], constructor: "x" })).toEqual([
    "sub",
    "email",
    "roles",
    "given_name",
    "address",
    "constructor",
  ]);
});

test("a known device is known to its accounts only, for half a year, whichever key signed", () => {
  let time = Date.UTC(2030, 0, 1);
  const old = Buffer.alloc(32, 1);
  const devices = createKnownDevices([old], () => time);
  const first = devices.remember("ada@example.com", undefined);
  const { value } = devices.remember("eve@example.com", first.value);
  const adas = devices.recognize("ada@example.com", value);
  expect(adas).toMatch(/^[\w-]{16}$/);
  expect(devices.recognize("eve@example.com", value)).not.toBe(adas);
  expect(devices.recognize("bob@example.com", value)).toBeUndefined();
  expect(
    devices.recognize(
      "ada@example.com",
      value.replace(/.(?=.$)/, (digit) => (digit === "A" ? "B" : "A")),
    ),
  ).toBeUndefined();
  expect(devices.recognize("eve@example.com", `x${value}`)).toBeUndefined();
  expect(devices.recognize("ada@example.com", "~~..~")).toBeUndefined();
  expect(createKnownDevices([Buffer.alloc(32, 2), old], () => time).recognize("ada@example.com", value)).toBe(adas);
  expect(createKnownDevices([Buffer.alloc(32, 2)], () => time).recognize("ada@example.com", value)).toBeUndefined();
  time += first.maxAge * 1000;
  expect(devices.recognize("ada@example.com", value)).toBeUndefined();
  let many: string | undefined;
  for (let person = 0; person < 9; person += 1) many = devices.remember(`p${person}@example.com`, many).value;
  expect(many?.split("~")).toHaveLength(5);
  expect(devices.recognize("p8@example.com", many)).toBeDefined();
});

test("interaction state opens to what was signed alone", () => {
  const state = createInteractionState([Buffer.alloc(32, 1)]);
  const signed = state.sign("uid_1234567890-abcdef");
  expect(state.open(signed)).toBe("uid_1234567890-abcdef");
  for (const forged of [undefined, "", "uid_1234567890-abcdef", signed.replace("uid", "xid"), `${signed}x`, "../../evil.example.com"])
    expect(state.open(forged)).toBeUndefined();
  expect(createInteractionState([Buffer.alloc(32, 2)]).open(signed)).toBeUndefined();
});
