/**
 * The engine's Adapter (oidc-provider 9) on any RecordStore, for everything but clients and registration tokens.
 * The engine reads `consumed`, calls `consume` and goes on without looking at the answer: so `consume` throws to every loser.
 */
import { createHmac } from "node:crypto";
import { markSession } from "./browser-sessions.ts";
import { CONSUMED_AT_COMMIT, type EngineModel, KEPT_AFTER_EXPIRY, KINDS } from "./engine-models.ts";
import { authorizationsOf, backingOf, placeIn, tiesOf, UNDER_A_GRANT } from "./engine-payload.ts";
import { type Body, decodeBody, encodeBody, isEncrypted, keyOf } from "./record-body.ts";
import type { RecordKey, RecordKind, RecordStore, StoredRecord, Write } from "./record-store.ts";
import { currentScope, type Payload, type RequestScope, write } from "./request-scope.ts";
import type { Sealer } from "./seal.ts";
import { asRead, goOnUnderNewId, isUnchanged, rememberSession, usedSession } from "./session-in-request.ts";
import type { StatusPlace } from "./status-bits.ts";

/** Seconds in which a device that polls twice at once is only refused; a later use of its code ends what the code gave. */
const DEVICE_GRACE = 10;

export interface EngineAdapterOptions {
  store: RecordStore;
  sealer: Sealer;
  /** For the HMAC of user codes, which are too short for a plain hash: the first is used, all are accepted. */
  userCodeKeys: readonly [Buffer, ...Buffer[]];
  /** The claims of a complete access token that is signed, can be read here, and has not expired. */
  verifyAccessToken(jwt: string): Promise<{ readonly jti?: unknown; readonly aud?: unknown } | undefined>;
  issuer: string;
  /** Seconds for which a repeated refresh gets the same answer. */
  refreshGrace: number;
  /** Seconds that a grant lives after it was last used. */
  grantTtl: number;
  /** What the engine shall see when a race is lost. @param payload of what was to be stored, if it was */
  lostRace(kind: RecordKind, payload?: Payload): Error;
  /** Milliseconds since the epoch. */
  now?(): number;
}

export class EngineAdapter {
  readonly #kind: RecordKind;
  readonly #options: EngineAdapterOptions;

  constructor(model: EngineModel, options: EngineAdapterOptions) {
    this.#kind = KINDS[model];
    this.#options = options;
  }

