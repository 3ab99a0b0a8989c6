/** Status lists (draft-ietf-oauth-status-list-21): which tokens were ended, by one bit each, kept as long as each list allows. */
import { base64url, type CompactJWSHeaderParameters, jwtVerify } from "jose";
import { type Answer, type Documents, SharedWork } from "./documents.ts";
import { inflate } from "./inflate.ts";
import type { Issuer } from "./issuer.ts";
import { Refusal, Unavailable } from "./refusal.ts";

/** Milliseconds for which a list that has just become old still serves while the next one is under way. */
const GRACE = 500;
/** When the issuer still gives out the old list, because its clock is behind ours: milliseconds until we ask again, and how often we do. */
const AGAIN = 200;
const AGAIN_TIMES = 12;
/** Seconds, when a list does not say how long it may be kept. */
const DEFAULT_TTL = 10;
/** Milliseconds after which a list that nobody asked for is dropped. */
const UNUSED = 600_000;

export interface StatusListOptions {
  readonly issuer: Issuer;
  readonly documents: Documents;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Of the lists' signatures. */
  readonly algorithms: string[];
  /** Seconds. */
  readonly clockTolerance: number;
  /** When no fresh list can be had, use the last one until its `exp`. */
  readonly useLast: boolean;
  /** Lists that are kept at once, and bytes of one, decompressed. */
  readonly maxLists: number;
  readonly maxListBytes: number;
}

interface StatusList {
  readonly bytes: Uint8Array;
  /** Bits of one status: 1, 2, 4 or 8. */
  readonly bits: number;
  /** Seconds. */
  readonly iat: number;
  /** Milliseconds since the epoch. */
  readonly freshUntil: number;
  readonly endsAt: number;
  readonly etag: string | undefined;
}

interface Entry {
  list: StatusList | undefined;
  readonly refresh: SharedWork;
  usedAt: number;
}

export class StatusLists {
  readonly #options: StatusListOptions;
  readonly #origin: string;
  readonly #entries = new Map<string, Entry>();

  constructor(options: StatusListOptions) {
    this.#options = options;
    this.#origin = new URL(options.issuer.id).origin;
  }

  /**
   * The status of a token: 0 is valid, everything else is not (§7.1). At once where a fresh list is there.
   * @param uri only of a token whose signature is verified
   * @throws Refusal when the reference is none of the issuer's; Unavailable when no list can be had that says it
   */
  status(uri: string, index: number): number | Promise<number> {
    const entry = this.#entries.get(uri);
    const now = this.#options.now();
    if (entry?.list === undefined || now >= entry.list.freshUntil) return this.#statusLater(uri, index);
    entry.usedAt = now;
    return statusAt(entry.list, index);
  }

  async #statusLater(uri: string, index: number): Promise<number> {
    const entry = this.#entries.get(uri) ?? this.#add(uri);
    entry.usedAt = this.#options.now();
    return statusAt(await this.#current(entry), index);
  }

