/**
 * How the writes of one commit become commands: all of them leave in one tick and ioredis sends them together, in one round trip. What a
 * later command needs to know of an earlier one is decided in Redis, by its scripts.
 */
import { mustBeThere, type Put, type Removal } from "./commit-order.ts";
import type { Lost, RecordKey, Ties, Write } from "./record-store.ts";
import type { RedisClient } from "./redis-client.ts";
import { index, memberOf, name, parseMember } from "./redis-keys.ts";
import { FRESH, MOVED, type Scripts } from "./redis-scripts.ts";
import type { RedisStatusLists } from "./redis-status-lists.ts";
import type { StatusPlace } from "./status-bits.ts";

/** Milliseconds for which a record that another took the place of says where that is; its pointer says so much sooner. */
const MOVED_LIFE_MS = 10_000;
const NO_KEYS: ReadonlySet<RecordKey> = new Set();

export class RedisCommit {
  readonly #redis: RedisClient & Scripts;
  readonly #lists: RedisStatusLists;
  readonly #renewal: number;

  /** @param renewal milliseconds by which a grant is renewed beyond what is issued under it */
  constructor(redis: RedisClient & Scripts, lists: RedisStatusLists, renewal: number) {
    this.#redis = redis;
    this.#lists = lists;
    this.#renewal = renewal;
  }

