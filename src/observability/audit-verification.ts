/** Walks the chain of the audit log and says the first place where it does not hold, whether it comes from the database or from an export. */
import {
  type Batch,
  BEGINNING,
  batchHash,
  eventHash,
  eventsHash,
  personalHash,
  type SealedEvent,
  type StoredEvent,
} from "./audit-chain.ts";
import { CHECKPOINT_EVERY, type Checkpoint, type CheckpointKeys, readCheckpoint } from "./audit-checkpoints.ts";

/** A batch with its events, in the order of their positions; none when they were removed. */
export interface FullBatch {
  readonly batch: Batch;
  readonly events: readonly SealedEvent[];
}

export interface ChainSource {
  /** The hash of the batch before the first one: that of a whole log begins with the first batch there ever was. */
  readonly previous?: Buffer | undefined;
  /** By number. */
  batches(): AsyncIterable<FullBatch>;
  /** What waits for its seal. */
  unsealed(): AsyncIterable<StoredEvent>;
}

export interface ChainFault {
  /** Where it shows. */
  readonly batch: number;
  /** In the batch, from 1 on. */
  readonly position?: number;
  readonly message: string;
}

export interface ChainReport {
  /** Undefined: it holds. */
  readonly fault: ChainFault | undefined;
  readonly batches: number;
  readonly first: number | undefined;
  readonly last: number | undefined;
  readonly lastHash: Buffer | undefined;
  readonly events: number;
  readonly unsealed: number;
  /** Events whose personal part was erased. */
  readonly erased: number;
  /** What was removed since its time was over. */
  readonly removed: { readonly batches: number; readonly events: number; readonly until: Date } | undefined;
  /** Those that were checked; of them, those whose key was revoked since. */
  readonly checkpoints: number;
  readonly checkpointsOfRevokedKeys: number;
}

export interface VerificationOptions {
  keys: Pick<CheckpointKeys, "verify">;
  /** Checkpoints that were kept elsewhere, as JWS. */
  kept?: readonly string[];
  /** Whether the source is the whole log of this server, so that what is not in it is missing. */
  whole: boolean;
  checkpointEvery?: number;
}

/** Milliseconds that the clocks of processes and database may be apart. */
const CLOCKS_APART = 3_600_000;

class Broken extends Error {
  readonly fault: ChainFault;
  constructor(fault: ChainFault) {
    super(fault.message);
    this.fault = fault;
  }
}

export async function verifyChain(source: ChainSource, options: VerificationOptions): Promise<ChainReport> {
  const walk = new Walk(source.previous, options);
  try {
    await walk.readKept();
    for await (const full of source.batches()) await walk.batch(full);
    let unsealed = 0;
    for await (const event of source.unsealed()) {
      unsealed += 1;
      walk.evidence(event);
    }
    walk.end();
    return { ...walk.report(), unsealed, fault: undefined };
  } catch (error) {
    if (!(error instanceof Broken)) throw error;
    return { ...walk.report(), unsealed: 0, fault: error.fault };
  }
}

class Walk {
  private readonly keys: VerificationOptions["keys"];
  private readonly options: VerificationOptions;
  private readonly kept = new Map<number, Checkpoint[]>();
  private readonly begunWith: Buffer | undefined;
  private previous: Batch | undefined;
  private first: number | undefined;
  private count = { batches: 0, events: 0, erased: 0, checkpoints: 0, revoked: 0 };
  private removed: { batches: number; events: number; until: Date } | undefined;
  /** The newest removal of old batches that was recorded says: up to this one. */
  private removalRecorded = 0;
  private lastSigned: Date | undefined;
  /** Whose events were found erased: where first, and in which batch last. */
  private readonly erasedOf = new Map<string, { who: (string | null)[]; place: ChainFault; last: number }>();
  /** In which batch the newest order stands: it comes after what it erases, which had its seal then. */
  private readonly erasureRecorded = new Map<string | null, number>();

  constructor(previous: Buffer | undefined, options: VerificationOptions) {
    this.begunWith = previous;
    this.options = options;
    this.keys = options.keys;
  }

  async readKept(): Promise<void> {
    for (const jws of this.options.kept ?? []) {
      const checkpoint = await readCheckpoint(this.keys, jws);
      if (checkpoint === undefined)
        throw new Broken({ batch: 0, message: "A checkpoint that was kept elsewhere was not signed by this server." });
      this.kept.set(checkpoint.number, [...(this.kept.get(checkpoint.number) ?? []), checkpoint]);
    }
  }

  async batch({ batch, events }: FullBatch): Promise<void> {
    const { number } = batch;
    const fail = (message: string, position?: number) =>
      new Broken({ batch: number, message, ...(position !== undefined && { position }) });
    const expected = this.previous === undefined ? (this.options.whole ? 1 : number) : this.previous.number + 1;
    if (number !== expected) throw new Broken({ batch: expected, message: `Batch ${expected} is missing: ${number} comes instead.` });
    const before = this.previous?.hash ?? this.begunWith ?? (number === 1 ? BEGINNING : undefined);
    if (before === undefined) throw fail(`What came before batch ${number} is not said.`);
    if (!batchHash(batch, before).equals(batch.hash))
      throw fail(`Batch ${number} does not follow from what comes before it: it was changed, or the batch before it was.`);

    if (batch.removedAt === undefined) this.events(batch, events, fail);
    else this.gone(batch, events, fail);
    await this.signatures(batch, fail);

    this.first ??= number;
    this.previous = batch;
    this.count.batches += 1;
  }

