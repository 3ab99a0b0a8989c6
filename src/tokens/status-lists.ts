/**
 * Status lists as resource servers get them: signed, and never without a look at the store. A process signs a list once for each change, and
 * again when its `ttl` is over or the signing key has changed, however many ask for it.
 * @see draft-ietf-oauth-status-list §5, §8
 */
import { createHash } from "node:crypto";
import { promisify } from "node:util";
import { constants, deflate } from "node:zlib";
import { SignJWT } from "jose";
import { LRUCache } from "lru-cache";
import type { KeySnapshot } from "../keys/signing-keys.ts";
import { StoreUnavailableError } from "../storage/record-store.ts";
import type { StatusBits } from "../storage/status-bits.ts";
import type { StatusListRegistry } from "../storage/status-list-registry.ts";

/** Lists whose newest form is kept in memory: some ten kilobytes each. */
const KEPT_LISTS = 64;
/** 128 bits, base64url. */
const LIST_ID = /^[A-Za-z0-9_-]{22}$/;

const compress = promisify(deflate);

/** `lst` (§4.2): the bits in the ZLIB format. Nearly all of them are runs of 0, which this strategy looks for alone (decisions/status-list-encoding.md). */
export async function encodeBits(bits: Uint8Array): Promise<string> {
  return (await compress(bits, { strategy: constants.Z_RLE, level: constants.Z_BEST_COMPRESSION })).toString("base64url");
}

/** A list as it is sent. */
export interface SignedList {
  /** A JWT with `typ` `statuslist+jwt`. */
  readonly jwt: string;
  /** Strong, with its quotes. */
  readonly etag: string;
  /** Seconds since the epoch until when nobody needs to ask again: `iat` + `ttl`. */
  readonly freshUntil: number;
}

export interface StatusListsOptions {
  registry: Pick<StatusListRegistry, "expiryOf" | "living">;
  bits: Pick<StatusBits, "listVersion" | "readList">;
  keys: () => KeySnapshot;
  /** Of a list, for everybody. */
  uriOf(list: string): string;
  /** Seconds. */
  ttl: number;
  /** Seconds beyond `ttl` for which a list may be used by whoever can get no newer one. */
  outage: number;
  /** Milliseconds since the epoch. */
  now(): number;
}

/** What one process knows of a list. */
interface Kept {
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
  readonly version: () => Promise<string | undefined>;
  encoded?: { readonly version: string; readonly lst: Promise<string> };
  signed?: { readonly version: string; readonly keys: KeySnapshot; readonly list: Promise<SignedList>; readonly freshUntil: number };
}

export class StatusLists {
  readonly #options: StatusListsOptions;
  readonly #kept = new LRUCache<string, Kept>({ max: KEPT_LISTS });

  constructor(options: StatusListsOptions) {
    this.#options = options;
  }

  /** The URIs of all lists that a living token may be in. @throws {StoreUnavailableError} */
  async uris(): Promise<string[]> {
    const { registry, now, uriOf } = this.#options;
    return (await registry.living(now())).map(uriOf);
  }

  /**
   * @returns undefined when there is no such list, or no more
   * @throws {StoreUnavailableError} when the store cannot be reached, or has lost the list: nobody then knows what is valid
   */
  async find(list: string): Promise<SignedList | undefined> {
    const kept = await this.#knownList(list);
    if (kept === undefined || kept.expiresAt <= this.#options.now()) return undefined;
    const version = await kept.version();
    if (version === undefined) throw new StoreUnavailableError(new Error(`the store has lost the status list ${list}`));
    return this.#signed(list, kept, version);
  }

  async #knownList(list: string): Promise<Kept | undefined> {
    const known = this.#kept.get(list);
    if (known !== undefined || !LIST_ID.test(list)) return known;
    const expiresAt = await this.#options.registry.expiryOf(list);
    if (expiresAt === undefined) return undefined;
    const kept: Kept = this.#kept.get(list) ?? { expiresAt, version: shared(() => this.#options.bits.listVersion(list)) };
    this.#kept.set(list, kept);
    return kept;
  }

  /** Of this version or a newer one. */
  #signed(list: string, kept: Kept, version: string): Promise<SignedList> {
    const [keys, at] = [this.#options.keys(), Math.floor(this.#options.now() / 1000)];
    const { signed } = kept;
    if (signed?.version === version && signed.keys === keys && signed.freshUntil > at) return signed.list;
    const freshUntil = at + this.#options.ttl;
    const made = { version, keys, freshUntil, list: this.#sign(list, kept, version, keys, at) };
    kept.signed = made;
    made.list.catch(() => {
      if (kept.signed === made) delete kept.signed;
    });
    return made.list;
  }

  async #sign(list: string, kept: Kept, version: string, { keys }: KeySnapshot, iat: number): Promise<SignedList> {
    const { uriOf, ttl, outage } = this.#options;
    const lst = await this.#encoded(list, kept, version);
    const key = keys.find(({ state, privateJwk }) => state === "current" && privateJwk !== undefined);
    if (key?.privateJwk === undefined) throw new Error("no key signs");
    const jwt = await new SignJWT({ sub: uriOf(list), iat, exp: iat + ttl + outage, ttl, status_list: { bits: 1, lst } })
      .setProtectedHeader({ alg: key.alg, kid: key.kid, typ: "statuslist+jwt" })
      .sign(key.privateJwk as Parameters<SignJWT["sign"]>[0]);
    return { jwt, etag: `"${createHash("sha256").update(jwt).digest("base64url")}"`, freshUntil: iat + ttl };
  }

  #encoded(list: string, kept: Kept, version: string): Promise<string> {
    if (kept.encoded?.version === version) return kept.encoded.lst;
    const made = { version, lst: this.#encode(list) };
    kept.encoded = made;
    made.lst.catch(() => {
      if (kept.encoded === made) delete kept.encoded;
    });
    return made.lst;
  }

  async #encode(list: string): Promise<string> {
    const content = await this.#options.bits.readList(list);
    if (content === undefined) throw new StoreUnavailableError(new Error(`the store has lost the status list ${list}`));
    return encodeBits(content.bits);
  }
}

/** One reading at a time, shared by all who ask; whoever comes while it is under way gets the next one, since it may have missed a change. */
function shared<T>(read: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | undefined;
  let next: Promise<T> | undefined;
  const start = (): Promise<T> => {
    next = undefined;
    const reading = read().finally(() => {
      if (running === reading) running = undefined;
    });
    running = reading;
    return reading;
  };
  return () => {
    if (running === undefined) return start();
    next ??= running.then(start, start);
    return next;
  };
}
