/** Whatever is recorded about a person is either shown to them in words, or named here as what is none of their business or noise. */
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { actorFor, addressFor, factorsOf, SECURITY_EVENTS, wordsFor } from "../../src/account-pages/event-words.ts";
import { english } from "../../src/i18n/messages.ts";

const SOURCES = new URL("../../src/", import.meta.url);

/** Not about one person, or told where it belongs. */
const OTHERS = [
  /^key\./,
  /^client\./,
  /^resource\./,
  /^role\./,
  /^registration_token\./,
  /^audit\./,
  /^device_code\./,
  /^provider\.(created|updated|deleted|removed|saved)/,
];
const UNTOLD = [
  "data.exported",
  "data.imported",
  "grant.replayed",
  "api.refused",
  "throttled",
  "token.exchanged",
  "token.revoked",
  "account.deleted",
  "account.invited",
  "password_reset.requested",
];

function recordedEvents(): string[] {
  const files = readdirSync(SOURCES, { recursive: true, encoding: "utf8" }).filter(
    (file) => file.endsWith(".ts") && !file.includes("generated"),
  );
  return files.flatMap((file) =>
    [...readFileSync(new URL(file, SOURCES), "utf8").matchAll(/\bevent: "([a-z_]+(?:\.[a-z_]+)?)"/g)].map(([, event]) => event as string),
  );
}

test("each event of the source is told or left out on purpose", () => {
  const known = new Set<string>([...SECURITY_EVENTS, ...UNTOLD]);
  const forgotten = new Set(recordedEvents().filter((event) => !known.has(event) && !OTHERS.some((pattern) => pattern.test(event))));
  expect([...forgotten]).toEqual([]);
});

test.each(SECURITY_EVENTS)("%s has words, also when it was refused", (event) => {
  for (const outcome of ["success", "failure"] as const) expect(english(wordsFor({ event, outcome }))).toMatch(/^[A-Z]/);
});

test.each([
  ["pwd", "your password"],
  ["pwd otp mfa", "your password, a code from your authenticator app"],
  ["fed recovery mfa", "an account at another provider, a recovery code"],
  ["hwk user mfa", "a passkey"],
  ["pwd swk user mfa", "your password, a passkey"],
  [undefined, ""],
])("a sign-in with %s was by: %s", (amr, said) => {
  const event = { event: "sign_in", detail: { outcome: "success", ...(amr !== undefined && { amr }) } };
  const by = factorsOf({ ...event, outcome: "success" });
  expect(by.map(english).join(", ")).toBe(said);
  expect(factorsOf({ ...event, outcome: "failure" })).toEqual([]);
  expect(factorsOf({ ...event, event: "sign_out", outcome: "success" })).toEqual([]);
});

test("whoever came past the first step alone is told apart", () => {
  const said = (outcome: string) => english(wordsFor({ event: "sign_in", outcome: "failure", detail: { outcome } }));
  expect(said("wrong_code")).toContain("but not the second");
  expect(said("wrong_password")).not.toContain("second");
});

test.each([
  [{ actor: "ada" }, "you", "192.0.2.1"],
  [{ actor: undefined }, undefined, "192.0.2.1"], // a stranger at their account
  [{ actor: "photos", clientId: "photos" }, "photos", "192.0.2.1"],
  [{ actor: "grace" }, "operator", undefined],
  [{ actor: "backoffice", clientId: "photos" }, "operator", undefined],
])("of what %o did, a person reads who it was, and from where, unless that is somebody else's", (who, by, address) => {
  const event = { accountId: "ada", clientId: undefined, address: "192.0.2.1", ...who };
  expect([actorFor(event), addressFor(event)]).toEqual([by, address]);
});
