/**
 * Every environment variable that Grantor reads: its form, its default and what to set instead, one schema each.
 * Reads nothing by itself and knows no rule between two variables: those are in config.ts.
 * A message never repeats the value, which may be a secret in the wrong place.
 */
import { BlockList, isIP } from "node:net";
import { availableParallelism } from "node:os";
import ipaddr from "ipaddr.js";
import { z } from "zod";
import { isHostName, parseHostAndPort, parseRedisUrl } from "./redis-url.ts";

const DAY = 86_400;
const YEAR = 365 * DAY;
/** A root secret shorter than the 32 bytes of the keys derived from it would weaken them all. */
export const MIN_SECRET_BYTES = 32;
const MAX_WORKERS = 256;

const wholeNumber = (unit: string, min: number, max: number) => {
  const error = `set a whole number${unit} from ${min} to ${max}`;
  return z
    .string()
    .regex(/^\d{1,12}$/, { error, abort: true })
    .transform(Number)
    .pipe(z.number().min(min, { error }).max(max, { error }));
};
const seconds = (fallback: number, min: number, max: number) => wholeNumber(" of seconds", min, max).default(fallback);
const port = () => wholeNumber("", 0, 65_535);

const oneOf = <const T extends readonly [string, ...string[]]>(values: T, fallback: T[number]) =>
  z.enum(values, { error: `set one of ${values.join(", ")}` }).default(fallback as never);

const list = (isEntry: (entry: string) => boolean, expected: string) =>
  z
    .string()
    .transform((text) => text.split(",").map((entry) => entry.trim()))
    .superRefine((entries, ctx) => {
      entries.forEach((entry, index) => {
        if (!isEntry(entry))
          ctx.addIssue({ code: "custom", message: `entry ${index + 1} is not valid: set ${expected}, separated by commas` });
      });
    })
    .transform((entries): readonly string[] => entries)
    .default([]);

const text = (isValid: (value: string) => boolean, error: string) => z.string().refine(isValid, { error });

/** An IP address, or a range of them in CIDR form. */
function isAddressOrRange(entry: string): boolean {
  const [address = "", ...prefix] = entry.split("/");
  return isIP(address) !== 0 && (prefix.length === 0 || ipaddr.isValidCIDR(entry));
}

function hasScheme(value: string, schemes: readonly string[]): boolean {
  const url = URL.parse(value);
  return url !== null && schemes.includes(url.protocol) && url.host !== "";
}

/** node-postgres also takes an empty authority with `?host=/run/postgresql`, which is no host to a URL parser. */
function isPostgresUrl(value: string): boolean {
  const url = URL.parse(value);
  return (
    url !== null && (url.protocol === "postgres:" || url.protocol === "postgresql:") && (url.host !== "" || url.searchParams.has("host"))
  );
}

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet("127.0.0.0", 8);
LOOPBACK.addAddress("::1", "ipv6");

/** Whether the host name of a URL is `localhost`, in 127.0.0.0/8 or ::1, with or without the brackets. */
export function isLoopback(hostname: string): boolean {
  const address = withoutBrackets(hostname);
  return address === "localhost" || (isIP(address) !== 0 && LOOPBACK.check(address, isIP(address) === 6 ? "ipv6" : "ipv4"));
}

/** The host name of a URL as the address that it is. */
export const withoutBrackets = (hostname: string): string => hostname.replace(/^\[|\]$/g, "");

const webAddress = () =>
  text((value) => hasScheme(value, ["https:", "http:"]), "set an address such as https://example.com/page").optional();

const MAIL_ADDRESS = /^(?:[^<>\r\n]*<[^<>@\s]+@[^<>@\s]+>|[^<>@\s]+@[^<>@\s]+)$/;

const isListenHost = (host: string) => isIP(host) !== 0 || isHostName(host);

const LISTEN_HOST = "set the address to listen on, such as 127.0.0.1, or 0.0.0.0 for all";

