import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { ConfigError, loadConfig, readEnvironment } from "../../src/config.ts";

const SECRET = "s3cret-s3cret-s3cret-s3cret-s3cret";

function faultsOf(env: Record<string, string>): readonly string[] {
  try {
    loadConfig(env);
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as ConfigError).faults;
  }
  return [];
}

test("an empty environment gives the documented defaults", () => {
  expect(loadConfig({})).toEqual({
    issuer: "http://localhost:3000",
    loopback: true,
    https: false,
    port: 3000,
    host: "127.0.0.1",
    dataDir: resolve("data"),
    embeddedDatabase: true,
    workers: 1,
    trustProxy: [],
    mailFrom: "Grantor <no-reply@localhost>",
    signUp: "open",
    registration: "token",
    accessTokenTtl: 900,
    refreshTokenTtl: 2_592_000,
    refreshTokenMaxAge: 7_776_000,
    sessionTtl: 1_209_600,
    browserSessionTtl: 43_200,
    recentSignIn: 600,
    brand: { name: "Grantor", color: undefined, logo: undefined, privacyUrl: undefined, termsUrl: undefined, supportUrl: undefined },
    viewsDir: undefined,
    identityProvidersFile: undefined,
    geoipFile: undefined,
    softwareStatementIssuersFile: undefined,
    developers: "everyone",
    appsPerPerson: 50,
    anonymousRequestsPerMinute: 0,
    auditRetention: 63_072_000,
    auditSealInterval: 30,
    password: { minLength: 15, minLengthWithSecondFactor: 8, hashMemory: 19_456, hashPasses: 2, breachUrl: undefined },
    accountDeletionDelay: 1_209_600,
    sessionMaxAge: 2_592_000,
    jwksMaxAge: 300,
    keyPublishAhead: 3600,
    keyRotationAge: 2_592_000,
    statusListTtl: 10,
    statusListOutage: 300,
    refreshGrace: 10,
    fetchAllow: [],
    opsPort: undefined,
    opsHost: "127.0.0.1",
    logLevel: "info",
    redisEviction: "refuse",
  });
});

test("the config and its lists are frozen", () => {
  const config = loadConfig({ TRUST_PROXY: "10.0.0.1", FETCH_ALLOW: "localhost" });
  expect(Object.isFrozen(config)).toBe(true);
  expect(Object.isFrozen(config.trustProxy)).toBe(true);
  expect(Object.isFrozen(config.fetchAllow)).toBe(true);
  expect(Object.isFrozen(loadConfig({}).trustProxy)).toBe(true);
});

test("unknown names are ignored and empty ones count as unset", () => {
  expect(loadConfig({ ISSUER: "", PORT: " ", TRUST_PROXY: "", SECRET_KEY: "", DATABASE_URL: "", NOT_OURS: "x" })).toEqual(loadConfig({}));
});

describe("ISSUER", () => {
  test.each([
    ["https://id.example.com", false, true, undefined],
    ["https://id.example.com:8443", false, true, undefined],
    ["http://localhost:3000", true, false, "127.0.0.1"],
    ["https://localhost", true, true, "127.0.0.1"],
    ["http://127.0.0.1:8080", true, false, "127.0.0.1"],
    ["http://127.1.2.3", true, false, "127.1.2.3"],
    ["http://[::1]:3000", true, false, "::1"],
  ])("%s", (issuer, loopback, https, host) => {
    expect(loadConfig({ ISSUER: issuer })).toMatchObject({ issuer, loopback, https, host });
  });

  test.each([
    ["id.example.com", "set an origin such as"],
    ["localhost:3000", "set an origin such as"],
    ["ftp://id.example.com", "set an origin such as"],
    ["http://id.example.com", "set https://id.example.com"],
    ["http://localhost.example.com", "set https://localhost.example.com"],
    ["http://10.0.0.1", "set https://10.0.0.1"],
    ["https://id.example.com/", "an origin alone"],
    ["https://id.example.com/tenant", "an origin alone"],
    ["https://id.example.com?x", "an origin alone"],
    ["https://id.example.com#x", "an origin alone"],
    ["https://id.example.com:443", "https://id.example.com"],
    ["https://ID.example.com", "https://id.example.com"],
  ])("refuses %s", (ISSUER, words) => {
    expect(faultsOf({ ISSUER })).toEqual([expect.stringMatching(/^ISSUER: /)]);
    expect(faultsOf({ ISSUER })[0]).toContain(words);
  });

  test("its default follows the port, and a free port needs it set", () => {
    expect(loadConfig({ PORT: "4000" }).issuer).toBe("http://localhost:4000");
    expect(loadConfig({ PORT: "0", ISSUER: "http://localhost" }).port).toBe(0);
    expect(faultsOf({ PORT: "0" })).toEqual([expect.stringContaining("ISSUER: set it when PORT is 0")]);
  });
});

