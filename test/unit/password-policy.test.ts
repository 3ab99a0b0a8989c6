import { createHash } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { Options } from "@zxcvbn-ts/core";
import { pino } from "pino";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { createPasswordPolicy, type PasswordPolicy } from "../../src/accounts/password-policy.ts";
import { createPasswordStrength } from "../../src/accounts/password-strength.ts";
import { loadConfig } from "../../src/config.ts";
import { english, text } from "../../src/i18n/messages.ts";

const rules = loadConfig({}).password;
const lines: Record<string, unknown>[] = [];
const log = pino({ level: "debug" }, { write: (line: string) => void lines.push(JSON.parse(line)) });
const alone = { standsAlone: true, about: ["ada@example.com", "Ada Lovelace"] };
const beside = { ...alone, standsAlone: false };
const sentences = async (policy: PasswordPolicy, password: string, use = alone) =>
  (await policy.check(password, use)).map(({ field, message }) => `${field}: ${english(message)}`);

let policy: PasswordPolicy;
beforeAll(() => {
  policy = createPasswordPolicy(rules, "Grantor", log);
});
afterAll(() => policy.close());

/** Different characters, far apart, so that nothing but their number decides. */
const varied = (length: number, first = 0x3041) => Array.from({ length }, (_, n) => String.fromCodePoint(first + ((n * 37) % 83))).join("");

