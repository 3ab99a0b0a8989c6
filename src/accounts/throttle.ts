import { createHmac } from "node:crypto";
import type { Cluster, Redis } from "ioredis";
import ipaddr from "ipaddr.js";
import type { Pool } from "pg";
import { RateLimiterPostgres, RateLimiterRedis, RateLimiterRes } from "rate-limiter-flexible";
import { text } from "../i18n/messages.ts";
import { AccountError } from "./account-error.ts";

const MINUTE = 60;
const HOUR = 3600;
const DAY = 86_400;
/** Seconds after which a store that failed is asked again. */
const STORE_RETRY_SECONDS = 2;
/** The longest wait that guessing leads to; a quarter of an hour is bearable for whoever mistyped. */
const MAX_DELAY = 15 * MINUTE;

/** How many failures are free, and for how long (seconds) failures count. Past the free ones each try costs twice the wait of the last. */
interface Rule {
  readonly free: number;
  readonly window: number;
}
/** One browser that has signed in to this account before. */
const DEVICE: Rule = { free: 10, window: HOUR };
/**
 * All such browsers of one account in a day, as many as it may be that somebody has made who knew the password for a while. Past it they are
 * strangers. NIST SP 800-63B-4 §3.2.2: at most 100.
 */
const KNOWN_TRIES = 100;
/** One address at one account. */
const PAIR: Rule = { free: 5, window: DAY };
/** All strange browsers at one account: holds up addresses that failed there already. */
const ACCOUNT: Rule = { free: 20, window: HOUR };
/** Second factors of one account, by whoever has shown the first: strangers share their tries, wherever they are (RFC 4226 §7.3). */
const SECOND_FACTOR: Rule = { free: 5, window: DAY };

/** Addresses that may have a first try at one account in a day, however much others guess. NIST SP 800-63B-4 §3.2.2: at most 100. */
const FIRST_TRIES = 100;
/** One address at whatever accounts: an office behind one address mistypes less. */
const ADDRESS: Rule = { free: 60, window: 15 * MINUTE };
/** How many times as much a network may have as an address: whoever rents a network has hundreds of addresses. */
const NETWORK_FACTOR = 4;
const NETWORK: Rule = { free: NETWORK_FACTOR * ADDRESS.free, window: ADDRESS.window };

interface Allowed {
  /** 0: as often as they like. */
  readonly points: number;
  /** Seconds. */
  readonly window: number;
  /** Whoever has used it up is refused without another look at the store, until the window ends: for floods. */
  readonly remembered?: true;
}

/** Everything else that strangers may ask for: how often in how many seconds. What goes by address alone goes by network as well. */
const ALLOWANCES = {
  /** By address. Each costs a password hash. */
  "sign-up": { points: 100, window: HOUR },
  /** By address: passwords that are chosen at a link or in an account, good or not. Each costs an estimate, and mostly a hash. */
  "new-password": { points: 100, window: HOUR },
  /** By address: links for new passwords. */
  reset: { points: 60, window: HOUR },
  /** By recipient and address: whoever signs up with somebody else's address does not use up what its owner may have sent. */
  mail: { points: 5, window: HOUR },
  /** By recipient: links that browsers ask for which have signed in to the account before, beside those; the owner gets theirs while others ask. */
  "own-mail": { points: 5, window: HOUR },
  /** By recipient: nobody's mailbox is filled through us, from wherever. */
  mailbox: { points: 20, window: HOUR },
  /** By whoever invites: links to look after an application, to whatever addresses they like. */
  "owner-invitation": { points: 30, window: HOUR },
  /** By whoever asks for another address of their own: links, to whatever addresses they like. */
  "email-change": { points: 20, window: HOUR },
  /** By address: wrong codes of devices. */
  "user-code": { points: 30, window: HOUR },
  /** By address: applications that register themselves, where everybody may. Each is a row that stays for weeks. */
  registration: { points: 100, window: HOUR },
  /** By address: refused passkeys. Nobody guesses one; this bounds what trying costs us. */
  passkey: { points: 60, window: 15 * MINUTE },
  /** By address: what nobody in particular makes us keep, where the operator bounds it. A short window: an office that is stopped goes on in a minute. */
  stranger: { points: 0, window: MINUTE, remembered: true },
} as const satisfies Record<string, Allowed>;
export type Allowance = keyof typeof ALLOWANCES;