test("every fault is reported at once, with the variable and what to set", () => {
  const env = {
    ISSUER: "http://id.example.com/path",
    PORT: "70000",
    HOST: "not a host",
    DATABASE_URL: "mysql://localhost/db",
    REDIS_URL: "http://localhost",
    REDIS_EVICTION: "maybe",
    WORKERS: "many",
    TRUST_PROXY: "10.0.0.0/8, 127.1, proxy.example",
    SMTP_URL: "mail.example",
    MAIL_FROM: "nobody",
    SIGN_UP: "yes",
    REGISTRATION: "yes",
    ACCESS_TOKEN_TTL: "15m",
    JWKS_MAX_AGE: "7200",
    REFRESH_GRACE: "-1",
    FETCH_ALLOW: "http://localhost",
    OPS_PORT: "x",
    LOG_LEVEL: "loud",
  };
  const faults = faultsOf(env);
  const named = new Set(faults.map((fault) => fault.slice(0, fault.indexOf(":"))));
  // Beside each wrong variable, what its neighbours now lack: the path of the issuer, the lead time of the keys, the secret of the database.
  expect([...named].sort()).toEqual(
    [...Object.keys(env).filter((name) => name !== "JWKS_MAX_AGE"), "KEY_PUBLISH_AHEAD", "SECRET_KEY"].sort(),
  );
  expect(faults.filter((fault) => fault.startsWith("ISSUER"))).toHaveLength(2);
  expect(faults.filter((fault) => fault.startsWith("TRUST_PROXY")).map((fault) => /entry \d/.exec(fault)?.[0])).toEqual([
    "entry 2",
    "entry 3",
  ]);
  expect(() => loadConfig(env)).toThrow(/^The configuration has \d+ faults:\n {2}ISSUER: set https:\/\/id\.example\.com/);
});

test("no message repeats a value that could be a secret", () => {
  const env = {
    ISSUER: `https://user:${SECRET}@id.example.com`,
    DATABASE_URL: `mysql://u:${SECRET}@h/d`,
    REDIS_URL: `redis://:${SECRET}@h:port`,
    SMTP_URL: SECRET,
    SECRET_KEY: "tooshort",
    WORKERS: SECRET,
    LOG_LEVEL: SECRET,
    SIGN_UP: SECRET,
    TRUST_PROXY: SECRET,
    FETCH_ALLOW: `//${SECRET}`,
    PORT: SECRET,
  };
  const faults = faultsOf(env);
  expect(faults).toHaveLength(Object.keys(env).length);
  expect(faults.join("\n")).not.toContain(SECRET);
  expect(faults.join("\n")).not.toContain("tooshort");
  expect(
    JSON.stringify(loadConfig({ SECRET_KEY: SECRET, DATABASE_URL: `postgres://u:${SECRET}@h/d`, REDIS_URL: `redis://:${SECRET}@h` })),
  ).not.toContain(SECRET);
});

test.each([
  ["PORT", "65536"],
  ["PORT", "1.5"],
  ["PORT", "0x10"],
  ["PORT", "1e3"],
  ["WORKERS", "0"],
  ["WORKERS", "257"],
  ["ACCESS_TOKEN_TTL", "0"],
  ["ACCESS_TOKEN_TTL", "86401"],
  ["REFRESH_TOKEN_TTL", "999999999999"],
  ["REFRESH_GRACE", "301"],
  ["STATUS_LIST_TTL", "0"],
  ["STATUS_LIST_OUTAGE", "86401"],
])("%s=%s is out of bounds", (name, value) => {
  expect(faultsOf({ [name]: value, ISSUER: "http://localhost" })).toEqual([
    expect.stringMatching(new RegExp(`^${name}: set .*whole number.* from \\d+ to \\d+`)),
  ]);
});

test("WORKERS=auto is one per core", () => {
  expect(loadConfig({ WORKERS: "auto" }).workers).toBe(availableParallelism());
});

test("a key is published for at least the cache life of the JWKS", () => {
  expect(loadConfig({ JWKS_MAX_AGE: "60", KEY_PUBLISH_AHEAD: "60" })).toMatchObject({ jwksMaxAge: 60, keyPublishAhead: 60 });
  expect(faultsOf({ JWKS_MAX_AGE: "60", KEY_PUBLISH_AHEAD: "59" })).toEqual([
    expect.stringContaining("KEY_PUBLISH_AHEAD: set at least JWKS_MAX_AGE (60)"),
  ]);
});

