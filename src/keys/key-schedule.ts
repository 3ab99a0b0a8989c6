/**
 * What becomes of a signing key, and when. A key is `next` (published, does not sign yet), `current` (one per algorithm: signs), `retired`
 * (published until what it signed has expired), `expired` (known, no longer published) or, at any time, `revoked` (nothing that it signed
 * counts). Only rules: no database, no clock of its own.
 */
import type { Config } from "../config.ts";
import { isSigningAlg, SIGNING_ALGS, type SigningAlg } from "./algorithms.ts";

export type KeyState = "next" | "current" | "retired" | "expired" | "revoked";

/** What may be shown of a key. */
export interface SigningKeyInfo {
  readonly kid: string;
  readonly alg: string;
  readonly state: KeyState;
  /** Published since then. */
  readonly createdAt: Date;
  readonly activatedAt?: Date;
  /** Of a current key: an operator has asked for its replacement, from then on. */
  readonly replaceAt?: Date;
  readonly retiredAt?: Date;
  /** Of a retired key: what it signed has expired by then. */
  readonly publishedUntil?: Date;
  readonly revokedAt?: Date;
}

/** Seconds. */
export interface KeyPolicy {
  /** For how long a key is published before it signs. */
  readonly publishAhead: number;
  /** The age at which a key that signs is replaced. */
  readonly rotationAge: number;
  /** For how long a retired key is published beyond the life of its tokens. */
  readonly retireSlack: number;
}

/** Seconds: a process that missed the word of a change has read the keys again by then. */
const LONGEST_LAG = 7;

/** Every JWKS that was handed out before a key was published, by whatever process, is out of every cache when the key begins to sign. */
export const keyPolicy = (config: Pick<Config, "jwksMaxAge" | "keyPublishAhead" | "keyRotationAge">): KeyPolicy => ({
  publishAhead: Math.max(config.keyPublishAhead, config.jwksMaxAge + LONGEST_LAG),
  rotationAge: config.keyRotationAge,
  retireSlack: config.jwksMaxAge + LONGEST_LAG,
});

/** What is due for one algorithm; the steps are taken in this order. */
export interface KeysDue {
  readonly alg: SigningAlg;
  /** The one that stops signing. */
  readonly retire?: string;
  /** The one that begins to sign. */
  readonly activate?: string;
  /** No key could begin to sign: one has to be made that does so at once. */
  readonly makeCurrent: boolean;
  readonly makeNext: boolean;
  /** Those that are no longer published. */
  readonly expire: readonly string[];
}

/** @param at the database's time @returns nothing for algorithms that are as they should be */
export function keysDue(keys: readonly SigningKeyInfo[], policy: KeyPolicy, at: Date): KeysDue[] {
  return SIGNING_ALGS.map((alg) => dueOf(alg, keysOf(keys, alg), policy, at)).filter(
    ({ retire, activate, makeCurrent, makeNext, expire }) =>
      retire !== undefined || activate !== undefined || makeCurrent || makeNext || expire.length > 0,
  );
}

function dueOf(alg: SigningAlg, { current, next, retired }: KeysOfAlg, policy: KeyPolicy, at: Date): KeysDue {
  const replacement = current && replacementTime(current, next, policy);
  const replaced = replacement !== undefined && replacement <= at;
  const activated = next !== undefined && (current === undefined || replaced);
  return {
    alg,
    ...(activated && replaced && current && { retire: current.kid }),
    ...(activated && { activate: next.kid }),
    makeCurrent: current === undefined && !activated,
    makeNext: next === undefined || activated,
    expire: retired.filter(({ publishedUntil }) => publishedUntil !== undefined && publishedUntil <= at).map(({ kid }) => kid),
  };
}

export interface KeysOfAlg {
  readonly current: SigningKeyInfo | undefined;
  readonly next: SigningKeyInfo | undefined;
  readonly retired: readonly SigningKeyInfo[];
}

export function keysOf(keys: readonly SigningKeyInfo[], alg: string): KeysOfAlg {
  const ofAlg = keys.filter((key) => key.alg === alg);
  return {
    current: ofAlg.find(({ state }) => state === "current"),
    next: ofAlg.find(({ state }) => state === "next"),
    retired: ofAlg.filter(({ state }) => state === "retired"),
  };
}

/** When a key may sign without anybody finding it in no JWKS. */
export const readyAt = (next: SigningKeyInfo, { publishAhead }: KeyPolicy): Date => later(next.createdAt, publishAhead);

/** When a current key gives way: old enough or asked for, and its successor published for long enough. Undefined without a successor. */
function replacementTime(current: SigningKeyInfo, next: SigningKeyInfo | undefined, policy: KeyPolicy): Date | undefined {
  if (next === undefined) return undefined;
  const byAge = later(current.activatedAt ?? current.createdAt, policy.rotationAge);
  const wanted = current.replaceAt !== undefined && current.replaceAt < byAge ? current.replaceAt : byAge;
  const ready = readyAt(next, policy);
  return wanted > ready ? wanted : ready;
}

export interface NextState {
  readonly state: KeyState;
  /** Past, when no server runs that would do it. */
  readonly at: Date;
}

/** What becomes of a key by itself; undefined when nothing does. */
export function nextState(key: SigningKeyInfo, all: readonly SigningKeyInfo[], policy: KeyPolicy): NextState | undefined {
  if (!isSigningAlg(key.alg)) return undefined;
  if (key.state === "retired") return key.publishedUntil && { state: "expired", at: key.publishedUntil };
  const { current, next } = keysOf(all, key.alg);
  const at = current && replacementTime(current, next, policy);
  if (at === undefined) return undefined;
  if (key.kid === current?.kid) return { state: "retired", at };
  if (key.kid === next?.kid) return { state: "current", at };
  return undefined;
}

export const later = (time: Date, seconds: number): Date => new Date(time.getTime() + seconds * 1000);
