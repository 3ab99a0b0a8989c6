/** Records of the engine for tests of the stores: grants, tokens and sessions on any arrangement, and requests that use them. */
import { randomBytes } from "node:crypto";
import type pg from "pg";
import { afterAll, beforeAll, expect } from "vitest";
import { lostRace } from "../../src/oidc/policies.ts";
import { Endings } from "../../src/storage/endings.ts";
import { EngineAdapter, type EngineAdapterOptions } from "../../src/storage/engine-adapter.ts";
import type { EngineModel } from "../../src/storage/engine-models.ts";
import type { RecordStore } from "../../src/storage/record-store.ts";
import type { RedisClient } from "../../src/storage/redis-client.ts";
import { type Payload, RequestScope, runInScope } from "../../src/storage/request-scope.ts";
import { createSealer, type Sealer } from "../../src/storage/seal.ts";
import { watchCommands } from "./redis-watch.ts";

export interface Opened {
  store: RecordStore;
  pool: pg.Pool;
  /** A connection of the test's own, when the records are in Redis. */
  redis: RedisClient | undefined;
  close(): Promise<void>;
}

export const ISSUER = "https://issuer.example";
export const PARALLEL = 20;
export const HOUR = 3_600;

export const id = (): string => randomBytes(32).toString("base64url");
export const inSeconds = (seconds: number): number => Math.floor(Date.now() / 1000) + seconds;

/** A complete access token of these tests: what stands for the JWT. */
export const jwtOf = (jti: string): string => `complete.${jti}`;

export interface Adapters {
  readonly store: RecordStore;
  readonly endings: Endings;
  readonly sealer: Sealer;
  of(model: EngineModel): EngineAdapter;
}

export function adaptersOn(store: RecordStore): Adapters {
  const sealer = createSealer([Buffer.alloc(32, 7)]);
  const options: EngineAdapterOptions = {
    store,
    sealer,
    userCodeKeys: [Buffer.alloc(32, 9)],
    verifyAccessToken: async (jwt) => (jwt.startsWith("complete.") ? { jti: jwt.slice("complete.".length), aud: ISSUER } : undefined),
    issuer: ISSUER,
    refreshGrace: 0,
    grantTtl: HOUR,
    lostRace,
  };
  return { store, sealer, endings: new Endings({ store, sealer, longestLife: HOUR }), of: (model) => new EngineAdapter(model, options) };
}

/** One request: everything that `work` writes is committed together. @returns what the commit lost */
export async function request(store: RecordStore, work: (scope: RequestScope) => Promise<void>, defersChecks = true) {
  const scope = new RequestScope({ defersChecks });
  await runInScope(scope, () => work(scope));
  return store.commit(scope.take());
}

/** What another request does meanwhile. */
export const elsewhere = (work: () => Promise<void>): Promise<void> => runInScope(undefined as never, work);

/** How many of the calls succeed. */
export async function successes(calls: readonly Promise<unknown>[]): Promise<number> {
  return (await Promise.allSettled(calls)).filter(({ status }) => status === "fulfilled").length;
}

/** Opens the stores before the tests around it and closes them after; what is opened is there while a test runs. */
export function recordFixtures(open: () => Promise<Opened>) {
  let opened: Opened;
  let adapters: Adapters;
  let watch: { commands: string[][]; stop(): void } | undefined;
  const of = (model: EngineModel) => adapters.of(model);
  const ended = async (model: EngineModel, value: string) => expect(await of(model).find(value)).toBeUndefined();

  beforeAll(async () => {
    opened = await open();
    adapters = adaptersOn(opened.store);
    watch = opened.redis && (await watchCommands(opened.redis));
  });
  afterAll(async () => {
    watch?.stop();
    await opened?.close();
  });

  async function grant(parts: Payload = {}, ttl = HOUR): Promise<string> {
    const grantId = id();
    await of("Grant").upsert(grantId, { kind: "Grant", jti: grantId, accountId: id(), clientId: id(), ...parts }, ttl);
    return grantId;
  }

  async function token(
    model: "AuthorizationCode" | "RefreshToken" | "AccessToken",
    grantId: string,
    parts: Payload = {},
    ttl = HOUR,
  ): Promise<string> {
    const jti = id();
    const payload = { kind: model, jti, grantId, clientId: "client", accountId: "account", exp: inSeconds(ttl), ...parts };
    await of(model).upsert(jti, model === "AccessToken" ? { aud: ISSUER, ...payload } : payload, ttl);
    return model === "AccessToken" ? jwtOf(jti) : jti;
  }

  async function session(parts: Payload = {}, ttl = HOUR): Promise<{ jti: string; uid: string; payload: Payload }> {
    const jti = id();
    const uid = id();
    const payload = { kind: "Session", jti, uid, exp: inSeconds(ttl), ...parts };
    await of("Session").upsert(jti, payload, ttl);
    return { jti, uid, payload };
  }

  return {
    get opened() {
      return opened;
    },
    get adapters() {
      return adapters;
    },
    get watch() {
      return watch;
    },
    of,
    ended,
    grant,
    token,
    session,
  };
}

export type RecordFixtures = ReturnType<typeof recordFixtures>;
