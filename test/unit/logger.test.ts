import { describe, expect, test } from "vitest";
import { createLogger, type LogLevel } from "../../src/observability/logger.ts";
import { redactText } from "../../src/observability/redaction.ts";

function capture(logLevel: LogLevel = "info") {
  const lines: string[] = [];
  return { log: createLogger({ logLevel }, { destination: { write: (line: string) => void lines.push(line) } }), lines };
}

const SECRET = "s3cr3t-v4lue-0123456789";
const JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl";

describe("no secret reaches the log", () => {
  test.each([
    "authorization",
    "Authorization",
    "cookie",
    "set-cookie",
    "Set-Cookie",
    "password",
    "newPassword",
    "current_password",
    "token",
    "access_token",
    "refresh_token",
    "id_token",
    "id_token_hint",
    "registration_access_token",
    "code",
    "user_code",
    "device_code",
    "deviceCode",
    "code_verifier",
    "client_secret",
    "clientSecret",
    "client_assertion",
    "assertion",
    "secret",
    "secretKey",
    "SECRET_KEY",
    "csrf",
    "xsrf",
    "DATABASE_URL",
    "redisUrl",
    "dpop",
  ])("field %s, at the top, nested, in a list and in a child's bindings", (name) => {
    const { log, lines } = capture();
    log.info({ [name]: SECRET }, "top");
    log.info({ request: { headers: { [name]: SECRET } } }, "nested");
    log.info({ list: [{ [name]: [SECRET] }] }, "list");
    log.child({ [name]: SECRET }).info("child");
    log.error(Object.assign(new Error("failed"), { [name]: SECRET }), "property of an error");
    expect(lines).toHaveLength(5);
    const kept = lines.filter((line) => line.includes(SECRET));
    // An error's `code` is a name such as ECONNREFUSED.
    expect(kept).toHaveLength(name === "code" ? 1 : 0);
  });

  test("URLs lose their query, fragment and user information", () => {
    const { log, lines } = capture();
    log.info(
      {
        url: `/cb?code=${SECRET}#x`,
        redirect_uri: `https://u:${SECRET}@rp.example/cb?x=${SECRET}`,
        parsed: new URL(`https://rp.example/?t=${SECRET}`),
      },
      "urls",
    );
    expect(JSON.parse(lines[0] as string)).toMatchObject({
      url: "/cb",
      redirect_uri: "https://rp.example/cb",
      parsed: "https://rp.example/",
    });
  });

  test.each([
    [`token ${JWT} refused`, "token [redacted] refused"],
    [`key-${JWT} refused`, "[redacted] refused"],
    [`header Bearer ${SECRET}`, "header Bearer [redacted]"],
    [`header dpop ${SECRET}`, "header dpop [redacted]"],
    [`connect postgres://me:${SECRET}@db.example/x`, "connect postgres://[redacted]@db.example/x"],
    [`GET /cb?x=1&code=${SECRET}&y=2`, "GET /cb?x=1&code=[redacted]&y=2"],
    [`GET /verify-email?token=${SECRET} failed`, "GET /verify-email?token=[redacted] failed"],
  ])("text: %s", (text, expected) => {
    const { log, lines } = capture();
    log.info(text);
    log.info({ note: text }, "x");
    log.error(new Error(text, { cause: new Error(text) }), text);
    expect(JSON.parse(lines[0] as string).msg).toBe(expected);
    expect(JSON.parse(lines[1] as string).note).toBe(expected);
    expect(JSON.parse(lines[2] as string).err).toMatchObject({ message: expected, cause: { message: expected } });
    expect(lines.join()).not.toMatch(SECRET);
  });

  test("no half of a secret stays where long text is cut", () => {
    const { log, lines } = capture();
    const long = `${"x ".repeat(495)}${JWT} ${"y".repeat(50_000)}`;
    log.info({ note: long, list: [long], err: new Error(long) }, long);
    expect(lines[0]?.length).toBeLessThan(12_000);
    expect(lines[0]).not.toContain("eyJ");
    expect(JSON.parse(lines[0] as string)).toMatchObject({
      msg: expect.stringMatching(/^(x ){495}\[redacted]…$/),
      note: expect.stringMatching(/^(x ){495}\[redacted]…$/),
    });
  });

  test("a checkpoint of the audit log is kept whole, since logs are where it is kept", () => {
    const { log, lines } = capture();
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const [claims, signature] = [part({ number: 1, hash: "h", iss: `https://${"a".repeat(300)}.example` }), "s".repeat(683)];
    const checkpoint = `${part({ alg: "RS256", kid: "k", typ: "grantor-audit-checkpoint+jwt" })}.${claims}.${signature}`;
    const token = `${part({ alg: "RS256", kid: "k", typ: "at+jwt" })}.${claims}.${signature}`;
    log.info({ checkpoint, note: token }, "audit log checkpoint");
    log.info({ note: `${checkpoint.slice(0, -1)}${"s".repeat(9_000)}` });
    expect(JSON.parse(lines[0] as string)).toMatchObject({ checkpoint, note: "[redacted]" });
    expect(lines[1]?.length).toBeLessThan(5_000);
  });

  test("a key shows only what identifies it", () => {
    const { log, lines } = capture();
    log.info({ jwk: { kty: "RSA", kid: "k1", alg: "RS256", d: SECRET, p: SECRET } }, "key");
    expect(JSON.parse(lines[0] as string).jwk).toEqual({ kty: "RSA", kid: "k1", alg: "RS256" });
  });
});

