/**
 * Changes of the signing keys: made by one process at a time, under a lock of the database and by its clock, each in one transaction, so that
 * there is a current and a next key for every algorithm at every moment.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { ChangeFeed } from "../storage/change-feed.ts";
import type { Database } from "../storage/database.ts";
import type { Prisma, SigningKey as Row } from "../storage/generated/client.ts";
import type { Sealer } from "../storage/seal.ts";
import { publicPart, SIGNING_ALGS } from "./algorithms.ts";
import { databaseTime, describeKey, newKeyRow, openJwk, SigningKeyError, sealJwk } from "./key-rows.ts";
import {
  type KeyPolicy,
  type KeyState,
  type KeysDue,
  keysDue,
  keysOf,
  later,
  nextState,
  readyAt,
  type SigningKeyInfo,
} from "./key-schedule.ts";

/** The topic under which other processes hear of a change. */
export const KEYS_TOPIC = "keys";

/** Held while keys change. Arbitrary, but for ever the same. */
const KEYS_LOCK = 7_267_001;
/** Milliseconds: eight keys, four of them RSA, on a machine that is busy starting twenty servers. */
const PATIENCE = 60_000;
const POLL = 50; // ms

export type Transaction = Prisma.TransactionClient;

/** What has happened to a key, for the audit log. */
export interface KeyEvent {
  readonly event: "key.published" | "key.rotated" | "key.rotation_scheduled" | "key.revoked" | "key.expired";
  readonly detail: Readonly<Record<string, string>>;
}

export interface RotationOrder {
  /** The keys that shall be replaced, as the caller has seen them: an order that comes twice replaces nothing twice. */
  readonly kids: readonly string[];
  /** They are compromised: nothing that they signed shall count from now on. Also for keys that do not sign (any more). */
  readonly now: boolean;
}

export type RotationResult =
  /** It signs no more; `kid` does. */
  | { outcome: "replaced" | "revoked"; alg: string; previousKid: string; kid: string; everywhereFrom: Date }
  /** It will be replaced at that time, by `kid`, without a further order. */
  | { outcome: "scheduled"; alg: string; previousKid: string; kid: string; at: Date };

/** `onEvent` is told what was done, once it counts. */
export interface KeyRotation {
  /** Does what is due. @returns false: another process is at it @throws {SigningKeyError} */
  tend(onEvent: (event: KeyEvent) => void): Promise<boolean>;
  /** @throws {SigningKeyError} when a key is unknown, or cannot be replaced; nothing has changed then */
  rotate(order: RotationOrder, onEvent: (event: KeyEvent) => void): Promise<RotationResult[]>;
}

export interface KeyRotationOptions {
  database: Pick<Database, "prisma">;
  feed: Pick<ChangeFeed, "publish">;
  sealer: Sealer;
  policy: KeyPolicy;
  /** Seconds that the longest-lived of the tokens lives that may have been signed so far. */
  longestToken(tx: Transaction): Promise<number>;
}

interface Session {
  readonly tx: Transaction;
  readonly at: Date;
  /** All keys that nothing has ended yet. */
  readonly rows: readonly Row[];
  readonly events: KeyEvent[];
}

