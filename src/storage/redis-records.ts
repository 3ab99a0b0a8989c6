/**
 * Records in Redis. Every key has a TTL; no command touches two hash slots: a record and all that belongs to it share one hash tag.
 * A commit is one round trip (redis-commit.ts).
 *
 *   grantor:<kind>:{<hash>}            ten digits (0, or the second it was consumed), then the body
 *   grantor:<kind>:{<hash>}:answer     what a repeated refresh gets
 *   grantor:grant:{<hash>}:members     sorted set, by expiry, of the records issued under a grant; an access token's place follows its key
 *   grantor:session-uid:{<hash>}, grantor:user-code:{<hash>}, grantor:issued-token:{<hash>}   pointers: the key of the record
 *   grantor:account:{<id>}, grantor:client:{<id>}              sorted sets, by expiry, of what belongs to them, in the same form
 *   grantor:status-list:{<id>}         redis-status-lists.ts
 *   grantor:told                       until when (ms) it knows all that was ended; on a cluster one for each master
 */
import { Cluster } from "ioredis";
import { decidesARace, isDecision, isTidying } from "./commit-order.ts";
import { tagOf } from "./hash-slots.ts";
import {
  type Lost,
  type Owner,
  type RecordKey,
  type RecordStore,
  type StoredRecord,
  StoreUnavailableError,
  type Tied,
  type Write,
} from "./record-store.ts";
import { closeRedis, type RedisClient } from "./redis-client.ts";
import { RedisCommit } from "./redis-commit.ts";
import { index, name, namesOf, parseMember, toText } from "./redis-keys.ts";
import { defineScripts, FRESH, MOVED, type Scripts } from "./redis-scripts.ts";
import { listName, RedisStatusLists } from "./redis-status-lists.ts";
import { RedisTrust } from "./redis-trust.ts";
import type { RevocationJournal } from "./revocation-journal.ts";
import type { ListContent, StatusPlace } from "./status-bits.ts";

/**
 * Milliseconds before its mark that a Redis is told again: what other processes were still carrying out, also in a Redis that was cut off
 * and went on without being the master any more.
 */
const OVERLAP_MS = 3_600_000;
/** Milliseconds; a Redis without a mark is told everything. */
const MARK_LIFE_MS = 30 * 86_400_000;

export class RedisRecords implements RecordStore {
  readonly #redis: RedisClient & Scripts;
  readonly #journal: RevocationJournal;
  readonly #isCluster: boolean;
  readonly #trust: RedisTrust;
  readonly #lists: RedisStatusLists;
  readonly #commit: RedisCommit;

  /** @param renewal milliseconds by which a grant is renewed beyond what is issued under it */
  constructor(redis: RedisClient, journal: RevocationJournal, renewal: number) {
    this.#redis = defineScripts(redis);
    this.#lists = new RedisStatusLists(redis);
    this.#commit = new RedisCommit(this.#redis, this.#lists, renewal);
    this.#journal = journal;
    this.#isCluster = redis instanceof Cluster;
    this.#trust = new RedisTrust(redis, () => this.#tellEndings());
  }

