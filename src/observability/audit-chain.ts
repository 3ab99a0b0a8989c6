/**
 * How the audit log is sealed: what is hashed, and in which form. Nothing here may change for events that are sealed already.
 *
 *   personal part   address and detail
 *   personal hash = SHA-256(salt ‖ personal part)
 *   event hash    = SHA-256(id, at, event, outcome, actor, account_id, client_id, request_id, personal hash)
 *   events hash   = SHA-256(event hash ‖ event hash ‖ …)
 *   batch hash    = SHA-256(number, count, first_at, last_at, sealed_at, events hash, hash of the batch before)
 *
 * Members are written as JSON with sorted members (RFC 8785), hashes in base64url, times in UTC with milliseconds. So the personal part can go
 * and its hash stand for it, and the events of a batch can go and theirs. See docs/audit-log.md.
 */
import { createHash, randomBytes } from "node:crypto";

/** An event as it lies in the database. */
export interface StoredEvent {
  /** A whole number. */
  readonly id: string;
  readonly at: Date;
  readonly event: string;
  readonly outcome: string;
  readonly actor: string | null;
  readonly account_id: string | null;
  readonly client_id: string | null;
  readonly request_id: string | null;
  readonly address: string | null;
  readonly detail: Readonly<Record<string, unknown>>;
  readonly erased_at: Date | null;
}

/** Its place in the chain. Without a salt its personal part is erased. */
export interface EventSeal {
  readonly position: number;
  readonly personal_hash: Buffer | null;
  readonly salt: Buffer | null;
}

export type SealedEvent = StoredEvent & EventSeal;

/** What a batch says of its events. */
export interface BatchFacts {
  /** From 1 on, without a gap. */
  readonly number: number;
  readonly count: number;
  readonly firstAt: Date;
  readonly lastAt: Date;
  readonly sealedAt: Date;
  readonly eventsHash: Buffer;
}

export interface Batch extends BatchFacts {
  readonly hash: Buffer;
  /** A JWS (audit-checkpoints.ts). */
  readonly checkpoint: string | undefined;
  /** Its events are gone since then: their time was over. */
  readonly removedAt: Date | undefined;
}

const SALT_LENGTH = 16; // bytes: nobody guesses an address that was erased
/** The hash before that of the first batch. */
export const BEGINNING: Buffer = Buffer.alloc(32);

export const newSalt = (): Buffer => randomBytes(SALT_LENGTH);

/** @see RFC 8785 for what JSON.parse gives: members in the order of their UTF-16 units, numbers and strings as JSON.stringify writes them */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonical(member)}`).join(",")}}`;
}

const sha256 = (...parts: (string | Buffer)[]): Buffer => {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest();
};

export const personalHash = ({ address, detail }: Pick<StoredEvent, "address" | "detail">, salt: Buffer): Buffer =>
  sha256(salt, canonical({ address, detail }));

export function eventHash(event: StoredEvent, personal: Buffer): Buffer {
  const { id, at, event: name, outcome, actor, account_id, client_id, request_id } = event;
  const facts = { id, at: at.toISOString(), event: name, outcome, actor, account_id, client_id, request_id };
  return sha256(canonical({ ...facts, personal: personal.toString("base64url") }));
}

export const eventsHash = (hashes: readonly Buffer[]): Buffer => sha256(...hashes);

export function batchHash({ number, count, firstAt, lastAt, sealedAt, eventsHash: events }: BatchFacts, previous: Buffer): Buffer {
  const times = { first_at: firstAt.toISOString(), last_at: lastAt.toISOString(), sealed_at: sealedAt.toISOString() };
  return sha256(canonical({ number, count, ...times, events: events.toString("base64url"), previous: previous.toString("base64url") }));
}