export function createKeyRotation({ database: { prisma }, feed, sealer, policy, longestToken }: KeyRotationOptions): KeyRotation {
  return {
    async tend(onEvent) {
      const done = await underLock(onEvent, ({ tx, at, rows, events }) =>
        carryOut(tx, rows, keysDue(rows.map(describeKey), policy, at), at, events),
      );
      return done !== undefined;
    },

    async rotate(order, onEvent) {
      const deadline = Date.now() + PATIENCE;
      for (;;) {
        const done = await underLock(onEvent, (session) => obey(order, session));
        if (done !== undefined) return done.result;
        if (Date.now() > deadline) throw new SigningKeyError("Another process has been changing the signing keys for too long. Try again.");
        await sleep(POLL);
      }
    },
  };

  /** @returns undefined when another process holds the lock; waiting for it here would run into the statement timeout */
  async function underLock<T>(
    onEvent: (event: KeyEvent) => void,
    work: (session: Session) => Promise<T>,
  ): Promise<{ result: T } | undefined> {
    const done = await prisma.$transaction(
      async (tx) => {
        const [lock] = await tx.$queryRaw<{ held: boolean }[]>`SELECT pg_try_advisory_xact_lock(${KEYS_LOCK}) AS held`;
        if (lock?.held !== true) return undefined;
        const [at, rows] = [
          await databaseTime(tx),
          await tx.signingKey.findMany({ where: { state: { in: ["next", "current", "retired"] } } }),
        ];
        // What is made here must be readable for those who sign: the command line may run with another SECRET_KEY.
        for (const row of rows) openJwk(row, sealer);
        const events: KeyEvent[] = [];
        return { result: await work({ tx, at, rows, events }), events };
      },
      { timeout: PATIENCE },
    );
    if (done === undefined || done.events.length === 0) return done;
    for (const event of done.events) onEvent(event);
    await feed.publish(KEYS_TOPIC, "");
    return done;
  }

  async function carryOut(tx: Transaction, rows: readonly Row[], due: readonly KeysDue[], at: Date, events: KeyEvent[]): Promise<void> {
    for (const { alg, retire, activate, makeCurrent, makeNext, expire } of due) {
      const old = rows.find(({ kid }) => kid === retire);
      if (old !== undefined) {
        const publishedUntil = later(at, (await longestToken(tx)) + policy.retireSlack);
        await change(tx, old, { state: "retired", retiredAt: at, publishedUntil, privateKey: withoutPrivateHalf(old) });
      }
      const successor = rows.find(({ kid }) => kid === activate);
      if (successor !== undefined) {
        await change(tx, successor, { state: "current", activatedAt: at });
        const detail = { alg, kid: successor.kid, ...(old && { previous_kid: old.kid, reason: old.replaceAt === null ? "age" : "order" }) };
        events.push({ event: "key.rotated", detail });
      }
      for (const state of [...(makeCurrent ? ["current" as const] : []), ...(makeNext ? ["next" as const] : [])]) {
        const made = await newKeyRow(alg, state, at, sealer);
        await tx.signingKey.create({ data: made });
        events.push({ event: "key.published", detail: { alg, kid: made.kid, state } });
      }
      for (const row of rows.filter(({ kid }) => expire.includes(kid))) {
        await change(tx, row, { state: "expired" });
        events.push({ event: "key.expired", detail: { alg, kid: row.kid } });
      }
    }
  }

  async function obey({ kids, now }: RotationOrder, { tx, at, rows, events }: Session): Promise<RotationResult[]> {
    const named = await tx.signingKey.findMany({ where: { kid: { in: [...kids] } } });
    const unknown = kids.find((kid) => !named.some((row) => row.kid === kid));
    if (unknown !== undefined) throw new SigningKeyError(`There is no signing key "${unknown.slice(0, 200)}".`);
    const refused = named.find(({ state }) => !now && state !== "current" && state !== "retired");
    if (refused !== undefined) throw new SigningKeyError(`The key ${refused.kid} does not sign: it is ${refused.state}.`);
    for (const row of named) {
      if (now && row.state !== "revoked") await revoke(tx, row, at, events);
      if (!now && row.state === "current" && row.replaceAt === null)
        await tx.signingKey.update({ where: { kid: row.kid }, data: { replaceAt: at } });
    }
    const left = (now ? rows.filter(({ kid }) => !kids.includes(kid)) : rows).map((row) =>
      !now && kids.includes(row.kid) ? { ...row, replaceAt: row.replaceAt ?? at } : row,
    );
    await carryOut(tx, left, keysDue(left.map(describeKey), policy, at), at, events);
    const after = (await tx.signingKey.findMany({ omit: { privateKey: true } })).map(describeKey);
    return named.map((row) => resultFor(row, after, events));
  }

  async function revoke(tx: Transaction, row: Row, at: Date, events: KeyEvent[]): Promise<void> {
    await change(tx, row, { state: "revoked", revokedAt: at, privateKey: withoutPrivateHalf(row) });
    events.push({ event: "key.revoked", detail: { alg: row.alg, kid: row.kid, state: row.state } });
  }

  function resultFor({ kid: previousKid, alg }: Row, after: readonly SigningKeyInfo[], events: KeyEvent[]): RotationResult {
    const key = after.find(({ kid }) => kid === previousKid) as SigningKeyInfo;
    const { current, next } = keysOf(after, alg) as { current: SigningKeyInfo; next: SigningKeyInfo };
    if (key.state === "current") {
      const { at } = nextState(key, after, policy) as { at: Date };
      events.push({ event: "key.rotation_scheduled", detail: { alg, kid: previousKid, successor: next.kid, at: at.toISOString() } });
      return { outcome: "scheduled", alg, previousKid, kid: next.kid, at };
    }
    const outcome = key.state === "revoked" ? "revoked" : "replaced";
    return { outcome, alg, previousKid, kid: current.kid, everywhereFrom: readyAt(current, policy) };
  }

  /** What signs no more shall not be able to: a thief of the database and of SECRET_KEY finds nothing of the past. */
  function withoutPrivateHalf(row: Row): string {
    return sealJwk(publicPart(openJwk(row, sealer)), row.kid, sealer);
  }

  /** Compare and set: should anybody have changed the key without the lock, nothing of the transaction stands. */
  async function change(
    tx: Transaction,
    { kid, state }: Row,
    data: Prisma.SigningKeyUpdateManyMutationInput & { state: KeyState },
  ): Promise<void> {
    const { count } = await tx.signingKey.updateMany({ where: { kid, state }, data });
    if (count !== 1) throw new SigningKeyError(`The signing key ${kid} was changed by somebody else meanwhile. Try again.`);
  }
}

/** Whether a current or a next key is missing, for any algorithm. */
export async function keysAreMissing({ prisma }: Pick<Database, "prisma">): Promise<boolean> {
  const rows = await prisma.signingKey.findMany({ where: { state: { in: ["current", "next"] } }, select: { alg: true, state: true } });
  return SIGNING_ALGS.some((alg) => ["current", "next"].some((state) => !rows.some((row) => row.alg === alg && row.state === state)));
}