test("an absolute limit is not below the sliding one", () => {
  expect(loadConfig({ SESSION_TTL: "60", SESSION_MAX_AGE: "60" })).toMatchObject({ sessionTtl: 60, sessionMaxAge: 60 });
  expect(faultsOf({ SESSION_TTL: "60", SESSION_MAX_AGE: "59", REFRESH_TOKEN_TTL: "7776001" })).toEqual([
    expect.stringContaining("REFRESH_TOKEN_MAX_AGE: set at least REFRESH_TOKEN_TTL (7776001)"),
    expect.stringContaining("SESSION_MAX_AGE: set at least SESSION_TTL (60)"),
  ]);
});

test("metrics never share the public port", () => {
  expect(faultsOf({ PORT: "3000", OPS_PORT: "3000" })).toEqual([expect.stringContaining("OPS_PORT: ")]);
  expect(loadConfig({ OPS_PORT: "9090" })).toMatchObject({ opsPort: 9090, opsHost: "127.0.0.1" });
});

describe("DATABASE_URL and SECRET_KEY", () => {
  test.each([
    "postgres://u:p@h/d",
    "postgresql://h",
    "postgresql://app@localhost/postgres?host=%2Frun%2Fpostgresql",
    "postgresql:///d?host=/run/postgresql",
  ])("accepts %s", (DATABASE_URL) => {
    expect(loadConfig({ DATABASE_URL, SECRET_KEY: SECRET }).embeddedDatabase).toBe(false);
  });

  test("a database of one's own needs a secret of one's own", () => {
    expect(faultsOf({ DATABASE_URL: "postgresql://h/d" })).toEqual([expect.stringContaining("SECRET_KEY: set it")]);
  });

  test("every secret of the list has 32 bytes", () => {
    expect(faultsOf({ SECRET_KEY: `${SECRET}, short, ${SECRET}` })).toEqual([
      expect.stringContaining("SECRET_KEY: key 2 of 3 is too short"),
    ]);
    expect(faultsOf({ SECRET_KEY: `${SECRET},` })).toEqual([expect.stringContaining("SECRET_KEY: key 2 of 2 is too short")]);
    expect(faultsOf({ SECRET_KEY: "ü".repeat(16) })).toEqual([]);
    expect(faultsOf({ SECRET_KEY: "u".repeat(31) })).toHaveLength(1);
  });
});

test.each(["10.0.0.5", "10.0.0.0/8, 192.168.0.1", "fd00::/8", "::1"])("TRUST_PROXY takes %s", (value) => {
  expect(loadConfig({ TRUST_PROXY: value }).trustProxy).toEqual(value.split(", "));
});

test.each(["10.0.0.0/33", "127.1", "1", "fd00::/129", "10.0.0.0/8/8", "loopback", ","])("TRUST_PROXY refuses %s", (value) => {
  expect(faultsOf({ TRUST_PROXY: value })[0]).toMatch(/^TRUST_PROXY: entry 1 /);
});

test("FETCH_ALLOW takes hosts, ports and ranges", () => {
  const entries = ["localhost:3001", "Idp.Internal", "10.0.0.0/8", "[::1]:3001", "::1", "127.0.0.1", "fd00::/8"];
  expect(loadConfig({ FETCH_ALLOW: entries.join(" , ") }).fetchAllow).toEqual(entries.map((entry) => entry.toLowerCase()));
  for (const wrong of ["localhost:0", "localhost:70000", "a b", "10.0.0.0/40", "https://x", "x/8", "*"])
    expect(faultsOf({ FETCH_ALLOW: wrong }), wrong).toHaveLength(1);
});

describe("readEnvironment", () => {
  const directory = mkdtempSync(join(tmpdir(), "grantor-env-"));
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  test(".env is read, and what is set outside wins", () => {
    writeFileSync(join(directory, ".env"), 'PORT=4000\nMAIL_FROM="Ex <a@example.com>" # sender\nSIGN_UP=closed\n');
    const env = readEnvironment({ PORT: "5000" }, directory);
    expect(env).toEqual({ PORT: "5000", MAIL_FROM: "Ex <a@example.com>", SIGN_UP: "closed" });
  });

  test("without one the environment is as it is", () => {
    expect(readEnvironment({ PORT: "5000" }, directory)).toEqual({ PORT: "5000" });
  });
});

test("what strangers leave is bounded where others reach the server, as the operator says", () => {
  expect(loadConfig({ ISSUER: "https://id.example" }).anonymousRequestsPerMinute).toBe(600);
  expect(loadConfig({ ISSUER: "https://id.example", ANONYMOUS_REQUESTS_PER_MINUTE: "0" }).anonymousRequestsPerMinute).toBe(0);
  expect(loadConfig({ ANONYMOUS_REQUESTS_PER_MINUTE: "20" }).anonymousRequestsPerMinute).toBe(20);
});