/** Whose allowance: of a recipient or a sender, of whoever is at an address, or of a pair of them. */
export interface Subject {
  /** Normalised. */
  readonly email?: string;
  readonly address?: string;
}

export interface Attempt {
  /** Gives back what the attempt cost: the password or the code was right. */
  succeeded(): Promise<void>;
}

/**
 * Limits to guessing, shared by all processes. Every method counts first and asks afterwards, so parallel tries cannot slip through.
 * The store sees keyed hashes alone. Every method throws AccountError `unavailable` (503) when the store fails: then nobody may guess.
 */
export interface Throttle {
  /**
   * Counts a try at an account, whether there is one or not. A browser that the account knows has tries of its own, and an address that never
   * failed there has a first one, so that the owner gets in while somebody guesses.
   * @param email normalised  @param device from `KnownDevices.recognize`
   * @throws AccountError `too_many_attempts` (429) with the seconds to wait
   */
  beginSignIn(who: { email: string; address: string; device?: string | undefined }): Promise<Attempt>;
  /**
   * Counts a try at the second factor of an account. A browser that has signed in to it before, with both factors, has tries of its own.
   * @param device from `KnownDevices.recognize`  @throws AccountError `too_many_attempts` (429)
   */
  beginSecondFactor(who: { accountId: string; device: string | undefined }): Promise<Attempt>;
  /** Counts a try at the code of a device. @throws AccountError `too_many_attempts` (429) */
  beginUserCode(address: string): Promise<Attempt>;
  /** Counts a try with a passkey. @throws AccountError `too_many_attempts` (429) */
  beginPasskey(address: string): Promise<Attempt>;
  /** Uses one of what a subject may have; `false` when it has had all. */
  allows(what: Allowance, subject: Subject): Promise<boolean>;
  /** As `allows`. @throws AccountError `too_many_attempts` (429) */
  require(what: Allowance, subject: Subject): Promise<void>;
}

/** Where the counters lie: Redis when there is one, else the table `rate_limit`. */
export type ThrottleStore = { readonly redis: Redis | Cluster } | { readonly pool: Pool };

/**
 * @param key keys the hashes under which subjects are counted
 * @param limits points of allowances, in place of those that stand above
 */
