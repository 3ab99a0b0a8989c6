/**
 * The environment, read and checked once into a frozen Config. Owns the rules between variables and the one message that reports every fault.
 * Holds no secret: those are in secrets.ts. Nothing else in Grantor reads the environment.
 */
import { existsSync, readFileSync } from "node:fs";
import { isIP } from "node:net";
import { join, resolve } from "node:path";
import { parseEnv } from "node:util";
import { isLoopback, type Settings, settings, withoutBrackets } from "./settings.ts";

/** Of one network address, on a server that others reach (docs/decisions/strangers.md). */
const ANONYMOUS_REQUESTS = 600;

/** Everything is resolved: no member needs the environment again. All durations are in seconds. */
export interface Config {
  /** The issuer identifier: an origin without a trailing slash. */
  readonly issuer: string;
  /** The issuer is a loopback address: this is somebody's own machine. */
  readonly loopback: boolean;
  /** The issuer is https: cookies are Secure, HSTS is sent. */
  readonly https: boolean;
  /** 0 takes a free port; the issuer is then set by hand. */
  readonly port: number;
  /** Undefined: all addresses. */
  readonly host: string | undefined;
  /** An absolute path. */
  readonly dataDir: string;
  readonly embeddedDatabase: boolean;
  readonly workers: number;
  /** Addresses and CIDR ranges whose forwarded headers count. */
  readonly trustProxy: readonly string[];
  readonly mailFrom: string;
  readonly signUp: "open" | "invite" | "closed";
  readonly registration: "open" | "token" | "closed";
  /** An absolute path. */
  readonly softwareStatementIssuersFile: string | undefined;
  /** Who may register applications in the portal: everybody, nobody, or whoever has a role. Administrators always may, unless it is nobody. */
  readonly developers: "everyone" | "nobody" | { readonly role: string };
  /** Applications that one account may look after, in the portal. */
  readonly appsPerPerson: number;
  /** Of one network address: requests of nobody in particular that leave a record; 0: as many as they like. */
  readonly anonymousRequestsPerMinute: number;
  /** Seconds; 0: audit events are kept for ever. */
  readonly auditRetention: number;
  /** Seconds. */
  readonly auditSealInterval: number;
  readonly accessTokenTtl: number;
  readonly refreshTokenTtl: number;
  /** Since the first token of a family; what slides never goes beyond it. */
  readonly refreshTokenMaxAge: number;
  readonly sessionTtl: number;
  /** Since the person signed in. */
  readonly sessionMaxAge: number;
  /** Of a session that ends with the browser and that nobody uses. */
  readonly browserSessionTtl: number;
  /** For how long after a sign-in its person may change what protects the account. */
  readonly recentSignIn: number;
  readonly brand: {
    readonly name: string;
    /** `#rrggbb`; undefined: ours. */
    readonly color: string | undefined;
    /** An absolute path of an image. */
    readonly logo: string | undefined;
    readonly privacyUrl: string | undefined;
    readonly termsUrl: string | undefined;
    readonly supportUrl: string | undefined;
  };
  /** An absolute path: templates and assets in it take the place of ours. */
  readonly viewsDir: string | undefined;
  /** An absolute path. */
  readonly identityProvidersFile: string | undefined;
  /** An absolute path. */
  readonly geoipFile: string | undefined;
  readonly password: {
    /** Characters of one that is the only factor. */
    readonly minLength: number;
    readonly minLengthWithSecondFactor: number;
    /** KiB. */
    readonly hashMemory: number;
    readonly hashPasses: number;
    /** Where leaked passwords are asked for, by k-anonymity; undefined: nowhere. */
    readonly breachUrl: string | undefined;
  };
  readonly accountDeletionDelay: number;
  readonly jwksMaxAge: number;
  readonly keyPublishAhead: number;
  readonly keyRotationAge: number;
  readonly statusListTtl: number;
  /** Beyond `statusListTtl`: for whom no newer list is to be had. */
  readonly statusListOutage: number;
  readonly refreshGrace: number;
  /** `host`, `host:port`, addresses and CIDR ranges, in lower case. */
  readonly fetchAllow: readonly string[];
  readonly opsPort: number | undefined;
  readonly opsHost: string;
  readonly logLevel: "fatal" | "error" | "warn" | "info" | "debug" | "trace" | "silent";
  /** What to do about a Redis that may evict sessions and tokens. */
  readonly redisEviction: "refuse" | "accept";
}