  /** @param gone where the places are added of the access tokens that a grant took along */
  async carryOut(writes: readonly Write[], gone: StatusPlace[]): Promise<Lost | undefined> {
    const now = Date.now();
    const keeps = new Map<RecordKey, { put: Lost & { op: "put" }; members: (string | number)[]; latest: number }>();
    const renewals: Promise<unknown>[] = [];
    const outcomes: Promise<Lost | undefined>[] = [];
    const settle = (write: Lost, reply: Promise<unknown>, won: (value: unknown) => boolean) =>
      outcomes.push(reply.then((value) => (won(value) ? undefined : write)));
    const send = (reply: Promise<unknown>) => outcomes.push(reply.then(() => undefined));
    const replacing = new Map(writes.flatMap((write) => (write.op === "put" && write.pointer ? [[write.pointer, write] as const] : [])));
    const taking = writes.filter((write) => write.op === "remove" && mustBeThere(write)) as Removal[];
    const taken = new Set(taking.map(({ pointer }) => pointer));
    const removed = new Set(writes.flatMap((write) => (write.op === "remove" ? [write.key] : [])));

    for (const write of writes) {
      if (write.op === "put") {
        const value = FRESH + write.body;
        if (write.replaces !== undefined)
          settle(
            write,
            this.#redis.grantorReplace(name(write.key), FRESH + write.replaces, value, write.expiresAt),
            (reply) => reply === 1,
          );
        else if (write.onlyIfThere)
          settle(write, this.#redis.set(name(write.key), value, "PXAT", write.expiresAt, "XX"), (reply) => reply === "OK");
        else send(this.#redis.set(name(write.key), value, "PXAT", write.expiresAt));
        if (write.pointer !== undefined && write.onlyIfThere)
          send(this.#redis.grantorExtend(name(write.pointer), write.key, write.expiresAt).then(() => undefined));
        else if (write.pointer !== undefined && !taken.has(write.pointer)) send(this.#point(write, removed));
        const { grant, accountId, clientId } = write.ties ?? {};
        for (const owner of [accountId && { accountId }, clientId && { clientId }]) {
          if (owner) send(this.#redis.grantorIndex(index(owner), now, write.expiresAt, memberOf(write)));
        }
        if (write.status !== undefined)
          settle(
            { op: "require", key: `status-list:${write.status.list}` },
            this.#lists.isWhole(write.status.list),
            (isWhole) => isWhole === true,
          );
        if (grant !== undefined) {
          const keep = keeps.get(grant) ?? { put: write, members: [], latest: 0 };
          keep.members.push(write.expiresAt, memberOf(write));
          keep.latest = Math.max(keep.latest, write.expiresAt);
          keeps.set(grant, keep);
        }
      } else if (write.op === "remove") {
        if (mustBeThere(write)) continue; // below
        send(this.remove(write.key, gone));
        if (write.pointer !== undefined && !replacing.has(write.pointer)) send(this.#redis.unlink(name(write.pointer)));
      } else if (write.op === "claim") {
        const value = FRESH + (write.body ?? "{}");
        settle(write, this.#redis.set(name(write.key), value, "PXAT", write.expiresAt, "NX"), (reply) => reply === "OK");
      } else if (write.op === "drop-answer") {
        send(this.#redis.unlink(`${name(write.key)}:answer`));
      }
    }
    for (const write of taking) {
      const next = write.pointer && replacing.get(write.pointer);
      const reply = this.#redis.grantorTake(name(write.key), write.as ? FRESH + write.as : "", next ? MOVED + next.key : "", MOVED_LIFE_MS);
      settle(write, reply, (value) => value === 1);
      // Whoever lost changes no pointer: it is the winner's.
      const follow = async () => {
        if (next) await this.#point(next, NO_KEYS);
        else if (write.pointer) await this.#redis.unlink(name(write.pointer));
      };
      send(reply.then((value) => (value === 1 ? follow() : undefined)));
    }
    for (const [grant, { put, members, latest }] of keeps) {
      const kept = this.#redis.grantorKeep(name(grant), `${name(grant)}:members`, now, latest, this.#renewal, ...members);
      settle(put, kept, (reply) => reply !== 0);
      renewals.push(
        kept.then((life) => (Number(life) > 1 ? this.#indexGrant(grant, put.ties?.grantOf ?? {}, now, Number(life)) : undefined)),
      );
    }
    for (const write of writes) {
      if (write.op === "require" && !keeps.has(write.key)) settle(write, this.#redis.exists(name(write.key)), (reply) => reply === 1);
      if (write.op === "consume") {
        const answer = write.answer === undefined ? [] : [write.answer.sealed, write.answer.expiresAt];
        const seconds = String(Math.floor(now / 1000));
        settle(write, this.#redis.grantorConsume(name(write.key), `${name(write.key)}:answer`, seconds, ...answer), (reply) => reply === 1);
      }
    }
    await Promise.all(renewals);
    return (await Promise.all(outcomes)).find((lost) => lost !== undefined);
  }

  /** Keeps a grant among what its owners have for as long as it lives now. */
  async #indexGrant(grant: RecordKey, owners: NonNullable<Ties["grantOf"]>, now: number, life: number) {
    const { accountId, clientId } = owners;
    const indexes = [accountId !== undefined && index({ accountId }), clientId !== undefined && index({ clientId })];
    await Promise.all(indexes.map((each) => each && this.#redis.grantorIndex(each, now, life, grant)));
  }

  /** Lets a pointer find a record, and no longer any other. */
  async #point({ pointer, key, expiresAt }: Put, removed: ReadonlySet<RecordKey>): Promise<void> {
    if (pointer === undefined) return;
    const before = (await this.#redis.set(name(pointer), key, "PXAT", expiresAt, "GET")) as RecordKey | null;
    if (before !== null && before !== key && !removed.has(before)) await this.#redis.unlink(name(before));
  }

  /**
   * Removes a record and, when it is a grant, everything that was issued under it.
   * @param gone where the places of its access tokens are added  @returns how many of the record there were
   */
  async remove(key: RecordKey, gone: StatusPlace[]): Promise<number> {
    const record = name(key);
    if (!key.startsWith("grant:")) {
      const [count] = await Promise.all([
        this.#redis.unlink(record),
        key.startsWith("refresh-token:") && this.#redis.unlink(`${record}:answer`),
      ]);
      return count;
    }
    const members = ((await this.#redis.grantorRemove(record, `${record}:members`, Date.now())) as string[]).map(parseMember);
    for (const { status } of members) if (status !== undefined) gone.push(status);
    await Promise.all(members.map((member) => this.remove(member.key, gone)));
    return 1;
  }
}