  private events(batch: Batch, events: readonly SealedEvent[], fail: (message: string, position?: number) => Broken): void {
    const hashes = events.map((event, index) => {
      const position = index + 1;
      if (event.position !== position) throw fail(`An event is missing from batch ${batch.number}, at position ${position}.`, position);
      const { personal_hash: personal, salt } = event;
      if (personal === null) throw fail(`An event of batch ${batch.number} has lost its seal.`, position);
      if (salt === null) this.wasErased(event, batch, position, fail);
      else if (!personalHash(event, salt).equals(personal))
        throw fail(`Address or detail of event ${event.id} in batch ${batch.number} were changed.`, position);
      this.evidence(event, batch.number);
      return eventHash(event, personal);
    });
    if (events.length !== batch.count)
      throw fail(
        `Batch ${batch.number} has ${events.length} events where ${batch.count} were sealed.`,
        Math.min(events.length, batch.count) + 1,
      );
    if (!eventsHash(hashes).equals(batch.eventsHash))
      throw fail(`An event of batch ${batch.number} was changed, or its events changed places.`);
    const times = events.map(({ at }) => at.getTime());
    if (Math.max(...times) !== batch.lastAt.getTime() || Math.min(...times) !== batch.firstAt.getTime())
      throw fail(`Batch ${batch.number} has events of another time than it says.`);
    if (batch.lastAt.getTime() > batch.sealedAt.getTime() + CLOCKS_APART)
      throw fail(`Batch ${batch.number} has events from long after it was sealed.`);
    this.count.events += events.length;
  }

  private wasErased(event: SealedEvent, batch: Batch, position: number, fail: (message: string, position?: number) => Broken): void {
    if (event.erased_at === null || event.address !== null || Object.keys(event.detail).length > 0)
      throw fail(`Event ${event.id} in batch ${batch.number} has lost the salt of its seal.`, position);
    const who = [event.account_id, event.actor];
    const message = `Event ${event.id} in batch ${batch.number} was erased, and no order to do so was recorded.`;
    const { place } = this.erasedOf.get(who.join(" ")) ?? { place: { batch: batch.number, position, message } };
    this.erasedOf.set(who.join(" "), { who, place, last: batch.number });
    this.count.erased += 1;
  }

  private gone(batch: Batch, events: readonly SealedEvent[], fail: (message: string) => Broken): void {
    if (events.length > 0) throw fail(`Batch ${batch.number} has events although they were removed.`);
    if (this.previous !== undefined && this.previous.removedAt === undefined)
      throw fail(`The events of batch ${batch.number} are gone although those of the batch before it are not.`);
    const { batches, events: sofar } = this.removed ?? { batches: 0, events: 0 };
    this.removed = { batches: batches + 1, events: sofar + batch.count, until: batch.lastAt };
  }

  private async signatures(batch: Batch, fail: (message: string) => Broken): Promise<void> {
    const { number, checkpoint: jws, sealedAt, hash } = batch;
    const { whole, checkpointEvery = CHECKPOINT_EVERY } = this.options;
    const own = jws === undefined ? undefined : await readCheckpoint(this.keys, jws);
    if (jws !== undefined && own === undefined) throw fail(`The checkpoint of batch ${number} was not signed by this server.`);
    for (const checkpoint of [...(own === undefined ? [] : [own]), ...(this.kept.get(number) ?? [])]) {
      if (checkpoint.number !== number || !checkpoint.hash.equals(hash))
        throw fail(
          `Batch ${number} is not the one that was signed at ${checkpoint.sealedAt.toISOString()}: it or something before it was changed.`,
        );
      this.count.checkpoints += 1;
      if (checkpoint.keyRevoked) this.count.revoked += 1;
    }
    this.kept.delete(number);
    const isDue = this.lastSigned === undefined ? whole : sealedAt.getTime() - this.lastSigned.getTime() >= checkpointEvery;
    if (own === undefined && isDue) throw fail(`Batch ${number} has no checkpoint, though it was time for one.`);
    if (own !== undefined) this.lastSigned = sealedAt;
  }

  /** What erasing and removing leave behind. @param batch absent: it waits for its seal */
  evidence({ event, account_id, detail }: StoredEvent, batch = Number.POSITIVE_INFINITY): void {
    if (event === "audit.erased") this.erasureRecorded.set(account_id, batch);
    if (event === "audit.removed") this.removalRecorded = Math.max(this.removalRecorded, Number(detail.through));
  }

  end(): void {
    const last = this.previous?.number ?? 0;
    for (const [number, [checkpoint]] of this.kept) {
      if (number <= last && !this.options.whole) continue; // from before the export
      const at = checkpoint?.sealedAt.toISOString();
      throw new Broken({
        batch: number,
        message: `The chain ends with batch ${last}, but batch ${number} was signed at ${at}: its end was cut off.`,
      });
    }
    if (!this.options.whole) return;
    const removed = this.removed?.batches ?? 0;
    if (removed > this.removalRecorded) {
      const message = `The events of batch ${this.removalRecorded + 1} are gone, and their removal was not recorded.`;
      throw new Broken({ batch: this.removalRecorded + 1, message });
    }
    for (const { who, place, last } of this.erasedOf.values())
      if (!who.some((id) => id !== null && (this.erasureRecorded.get(id) ?? 0) > last)) throw new Broken(place);
  }

  report(): Omit<ChainReport, "fault" | "unsealed"> {
    const { batches, events, erased, checkpoints, revoked } = this.count;
    return {
      ...{ batches, events, erased, checkpoints },
      first: this.first,
      last: this.previous?.number,
      lastHash: this.previous?.hash,
      removed: this.removed,
      checkpointsOfRevokedKeys: revoked,
    };
  }
}