  /** @param expiresIn seconds */
  async upsert(id: string, payload: Payload, expiresIn: number): Promise<void> {
    const { store } = this.#options;
    const kind = this.#kind;
    const key = keyOf(kind, id);
    if (kind === "replay") {
      // First come, first served: the engine's own "find, then save" races.
      const lost = await store.commit([{ op: "claim", key, expiresAt: this.#now() + expiresIn * 1000 }]);
      if (lost !== undefined) throw this.#options.lostRace(kind, payload);
      return;
    }
    const scope = currentScope();
    if (kind === "session" && scope !== undefined && isUnchanged(scope, key, payload, this.#carried(payload, scope).g, expiresIn)) return;
    if (kind === "grant") delete payload.exp; // the record's own expiry counts: it moves with the tokens issued under it
    const expiresAt = Math.ceil(this.#now() + expiresIn * 1000) + (KEPT_AFTER_EXPIRY[kind] ?? 0);
    const pointer = this.#pointerOf(payload);
    const ties = tiesOf(kind, payload);
    const onlyIfThere = scope !== undefined && this.#mustBeThere(scope, key);
    scope?.seen.set(key, payload);
    if (kind === "session" && scope !== undefined && pointer !== undefined) goOnUnderNewId(scope, pointer, payload);
    const body = encodeBody(kind, key, payload, this.#carried(payload, scope), this.#options.sealer);
    const put: Write = {
      op: "put",
      key,
      body,
      expiresAt,
      ...(pointer && { pointer }),
      ...(ties && { ties }),
      ...(onlyIfThere && { onlyIfThere }),
      // What another tab has added meanwhile is not forgotten: this request is asked again and finds it.
      ...(onlyIfThere && scope?.sessionAsRead?.key === key && { replaces: scope.sessionAsRead.body }),
      ...placeIn(kind, payload),
    };
    if (kind === "session" && scope !== undefined) {
      scope.session = usedSession(payload);
      const mark = markSession(scope, payload, this.#now());
      if (mark !== undefined) scope.add(mark);
    }
    if (scope !== undefined) scope.add(put);
    else if ((await store.commit([put])) !== undefined) throw this.#options.lostRace(kind);
  }

  async find(id: string): Promise<Payload | undefined> {
    if (this.#kind === "replay") return undefined; // whoever claims it first decides, in `upsert`
    const scope = currentScope();
    if (this.#kind === "access-token") return this.#findAccessToken(id, scope);
    if (scope?.handles.has(id)) return undefined;
    const key = keyOf(this.#kind, id);
    const pending = scope?.pending(key);
    if (pending?.op === "remove") return undefined;
    if (pending?.op === "put") return { ...scope?.seen.get(key), jti: id };
    const copy = scope?.copies.get(key);
    if (copy !== undefined) {
      if (scope?.defersChecks) scope.add({ op: "require", key });
      scope?.seen.set(key, copy);
      return { ...copy, jti: id };
    }
    // Read once: what is found later in the same request would be another session than the one that the request was begun for.
    const read = scope?.sessionAsRead;
    const stored = read?.key === key ? { body: read.body, consumedAt: undefined } : await this.#options.store.read(key);
    return this.#open(key, stored, id);
  }

  async findByUid(uid: string): Promise<Payload | undefined> {
    const pointer = keyOf("session-uid", uid);
    const scope = currentScope();
    const copy = scope?.copies.get(pointer);
    if (copy !== undefined) {
      if (scope?.defersChecks) scope.add({ op: "require", key: pointer });
      return { ...copy };
    }
    const record = await this.#options.store.readByPointer(pointer);
    return record && this.#open(record.key, record, undefined);
  }

  /** When a session expires as it stands now, in seconds since the epoch. */
  async sessionExpiry(uid: string): Promise<number | undefined> {
    const record = await this.#options.store.readByPointer(keyOf("session-uid", uid));
    return record && (decodeBody("session", record.key, record.body, undefined, this.#options.sealer).payload.exp as number);
  }

  async findByUserCode(userCode: string): Promise<Payload | undefined> {
    for (const key of this.#options.userCodeKeys) {
      const record = await this.#options.store.readByPointer(userCodePointer(userCode, key));
      if (record !== undefined) return this.#open(record.key, record, undefined);
    }
    return undefined;
  }

  async consume(id: string): Promise<void> {
    const key = keyOf(this.#kind, id);
    const scope = currentScope();
    if (scope === undefined || !scope.defersChecks || !CONSUMED_AT_COMMIT.has(this.#kind)) {
      const lost = await this.#options.store.commit([{ op: "consume", key }]);
      if (lost !== undefined) throw this.#options.lostRace(this.#kind);
      return;
    }
    const payload = scope.seen.get(key) ?? {};
    if (scope.repeatable?.key === key) {
      scope.repeats = true;
      throw this.#options.lostRace(this.#kind);
    }
    scope.consumed = { key, payload };
    scope.add({ op: "consume", key });
    const predecessor = payload[PREDECESSOR] as RecordKey | undefined;
    if (predecessor !== undefined) scope.add({ op: "drop-answer", key: predecessor }); // its successor is in use now
  }

  async destroy(id: string): Promise<void> {
    const key = keyOf(this.#kind, id);
    const { store, grantTtl } = this.#options;
    const seen = currentScope()?.seen.get(key);
    const payload = seen ?? (this.#kind === "access-token" ? await this.#readPayload(key) : undefined);
    const lasting = this.#kind === "session" || this.#kind === "grant" || this.#kind === "access-token";
    const pointer = this.#kind === "session" ? await this.#sessionPointer(key, payload) : undefined;
    const scope = currentScope();
    if (this.#kind === "session" && scope !== undefined) scope.session = undefined;
    const predecessor = payload?.[PREDECESSOR] as RecordKey | undefined;
    if (predecessor !== undefined) await write(store, { op: "drop-answer", key: predecessor });
    await write(store, {
      op: "remove",
      key,
      ...(pointer && { pointer }),
      ...asRead(scope, key),
      ...(lasting && { until: this.#now() + grantTtl * 1000 }),
      ...placeIn(this.#kind, payload),
    });
  }

  /** Ends the grant itself: whatever was issued under it is dead without it. */
  async revokeByGrantId(grantId: string): Promise<void> {
    const until = this.#now() + this.#options.grantTtl * 1000;
    await write(this.#options.store, { op: "remove", key: keyOf("grant", grantId), until });
  }

  /** Keeps what the server needs of an access token that is about to be issued; `exp` in seconds since the epoch. */
  record(token: Payload & { jti: string; exp: number }): Promise<void> {
    const scope = currentScope();
    if (token.asIssued === true && scope !== undefined) scope.foundAsIssued = keyOf("access-token", token.jti);
    return this.upsert(token.jti, token, token.exp - this.#now() / 1000);
  }

  /** Ends an access token of which the store has lost the record, by the place that the token itself names. */
  async endForgotten(jti: string, status: StatusPlace): Promise<void> {
    const until = this.#now() + this.#options.grantTtl * 1000;
    await write(this.#options.store, { op: "remove", key: keyOf("access-token", jti), until, status });
  }

  /** Opens a complete access token, for this request alone. A bare `jti` opens nothing. */
  async openAccessToken(token: string): Promise<Payload | undefined> {
    const payload = isEncrypted(token) ? await this.#openIssued(token) : await this.#openSigned(token);
    const scope = currentScope();
    if (payload !== undefined && scope?.defersChecks)
      for (const key of [keyOf("access-token", payload.jti as string), ...backingOf(payload)]) scope.add({ op: "require", key });
    return payload;
  }

  async #openSigned(jwt: string): Promise<Payload | undefined> {
    const claims = await this.#options.verifyAccessToken(jwt);
    if (typeof claims?.jti !== "string") return undefined;
    const key = keyOf("access-token", claims.jti);
    const payload = await this.#open(key, await this.#options.store.read(key), claims.jti);
    if (payload?.aud !== claims.aud) return undefined; // whoever holds the secret of one resource can sign any `jti`, for that resource
    return payload?.asIssued === true ? this.#openIssued(jwt) : payload;
  }

  /** By the very string that was issued. */
  async #openIssued(token: string): Promise<Payload | undefined> {
    const record = await this.#options.store.readByPointer(keyOf("issued-token", token));
    const payload = record && (await this.#open(record.key, record, undefined));
    return payload !== undefined && (payload.exp as number) > this.#now() / 1000 ? payload : undefined;
  }

  async #findAccessToken(value: string, scope: RequestScope | undefined): Promise<Payload | undefined> {
    const standIn = scope?.handles.get(value);
    if (standIn !== undefined) return { ...standIn };
    const payload = await this.openAccessToken(value);
    if (payload?.aud !== this.#options.issuer) return undefined; // what is meant for another resource is no token here
    delete payload.aud; // which is how the engine knows a token for userinfo
    return payload;
  }

  async #open(key: RecordKey, stored: StoredRecord | undefined, id: string | undefined): Promise<Payload | undefined> {
    if (stored === undefined) return undefined;
    const scope = currentScope();
    const { body, payload, locked } = decodeBody(this.#kind, key, stored.body, id, this.#options.sealer);
    if (locked) return undefined; // as after its expiry: the secret was kept for as long as anything should live that it sealed
    if (body.f !== undefined) Object.defineProperty(payload, PREDECESSOR, { value: body.f, enumerable: false });
    if (UNDER_A_GRANT.has(this.#kind) && !(await this.#isBacked(payload, body, scope))) return undefined;
    if (this.#kind === "session" && (payload.exp as number) <= this.#now() / 1000) return undefined; // the engine does not look
    if (this.#kind === "session" && scope !== undefined) {
      if (id !== undefined) rememberSession(scope, { key, body: stored.body, payload, decoded: body }, this.#options.sealer);
      if (scope.defersChecks) carry(scope, body);
    }
    if (this.#kind === "device-code" && scope?.defersChecks && this.#ageOf(stored) <= DEVICE_GRACE) return undefined;
    scope?.seen.set(key, payload);
    if (stored.consumedAt !== undefined) this.#markConsumed(payload, key, stored.consumedAt, scope);
    return payload;
  }

  /** Whether the grant and session behind a token are alive: asked now, or left to the commit. */
  async #isBacked(payload: Payload, body: Body, scope: RequestScope | undefined): Promise<boolean> {
    const backing = backingOf(payload);
    const { grantId, sessionUid, clientId, accountId } = payload as Record<string, string | undefined>;
    const session = backing.find((key) => key.startsWith("session-uid:"));
    if (!scope?.defersChecks && backing.length > 0 && !(await this.#options.store.areAlive(backing))) return false;
    if (scope === undefined) return true;
    carry(scope, body);
    if (session !== undefined && clientId !== undefined) {
      scope.copies.set(session, { uid: sessionUid, accountId, authorizations: { [clientId]: { grantId } } });
    }
    return true;
  }

  #markConsumed(payload: Payload, key: RecordKey, consumedAt: number, scope: RequestScope | undefined): void {
    if (this.#kind === "refresh-token" && scope?.defersChecks && this.#ageOf({ consumedAt }) <= this.#options.refreshGrace) {
      // Hidden until every other check of the engine has passed: then `consume` throws, and the kept answer may be given again.
      scope.repeatable = { key, payload };
      return;
    }
    payload.consumed = consumedAt;
    if (this.#kind === "authorization-code") delete payload.exp; // used comes before expired: a late replay still ends what it gave
  }

  #carried(payload: Payload, scope: RequestScope | undefined): Pick<Body, "g" | "f"> {
    if (scope === undefined) return {};
    const grants: Record<RecordKey, Payload> = {};
    const take = (grantId: unknown) => {
      if (typeof grantId !== "string") return;
      const key = keyOf("grant", grantId);
      const grant = scope.seen.get(key) ?? scope.copies.get(key);
      if (grant !== undefined) grants[key] = withoutId(grant);
    };
    if (this.#kind === "session") for (const { grantId } of authorizationsOf(payload)) take(grantId);
    else if (UNDER_A_GRANT.has(this.#kind)) take(payload.grantId);
    const from = scope.consumed?.key;
    const follows = from?.startsWith("refresh-token:") && UNDER_A_GRANT.has(this.#kind);
    return { ...(Object.keys(grants).length > 0 && { g: grants }), ...(follows && from && { f: from }) };
  }

  #pointerOf(payload: Payload): RecordKey | undefined {
    if (this.#kind === "session") return keyOf("session-uid", payload.uid as string);
    if (this.#kind === "device-code") return userCodePointer(payload.userCode as string, this.#options.userCodeKeys[0]);
    return undefined;
  }

  async #sessionPointer(key: RecordKey, seen: Payload | undefined): Promise<RecordKey | undefined> {
    const payload = seen ?? (await this.#readPayload(key));
    return payload === undefined ? undefined : keyOf("session-uid", payload.uid as string);
  }

  async #readPayload(key: RecordKey): Promise<Payload | undefined> {
    const stored = await this.#options.store.read(key);
    return stored && decodeBody(this.#kind, key, stored.body, undefined, this.#options.sealer).payload;
  }

  /** What a request has found and writes back must still be there by then: it may have been ended meanwhile. */
  #mustBeThere(scope: RequestScope, key: RecordKey): boolean {
    if (this.#kind !== "session" && this.#kind !== "grant") return false;
    const pending = scope.pending(key);
    return pending?.op === "put" ? pending.onlyIfThere === true : scope.seen.has(key) || scope.copies.has(key);
  }

  /** Whole seconds since it was consumed: the kept answer's own expiry is exact. Never, for what is not consumed. */
  #ageOf({ consumedAt = Number.NEGATIVE_INFINITY }: Pick<StoredRecord, "consumedAt">): number {
    return Math.floor(this.#now() / 1000) - consumedAt;
  }

  #now(): number {
    return this.#options.now?.() ?? Date.now();
  }
}

const userCodePointer = (userCode: string, key: Buffer): RecordKey =>
  `user-code:${createHmac("sha256", key).update(userCode).digest("base64url")}`;

/** Not enumerable, so it never reaches a model of the engine or a record. */
const PREDECESSOR = "predecessor";

const withoutId = ({ jti: _, ...rest }: Payload): Payload => rest;

function carry(scope: RequestScope, body: Body): void {
  for (const [key, grant] of Object.entries(body.g ?? {})) scope.copies.set(key as RecordKey, grant);
}
