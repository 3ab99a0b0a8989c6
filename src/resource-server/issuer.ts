/** Who issues the tokens: its metadata (RFC 8414) and its keys (RFC 7517). */
import { createLocalJWKSet, errors, type JSONWebKeySet, type JWSHeaderParameters } from "jose";
import { type Documents, SharedWork } from "./documents.ts";
import { Unavailable } from "./refusal.ts";

/** Seconds for which keys are kept when the answer does not say; and the bounds of what it may say. */
const KEYS_DEFAULT_AGE = 300;
const KEYS_LEAST_AGE = 1;
const KEYS_MOST_AGE = 86_400;
/** Of their life, after which the next ones are fetched in the background. */
const KEYS_EARLY = 0.8;
/** Milliseconds: a stranger can make up names of keys, and each would be a fetch. */
const UNKNOWN_KEY_PAUSE = 5000;
/** Milliseconds. */
const METADATA_AGE = 3_600_000;
/** Bytes of a document. */
const LIMIT = 512 * 1024;

export type Key = Awaited<ReturnType<ReturnType<typeof createLocalJWKSet>>>;

interface Keys {
  readonly find: ReturnType<typeof createLocalJWKSet>;
  /** Those that were asked for, by algorithm and name. */
  readonly found: Map<string, Key>;
  readonly fetchedAt: number;
  /** Milliseconds since the epoch: after the first, new ones are fetched in the background; after the second, these are no longer used. */
  readonly refreshAt: number;
  readonly endAt: number;
}

/** The token names a key that the issuer does not publish. */
class UnknownKey extends Error {}

export class Issuer {
  /** The issuer identifier. */
  readonly id: string;
  readonly #documents: Documents;
  readonly #now: () => number;
  readonly #refresh: SharedWork;
  #metadata: { readonly jwksUri: string; readonly fetchedAt: number } | undefined;
  #keys: Keys | undefined;

  /**
   * @param now milliseconds since the epoch
   * @throws TypeError when it is no issuer identifier: https, except on this machine; no query, no fragment
   */
  constructor(id: string, documents: Documents, now: () => number) {
    const url = URL.canParse(id) ? new URL(id) : undefined;
    if (url === undefined || !isSafe(url) || url.search !== "" || url.hash !== "" || url.username !== "")
      throw new TypeError(`issuer: ${JSON.stringify(id)} is no issuer identifier: an https URL without query and fragment (RFC 8414 §2)`);
    this.id = id;
    this.#documents = documents;
    this.#now = now;
    this.#refresh = new SharedWork(() => this.#fetchKeys(), now);
  }

  /**
   * The key that a header names; at once where it is known.
   * @throws UnknownKey, or Unavailable when the keys cannot be had
   */
  key(header: JWSHeaderParameters | undefined): Key | Promise<Key> {
    const keys = this.#current();
    if (keys === undefined || header === undefined) return this.#keyAfterFetch(header);
    return keys.found.get(`${header.alg} ${header.kid}`) ?? this.#search(keys, header);
  }

  /** The key that a header names, when it was asked for since the keys were fetched, and they are not old. */
  knownKey(header: JWSHeaderParameters): Key | undefined {
    return this.#current()?.found.get(`${header.alg} ${header.kid}`);
  }

