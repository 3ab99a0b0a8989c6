/**
 * The signing keys as the database has them and as this process uses them. A key is `next` (published, does not sign yet), `current`
 * (one per algorithm: signs), `retired` (published until what it signed has expired) or `revoked` (known, never used or published).
 * Every process holds all but the revoked ones opened, in a snapshot that is replaced as a whole when the change feed says so.
 */
import type { JsonWebKey, KeyObject } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "../observability/logger.ts";
import type { ChangeFeed } from "../storage/change-feed.ts";
import type { Database } from "../storage/database.ts";
import type { Prisma, SigningKey as Row } from "../storage/generated/client.ts";
import type { Sealer } from "../storage/seal.ts";
import { generateSigningJwk, isSigningAlg, publicKeyObject, publicPart, SIGNING_ALGS, type SigningAlg } from "./algorithms.ts";

export type KeyState = "next" | "current" | "retired" | "revoked";

/** What may be shown of a key. */
export interface SigningKeyInfo {
  readonly kid: string;
  readonly alg: string;
  readonly state: KeyState;
  readonly createdAt: Date;
  readonly activatedAt?: Date;
  readonly retiredAt?: Date;
}

/** An opened key. */
export interface LoadedKey extends SigningKeyInfo {
  readonly alg: SigningAlg;
  readonly privateJwk: JsonWebKey & { kid: string };
  readonly publicJwk: JsonWebKey & { kid: string };
  /** Prepared for checking signatures. */
  readonly publicKey: KeyObject;
}

/** All keys but the revoked ones; for each algorithm the current one comes first. Never changed, only replaced. */
export interface KeySnapshot {
  readonly keys: readonly LoadedKey[];
}

export interface KeyStore {
  /** The keys that count at this moment; the same object until one of them changes. */
  snapshot(): KeySnapshot;
  /** All of them as the database has them, revoked ones too, newest first. */
  list(): Promise<SigningKeyInfo[]>;
  /** Calls back after every replacement of the snapshot. @returns how to stop that */
  onChange(listener: (snapshot: KeySnapshot) => void): () => void;
  /** Reads the keys again. @throws {SigningKeyError} when one cannot be opened: the snapshot then stays as it was */
  reload(): Promise<void>;
  close(): void;
}

/** The signing keys cannot be used; the message says what to do and is safe to show. */
export class SigningKeyError extends Error {
  override readonly name = "SigningKeyError";
}

/** The topic under which other processes hear of a change. */
const KEYS_TOPIC = "keys";

/** Held while the first keys are made: of any number of processes that start at once, one makes them. Arbitrary, but for ever the same. */
const FIRST_KEYS_LOCK = 7_267_001;
/** Milliseconds: two RSA keys, on a machine that is busy starting twenty servers. */
const FIRST_KEYS_PATIENCE = 60_000;
const FIRST_KEYS_POLL = 50; // ms

const ORDER: Record<string, number> = { current: 0, next: 1, retired: 2 };

export interface KeyStoreOptions {
  database: Pick<Database, "prisma">;
  feed: Pick<ChangeFeed, "publish" | "subscribe">;
  sealer: Sealer;
  /** Milliseconds since the epoch. */
  now: () => number;
  log: Pick<Logger, "info" | "warn" | "error">;
}

/**
 * Opens every key, makes those that are missing, and seals again what an older SECRET_KEY had sealed.
 * @throws {SigningKeyError} when a key is sealed under a secret that is not in SECRET_KEY
 */