export const settings = z.object({
  ISSUER: z
    .string()
    .refine((value) => ["http:", "https:"].includes(URL.parse(value)?.protocol ?? ""), {
      error: "set an origin such as https://id.example.com",
      abort: true,
    })
    .superRefine((value, ctx) => {
      const { origin, protocol, host, hostname } = new URL(value);
      // RFC 8414 §2: the issuer is https. Loopback is the exception for development.
      const insecure = protocol !== "https:" && !isLoopback(hostname);
      const expected = insecure ? `https://${host}` : origin;
      if (insecure) ctx.addIssue({ code: "custom", message: `set ${expected}: http is for loopback addresses alone` });
      // RFC 8414 §2: clients compare the issuer character by character, so that it must be written as it will be printed.
      if (value !== origin)
        ctx.addIssue({ code: "custom", message: `set an origin alone, without path, query, fragment or user: ${expected}` });
    })
    .optional(),
  PORT: port().default(3000),
  HOST: text(isListenHost, LISTEN_HOST).optional(),
  DATABASE_URL: text(isPostgresUrl, "set postgresql://user:password@host:5432/database, or unset it for the embedded database").optional(),
  REDIS_URL: text(
    (value) => parseRedisUrl(value) !== undefined,
    "set redis[s]://host:port, unix://path, redis[s]+sentinel://host:port,host:port/MASTER or redis[s]+cluster://host:port,host:port, or unset it to keep sessions in the database",
  ).optional(),
  REDIS_EVICTION: oneOf(["refuse", "accept"], "refuse"),
  DATA_DIR: text((value) => !value.includes("\0"), "set a directory").default("./data"),
  SECRET_KEY: z
    .string()
    .transform((value) => value.split(",").map((key) => Buffer.from(key.trim(), "utf8")))
    .superRefine((keys, ctx) => {
      keys.forEach((key, index) => {
        if (key.length < MIN_SECRET_BYTES) {
          const which = keys.length === 1 ? "it" : `key ${index + 1} of ${keys.length}`;
          ctx.addIssue({
            code: "custom",
            message: `${which} is too short: set ${MIN_SECRET_BYTES} bytes or more, for example from: openssl rand -base64 48`,
          });
        }
      });
    })
    .transform((keys): readonly Buffer[] => Object.freeze(keys))
    .optional(),
  WORKERS: z
    .union([z.literal("auto").transform(() => availableParallelism()), wholeNumber("", 1, MAX_WORKERS)], {
      error: `set auto or a whole number from 1 to ${MAX_WORKERS}`,
    })
    .default(1),
  TRUST_PROXY: list(isAddressOrRange, "addresses or ranges such as 10.0.0.5 or 10.0.0.0/8"),
  SMTP_URL: text(
    (value) => hasScheme(value, ["smtp:", "smtps:"]),
    "set smtp[s]://user:password@host:port, or unset it to write mail into DATA_DIR/outbox",
  ).optional(),
  MAIL_FROM: text(
    (value) => MAIL_ADDRESS.test(value),
    'set an address such as no-reply@example.com or "Example <no-reply@example.com>"',
  ).optional(),
  BRAND_NAME: text((value) => value.length <= 60 && !/\p{Cc}/u.test(value), "set a name of at most 60 characters").default("Grantor"),
  BRAND_COLOR: text((value) => /^#[0-9a-f]{6}$/i.test(value), "set a colour such as #3152c8").optional(),
  BRAND_LOGO: text((value) => /\.(?:svg|png|webp|jpe?g)$/i.test(value), "set the path of an SVG, PNG, WebP or JPEG file").optional(),
  BRAND_PRIVACY_URL: webAddress(),
  BRAND_TERMS_URL: webAddress(),
  BRAND_SUPPORT_URL: webAddress(),
  VIEWS_DIR: text((value) => !value.includes("\0"), "set a directory").optional(),
  IDENTITY_PROVIDERS_FILE: text((value) => !value.includes("\0"), "set the path of a JSON file").optional(),
  GEOIP_FILE: text((value) => !value.includes("\0"), "set the path of a MaxMind DB file").optional(),
  PASSWORD_MIN_LENGTH: wholeNumber(" of characters", 8, 64).default(15),
  PASSWORD_MIN_LENGTH_WITH_SECOND_FACTOR: wholeNumber(" of characters", 8, 64).default(8),
  PASSWORD_HASH_MEMORY: wholeNumber(" of KiB", 7_168, 1_048_576).default(19_456),
  PASSWORD_HASH_PASSES: wholeNumber("", 1, 20).default(2),
  PASSWORD_BREACH_URL: text(
    (value) => hasScheme(value, ["https:", "http:"]),
    "set an address such as https://api.pwnedpasswords.com/range/, or unset it to ask nobody",
  ).optional(),
  ACCOUNT_DELETION_DELAY: seconds(14 * DAY, 0, YEAR),
  SIGN_UP: oneOf(["open", "invite", "closed"], "open"),
  REGISTRATION: oneOf(["open", "token", "closed"], "token"),
  SOFTWARE_STATEMENT_ISSUERS_FILE: text((value) => !value.includes("\0"), "set the path of a JSON file").optional(),
  DEVELOPERS: text(
    (value) => /^(everyone|nobody|role:[A-Za-z0-9.:_-]{1,64})$/.test(value),
    "set everyone, nobody or role:NAME, such as role:developer",
  ).optional(),
  APPS_PER_PERSON: wholeNumber("", 1, 100_000).default(50),
  ANONYMOUS_REQUESTS_PER_MINUTE: wholeNumber("", 0, 1_000_000).optional(),
  AUDIT_RETENTION: seconds(2 * YEAR, 0, 100 * YEAR),
  AUDIT_SEAL_INTERVAL: seconds(30, 1, 3600),
  ACCESS_TOKEN_TTL: seconds(900, 1, DAY),
  REFRESH_TOKEN_TTL: seconds(30 * DAY, 1, 10 * YEAR),
  REFRESH_TOKEN_MAX_AGE: seconds(90 * DAY, 1, 10 * YEAR),
  SESSION_TTL: seconds(14 * DAY, 1, YEAR),
  SESSION_MAX_AGE: seconds(30 * DAY, 1, YEAR),
  BROWSER_SESSION_TTL: seconds(DAY / 2, 60, YEAR),
  RECENT_SIGN_IN: seconds(600, 30, DAY),
  JWKS_MAX_AGE: seconds(300, 0, DAY),
  KEY_PUBLISH_AHEAD: seconds(3600, 0, 30 * DAY),
  KEY_ROTATION_AGE: seconds(30 * DAY, 1, 10 * YEAR),
  STATUS_LIST_TTL: seconds(10, 1, DAY),
  STATUS_LIST_OUTAGE: seconds(300, 0, DAY),
  REFRESH_GRACE: seconds(10, 0, 300),
  FETCH_ALLOW: list(
    (entry) => isAddressOrRange(entry) || parseHostAndPort(entry) !== undefined,
    "host, host:port or ranges such as localhost:3001 or 10.0.0.0/8",
  ),
  OPS_PORT: port().optional(),
  OPS_HOST: text(isListenHost, LISTEN_HOST).default("127.0.0.1"),
  LOG_LEVEL: oneOf(["fatal", "error", "warn", "info", "debug", "trace", "silent"], "info"),
});

export type Settings = z.infer<typeof settings>;