  #current(): Keys | undefined {
    const keys = this.#keys;
    const now = this.#now();
    if (keys === undefined || now >= keys.endAt) return undefined;
    if (now >= keys.refreshAt) this.#refresh.runInBackground();
    return keys;
  }

  /** As `key`, but of keys that could not be fetched again when they had to be. */
  lastKey(header: JWSHeaderParameters | undefined): Key | Promise<Key> {
    if (this.#keys === undefined || header === undefined) throw new Unavailable("the issuer's keys cannot be had");
    return this.#keys.found.get(`${header.alg} ${header.kid}`) ?? find(this.#keys, header);
  }

  async #keyAfterFetch(header: JWSHeaderParameters | undefined): Promise<Key> {
    await this.#refresh.run();
    return find(this.#keys as Keys, header);
  }

  async #search(keys: Keys, header: JWSHeaderParameters): Promise<Key> {
    try {
      return await find(keys, header);
    } catch (error) {
      if (!(error instanceof UnknownKey) || this.#now() - keys.fetchedAt < UNKNOWN_KEY_PAUSE) throw error;
      return this.#keyAfterFetch(header);
    }
  }

  async #fetchKeys(): Promise<void> {
    const now = this.#now();
    if (this.#metadata === undefined || now - this.#metadata.fetchedAt >= METADATA_AGE) this.#metadata = await this.#fetchMetadata();
    const { jwksUri } = this.#metadata;
    try {
      const { status, text, headers } = await this.#documents.get(jwksUri, {
        accept: "application/jwk-set+json, application/json",
        limit: LIMIT,
      });
      if (status !== 200) throw new Unavailable(`${jwksUri} answers ${status}`);
      const age = maxAge(headers) * 1000;
      const find = createLocalJWKSet(withoutSecrets(JSON.parse(text)));
      this.#keys = { find, found: new Map(), fetchedAt: now, refreshAt: now + age * KEYS_EARLY, endAt: now + age };
    } catch (cause) {
      // They may have moved.
      this.#metadata = undefined;
      throw new Unavailable("the issuer's keys cannot be had", { cause });
    }
  }

  async #fetchMetadata(): Promise<{ jwksUri: string; fetchedAt: number }> {
    const fetchedAt = this.#now();
    for (const url of metadataUrls(this.id)) {
      const { status, text } = await this.#documents.get(url, { accept: "application/json", limit: LIMIT });
      if (status !== 200) continue;
      const { issuer, jwks_uri: jwksUri } = parse(text, url);
      // RFC 8414 §3.3: they must be identical.
      if (issuer !== this.id) throw new Unavailable(`${url} is the metadata of another issuer, ${JSON.stringify(issuer)}`);
      if (typeof jwksUri !== "string" || !URL.canParse(jwksUri) || !isSafe(new URL(jwksUri)))
        throw new Unavailable(`${url} names no jwks_uri by https`);
      return { jwksUri, fetchedAt };
    }
    throw new Unavailable(`${this.id} publishes no metadata`);
  }
}

async function find(keys: Keys, header: JWSHeaderParameters | undefined): Promise<Key> {
  // RFC 7515 §4.1.4. A stranger may write anything else there, which names no key, and of which none is to be remembered.
  if (header?.kid !== undefined && typeof header.kid !== "string") throw new UnknownKey("the name of a key is a string");
  try {
    const key = await keys.find(header as Parameters<Keys["find"]>[0]);
    keys.found.set(`${header?.alg} ${header?.kid}`, key);
    return key;
  } catch (cause) {
    throw cause instanceof errors.JOSEError ? new UnknownKey("the issuer has no such key", { cause }) : cause;
  }
}

/** RFC 8414 §3.1: the well-known part comes before the issuer's path; with OpenID Connect Discovery §4 after it. */
function metadataUrls(issuer: string): string[] {
  const { origin, pathname } = new URL(issuer);
  const path = pathname.replace(/\/$/, "");
  return [`${origin}/.well-known/oauth-authorization-server${path}`, `${origin}${path}/.well-known/openid-configuration`];
}

const parse = (text: string, url: string): Record<string, unknown> => {
  try {
    return Object(JSON.parse(text)) as Record<string, unknown>;
  } catch (cause) {
    throw new Unavailable(`${url} is no JSON`, { cause });
  }
};

/** RFC 8725 §3.1, §3.2: a symmetric key has no place in a public set, and nothing is ever verified by one. */
const withoutSecrets = (set: JSONWebKeySet): JSONWebKeySet => ({ keys: set.keys.filter(({ kty }) => kty !== "oct") });

/** Seconds for which an answer may still be kept (RFC 9111 §4.2). */
function maxAge(headers: { get(name: string): string | null }): number {
  const [, seconds] = /(?:^|[\s,])max-age="?(\d{1,9})/i.exec(headers.get("Cache-Control") ?? "") ?? [];
  if (seconds === undefined) return KEYS_DEFAULT_AGE;
  const age = Number(headers.get("Age") ?? 0);
  return Math.min(KEYS_MOST_AGE, Math.max(KEYS_LEAST_AGE, Number(seconds) - (age > 0 ? age : 0)));
}

/** https, except on this machine (RFC 8252 §8.3). */
function isSafe({ protocol, hostname }: URL): boolean {
  if (protocol === "https:") return true;
  return protocol === "http:" && (/^127(?:\.\d+){3}$/.test(hostname) || hostname === "localhost" || hostname === "[::1]");
}
