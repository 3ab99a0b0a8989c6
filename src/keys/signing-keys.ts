/**
 * The signing keys as this process uses them: opened, in a snapshot that is replaced as a whole when the change feed says so, or when a
 * look at the database, which every process takes every few seconds, finds a change. The same look finds what is due.
 */
import type { KeyObject } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "../observability/logger.ts";
import type { ChangeFeed } from "../storage/change-feed.ts";
import type { SigningKey as Row } from "../storage/generated/client.ts";
import { isSigningAlg, publicKeyObject, publicPart, SIGNING_ALGS, type SigningAlg } from "./algorithms.ts";
import { createKeyRotation, KEYS_TOPIC, type KeyEvent, type KeyRotation, type KeyRotationOptions, keysAreMissing } from "./key-rotation.ts";
import { databaseTime, describeKey, listSigningKeys, openJwk, type SigningJwk, SigningKeyError, sealJwk } from "./key-rows.ts";
import { keysDue, type SigningKeyInfo } from "./key-schedule.ts";

/** An opened key. */
export interface LoadedKey extends SigningKeyInfo {
  readonly alg: SigningAlg;
  /** Undefined: it signs no more. */
  readonly privateJwk: SigningJwk | undefined;
  readonly publicJwk: SigningJwk;
  /** Prepared for checking signatures. */
  readonly publicKey: KeyObject;
}

/** Never changed, only replaced. */
export interface KeySnapshot {
  /** Those that are published, in this order: the current ones, the next ones, the retired ones, newest first; RS256 before other algorithms. */
  readonly keys: readonly LoadedKey[];
  /** What they signed has expired: for whoever brings an old ID token as a hint. */
  readonly expired: readonly LoadedKey[];
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
  readonly rotation: KeyRotation;
  /** Waits for what is under way. */
  close(): Promise<void>;
}

/** @throws {Error} when there is none, which the key store rules out */
export function currentKey({ keys }: KeySnapshot, alg: SigningAlg): LoadedKey & { privateJwk: SigningJwk } {
  const key = keys.find((candidate) => candidate.alg === alg && candidate.state === "current");
  if (key?.privateJwk === undefined) throw new Error(`no key signs with ${alg}`);
  return key as LoadedKey & { privateJwk: SigningJwk };
}

/** Milliseconds between two looks, give or take a quarter, so that processes do not look all at once. See LONGEST_LAG. */
const LOOK_EVERY = 3_000;
const JITTER = 0.25;
/** Milliseconds between two looks at what another process is making. */
const START_POLL = 50;
const START_PATIENCE = 60_000; // ms

const ORDER: Readonly<Record<string, number>> = { current: 0, next: 1, retired: 2, expired: 3 };

export interface KeyStoreOptions extends KeyRotationOptions {
  /** Told what this process did because it was time. */
  onEvent(event: KeyEvent): void;
  feed: Pick<ChangeFeed, "publish" | "subscribe">;
  log: Pick<Logger, "info" | "warn" | "error">;
}

/**
 * Makes the keys that are missing, opens all, seals again what an older SECRET_KEY had sealed, and from then on rotates them when it is time.
 * @throws {SigningKeyError} when a key is sealed under a secret that is not in SECRET_KEY
 */