export function createThrottle(store: ThrottleStore, key: Buffer, limits: Partial<Record<Allowance, number>> = {}): Throttle {
  let first = true;
  function counter(name: string, points: number, duration: number, remembered = false): Counter {
    const common = { keyPrefix: `grantor:throttle:${name}`, points, duration, ...(remembered && { inMemoryBlockOnConsumed: points }) };
    if ("redis" in store) return new RateLimiterRedis({ ...common, storeClient: store.redis, rejectIfRedisNotReady: true });
    const clearExpiredByTimeout = first; // one sweeper for the table is enough
    first = false;
    return new RateLimiterPostgres({
      ...common,
      storeClient: store.pool,
      storeType: "pool",
      tableName: "rate_limit",
      tableCreated: true,
      clearExpiredByTimeout,
    });
  }
  const hashed = (...parts: string[]) => createHmac("sha256", key).update(JSON.stringify(parts)).digest("base64url");

  const devices = growing(DEVICE, counter("device", 1e9, DEVICE.window), counter("device-wait", 1, 1));
  const knownTries = counter("known", KNOWN_TRIES, DAY);
  const pair = growing(PAIR, counter("pair", 1e9, PAIR.window), counter("pair-wait", 1, 1));
  const account = growing(ACCOUNT, counter("account", 1e9, ACCOUNT.window), counter("account-wait", 1, 1));
  const secondFactor = growing(SECOND_FACTOR, counter("second-factor", 1e9, SECOND_FACTOR.window), counter("second-factor-wait", 1, 1));
  const firstTries = counter("first", FIRST_TRIES, DAY);
  const addresses = growing(ADDRESS, counter("address", 1e9, ADDRESS.window), counter("address-wait", 1, 1));
  const networks = growing(NETWORK, counter("network", 1e9, NETWORK.window), counter("network-wait", 1, 1));
  const allowances = new Map(
    Object.entries<Allowed>(ALLOWANCES).flatMap(([name, { points: usual, window, remembered }]) => {
      const most = limits[name as Allowance] ?? usual;
      if (most === 0) return [];
      const own = counter(name, most, window, remembered);
      return [[name, { own, network: counter(`${name}-network`, NETWORK_FACTOR * most, window, remembered) }]] as const;
    }),
  );

  async function beginAsStranger(email: string, typedAddress: string): Promise<Attempt> {
    const address = addressOf(typedAddress);
    const here = hashed("pair", email, address);
    const anywhere = hashed("account", email);
    const wherever: [Growing, string][] = [
      [addresses, hashed("address", address)],
      [networks, hashed("network", networkOf(typedAddress))],
    ];
    const [tries, all, ...others] = await Promise.all([
      pair.count(here),
      account.count(anywhere),
      ...wherever.map(([limit, key]) => limit.count(key)),
    ]);
    let wasFirst = false;
    const giveBack = () =>
      Promise.all([
        account.giveBack(anywhere),
        ...wherever.map(([limit, key]) => limit.giveBack(key)),
        ...(wasFirst ? [firstTries.reward(anywhere)] : []),
      ]);
    try {
      for (const [index, [limit, key]] of wherever.entries()) await limit.hold(key, others[index] as number);
      await pair.hold(here, tries);
      if (tries === 1) wasFirst = (await take(firstTries, anywhere)) === undefined;
      if (!wasFirst) await account.hold(anywhere, all);
    } catch (error) {
      // A try that was not made costs nothing.
      if (error instanceof AccountError) await Promise.all([giveBack(), pair.giveBack(here)]);
      throw error;
    }
    return { succeeded: () => guarded(async () => void (await Promise.all([giveBack(), pair.forget(here)]))) };
  }

  async function beginAlone(limit: Growing, one: string): Promise<Attempt> {
    const tries = await limit.count(one);
    try {
      await limit.hold(one, tries);
    } catch (error) {
      if (error instanceof AccountError) await limit.giveBack(one);
      throw error;
    }
    return { succeeded: () => guarded(() => limit.forget(one)) };
  }

  /**
   * One of the tries that a known browser has of its own, while those of the account's known browsers have not used up what all of them have.
   * @returns undefined: they have
   */
  async function beginAsKnown(limit: Growing, one: string, all: string): Promise<Attempt | undefined> {
    if ((await take(knownTries, all)) !== undefined) return undefined;
    const giveBack = () => knownTries.reward(all);
    try {
      const attempt = await beginAlone(limit, one);
      return { succeeded: () => guarded(async () => void (await Promise.all([attempt.succeeded(), giveBack()]))) };
    } catch (error) {
      if (error instanceof AccountError) await giveBack();
      throw error;
    }
  }

  async function beginSignIn(email: string, address: string, device: string | undefined): Promise<Attempt> {
    const known = device === undefined ? undefined : await beginAsKnown(devices, hashed("device", device), hashed("known", email));
    return known ?? beginAsStranger(email, address);
  }

  async function beginSecondFactor(accountId: string, device: string | undefined): Promise<Attempt> {
    const of = (browser: string) => hashed("second-factor", accountId, browser);
    const known = device === undefined ? undefined : await beginAsKnown(secondFactor, of(device), hashed("known", accountId));
    return known ?? beginAlone(secondFactor, of(""));
  }

  /** The counters that an allowance of this subject uses up, and where in them; none where there is no limit. */
  function countersOf(what: Allowance, { email, address }: Subject): [Counter, string][] {
    const counters = allowances.get(what);
    if (counters === undefined) return [];
    const { own, network } = counters;
    const one = hashed(what, email ?? "", address === undefined ? "" : addressOf(address));
    return email !== undefined || address === undefined
      ? [[own, one]]
      : [
          [own, one],
          [network, hashed(what, "", networkOf(address))],
        ];
  }

  const giveBackAll = (counters: readonly [Counter, string][]) => Promise.all(counters.map(([counter, one]) => counter.reward(one)));

  /** Whoever has used up their own takes nothing of what their network has. */
  const waitFor = (what: Allowance, subject: Subject): Promise<number | undefined> =>
    guarded(async () => {
      const counters = countersOf(what, subject);
      for (const [index, [counter, one]] of counters.entries()) {
        const wait = await take(counter, one);
        if (wait === undefined) continue;
        await giveBackAll(counters.slice(0, index));
        return wait;
      }
      return undefined;
    });

  async function require(what: Allowance, subject: Subject): Promise<void> {
    const wait = await waitFor(what, subject);
    if (wait !== undefined) throw tooMany(wait);
  }

  /** One that is given back when it was right. */
  async function begin(what: Allowance, subject: Subject): Promise<Attempt> {
    await require(what, subject);
    return { succeeded: () => guarded(async () => void (await giveBackAll(countersOf(what, subject)))) };
  }

  return {
    beginSignIn: ({ email, address, device }) => guarded(() => beginSignIn(email, address, device)),
    beginSecondFactor: ({ accountId, device }) => guarded(() => beginSecondFactor(accountId, device)),
    allows: async (what, subject) => (await waitFor(what, subject)) === undefined,
    require,
    beginUserCode: (address) => begin("user-code", { address }),
    beginPasskey: (address) => begin("passkey", { address }),
  };
}