describe("what may be a password", () => {
  test.each([
    ["a few words", "correct horse battery staple"],
    ["15 characters", varied(15)],
    ["256 characters", varied(256)],
    ["15 emoji of two code units each", varied(15, 0x1f600)],
    ["256 letters that grow when normalised", `${varied(15)}${"\uFDFA".repeat(241)}`],
    ["letters with their accents apart", "e\u0301a\u0300o\u0302u\u0308n\u0303c\u0327 mot de passe"],
    ["control characters in it", "correct\thorse\nbattery staple"],
    ["much of nothing, and then something", `${"a".repeat(100)}correct horse battery`],
    ["something, and then much of nothing", `correct horse battery${"a".repeat(100)}`],
  ])("%s", async (_, password) => expect(await sentences(policy, password)).toEqual([]));

  test("15 characters where it stands alone, 8 with a second factor, counted as people count them", async () => {
    expect(policy.minimumLength(true)).toBe(15);
    expect(policy.minimumLength(false)).toBe(8);
    for (const short of ["", varied(14), varied(14, 0x1f600), "e\u0301".repeat(14)])
      expect(await sentences(policy, short)).toEqual([expect.stringMatching(/^password: Choose a password of at least 15 characters/)]);
    expect(await sentences(policy, varied(8), beside)).toEqual([]);
    expect(await sentences(policy, varied(7), beside)).toEqual([expect.stringContaining("at least 8 characters")]);
    expect([policy.standsAlone(varied(15)), policy.standsAlone(varied(14)), policy.standsAlone("e\u0301".repeat(14))]).toEqual([
      true,
      false,
      false,
    ]);
    for (const long of [varied(257), "a".repeat(65_536)])
      expect(await sentences(policy, long)).toEqual([expect.stringContaining("at most 256 characters")]);
  });

  test("what is known of a person counts as far as a name or an address is long", async () => {
    const password = "gherkin ottoman 7 wix";
    const about = (before: number) => [`${"- ".repeat(before / 2)}${password}`];
    expect(await sentences(policy, password, { standsAlone: true, about: about(200) })).toHaveLength(1);
    expect(await sentences(policy, password, { standsAlone: true, about: about(50_000) })).toEqual([]);
  });

  test("an operator sets the lengths", async () => {
    const other = createPasswordPolicy({ ...rules, minLength: 20, minLengthWithSecondFactor: 12 }, "Grantor", log);
    expect([other.minimumLength(true), other.minimumLength(false)]).toEqual([20, 12]);
    expect(other.standsAlone(varied(19))).toBe(false);
    expect(await sentences(other, varied(19))).toEqual([expect.stringContaining("at least 20")]);
    await other.close();
  });

  test.each([
    "passwordpassword",
    "Password123456!",
    "PASSWORD00000000",
    "monkeymonkeymonkey",
    "123456789012345",
    "1111111111111111",
    "letmein letmein",
    "Password-Password!",
    "123456 123456 123456",
  ])("not %s, which is tried first", async (password) => {
    const [sentence] = await sentences(policy, password);
    expect(sentence).toMatch(/^password: .*(tried first|easy to guess)/);
  });

  test("short common ones neither, with a second factor", async () => {
    for (const password of ["password", "Sunshine1", "12345678", "iloveyou!", "qwertyuiop"])
      expect(await sentences(policy, password, beside)).toEqual([expect.stringContaining("tried first")]);
  });

  test.each([
    ["aaaaaaaaaaaaaaaaaaaa", "again and again"],
    ["ada.lovelace.ada@example.com", "known about you"],
    ["Grantor, Grantor & Grantor 26", "known about you"],
    ["😀".repeat(15), "again and again"],
    ["zxcvbnmasdfghjkl", "very like a password"],
  ])("not %s: and what is wrong, and what would help", async (password, why) => {
    const [sentence = ""] = await sentences(policy, password);
    expect(sentence).toContain(why);
    expect(sentence.split(". ").length).toBeGreaterThan(1);
  });

  // Each would be accepted by whoever knows English alone.
  test.each([
    ...["geheimespasswort", "willkommenzuhause", "Weihnachtsmann!!", "Ich liebe dich 2024", "UEBUNG macht den Meister"],
    ...["bonjourtristesse", "Liberte Egalite Fraternite", "anniversaire1234", "Mot de passe, mot de passe"],
    ...["desafortunadamente", "Contraseña segura", "cumpleanos123456", "Te quiero mucho 1234"],
    ...["arigatougozaimasu", "Arigatou gozaimasu!", "nakamurayamaguchi", "ありがとうございます！！！！！"],
    ...["abdallahmohammed", "assalamu alaikum", "بسم الله الرحمن الرحيم"],
  ])("not %s, which is easy to guess for whoever speaks the language", async (password) => {
    const [sentence] = await sentences(policy, password);
    expect(sentence).toMatch(/^password: .*(guess|tried first|very like|again|names)/i);
  });

  test.each([
    "mein Hund frisst gern Pizza",
    "mon chien mange des cerises",
    "mi perro come pizza los lunes",
    "watashi no inu wa pizza ga suki",
    "عندي ثلاث قطط وكلب واحد",
    "私の犬は月曜日にピザを食べます。",
  ])("%s: a few words of one's own are fine in every language", async (password) => expect(await sentences(policy, password)).toEqual([]));

  test("faults stand beside the field that the form has for it", async () => {
    expect(await policy.check("short", { ...alone, field: "new_password" })).toMatchObject([{ field: "new_password" }]);
  });

  test("there are words for everything that the estimator may say", () => {
    const { warnings, suggestions } = new Options().translations;
    for (const key of Object.keys(warnings)) expect(english(text(`passwords:why.${key}`))).toMatch(/\.$/);
    for (const key of Object.keys(suggestions)) expect(english(text(`passwords:advice.${key}`))).toMatch(/\.$/);
  });
});

