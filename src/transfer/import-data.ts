import { createHash } from "node:crypto";
import { z } from "zod";
import { AccountError } from "../accounts/account-error.ts";
import { Prisma, type PrismaClient } from "../storage/generated/client.ts";
import type { Sealer } from "../storage/seal.ts";
import { contextOf, footer, type Header, header, line, linesOf, openWith } from "./file-format.ts";
import { ChangedMeanwhileError } from "./many-rows.ts";
import { type AnyNoun, type Guard, NOUNS, type NounName, type OpenSecrets } from "./noun.ts";
import { isSame, isSameButForUse } from "./same.ts";

/** Things that are checked and written at a time. */
const BATCH = 200;
/** Milliseconds for one of them. */
const BATCH_LIMIT = 60_000;
/** What is thrown when something that was looked at before is not as it was. */
const CHANGED = [Prisma.PrismaClientKnownRequestError, ChangedMeanwhileError, AccountError];
/** Faults after which nobody reads on. */
const MOST_FAULTS = 20;

export const ON_CONFLICT = ["fail", "skip", "replace"] as const;
/** What becomes of what is here already and says something else. */
export type OnConflict = (typeof ON_CONFLICT)[number];

export interface ImportOptions {
  prisma: PrismaClient;
  nouns: Readonly<Record<NounName, AnyNoun>>;
  /** Asked when the file holds secrets; undefined: they are left out. */
  passphrase: () => Promise<string | undefined>;
}

export interface ImportOrder {
  readonly file: string;
  readonly onConflict: OnConflict;
  /** Only checks, and says what would be done. */
  readonly dryRun: boolean;
}

export interface Tally {
  created: number;
  replaced: number;
  /** Here already, as the file says. */
  unchanged: number;
  skipped: number;
}

export interface Imported {
  readonly header: Header;
  readonly tallies: Readonly<Partial<Record<NounName, Tally>>>;
  /** What was left out since it names something that is not here, by what it names. */
  readonly missing: Readonly<Record<string, number>>;
  /** Whether secrets of the file were taken over. */
  readonly withSecrets: boolean;
}

/** The file cannot be taken as it is, and nothing of it was. */
class ImportError extends Error {
  override readonly name = "ImportError";
  constructor(faults: readonly string[]) {
    const more = faults.length >= MOST_FAULTS ? "\n  … and perhaps more" : "";
    super(`Nothing was imported:\n${faults.map((fault) => `  ${fault}`).join("\n")}${more}`);
  }
}

interface Entry {
  readonly number: number;
  readonly noun: AnyNoun;
  readonly id: string;
  readonly row: unknown;
  readonly secrets: OpenSecrets;
}

/**
 * Reads the file twice: first all of it is checked, by itself and against what is here, and nothing is written; then it is written, batch by batch.
 * What is here already and the same stays untouched, so that an import that was interrupted is given again.
 * @throws {ImportError} when something in it is wrong, or in conflict with what is here
 */