export async function openKeyStore({ database: { prisma }, feed, sealer, now, log }: KeyStoreOptions): Promise<KeyStore> {
  const listeners = new Set<(snapshot: KeySnapshot) => void>();
  let fingerprint = "";
  let current: KeySnapshot = { keys: [] };
  let reloading: Promise<void> | undefined;
  let reloadAgain = false;

  await makeMissingKeys();
  await load();
  const unsubscribe = feed.subscribe(KEYS_TOPIC, () => {
    reload().catch((error: unknown) => log.error({ err: error }, "the signing keys could not be read again; the earlier ones stay in use"));
  });

  return {
    snapshot: () => current,
    list: () => listSigningKeys({ prisma }),
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    reload,
    close: unsubscribe,
  };

  /** Changes that arrive during a reading are read afterwards, once. */
  function reload(): Promise<void> {
    if (reloading !== undefined) {
      reloadAgain = true;
      return reloading;
    }
    reloading = (async () => {
      try {
        do {
          reloadAgain = false;
          await load();
        } while (reloadAgain);
      } finally {
        reloading = undefined;
      }
    })();
    return reloading;
  }

  async function load(): Promise<void> {
    const rows = await prisma.signingKey.findMany({
      where: { state: { not: "revoked" } },
      orderBy: [{ createdAt: "desc" }, { kid: "asc" }],
    });
    const usable = rows.filter((row) => isSigningAlg(row.alg) && row.state in ORDER).sort(byAlgAndState);
    const seen = JSON.stringify(usable.map(({ kid, state }) => [kid, state]));
    if (seen === fingerprint) return;
    const opened = usable.map((row) => ({ row, key: current.keys.find(({ kid }) => kid === row.kid) ?? openKey(row) }));
    current = { keys: opened.map(({ row, key }) => ({ ...key, ...describe(row), alg: key.alg })) };
    fingerprint = seen;
    await sealAgain(usable);
    for (const listener of listeners) listener(current);
  }

  function openKey(row: Row): LoadedKey {
    let privateJwk: LoadedKey["privateJwk"];
    try {
      privateJwk = JSON.parse(sealer.open(row.privateKey, context(row.kid)));
    } catch (cause) {
      throw new SigningKeyError(
        `The signing key ${row.kid} (${row.alg}) is sealed under a secret that SECRET_KEY does not hold. Set SECRET_KEY to the value that was in use when the key was made; to change it, list both values, comma-separated, the new one first.`,
        { cause },
      );
    }
    const publicJwk = publicPart(privateJwk) as LoadedKey["publicJwk"];
    return { ...describe(row), alg: row.alg as SigningAlg, privateJwk, publicJwk, publicKey: publicKeyObject(publicJwk) };
  }

  /** Compare and set: of several processes that do this at once one wins, and every winner's value opens alike. */
  async function sealAgain(rows: readonly Row[]): Promise<void> {
    for (const { kid, privateKey } of rows) {
      if (sealer.isCurrent(privateKey)) continue;
      const sealed = sealer.seal(sealer.open(privateKey, context(kid)), context(kid));
      const { count } = await prisma.signingKey.updateMany({ where: { kid, privateKey }, data: { privateKey: sealed } });
      if (count > 0) log.info({ kid }, "signing key sealed under the first SECRET_KEY");
    }
  }

  /** Of processes that start together one makes the keys; the others look again until it has. */
  async function makeMissingKeys(): Promise<void> {
    const deadline = Date.now() + FIRST_KEYS_PATIENCE;
    while ((await missingAlgs(prisma)).length > 0) {
      if (Date.now() > deadline)
        throw new SigningKeyError("Another process has been making the first signing keys for too long. Start again.");
      const made = await prisma.$transaction(makeUnderLock, { timeout: FIRST_KEYS_PATIENCE });
      if (made === undefined) {
        await sleep(FIRST_KEYS_POLL);
      } else if (made.length > 0) {
        log.info({ keys: made }, "signing keys made");
        await feed.publish(KEYS_TOPIC, "");
      }
    }
  }

  /** @returns undefined when another process holds the lock; waiting for it here would run into the statement timeout */
  async function makeUnderLock(tx: Prisma.TransactionClient): Promise<{ kid: string; alg: string }[] | undefined> {
    const [lock] = await tx.$queryRaw<{ held: boolean }[]>`SELECT pg_try_advisory_xact_lock(${FIRST_KEYS_LOCK}) AS held`;
    if (lock?.held !== true) return undefined;
    const keys = await Promise.all((await missingAlgs(tx)).map(newCurrentKey));
    if (keys.length > 0) await tx.signingKey.createMany({ data: keys });
    return keys.map(({ kid, alg }) => ({ kid, alg }));
  }

  async function newCurrentKey(alg: SigningAlg) {
    const privateJwk = await generateSigningJwk(alg);
    const at = new Date(now());
    const privateKey = sealer.seal(JSON.stringify(privateJwk), context(privateJwk.kid));
    return {
      kid: privateJwk.kid,
      alg,
      state: "current",
      publicJwk: publicPart(privateJwk) as object,
      privateKey,
      createdAt: at,
      activatedAt: at,
    };
  }
}

/** What the command line lists: needs the database alone, opens nothing. Newest first. */
export async function listSigningKeys({ prisma }: Pick<Database, "prisma">): Promise<SigningKeyInfo[]> {
  const rows = await prisma.signingKey.findMany({ omit: { privateKey: true }, orderBy: [{ createdAt: "desc" }, { alg: "asc" }] });
  return rows.map(describe);
}

const context = (kid: string): string => `signing-key:${kid}`;

async function missingAlgs(prisma: Pick<Database["prisma"], "signingKey">): Promise<SigningAlg[]> {
  const rows = await prisma.signingKey.findMany({ where: { state: "current" }, select: { alg: true } });
  return SIGNING_ALGS.filter((alg) => !rows.some((row) => row.alg === alg));
}

function byAlgAndState(a: Row, b: Row): number {
  return (
    SIGNING_ALGS.indexOf(a.alg as SigningAlg) - SIGNING_ALGS.indexOf(b.alg as SigningAlg) || (ORDER[a.state] ?? 9) - (ORDER[b.state] ?? 9)
  );
}

function describe({ kid, alg, state, createdAt, activatedAt, retiredAt }: Omit<Row, "privateKey" | "publicJwk">): SigningKeyInfo {
  return {
    kid,
    alg,
    state: state as KeyState,
    createdAt,
    ...(activatedAt !== null && { activatedAt }),
    ...(retiredAt !== null && { retiredAt }),
  };
}