/** The environment cannot be used. The message lists every fault; it is safe to show and holds no value of any variable. */
export class ConfigError extends Error {
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super(
      `The configuration has ${faults.length === 1 ? "a fault" : `${faults.length} faults`}:\n${faults.map((fault) => `  ${fault}`).join("\n")}`,
    );
    this.name = "ConfigError";
    this.faults = faults;
  }
}

/**
 * The process's environment on top of the `.env` file of the directory, if there is one: what is set outside always wins.
 * @throws ConfigError when the file is there and cannot be read.
 */
export function readEnvironment(env: NodeJS.ProcessEnv = process.env, directory: string = process.cwd()): NodeJS.ProcessEnv {
  const file = join(directory, ".env");
  if (!existsSync(file)) return env;
  try {
    return { ...parseEnv(readFileSync(file, "utf8")), ...env };
  } catch (cause) {
    throw new ConfigError([`.env: make the file readable for this user, or remove it (${(cause as NodeJS.ErrnoException).code})`]);
  }
}

/**
 * Checks the whole environment, secrets included, and resolves what is not secret. Unknown names are ignored; an empty variable counts as unset.
 * @throws ConfigError naming every fault at once.
 */
export function loadConfig(env: NodeJS.ProcessEnv): Config {
  const values = checkSettings(env);
  const issuer = values.ISSUER ?? `http://localhost:${values.PORT}`;
  const { hostname, protocol } = new URL(issuer);
  const loopback = isLoopback(hostname);
  return Object.freeze({
    issuer,
    loopback,
    https: protocol === "https:",
    port: values.PORT,
    host: values.HOST ?? (loopback ? listenAddress(hostname) : undefined),
    dataDir: resolve(values.DATA_DIR),
    embeddedDatabase: values.DATABASE_URL === undefined,
    workers: values.WORKERS,
    trustProxy: Object.freeze([...values.TRUST_PROXY]),
    mailFrom:
      values.MAIL_FROM ?? `${quoted(values.BRAND_NAME)} <no-reply@${isIP(withoutBrackets(hostname)) === 0 ? hostname : "localhost"}>`,
    signUp: values.SIGN_UP,
    registration: values.REGISTRATION,
    softwareStatementIssuersFile:
      values.SOFTWARE_STATEMENT_ISSUERS_FILE === undefined ? undefined : resolve(values.SOFTWARE_STATEMENT_ISSUERS_FILE),
    developers: developers(values.DEVELOPERS ?? (loopback ? "everyone" : "role:developer")),
    appsPerPerson: values.APPS_PER_PERSON,
    anonymousRequestsPerMinute: values.ANONYMOUS_REQUESTS_PER_MINUTE ?? (loopback ? 0 : ANONYMOUS_REQUESTS),
    auditRetention: values.AUDIT_RETENTION,
    auditSealInterval: values.AUDIT_SEAL_INTERVAL,
    accessTokenTtl: values.ACCESS_TOKEN_TTL,
    refreshTokenTtl: values.REFRESH_TOKEN_TTL,
    refreshTokenMaxAge: values.REFRESH_TOKEN_MAX_AGE,
    sessionTtl: values.SESSION_TTL,
    sessionMaxAge: values.SESSION_MAX_AGE,
    browserSessionTtl: values.BROWSER_SESSION_TTL,
    recentSignIn: values.RECENT_SIGN_IN,
    brand: Object.freeze({
      name: values.BRAND_NAME,
      color: values.BRAND_COLOR?.toLowerCase(),
      logo: values.BRAND_LOGO === undefined ? undefined : resolve(values.BRAND_LOGO),
      privacyUrl: values.BRAND_PRIVACY_URL,
      termsUrl: values.BRAND_TERMS_URL,
      supportUrl: values.BRAND_SUPPORT_URL,
    }),
    viewsDir: values.VIEWS_DIR === undefined ? undefined : resolve(values.VIEWS_DIR),
    identityProvidersFile: values.IDENTITY_PROVIDERS_FILE === undefined ? undefined : resolve(values.IDENTITY_PROVIDERS_FILE),
    geoipFile: values.GEOIP_FILE === undefined ? undefined : resolve(values.GEOIP_FILE),
    password: Object.freeze({
      minLength: values.PASSWORD_MIN_LENGTH,
      minLengthWithSecondFactor: values.PASSWORD_MIN_LENGTH_WITH_SECOND_FACTOR,
      hashMemory: values.PASSWORD_HASH_MEMORY,
      hashPasses: values.PASSWORD_HASH_PASSES,
      breachUrl: values.PASSWORD_BREACH_URL,
    }),
    accountDeletionDelay: values.ACCOUNT_DELETION_DELAY,
    jwksMaxAge: values.JWKS_MAX_AGE,
    keyPublishAhead: values.KEY_PUBLISH_AHEAD,
    keyRotationAge: values.KEY_ROTATION_AGE,
    statusListTtl: values.STATUS_LIST_TTL,
    statusListOutage: values.STATUS_LIST_OUTAGE,
    refreshGrace: values.REFRESH_GRACE,
    fetchAllow: Object.freeze(values.FETCH_ALLOW.map((entry) => entry.toLowerCase())),
    opsPort: values.OPS_PORT,
    opsHost: values.OPS_HOST,
    logLevel: values.LOG_LEVEL,
    redisEviction: values.REDIS_EVICTION,
  });
}

