/** Hands out places in status lists: from memory, ahead of need, so that a token waits for no store. */
import type { StatusBits, StatusPlace } from "../storage/status-bits.ts";
import { BLOCK_SIZE, lifeClass, type ReservedBlock, type StatusListRegistry } from "../storage/status-list-registry.ts";
import { permutationOf } from "./status-permutation.ts";

/** The next block is taken when this many indices are left. */
const REFILL_AT = BLOCK_SIZE / 4;
/** Milliseconds between two looks at whether the store still has the list that is being handed out from: the only times when a token waits. */
const LOOK_EVERY = 1_000;
/** Lists that are looked at; more than a process ever hands out from at once. */
const LOOKS_KEPT = 64;

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
  /** Told once of a list that the store has lost. */
  onLost(list: string): void;
}

export class StatusPlaces {
  readonly #options: StatusPlacesOptions;
  readonly #supplies = new Map<number, Supply>();
  /** The newest look at each list; `at` in milliseconds since the epoch. */
  readonly #looks = new Map<string, { at: number; isWhole: Promise<boolean> }>();

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
      if (block === undefined) await supply.refill;
      else if (!(await this.#isWhole(block.list, now))) await this.forsake(block.list);
      else {
        const idx = block.indices.pop();
        if (idx !== undefined) return { list: block.list, idx };
      }
    }
  }

  /** Hands out nothing more of a list that the store has lost; every other process finds that out for itself. */
  async forsake(list: string): Promise<void> {
    let held = false;
    for (const supply of this.#supplies.values()) {
      held ||= supply.blocks.some((block) => block.list === list);
      supply.blocks = supply.blocks.filter((block) => block.list !== list);
    }
    if (!held) return;
    this.#options.onLost(list);
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

  #isWhole(list: string, now: number): Promise<boolean> {
    const known = this.#looks.get(list);
    if (known !== undefined && Math.abs(now - known.at) < LOOK_EVERY) return known.isWhole;
    const isWhole = this.#options.bits.listVersion(list).then(
      (version) => version !== undefined,
      () => true, // a store that is away has not lost it; it refuses the token by itself
    );
    if (this.#looks.size >= LOOKS_KEPT) this.#looks.clear();
    this.#looks.set(list, { at: now, isWhole });
    return isWhole;
  }
}