type Counter = Pick<RateLimiterRedis, "consume" | "reward" | "delete">;

/** Seconds to wait, or `undefined` when a point was there to take. */
async function take(counter: Counter, key: string, duration?: number): Promise<number | undefined> {
  try {
    await counter.consume(key, 1, duration === undefined ? {} : { customDuration: duration });
    return undefined;
  } catch (refusal) {
    if (refusal instanceof RateLimiterRes) return Math.max(1, Math.ceil(refusal.msBeforeNext / 1000));
    throw refusal;
  }
}

/** Failures of one kind: counted for a while and, past the free ones, let through one at a time with ever longer pauses. */
function growing(rule: Rule, failures: Counter, pause: Counter) {
  return {
    /** @returns which failure this would be, from 1 */
    count: async (key: string) => (await failures.consume(key)).consumedPoints,
    /** @throws AccountError `too_many_attempts` while the pause after the last try lasts */
    async hold(key: string, tries: number): Promise<void> {
      if (tries <= rule.free) return;
      const wait = await take(pause, key, Math.min(MAX_DELAY, 2 ** (tries - rule.free)));
      if (wait !== undefined) throw tooMany(wait);
    },
    giveBack: (key: string) => failures.reward(key),
    forget: async (key: string) => void (await Promise.all([failures.delete(key), pause.delete(key)])),
  };
}

type Growing = ReturnType<typeof growing>;

/** IPv6 customers get a /64 at least: its addresses count as one. */
const addressOf = (address: string): string => prefixOf(address, 4, 8);

/** What is rented or routed as one: an IPv4 /24, an IPv6 /48. */
const networkOf = (address: string): string => prefixOf(address, 3, 6);

/** The first bytes of an address, by its kind. */
function prefixOf(address: string, ipv4: number, ipv6: number): string {
  if (!ipaddr.isValid(address)) return address;
  const parsed = ipaddr.process(address);
  return parsed
    .toByteArray()
    .slice(0, parsed.kind() === "ipv4" ? ipv4 : ipv6)
    .join(".");
}

function tooMany(seconds: number): AccountError {
  const wait =
    seconds < 90 ? text("errors:wait_seconds", { count: seconds }) : text("errors:wait_minutes", { count: Math.ceil(seconds / MINUTE) });
  return new AccountError("too_many_attempts", text("errors:too_many_attempts.message", { wait }), { retryAfter: seconds });
}

async function guarded<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (cause instanceof AccountError) throw cause;
    throw new AccountError("unavailable", text("errors:cannot_check"), {
      cause,
      retryAfter: STORE_RETRY_SECONDS,
    });
  }
}
