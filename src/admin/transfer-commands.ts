/** `grantor export`, `grantor import` */
import { once } from "node:events";
import { open, readFile, rm } from "node:fs/promises";
import { type Command, InvalidArgumentError, Option } from "commander";
import { COMMAND_LINE } from "../operations/operator.ts";
import type { Exported } from "../transfer/export-data.ts";
import { SHORTEST_PASSPHRASE } from "../transfer/file-format.ts";
import { type Imported, ON_CONFLICT, type OnConflict, type Tally } from "../transfer/import-data.ts";
import { NOUNS, type NounName } from "../transfer/noun.ts";
import { type Answer, leaf, type Run, UsageError } from "./commands.ts";
import type { OperatorServices } from "./operator-services.ts";
import { table } from "./output.ts";
import { askHidden, isInteractive } from "./prompt.ts";

const STDOUT = "-";

interface ExportChoices {
  withSecrets?: boolean;
  passphraseFile?: string;
  only?: NounName[];
  json?: boolean;
}

interface ImportChoices {
  onConflict: OnConflict;
  dryRun?: boolean;
  passphraseFile?: string;
}

export function addTransferCommands(program: Command, run: Run): void {
  const passphraseFile = () =>
    new Option("--passphrase-file <file>", "where the passphrase of the file's secrets stands; else it is asked for");
  leaf(program, "export [file]", "write roles, applications, APIs, providers and accounts into a new file, or to standard output")
    .addOption(new Option("--only <nouns>", `some of ${NOUNS.map(plural).join(",")}`).argParser(nounsIn))
    .option("--with-secrets", "also what is not stored as a hash, sealed under a passphrase")
    .addOption(passphraseFile())
    .action(
      run(async (services, file: string | undefined, { withSecrets, only, json, passphraseFile: from }: ExportChoices) => {
        const toStdout = file === undefined || file === STDOUT;
        if (toStdout && json === true) throw new UsageError("--json needs a file: standard output holds the export itself");
        if (from !== undefined && withSecrets !== true) throw new UsageError("--passphrase-file is for --with-secrets");
        const passphrase = withSecrets === true ? await newPassphrase(from) : undefined;
        const transfer = await services.transfer();
        const order = { ...(only !== undefined && { only }), ...(passphrase !== undefined && { passphrase }) };
        const done = toStdout
          ? await transfer.export(order, toStandardOutput)
          : await intoFile(file, (write) => transfer.export(order, write));
        const counts = Object.entries(done.counts).map(([noun, count]) => [plural(noun as NounName), count]);
        (await services.audit()).record({
          event: "data.exported",
          outcome: "success",
          ...COMMAND_LINE,
          detail: { ...Object.fromEntries(counts), secrets: withSecrets === true },
        });
        return exportAnswer(toStdout ? undefined : file, done);
      }),
    );

  leaf(program, "import <file>", "take over what grantor export has written; nothing of it when something in it is wrong")
    .addOption(
      new Option("--on-conflict <what>", "what becomes of what is here and says something else").choices(ON_CONFLICT).default("fail"),
    )
    .option("--dry-run", "only check the file, and say what would be done")
    .addOption(passphraseFile())
    .action(
      run(async (services, file: string, { onConflict, dryRun = false, passphraseFile: from }: ImportChoices) => {
        const done = await (await services.transfer()).import({ file, onConflict, dryRun }, () => passphraseOf(from));
        if (!dryRun) {
          const counts = Object.entries(done.tallies).map(([noun, { created, replaced }]) => [
            plural(noun as NounName),
            created + replaced,
          ]);
          (await services.audit()).record({
            event: "data.imported",
            outcome: "success",
            ...COMMAND_LINE,
            detail: { ...Object.fromEntries(counts), from: done.header.issuer, secrets: done.withSecrets },
          });
        }
        return importAnswer(services, done, dryRun);
      }),
    );
}

const plural = (noun: string): string => `${noun}s`;

function nounsIn(value: string): NounName[] {
  return value.split(",").map((given) => {
    const noun = NOUNS.find((each) => plural(each) === given.trim());
    if (noun === undefined) throw new InvalidArgumentError(`It must be some of ${NOUNS.map(plural).join(",")}.`);
    return noun;
  });
}

async function toStandardOutput(lines: string): Promise<void> {
  if (!process.stdout.write(lines)) await once(process.stdout, "drain");
}