/** What a pattern could run through again and again. */
const HOSTILE = [
  "eyJ-",
  "eyJ",
  "-eyJaaaaaaaa",
  "eyJaaaaaaaa.",
  "eyJaaaaaaaa.a ",
  "_-",
  "Bearer ",
  "Bearer aaaaaaa",
  "Basic aaaaaaa ",
  "DPoP=",
  "://",
  "://a",
  "/",
  ":",
  "//a",
  "?token",
  "&request_uri_",
  "?a-token_hint",
  "&code=&",
  "?",
  "=",
  " ",
  "\\",
  "@",
];

test.each(HOSTILE)("100 kB of %j cost the log no time", (piece) => {
  const text = piece.repeat(Math.ceil(100_000 / piece.length));
  const { log, lines } = capture();
  const began = process.cpuUsage();
  for (const each of [text, `eyJaaaaaaaa${text}`, `${text}!`, `?${text}`, `://${text}`]) redactText(each);
  log.info({ note: text, redirect_uri: text, [text]: text, err: Object.assign(new Error(text), { error_detail: text }) }, text);
  const { user, system } = process.cpuUsage(began);
  expect((user + system) / 1000).toBeLessThan(300); // a dozen passes over it; quadratic time is some seconds
  expect(lines).toHaveLength(1);
});

test("what helps stays: names of errors, plain fields, levels as words", () => {
  const { log, lines } = capture();
  const cyclic: Record<string, unknown> = { name: "x" };
  cyclic.self = cyclic;
  log.warn(
    {
      err: Object.assign(new Error("connect failed"), { code: "ECONNREFUSED" }),
      client_id: "abc",
      token_type: "Bearer",
      count: 3,
      cyclic,
      at: new Date(0),
      bytes: Buffer.from("x"),
    },
    "store",
  );
  expect(JSON.parse(lines[0] as string)).toMatchObject({
    level: "warn",
    msg: "store",
    client_id: "abc",
    token_type: "Bearer",
    count: 3,
    bytes: "[binary]",
    at: "1970-01-01T00:00:00.000Z",
    err: { type: "Error", code: "ECONNREFUSED", message: "connect failed" },
  });
});

test("levels below the configured one, and everything when silent, are not written", () => {
  const { log, lines } = capture("warn");
  log.info("no");
  expect(lines).toHaveLength(0);
  const silent = capture("silent");
  silent.log.fatal("no");
  expect(silent.lines).toHaveLength(0);
});