  async #current(entry: Entry): Promise<StatusList> {
    const { now, useLast } = this.#options;
    const last = entry.list;
    const lastServes = () => last !== undefined && useLast && now() < last.endsAt;
    // Fresh since this began, or soon replaced; in an outage nobody waits for what failed a moment ago.
    if (last !== undefined && (now() < last.freshUntil + GRACE || (entry.refresh.failures > 0 && lastServes()))) {
      if (entry.refresh.runInBackground()) return last;
    }
    try {
      await entry.refresh.run();
    } catch (cause) {
      if (last !== undefined && lastServes()) return entry.list ?? last;
      throw new Unavailable("it cannot be said whether the access token was revoked", { cause });
    }
    return entry.list as StatusList;
  }

  #add(uri: string): Entry {
    // Never a URL of somebody else's choice.
    if (!URL.canParse(uri) || new URL(uri).origin !== this.#origin)
      throw new Refusal("invalid_token", "the access token has its status elsewhere");
    this.#sweep();
    const entry: Entry = { list: undefined, usedAt: 0, refresh: new SharedWork(() => this.#refresh(uri, entry), this.#options.now) };
    this.#entries.set(uri, entry);
    return entry;
  }

  /** Makes room for one. */
  #sweep(): void {
    const now = this.#options.now();
    for (const [uri, { list, usedAt }] of this.#entries) {
      if (now - usedAt > UNUSED || (list !== undefined && now >= list.endsAt)) this.#entries.delete(uri);
    }
    if (this.#entries.size < this.#options.maxLists) return;
    const [oldest] = [...this.#entries].sort(([, a], [, b]) => a.usedAt - b.usedAt);
    if (oldest !== undefined) this.#entries.delete(oldest[0]);
  }

  /** Until there is a fresh one. */
  async #refresh(uri: string, entry: Entry): Promise<void> {
    const { now, documents, maxListBytes } = this.#options;
    // Base64 twice is 16/9, and ZLIB never adds more than that leaves.
    const limit = 2 * maxListBytes + 4096;
    for (let times = 0; ; await new Promise((resolve) => setTimeout(resolve, AGAIN))) {
      const askedAt = now();
      const answer = await documents.get(uri, { accept: "application/statuslist+jwt", limit, etag: entry.list?.etag });
      if (answer.status === 404) throw new Unavailable(`${uri} answers 404`);
      if (answer.status === 200) {
        const list = await this.#read(uri, answer, askedAt);
        // Never back in time.
        if (entry.list === undefined || list.iat >= entry.list.iat) entry.list = list;
      }
      if (entry.list !== undefined && now() < entry.list.freshUntil) return;
      if (++times > AGAIN_TIMES) throw new Unavailable(`${uri} is old, or our clock is wrong`);
    }
  }

  /** §8.3 */
  async #read(uri: string, { text, headers }: Answer, askedAt: number): Promise<StatusList> {
    const { issuer, algorithms, clockTolerance, maxListBytes, now } = this.#options;
    const getKey = (header: CompactJWSHeaderParameters) => issuer.key(header);
    const { payload } = await jwtVerify(text.trim(), getKey, {
      algorithms,
      typ: "statuslist+jwt",
      subject: uri,
      requiredClaims: ["iat"],
      clockTolerance,
      currentDate: new Date(now()),
    }).catch((cause: unknown) => {
      throw cause instanceof Unavailable ? cause : new Unavailable(`${uri} is no status list of the issuer`, { cause });
    });
    const { iat, exp, ttl = DEFAULT_TTL } = payload as { iat: number; exp?: number; ttl?: unknown };
    const { bits, lst } = Object(payload.status_list) as { bits?: unknown; lst?: unknown };
    if (typeof ttl !== "number" || !(ttl > 0) || typeof bits !== "number" || ![1, 2, 4, 8].includes(bits) || typeof lst !== "string")
      throw new Unavailable(`${uri} is malformed`);
    if (iat * 1000 > askedAt + clockTolerance * 1000) throw new Unavailable(`${uri} is of the future, or our clock is wrong`);
    const bytes = await inflate(base64url.decode(lst), maxListBytes).catch((cause: unknown) => {
      throw new Unavailable(`${uri} cannot be decompressed`, { cause });
    });
    if (bytes.length === 0) throw new Unavailable(`${uri} is empty`);
    // Counted from its own time, so that caches do not add up; and never longer than from now, should our clock be behind.
    const old = Math.min(iat * 1000, askedAt) + ttl * 1000;
    const endsAt = exp === undefined ? old : exp * 1000;
    return { bytes, bits, iat, freshUntil: Math.min(old, endsAt), endsAt, etag: headers.get("ETag") ?? undefined };
  }
}

/** §4.1: the first status is in the least significant bits of the first byte. */
function statusAt({ bytes, bits }: StatusList, index: number): number {
  const at = index * bits;
  const byte = bytes[Math.floor(at / 8)];
  // A list that is too short says nothing, above all not that the token is valid.
  if (byte === undefined) throw new Unavailable("the status list is shorter than it should be");
  return (byte >> (at % 8)) & ((1 << bits) - 1);
}