/** Readable by its owner alone, never over another file, and gone when it could not be finished. */
async function intoFile<T>(path: string, work: (write: (lines: string) => Promise<void>) => Promise<T>): Promise<T> {
  const file = await open(path, "wx", 0o600).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === "EEXIST") throw new Error(`${path} is there already. Name a file that is not, or remove it.`, { cause });
    throw new Error(`${path} cannot be written (${cause.code}).`, { cause });
  });
  try {
    const done = await work(async (lines) => void (await file.appendFile(lines)));
    await file.sync();
    await file.close();
    return done;
  } catch (error) {
    await file.close();
    await rm(path, { force: true });
    throw error;
  }
}

async function newPassphrase(file: string | undefined): Promise<string> {
  const passphrase = file === undefined && isInteractive() ? await askHidden("Passphrase for the secrets: ") : await passphraseOf(file);
  if (passphrase === undefined) throw new UsageError("--with-secrets needs --passphrase-file where nobody can be asked");
  if (passphrase.length < SHORTEST_PASSPHRASE)
    throw new Error(`The passphrase must have at least ${SHORTEST_PASSPHRASE} characters: whoever has the file can guess at it.`);
  if (file === undefined && (await askHidden("The same again: ")) !== passphrase)
    throw new Error("The two passphrases differ. Nothing was done.");
  return passphrase;
}

/** Undefined: there is none, and secrets stay where they are. */
async function passphraseOf(file: string | undefined): Promise<string | undefined> {
  if (file !== undefined) {
    const content = await readFile(file, "utf8").catch((cause: NodeJS.ErrnoException) => {
      throw new Error(`${file} cannot be read (${cause.code}).`, { cause });
    });
    return content.replace(/\r?\n$/, "");
  }
  if (!isInteractive()) return undefined;
  return (await askHidden("Passphrase of its secrets (empty: leave them out): ")) || undefined;
}

function exportAnswer(file: string | undefined, { counts, withoutSecrets }: Exported): Answer {
  const left = Object.entries(withoutSecrets).map(([noun, count]) => `${SECRETS[noun as NounName]}: ${count}`);
  const notes = [
    ...(file === undefined ? [summary(counts)] : []),
    ...(left.length === 0 ? [] : [`Left out, without --with-secrets: ${left.join("; ")}.`]),
  ];
  return {
    json: { file, exported: named(counts), without_secrets: named(withoutSecrets) },
    text: file === undefined ? "" : summary(counts),
    notes,
  };
}

/** What they are called, by whose they are. */
const SECRETS: Readonly<Record<NounName, string>> = {
  role: "secrets of roles",
  client: "secrets of applications",
  resource: "secrets of APIs with HS256",
  provider: "client secrets of providers",
  account: "authenticator apps of accounts",
};

const named = <T>(counts: Readonly<Partial<Record<NounName, T>>>): Record<string, T> =>
  Object.fromEntries(Object.entries(counts).map(([noun, count]) => [plural(noun), count as T]));

const summary = (counts: Exported["counts"]): string =>
  `Exported ${Object.entries(counts)
    .map(([noun, count]) => `${count} ${count === 1 ? noun : plural(noun)}`)
    .join(", ")}.`;

function importAnswer({ config }: OperatorServices, { header, tallies, missing, withSecrets }: Imported, dryRun: boolean): Answer {
  const rows = Object.entries(tallies).map(([noun, tally]: [string, Tally]) => [
    ["", plural(noun)] as const,
    [dryRun ? "would be made" : "made", `${tally.created}`] as const,
    [dryRun ? "would be replaced" : "replaced", `${tally.replaced}`] as const,
    ["as they were", `${tally.unchanged}`] as const,
    ["skipped", `${tally.skipped}`] as const,
  ]);
  const gone = Object.entries(missing).filter(([, count]) => count > 0);
  return {
    json: {
      dry_run: dryRun,
      from: header.issuer,
      imported: named(tallies),
      missing: Object.fromEntries(gone.map(([noun, count]) => [plural(noun), count])),
      with_secrets: withSecrets,
    },
    text: table(rows, "The file holds nothing."),
    notes: [
      ...gone.map(([noun, count]) => `Left out, since it names a ${noun} that is not here: ${count}.`),
      ...(withSecrets
        ? []
        : [
            "Without secrets: authenticator apps are to be set up anew; APIs with HS256 need resource rotate-secret, providers a client secret.",
          ]),
      ...(new URL(header.issuer).hostname === new URL(config.issuer).hostname
        ? []
        : [`The file is from ${header.issuer}: passkeys of accounts work under its host name alone.`]),
      "Recovery codes work here only with the SECRET_KEY of the server that made them.",
    ],
  };
}