export async function importData(options: ImportOptions, { file, onConflict, dryRun }: ImportOrder): Promise<Imported> {
  const { prisma, nouns } = options;
  const head = await headOf(file);
  const passphrase = head.secrets === undefined ? undefined : await options.passphrase();
  const sealer = head.secrets === undefined || passphrase === undefined ? undefined : await openWith(passphrase, head.secrets);
  const withSecrets = sealer !== undefined;
  const tallies: Partial<Record<NounName, Tally>> = {};
  const missing: Record<string, number> = {};

  const faults: string[] = [];
  const guards: Partial<Record<NounName, Guard<unknown> | undefined>> = {};
  if (onConflict === "replace") for (const name of head.nouns) guards[name] = await nouns[name].guard?.(prisma);
  for await (const batch of batchesOf(readAll(file, head, nouns, sealer, faults, new Claims()))) {
    faults.push(...(await conflicts(prisma, batch, onConflict, withSecrets)));
    for (const { number, noun, row } of batch) {
      const refused = guards[noun.name]?.(row);
      if (refused !== undefined) faults.push(`line ${number}: ${refused}`);
    }
    if (faults.length >= MOST_FAULTS) break;
    if (dryRun) await tally(batch);
  }
  if (faults.length > 0) throw new ImportError(faults.slice(0, MOST_FAULTS));
  if (!dryRun) for await (const batch of batchesOf(readAll(file, head, nouns, sealer, faults, new Claims()))) await write(batch);
  if (faults.length > 0) throw new Error(`The file was changed while it was read, and imported in part: ${faults[0]}`);
  return { header: head, tallies, missing, withSecrets };

  /** Sorts a batch by what becomes of it. */
  async function tally(batch: readonly Entry[]): Promise<{ pending: Entry[]; before: Map<string, unknown> }> {
    const noun = (batch[0] as Entry).noun;
    const existing = await existingOf(prisma, batch);
    const counts = tallies[noun.name] ?? { created: 0, replaced: 0, unchanged: 0, skipped: 0 };
    tallies[noun.name] = counts;
    const held = onConflict === "skip" ? await heldByOthers(prisma, batch) : new Map<Entry, string>();
    const pending: Entry[] = [];
    const before = new Map<string, unknown>();
    for (const entry of batch) {
      const there = existing.get(entry.id);
      const outcome = outcomeOf(there !== undefined, there !== undefined && isAsThere(entry, there, withSecrets), held.has(entry));
      counts[outcome] += 1;
      if (outcome !== "created" && outcome !== "replaced") continue;
      pending.push(entry);
      if (there !== undefined) before.set(entry.id, there);
    }
    return { pending, before };
  }

  function outcomeOf(isHere: boolean, isSame: boolean, isHeld: boolean): keyof Tally {
    if (isSame) return "unchanged";
    if (isHeld) return "skipped";
    if (!isHere) return "created";
    return onConflict === "replace" ? "replaced" : "skipped";
  }

  async function write(batch: readonly Entry[]): Promise<void> {
    const noun = (batch[0] as Entry).noun;
    const { pending, before } = await tally(batch);
    if (pending.length === 0) return;
    const rows = pending.map(({ row, secrets }) => (withSecrets ? noun.putSecrets(row, secrets) : row));
    await noun.replacing?.(rows, before);
    const left = await prisma
      .$transaction((tx) => noun.write(tx, rows, before, withSecrets), { timeout: BATCH_LIMIT, maxWait: BATCH_LIMIT })
      .catch((cause: unknown) => {
        if (!CHANGED.some((kind) => cause instanceof kind)) throw cause;
        const message = `What is here was changed meanwhile: the ${noun.name}s from line ${pending[0]?.number} on are not imported. Give the order again.`;
        throw new Error(message, { cause });
      });
    for (const [name, count] of Object.entries(left)) missing[name] = (missing[name] ?? 0) + count;
    await noun.written(rows, before, withSecrets);
  }
}

async function headOf(file: string): Promise<Header> {
  for await (const { text } of linesOf(file)) {
    const { success, data, error } = header.safeParse(parsed(text));
    if (success) return data;
    throw new ImportError([`line 1: ${sentence(error)}`]);
  }
  throw new ImportError(["the file is empty"]);
}

/** Every entry that stands on its own feet; what is wrong with the others is told. */
async function* readAll(
  file: string,
  head: Header,
  nouns: ImportOptions["nouns"],
  sealer: Sealer | undefined,
  faults: string[],
  claimed: Claims,
): AsyncGenerator<Entry> {
  const counts: Partial<Record<NounName, number>> = Object.fromEntries(head.nouns.map((name) => [name, 0]));
  let current = 0;
  let ended = false;
  for await (const { number, text } of linesOf(file)) {
    if (number === 1) continue;
    const fault = (what: string): void => void faults.push(`line ${number}: ${what}`);
    if (faults.length >= MOST_FAULTS) return;
    if (ended) return fault("stands behind the end");
    const value = parsed(text);
    if (value !== null && typeof value === "object" && "end" in value) {
      const end = footer.safeParse(value);
      if (!end.success || !isSame(end.data.end, counts)) fault(`says another number of entries than there are (${JSON.stringify(counts)})`);
      ended = true;
      continue;
    }
    const given = line.safeParse(value);
    if (!given.success) {
      fault(sentence(given.error));
      continue;
    }
    const { noun: name, id, entry, sealed } = given.data;
    const place = NOUNS.indexOf(name);
    if (place < current || !head.nouns.includes(name)) {
      fault(`a ${name} does not belong here`);
      continue;
    }
    current = place;
    counts[name] = (counts[name] ?? 0) + 1;
    const noun = nouns[name];
    const row = z.safeDecode(noun.schema, entry as never);
    if (!row.success) {
      fault(sentence(row.error));
      continue;
    }
    const wrong = noun.idOf(row.data) === id ? noun.faults(row.data) : ["id: is another one than that of its entry"];
    for (const claim of [`the id ${id}`, ...noun.claims(row.data)])
      if (!claimed.add(`${name} ${claim}`)) wrong.push(`${claim} is in the file twice`);
    let secrets: OpenSecrets = {};
    try {
      if (sealed !== undefined && sealer !== undefined) secrets = secretsIn(sealer.open(sealed, contextOf(name, id)));
    } catch {
      wrong.push("its secrets were changed, or are those of another entry");
    }
    for (const each of wrong) fault(each);
    if (wrong.length === 0) yield { number, noun, id, row: row.data, secrets };
  }
  if (!ended && faults.length < MOST_FAULTS) faults.push("the file has no end: it was cut off");
}