test("estimates never hold up the event loop, and too many at once are told to come back", async () => {
  const strength = createPasswordStrength();
  let turns = 0;
  const timer = setInterval(() => {
    turns += 1;
  }, 1);
  const estimates = Array.from({ length: 120 }, (_, n) => strength.estimate({ password: `some ordinary words ${n}`, about: [] }));
  const settled = Promise.allSettled(estimates);
  await estimates[0];
  clearInterval(timer);
  expect(turns).toBeGreaterThan(10);
  await strength.close();
  const codes = (await settled).map((each) => (each.status === "rejected" ? each.reason.code : "estimated"));
  for (const code of codes.slice(0, 100)) expect(code).toBeOneOf(["estimated", "unavailable"]);
  expect(codes.slice(100)).toEqual(Array(20).fill("busy"));
  await expect(estimates[119]).rejects.toMatchObject({ status: 503, headers: { "Retry-After": "2" } });
  const pending = strength.estimate({ password: "asked as it ends, of a thread that has not begun", about: [] });
  await Promise.all([expect(pending).rejects.toMatchObject({ code: "unavailable", status: 503 }), strength.close()]);
  expect((await strength.estimate({ password: "once more, after it was closed", about: [] })).score).toBe(4);
  await strength.close();
});

describe("leaked passwords, asked by k-anonymity", () => {
  const digest = (password: string) => createHash("sha1").update(password).digest("hex").toUpperCase();
  const LEAKED = "a long and leaked password";
  const PADDED = "a long and padded password";
  const asked: { url: string; padding: string | undefined }[] = [];
  let answer = "";
  let status = 200;
  let silent = false;
  let server: Server;
  /** Their threads load the word lists. */
  let asking: PasswordPolicy;
  let astray: PasswordPolicy;
  beforeAll(async () => {
    server = createServer((request, response) => {
      asked.push({ url: request.url ?? "", padding: request.headers["add-padding"] as string | undefined });
      if (!silent) response.writeHead(status, { Location: "/elsewhere" }).end(answer);
    }).listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    const policyAsking = (breachUrl: string) => createPasswordPolicy({ ...rules, breachUrl }, "Grantor", log);
    asking = policyAsking(`http://127.0.0.1:${(server.address() as AddressInfo).port}/range/`);
    astray = policyAsking("http://127.0.0.1:9/");
  });
  afterAll(async () => {
    server.closeAllConnections();
    server.close();
    await Promise.all([asking.close(), astray.close()]);
  });
  afterEach(() => {
    asked.length = 0;
    lines.length = 0;
    [answer, status, silent] = ["", 200, false];
  });

  test("five digits of the hash go out and the rest comes back; what pads the answer does not count", async () => {
    answer = `${"0".repeat(35)}:3\r\n${digest(LEAKED).slice(5)}:17\r\n${digest(PADDED).slice(5)}:0`;
    expect(await sentences(asking, LEAKED)).toEqual([expect.stringContaining("stolen elsewhere")]);
    expect(await sentences(asking, PADDED)).toEqual([]);
    expect(await sentences(asking, "correct horse battery staple")).toEqual([]);
    expect(asked).toEqual(
      [LEAKED, PADDED, "correct horse battery staple"].map((each) => ({ url: `/range/${digest(each).slice(0, 5)}`, padding: "true" })),
    );
    expect(await sentences(asking, "short")).toHaveLength(1);
    expect(asked).toHaveLength(3);
    expect(lines).toEqual([]);
  });

  test.each([
    ["is away", () => {}, () => astray],
    [
      "refuses",
      () => {
        status = 503;
      },
      undefined,
    ],
    [
      "sends elsewhere",
      () => {
        status = 302;
      },
      undefined,
    ],
    [
      "never stops",
      () => {
        answer = "x".repeat(1_200_000);
      },
      undefined,
    ],
    [
      "says nothing",
      () => {
        silent = true;
      },
      undefined,
    ],
  ])("people go on when the collection %s, and the log says so without the password", async (_, arrange, policyOf = () => asking) => {
    arrange();
    expect(await sentences(policyOf(), LEAKED)).toEqual([]);
    expect(lines).toMatchObject([{ level: 40, msg: expect.stringContaining("could not be asked") }]);
    expect(JSON.stringify(lines)).not.toContain(LEAKED);
    expect(JSON.stringify(lines)).not.toContain(digest(LEAKED).slice(5));
  });
});