/**
 * Every variable, checked by itself and against the others. For this file and secrets.ts: it returns secrets.
 * @throws ConfigError naming every fault at once.
 */
export function checkSettings(env: NodeJS.ProcessEnv): Settings {
  const faults: string[] = [];
  const read: Record<string, unknown> = {};
  // One by one: a schema of them all would leave out the rules between variables as soon as one variable is wrong.
  for (const [name, schema] of Object.entries(settings.shape)) {
    const result = schema.safeParse(env[name]?.trim() || undefined);
    if (result.success) read[name] = result.data;
    else faults.push(...result.error.issues.map((issue) => `${name}: ${issue.message}`));
  }
  const values = read as Partial<Settings>;
  faults.push(...faultsBetween(values, env));
  if (faults.length > 0) throw new ConfigError(Object.freeze(faults));
  return values as Settings;
}

/** A variable that is wrong by itself is missing from `values`; the rules that need it then have nothing to say. */
function faultsBetween(values: Partial<Settings>, env: NodeJS.ProcessEnv): string[] {
  const faults: string[] = [];
  if (values.PORT === 0 && !env.ISSUER?.trim()) faults.push("ISSUER: set it when PORT is 0: the default is made from the port");
  if (values.JWKS_MAX_AGE !== undefined && values.KEY_PUBLISH_AHEAD !== undefined && values.KEY_PUBLISH_AHEAD < values.JWKS_MAX_AGE) {
    faults.push(
      `KEY_PUBLISH_AHEAD: set at least JWKS_MAX_AGE (${values.JWKS_MAX_AGE}): a key that signs before every cached JWKS holds it breaks resource servers`,
    );
  }
  for (const [sliding, absolute] of [
    ["REFRESH_TOKEN_TTL", "REFRESH_TOKEN_MAX_AGE"],
    ["SESSION_TTL", "SESSION_MAX_AGE"],
    ["PASSWORD_MIN_LENGTH_WITH_SECOND_FACTOR", "PASSWORD_MIN_LENGTH"],
  ] as const) {
    const [life = 0, limit = life] = [values[sliding], values[absolute]];
    if (limit < life) faults.push(`${absolute}: set at least ${sliding} (${life}), or set that one lower`);
  }
  if (env.DATABASE_URL?.trim() && !env.SECRET_KEY?.trim()) {
    faults.push("SECRET_KEY: set it, the same for all servers, when DATABASE_URL is set; for example from: openssl rand -base64 48");
  }
  if (values.OPS_PORT && values.OPS_PORT === values.PORT)
    faults.push("OPS_PORT: set another port than PORT: metrics are never served on the public one");
  return faults;
}

const developers = (value: string): Config["developers"] =>
  value === "everyone" || value === "nobody" ? value : Object.freeze({ role: value.slice("role:".length) });

/** RFC 5322 §3.2.4: a name of other than letters, digits and spaces stands in quotes. */
const quoted = (name: string): string => (/^[a-z\d ]+$/i.test(name) ? name : `"${name.replace(/["\\]/g, "\\$&")}"`);

/** `localhost` is 127.0.0.1; an address that the issuer names is the one where it has to answer. */
function listenAddress(hostname: string): string {
  const address = withoutBrackets(hostname);
  return isIP(address) === 0 ? "127.0.0.1" : address;
}