const secretsIn = (text: string): OpenSecrets => z.record(z.string(), z.string().max(2_000)).parse(JSON.parse(text));

/** Things of one noun together. */
async function* batchesOf(entries: AsyncIterable<Entry>): AsyncGenerator<readonly Entry[]> {
  let batch: Entry[] = [];
  for await (const entry of entries) {
    if (batch.length === BATCH || (batch[0] !== undefined && batch[0].noun !== entry.noun)) {
      yield batch;
      batch = [];
    }
    batch.push(entry);
  }
  if (batch.length > 0) yield batch;
}

/** What cannot be taken over beside what is here; nothing where that is skipped. */
async function conflicts(prisma: PrismaClient, batch: readonly Entry[], onConflict: OnConflict, withSecrets: boolean): Promise<string[]> {
  if (onConflict === "skip") return [];
  const held = await heldByOthers(prisma, batch);
  const faults = [...held].map(([{ number }, what]) => `line ${number}: ${what}`);
  const existing = await existingOf(prisma, batch);
  for (const entry of batch) {
    const { number, noun, id } = entry;
    const there = existing.get(id);
    if (onConflict === "fail" && there !== undefined && !isAsThere(entry, there, withSecrets))
      faults.push(`line ${number}: the ${noun.name} ${id} is here already, and another: --on-conflict skip or replace says what to do`);
  }
  return faults;
}

/** Entries that claim what belongs to something else here, and what that is. */
async function heldByOthers(prisma: PrismaClient, batch: readonly Entry[]): Promise<Map<Entry, string>> {
  const { noun } = batch[0] as Entry;
  const claims = batch.flatMap(({ row }) => [...noun.claims(row)]);
  const holders = await noun.holders(prisma, claims);
  return new Map(
    batch.flatMap((entry) =>
      noun
        .claims(entry.row)
        .filter((claim) => (holders.get(claim) ?? entry.id) !== entry.id)
        .map((claim) => [entry, `${claim} belongs to another ${noun.name} here (${holders.get(claim)})`] as const),
    ),
  );
}

async function existingOf(prisma: PrismaClient, batch: readonly Entry[]): Promise<Map<string, unknown>> {
  const { noun } = batch[0] as Entry;
  const rows: unknown[] = await noun.read(prisma, { ids: batch.map(({ id }) => id) });
  return new Map(rows.map((row) => [noun.idOf(row), row]));
}

function isAsThere({ noun, row, secrets }: Entry, there: unknown, withSecrets: boolean): boolean {
  const own = noun.takeSecrets(there);
  const form = (of: unknown) => z.encode(noun.schema, of);
  return isSameButForUse(form(own.row), form(row)) && (!withSecrets || isSame(own.secrets, secrets));
}

/** What was claimed in a file, in eight bytes each: a million of them fit into memory. */
class Claims {
  readonly #seen = new Set<number>();
  /** @returns false: it is there already */
  add(claim: string): boolean {
    const digest = createHash("sha256").update(claim).digest();
    const mark = digest.readUIntBE(0, 6) * 16 + (digest[6] as number) / 16; // 48 bits and a few more, as a number
    const known = this.#seen.size;
    return this.#seen.add(mark).size > known;
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Never repeats a value: it may be a hash. */
function sentence({ issues }: z.ZodError): string {
  const [issue] = issues;
  if (issue === undefined) return "is not what is expected";
  const where = issue.path.map(String).join(".");
  if (issue.code === "unrecognized_keys")
    return `${where === "" ? "" : `${where}: `}holds what is not known: ${issue.keys.slice(0, 5).join(", ").slice(0, 200)}`;
  return where === "" ? `${issue.message}` : `${where}: ${issue.message}`;
}
