/** Hands out places in status lists: from memory, ahead of need, so that a token waits for no store. */
import type { StatusBits, StatusPlace } from "../storage/status-bits.ts";
import { BLOCK_SIZE, lifeClass, type ReservedBlock, type StatusListRegistry } from "../storage/status-list-registry.ts";
import { permutationOf } from "./status-permutation.ts";

/** The next block is taken when this many indices are left. */
const REFILL_AT = BLOCK_SIZE / 4;
/** Milliseconds between two looks at whether the store still has the list that is being handed out from. */
const CHECK_INTERVAL = 1_000;

interface Block extends Pick<ReservedBlock, "list" | "closesAt"> {
  readonly indices: number[];
}

/** What tokens of about the same life take from. */
interface Supply {
  blocks: Block[];
  refill: Promise<void> | undefined;
}

export interface StatusPlacesOptions {
  registry: Pick<StatusListRegistry, "reserve" | "close">;
  bits: Pick<StatusBits, "listVersion">;
  /** Milliseconds since the epoch. */
  now(): number;
}

export class StatusPlaces {
  readonly #options: StatusPlacesOptions;
  readonly #supplies = new Map<number, Supply>();
  /** When the store was last asked for a list, in milliseconds since the epoch. */
  readonly #checked = new Map<string, number>();

  constructor(options: StatusPlacesOptions) {
    this.#options = options;
  }

  /**
   * A place that no other token ever had or will have.
   * @param lifetime seconds, of the token
   * @throws {StoreUnavailableError} when there is none in memory and none can be had
   */
  async take(lifetime: number): Promise<StatusPlace> {
    const longestLife = lifeClass(lifetime);
    const supply = this.#supplyOf(longestLife);
    for (;;) {
      const now = this.#options.now();
      supply.blocks = supply.blocks.filter(({ closesAt, indices }) => closesAt > now && indices.length > 0);
      if (supply.blocks.reduce((left, { indices }) => left + indices.length, 0) <= REFILL_AT) this.#refill(supply, longestLife);
      const block = supply.blocks[0];
      if (block !== undefined) {
        this.#check(block.list, now);
        return { list: block.list, idx: block.indices.pop() as number };
      }
      await supply.refill;
    }
  }

  /** Hands out nothing more of a list that the store has lost; every other process finds that out for itself. */
  async forsake(list: string): Promise<void> {
    for (const supply of this.#supplies.values()) supply.blocks = supply.blocks.filter((block) => block.list !== list);
    await this.#options.registry.close(list);
  }

  #supplyOf(longestLife: number): Supply {
    const known = this.#supplies.get(longestLife) ?? { blocks: [], refill: undefined };
    this.#supplies.set(longestLife, known);
    return known;
  }

  #refill(supply: Supply, longestLife: number): void {
    if (supply.refill !== undefined) return;
    const refill = this.#options.registry.reserve(longestLife, this.#options.now()).then(({ list, seed, block, closesAt }) => {
      const place = permutationOf(seed);
      supply.blocks.push({ list, closesAt, indices: Array.from({ length: BLOCK_SIZE }, (_, i) => place(block * BLOCK_SIZE + i)) });
    });
    supply.refill = refill.finally(() => {
      supply.refill = undefined;
    });
    supply.refill.catch(() => {}); // told to whoever waits for it
  }

  /** Beside the token, which does not wait: its commit finds out for itself. */
  #check(list: string, now: number): void {
    if (now - (this.#checked.get(list) ?? 0) < CHECK_INTERVAL) return;
    this.#checked.delete(list);
    if (this.#checked.size >= 64) this.#checked.clear();
    this.#checked.set(list, now);
    this.#options.bits
      .listVersion(list)
      .then((version) => (version === undefined ? this.forsake(list) : undefined))
      .catch(() => {}); // a store that is away refuses the token by itself
  }
}