  async read(key: RecordKey): Promise<StoredRecord | undefined> {
    return parse(await this.#ask([name(key)], (redis) => redis.get(name(key))));
  }

  async readByPointer(pointer: RecordKey): Promise<(StoredRecord & { key: RecordKey }) | undefined> {
    for (let before: RecordKey | undefined; ; ) {
      const key = (await this.#ask([name(pointer)], (redis) => redis.get(name(pointer)))) as RecordKey | null;
      if (key === null || key === before) return undefined;
      const value = await this.#ask([name(key)], (redis) => redis.get(name(key)));
      const [at, record] = value?.startsWith(MOVED) ? await this.#readMoved(value) : [key, parse(value)];
      if (record !== undefined) return { ...record, key: at };
      before = key; // another may have taken its place since the pointer was read
    }
  }

  /** What has taken the place of a record, when the pointer to it is a moment late. */
  async #readMoved(moved: string): Promise<[key: RecordKey, record: StoredRecord | undefined]> {
    const key = moved.slice(MOVED.length) as RecordKey;
    return [key, await this.read(key)];
  }

  async areAlive(keys: readonly RecordKey[]): Promise<boolean> {
    const names = keys.map(name);
    const found = await this.#ask(names, (redis) => Promise.all(names.map((each) => redis.exists(each))));
    return found.every((count) => count === 1);
  }

  async commit(writes: readonly Write[]): Promise<Lost | undefined> {
    if (writes.length === 0) return undefined;
    const ended = await this.#journalEndings(writes);
    // A cluster keeps no order between nodes.
    const isTidied: (write: Write) => boolean = writes.some(decidesARace) ? isTidying : () => false;
    const deciding = writes.filter(isDecision);
    const other = writes.filter((write) => !isDecision(write) && !isTidied(write));
    const lost = this.#isCluster
      ? ((await this.#tryOnce(other, ended)) ?? (await this.#tryOnce(deciding, NONE)))
      : await this.#tryOnce([...other, ...deciding], ended);
    if (lost !== undefined) await this.#discard(writes);
    // What a lost request has used up is still there when the same one comes again.
    else if (writes.some(isTidied)) await this.#tryOnce(writes.filter(isTidied), NONE);
    return lost;
  }

  async readAnswer(key: RecordKey): Promise<string | undefined> {
    const answer = `${name(key)}:answer`;
    return (await this.#ask([answer], (redis) => redis.get(answer))) ?? undefined;
  }

  async tiedTo(owner: Owner): Promise<Tied[]> {
    return (await this.#ask([index(owner)], (redis) => redis.zrange(index(owner), "0", "-1"))).map(parseMember);
  }

  async createList(list: string, expiresAt: number): Promise<void> {
    await this.#ask([listName(list)], () => this.#lists.create(list, expiresAt));
  }

  async listVersion(list: string): Promise<string | undefined> {
    return this.#ask([listName(list)], () => this.#lists.version(list));
  }

  async readList(list: string): Promise<ListContent | undefined> {
    return this.#ask([listName(list)], () => this.#lists.read(list));
  }

  /** Redis sweeps by itself. Here it is noted how far what it holds knows what was ended. */
  async sweep(): Promise<void> {
    const now = await this.#journal.now();
    if (this.#trust.covers(this.#markNames())) await this.#mark(now);
  }

  async ping(): Promise<void> {
    await this.#ask(["grantor:ping"], (redis) => redis.get("grantor:ping"));
  }

  async close(): Promise<void> {
    await closeRedis(this.#redis);
  }

  /** Takes back the tokens, grants and sessions of a commit that lost: nobody has seen them. */
  async #discard(writes: readonly Write[]): Promise<void> {
    const orphans = writes.filter(
      (write) =>
        write.op === "put" &&
        (write.ties?.grant !== undefined || write.status !== undefined || (!write.onlyIfThere && /^(?:session|grant):/.test(write.key))),
    );
    const names = orphans.map(({ key }) => name(key));
    await this.#ask(names, (redis) => Promise.all(names.map((orphan) => redis.unlink(orphan))));
  }

  /**
   * Endings reach the database before they are acknowledged, since Redis may lose its newest writes (decision 9).
   * @returns the places of the access tokens that they end, as far as they were issued by now
   */
  async #journalEndings(writes: readonly Write[]): Promise<readonly StatusPlace[]> {
    const endings = writes.flatMap((write) => (write.op === "remove" && write.until !== undefined ? [write] : []));
    if (endings.length === 0) return NONE;
    const keys = endings.flatMap(({ key, pointer }) => (pointer === undefined ? [key] : [key, pointer]));
    const grants = keys.filter((key) => key.startsWith("grant:")).map((grant) => index({ grant })); // expire together with their grants
    const look = Promise.all([
      Promise.all(grants.map((grant) => this.#redis.zrangebyscore(grant, Date.now(), "+inf"))),
      Promise.all(grants.map((grant) => this.#redis.pexpiretime(grant))),
    ]);
    // When Redis is away the endings are written all the same: it is told when it comes back, and its tokens' bits are set then.
    const [members, expiries] = await look.catch((): [string[][], number[]] => [[], []]);
    const places = [...endings, ...members.flat().map(parseMember)].flatMap(({ status }) => status ?? []);
    // A client's tokens may live longer than the settings let them, and with them their grant.
    await this.#journal.record(keys, Math.max(...endings.map(({ until }) => until ?? 0), ...expiries), places);
    return places;
  }

  /** Carries out every ending that Redis may have lost. */
  async #tellEndings(): Promise<void> {
    const [now, marks] = [await this.#journal.now(), await Promise.all(this.#markNames().map((mark) => this.#redis.get(mark)))];
    const since = marks.includes(null) ? undefined : new Date(Math.min(...marks.map(Number)) - OVERLAP_MS);
    const gone: StatusPlace[] = [];
    for await (const keys of this.#journal.replay(since)) await Promise.all(keys.map((key) => this.#commit.remove(key, gone)));
    if (gone.length > 0) await this.#journal.record([], 0, gone);
    await this.#lists.setBits(gone);
    for await (const places of this.#journal.replayPlaces(since)) await this.#lists.setBits(places);
    await this.#mark(now);
  }

  /** Asks for what may be asked again. */
  async #ask<T>(names: readonly string[], command: (redis: RedisClient & Scripts) => Promise<T>): Promise<T> {
    try {
      for (;;) {
        await this.#trust.until(names);
        const answer = await command(this.#redis);
        if (this.#trust.covers(names)) return answer;
      }
    } catch (error) {
      throw new StoreUnavailableError(error);
    }
  }

  /** Endings until then are carried out. In a Redis that loses its newest writes the mark is lost with them. */
  async #mark(until: Date): Promise<void> {
    const expiresAt = Date.now() + MARK_LIFE_MS;
    await Promise.all(this.#markNames().map((mark) => this.#redis.set(mark, until.getTime(), "PXAT", expiresAt)));
  }

  /** One on each master: in its first slot. */
  #markNames(): string[] {
    if (!(this.#redis instanceof Cluster)) return ["grantor:told"];
    const first = new Map<string | undefined, number>();
    this.#redis.slots.forEach((nodes, slot) => {
      if (!first.has(nodes[0])) first.set(nodes[0], slot);
    });
    return [...first.values()].map((slot) => `grantor:told:{${tagOf(slot)}}`);
  }

  /** @param ended the places of the access tokens that these writes end: in the journal already */
  async #tryOnce(writes: readonly Write[], ended: readonly StatusPlace[]): Promise<Lost | undefined> {
    const names = [...writes.flatMap(namesOf), ...ended.map(({ list }) => listName(list))];
    try {
      await this.#trust.until(names);
      const gone: StatusPlace[] = [];
      const [lost] = await Promise.all([this.#commit.carryOut(writes, gone), this.#lists.setBits(ended)]);
      const known = new Set(ended.map(toText));
      const late = gone.filter((place) => !known.has(toText(place)));
      if (late.length > 0) {
        // Issued between the look at a grant's members and its end.
        await this.#journal.record([], 0, late);
        await this.#lists.setBits(late);
      }
      if (!this.#trust.covers([...names, ...late.map(({ list }) => listName(list))])) throw new Error("redis changed hands meanwhile");
      return lost;
    } catch (error) {
      throw new StoreUnavailableError(error);
    }
  }
}

const NONE: readonly StatusPlace[] = [];
function parse(value: string | null): StoredRecord | undefined {
  if (value === null || value.startsWith(MOVED)) return undefined;
  const consumedAt = Number(value.slice(0, FRESH.length));
  return { body: value.slice(FRESH.length), consumedAt: consumedAt === 0 ? undefined : consumedAt };
}
