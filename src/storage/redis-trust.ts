/**
 * Whether Redis may be believed. One that came back, was restored or failed over may have lost its newest writes, endings among them:
 * nothing is asked of it until it has been told again what was ended (design, decision 9). On a cluster this counts slot by slot.
 */
import { Cluster, type Redis } from "ioredis";
import { SLOTS, slotOf } from "./hash-slots.ts";
import type { RedisClient } from "./redis-client.ts";

/** Milliseconds that a request waits for a Redis that is away, before it hears 503. */
const PATIENCE = 2_000;
/** Milliseconds between two tries to tell it. */
const RETRY_DELAY = 500;

/** `host:port` of a cluster's node. */
type NodeKey = string;

export class RedisTrust {
  readonly #redis: RedisClient;
  readonly #tell: () => Promise<void>;
  /** Counts losses: what was told before the newest one may be lost again. */
  #losses = 0;
  #isTold = false;
  #changed = Promise.withResolvers<void>();
  #timer: NodeJS.Timeout | undefined;
  #mustTell = false;
  #telling: Promise<void> | undefined;
  /** The master that each slot had when it was told; none: not since it was lost. */
  readonly #owners: (NodeKey | undefined)[] = [];
  readonly #lostNodes = new Set<NodeKey>();

  /** @param tell carries out every ending that Redis may have lost; rejects when it could not */
  constructor(redis: RedisClient, tell: () => Promise<void>) {
    this.#redis = redis;
    this.#tell = tell;
    redis.on("close", () => {
      this.#losses += 1;
      this.#isTold = false;
      this.#owners.length = 0;
    });
    redis.on("ready", () => this.#tellNow());
    if (redis.status === "ready") this.#tellNow();
    if (!(redis instanceof Cluster)) return;
    redis.on("-node", (node: Redis) => this.#loseNode(redis, keyOf(node)));
    redis.on("+node", () => this.#tellNow());
    redis.on("refresh", () => this.#compareOwners(redis));
  }

  /** Whether what Redis says of these keys may be believed. */
  covers(names: readonly string[]): boolean {
    const redis = this.#redis;
    if (!this.#isTold || !(redis instanceof Cluster)) return this.#isTold;
    return names.every((name) => {
      const slot = slotOf(name);
      const told = this.#owners[slot];
      return told !== undefined && told === redis.slots[slot]?.[0];
    });
  }

  /** @throws {Error} when Redis has not come back in time */
  async until(names: readonly string[]): Promise<void> {
    for (const deadline = Date.now() + PATIENCE; !this.covers(names); ) await within(deadline - Date.now(), this.#changed.promise);
  }

  /** Tells it once after this call; one telling at a time. */
  #tellNow(): void {
    clearTimeout(this.#timer);
    this.#mustTell = true;
    this.#telling ??= this.#tellAll().finally(() => {
      this.#telling = undefined;
    });
  }

  async #tellAll(): Promise<void> {
    while (this.#mustTell) {
      this.#mustTell = false;
      const losses = this.#losses;
      try {
        const alive = this.#redis instanceof Cluster ? await aliveMasters(this.#redis) : undefined;
        await this.#tell();
        if (losses !== this.#losses) continue; // the newer loss is told of by itself
        if (alive !== undefined) this.#believe(alive);
        this.#isTold = true;
        this.#change();
      } catch {
        this.#tellLater();
      }
    }
  }

  #tellLater(): void {
    const redis = this.#redis;
    clearTimeout(this.#timer);
    if (redis.status === "end") return;
    this.#timer = setTimeout(() => {
      if (redis instanceof Cluster && redis.status === "ready") redis.refreshSlotsCache();
      this.#tellNow();
    }, RETRY_DELAY).unref();
  }

  #believe(alive: ReadonlySet<NodeKey>): void {
    const { slots } = this.#redis as Cluster;
    for (const key of alive) this.#lostNodes.delete(key);
    for (let slot = 0; slot < SLOTS; slot++) {
      const owner = slots[slot]?.[0];
      if (owner !== undefined && alive.has(owner)) this.#owners[slot] = owner;
    }
    if (this.#owners.length < SLOTS || this.#owners.includes(undefined)) this.#tellLater();
  }

  /** A master whose connection broke may come back with less than it had. */
  #loseNode(redis: Cluster, lost: NodeKey): void {
    if (!this.#owners.includes(lost)) return;
    this.#losses += 1;
    this.#lostNodes.add(lost);
    for (let slot = 0; slot < SLOTS; slot++) if (this.#owners[slot] === lost) this.#owners[slot] = undefined;
    redis.refreshSlotsCache();
    this.#tellLater();
  }

  /** Slots that were moved between living masters lost nothing; those of a master that was replaced may have. */
  #compareOwners({ slots }: Cluster): void {
    const masters = new Set(slots.map((nodes) => nodes[0]));
    let replaced = false;
    for (let slot = 0; slot < SLOTS; slot++) {
      const [told, owner] = [this.#owners[slot], slots[slot]?.[0]];
      if (told === undefined || told === owner) continue;
      const isMoved = masters.has(told) && owner !== undefined && !this.#lostNodes.has(owner);
      this.#owners[slot] = isMoved ? owner : undefined;
      replaced ||= !isMoved;
    }
    if (replaced) {
      this.#losses += 1;
      this.#tellNow();
    }
    this.#change();
  }

  #change(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}

async function aliveMasters(redis: Cluster): Promise<Set<NodeKey>> {
  const masters = redis.nodes("master");
  const answers = await Promise.allSettled(masters.map((node) => node.ping()));
  return new Set(masters.filter((_, i) => answers[i]?.status === "fulfilled").map(keyOf));
}

const keyOf = ({ options }: Redis): NodeKey => `${options.host}:${options.port}`;

async function within(milliseconds: number, done: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("redis was not reachable in time")), Math.max(0, milliseconds));
  });
  await Promise.race([done, late]).finally(() => clearTimeout(timer));
}
