/**
 * Where the engine's sessions, grants and tokens lie: the interface that Redis and the database both keep.
 * This half of the room knows records, ties and single use; it knows nothing of OAuth beyond their names, and never sees a live id.
 */

import type { StatusBits, StatusPlace } from "./status-bits.ts";

/** `<kind>:<hash>`; the hash is SHA-256 of a random id, or a keyed HMAC of a short one. Never an id that opens anything. */
export type RecordKey = `${RecordKind}:${string}`;

export type RecordKind =
  | "session"
  | "session-uid"
  | "browser"
  | "grant"
  | "authorization-code"
  | "refresh-token"
  | "access-token"
  | "issued-token"
  | "device-code"
  | "user-code"
  | "pushed-request"
  | "interaction"
  | "trial"
  | "replay"
  | "status-list";

export interface StoredRecord {
  /** Exactly what was put. */
  readonly body: string;
  /** Seconds since the epoch; undefined: not consumed. */
  readonly consumedAt: number | undefined;
}

/** What ends a record along with it. */
export interface Ties {
  /** The grant that it was issued under. It must be alive when the record is put, lives at least as long, and takes it along. */
  readonly grant?: RecordKey;
  /** Whose the grant is, so that it stays among theirs as long as it lives; the record itself is among its own owners' below. */
  readonly grantOf?: { readonly accountId?: string; readonly clientId?: string };
  readonly accountId?: string;
  readonly clientId?: string;
}

/** A sealed answer, kept for whoever repeats the request that consumed a record. */
export interface KeptAnswer {
  readonly sealed: string;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}

export type Write =
  /**
   * Stores or replaces. `expiresAt` in milliseconds since the epoch. `pointer` is a second key that finds this one record: another record
   * that it found before is removed. `onlyIfThere`: MUST fail unless the record is there, so that nothing that was ended comes back.
   * `replaces`: with it, MUST also fail unless the record there has exactly this body, so that of two that changed it at once none is forgotten.
   * `status`: the place of an access token; MUST fail, as a requirement of `status-list:<id>`, unless that list is there and whole.
   */
  | {
      op: "put";
      key: RecordKey;
      body: string;
      expiresAt: number;
      pointer?: RecordKey;
      ties?: Ties;
      onlyIfThere?: boolean;
      replaces?: string;
      status?: StatusPlace;
    }
  /**
   * Removes a record, its pointer and what is tied to it. `until` (ms): also refuse to see it again in a store that lost its newest writes.
   * `onlyIfThere`: MUST fail unless the record was there; what was put under its pointer beside it goes too. `as`: as `onlyIfThere`, and MUST
   * also fail unless the record has exactly this body, so that nothing that was added to it meanwhile is forgotten.
   * The bits of all access tokens that go MUST be set, and stay set in a store that lost its newest writes. `status`: that of this one.
   */
  | { op: "remove"; key: RecordKey; pointer?: RecordKey; until?: number; onlyIfThere?: boolean; as?: string; status?: StatusPlace }
  /** MUST fail the commit unless a record is there under this key or pointer. */
  | { op: "require"; key: RecordKey }
  /** MUST succeed for exactly one of any number of parallel commits; keeps the record and its expiry. Fails on missing and expired ones. */
  | { op: "consume"; key: RecordKey; answer?: KeptAnswer }
  /** MUST succeed for the first comer alone, until `expiresAt` (ms). `body`: what others find there. */
  | { op: "claim"; key: RecordKey; expiresAt: number; body?: string }
  /** Forgets the answer kept for a consumed record. */
  | { op: "drop-answer"; key: RecordKey };

export type Lost = Extract<Write, { op: "put" | "remove" | "require" | "consume" | "claim" }>;

/** Whose a record is, or under which grant it was issued. */
export type Owner = { accountId: string } | { clientId: string } | { grant: RecordKey };

/** A record among what belongs to somebody. */
export interface Tied {
  readonly key: RecordKey;
  /** Where the bit of an access token is. */
  readonly status?: StatusPlace;
}

export interface RecordStore extends StatusBits {
  read(key: RecordKey): Promise<StoredRecord | undefined>;
  /** Reads through a pointer. */
  readByPointer(pointer: RecordKey): Promise<(StoredRecord & { readonly key: RecordKey }) | undefined>;
  /** Whether a record is there under each key or pointer. */
  areAlive(keys: readonly RecordKey[]): Promise<boolean>;
  /**
   * Carries out all writes, in one round trip where the store can.
   * @returns the first write that lost its race, or whose requirement was not met: nothing that was put beside it is then left usable
   * @throws {StoreUnavailableError} when the store cannot be reached: nothing may be assumed
   */
  commit(writes: readonly Write[]): Promise<Lost | undefined>;
  readAnswer(key: RecordKey): Promise<string | undefined>;
  /** Everything issued under a grant, or tied to an account, or to a client, with the kinds that ties were given for: sessions, grants, tokens without a grant. */
  tiedTo(owner: Owner): Promise<Tied[]>;
  /** Removes what has expired; Redis does so by itself. */
  sweep(): Promise<void>;
  ping(): Promise<void>;
  close(): Promise<void>;
}

/**
 * The store cannot be reached or did not answer in time: 503 with Retry-After. Its members are those that oidc-provider and Koa read of an
 * error that a stranger may see (RFC 6749 §4.1.2.1, `temporarily_unavailable`); the cause stays in the log.
 */
export class StoreUnavailableError extends Error {
  override readonly name = "StoreUnavailableError";
  readonly status = 503;
  readonly statusCode = 503;
  readonly expose = true;
  readonly error = "temporarily_unavailable";
  readonly error_description = "the server cannot reach its store; try again in a moment";
  constructor(cause: unknown) {
    super("temporarily_unavailable", { cause });
  }
}