export async function openKeyStore(options: KeyStoreOptions): Promise<KeyStore> {
  const { database, feed, sealer, policy, onEvent, log } = options;
  const { prisma } = database;
  const rotation = createKeyRotation(options);
  const listeners = new Set<(snapshot: KeySnapshot) => void>();
  let fingerprint = "";
  let current: KeySnapshot = { keys: [], expired: [] };
  let infos: readonly SigningKeyInfo[] = [];
  let reloading: Promise<void> | undefined;
  let reloadAgain = false;
  let trouble = false;
  let closed = false;
  let timer: NodeJS.Timeout | undefined;
  let looking: Promise<void> = Promise.resolve();

  await makeMissingKeys();
  await load();
  const unsubscribe = feed.subscribe(KEYS_TOPIC, () => {
    if (!closed) reload().then(noTrouble, tellTrouble);
  });
  lookLater();

  return {
    snapshot: () => current,
    list: () => listSigningKeys(database),
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    reload,
    rotation,
    async close() {
      closed = true;
      clearTimeout(timer);
      unsubscribe();
      await looking;
      await reloading?.catch(() => {});
    },
  };

  function lookLater(): void {
    const delay = LOOK_EVERY * (1 + JITTER * (2 * Math.random() - 1));
    timer = setTimeout(() => {
      looking = look()
        .then(noTrouble, tellTrouble)
        .finally(() => {
          if (!closed) lookLater();
        });
    }, delay).unref();
  }

  async function look(): Promise<void> {
    await reload();
    if (keysDue(infos, policy, await databaseTime(prisma)).length > 0 && (await rotation.tend(onEvent))) await reload();
  }

  function noTrouble(): void {
    if (trouble) log.info("the signing keys can be read again");
    trouble = false;
  }

  /** Once, and not every few seconds. */
  function tellTrouble(error: unknown): void {
    if (trouble || closed) return;
    trouble = true;
    const what = "the signing keys could not be read again; the earlier ones stay in use";
    if (error instanceof SigningKeyError) log.error({ err: error }, what);
    else log.warn({ err: error }, what);
  }

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
    const usable = rows.filter((row) => isSigningAlg(row.alg) && row.state in ORDER).sort(byStateAndAlg);
    const seen = JSON.stringify(usable.map(({ kid, state }) => [kid, state]));
    infos = usable.map(describeKey);
    if (seen === fingerprint) return;
    const known = new Map([...current.keys, ...current.expired].map((key) => [key.kid, key]));
    const loaded = usable.map((row): LoadedKey => {
      const { privateJwk, publicJwk, publicKey } = known.get(row.kid) ?? openKey(row);
      const signs = row.state === "current" || row.state === "next";
      return { ...describeKey(row), alg: row.alg as SigningAlg, privateJwk: signs ? privateJwk : undefined, publicJwk, publicKey };
    });
    current = { keys: loaded.filter(({ state }) => state !== "expired"), expired: loaded.filter(({ state }) => state === "expired") };
    fingerprint = seen;
    await sealAgain(usable);
    for (const listener of listeners) listener(current);
  }

  function openKey(row: Row): Pick<LoadedKey, "privateJwk" | "publicJwk" | "publicKey"> {
    const jwk = openJwk(row, sealer);
    const publicJwk = publicPart(jwk) as SigningJwk;
    return { privateJwk: jwk.d === undefined ? undefined : jwk, publicJwk, publicKey: publicKeyObject(publicJwk) };
  }

  /** Compare and set: of several processes that do this at once one wins, and every winner's value opens alike. */
  async function sealAgain(rows: readonly Row[]): Promise<void> {
    for (const row of rows) {
      const { kid, privateKey } = row;
      if (sealer.isCurrent(privateKey)) continue;
      const sealed = sealJwk(openJwk(row, sealer), kid, sealer);
      const { count } = await prisma.signingKey.updateMany({ where: { kid, privateKey }, data: { privateKey: sealed } });
      if (count > 0) log.info({ kid }, "signing key sealed under the first SECRET_KEY");
    }
  }

  /** Of processes that start together one makes the keys; the others look again until it has. */
  async function makeMissingKeys(): Promise<void> {
    const deadline = Date.now() + START_PATIENCE;
    while (await keysAreMissing(database)) {
      if (Date.now() > deadline) throw new SigningKeyError("Another process has been making the signing keys for too long. Start again.");
      if (!(await rotation.tend(onEvent))) await sleep(START_POLL);
    }
  }
}

function byStateAndAlg(a: Row, b: Row): number {
  return (
    (ORDER[a.state] ?? 9) - (ORDER[b.state] ?? 9) || SIGNING_ALGS.indexOf(a.alg as SigningAlg) - SIGNING_ALGS.indexOf(b.alg as SigningAlg)
  );
}
