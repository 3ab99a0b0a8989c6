/** `grantor audit …` */
import { open, readFile } from "node:fs/promises";
import { type Command, InvalidArgumentError, Option } from "commander";
import type { PastEvent } from "../observability/audit-trail.ts";
import type { ChainReport } from "../observability/audit-verification.ts";
import type { AuditOperations, SignedBatch } from "../operations/audit-operations.ts";
import { COMMAND_LINE } from "../operations/operator.ts";
import { type Answer, leaf, moreNote, type PageOptions, paged, positiveInteger, type Run, repeatable } from "./commands.ts";
import type { OperatorServices } from "./operator-services.ts";
import { details, printable, table, time } from "./output.ts";

interface ListOptions extends PageOptions {
  event?: string;
  outcome?: "success" | "failure";
  actor?: string;
  account?: string;
  client?: string;
  address?: string;
  since?: Date;
  until?: Date;
}

interface VerifyOptions {
  checkpoint?: string[];
  export?: string;
}

const DEFAULT_LIMIT = 50;
const MOST = 500;

export function addAuditCommands(audit: Command, run: Run): void {
  between(
    paged(leaf(audit, "list", "search the audit log, newest first"))
      .option("--event <prefix>", "only of kinds that begin so, such as client. or sign_in")
      .addOption(new Option("--outcome <outcome>", "only with this outcome").choices(["success", "failure"]))
      .option("--actor <id>", "only what this account or application did; operator for the command line")
      .option("--account <email or id>", "only about this account")
      .option("--client <client_id>", "only about this application, or through it")
      .option("--address <ip>", "only from this address"),
  ).action(
    run(async (services, { event: prefix, account, client: clientId, limit, cursor, ...filter }: ListOptions) => {
      const accountId = account === undefined ? undefined : await accountIdOf(services, account);
      const page = { limit: Math.min(limit ?? DEFAULT_LIMIT, MOST), cursor };
      const { events, next } = await (await operations(services)).search({ ...filter, prefix, accountId, clientId }, page);
      return {
        json: { events: events.map(toJson), ...(next !== undefined && { next }) },
        text: table(
          events.map((event) => [
            ["id", event.id],
            ["at", time(event.at)],
            ["event", event.event],
            ["outcome", event.outcome],
            ["actor", event.actor],
            ["account", event.accountId],
            ["client", event.clientId],
            ["address", event.address],
          ]),
          "No event is like that.",
        ),
        ...moreNote(next),
      };
    }),
  );

  leaf(audit, "show <id>", "show an event").action(
    run(async (services, id: string) => {
      const event = await (await operations(services)).find(id);
      if (event === undefined) throw new Error(`There is no event ${printable(id)}.`);
      return { json: toJson(event), text: details(fields(event)) };
    }),
  );

  between(audit.command("export").description("print the audit log as JSON lines, by whole batches of its chain")).action(
    run(async (services, range: { since?: Date; until?: Date }) => {
      let lines = 0;
      for await (const line of (await operations(services)).export(COMMAND_LINE, range)) {
        lines += 1;
        if (!process.stdout.write(`${JSON.stringify(line)}\n`)) await drained();
      }
      return { json: { lines }, text: "" };
    }),
  );

  leaf(audit, "verify", "check the chain of the audit log, and say the first place where it does not hold")
    .addOption(repeatable("--checkpoint <file>", "also check it against the checkpoints in this file, which was kept elsewhere"))
    .option("--export <file>", "check this export instead of the database")
    .action(
      run(async (services, options: VerifyOptions) => {
        const kept = await Promise.all((options.checkpoint ?? []).map(checkpointsOf));
        const lines = options.export === undefined ? undefined : linesOf(options.export);
        const report = await (await operations(services)).verify(kept.flat(), lines);
        if (report.fault !== undefined) throw new Error(faultText(report.fault));
        return verified(report);
      }),
    );

  leaf(audit, "checkpoint", "seal what was recorded so far and sign it; keep what is printed elsewhere").action(
    run(async (services) => {
      const signed = await (await operations(services)).checkpoint(COMMAND_LINE);
      if (signed === undefined) throw new Error("Nothing was recorded yet.");
      return { json: checkpointJson(signed), text: signed.checkpoint };
    }),
  );

  leaf(audit, "checkpoints", "list the signed checkpoints, newest first")
    .option("--limit <n>", "at most so many", positiveInteger)
    .action(
      run(async (services, { limit = DEFAULT_LIMIT }: { limit?: number }) => {
        const found = await (await operations(services)).checkpoints(limit);
        const rows = found.map(({ number, sealedAt, checkpoint }) => [
          ["batch", `${number}`] as const,
          ["sealed", time(sealedAt)] as const,
          ["checkpoint", checkpoint] as const,
        ]);
        return { json: { checkpoints: found.map(checkpointJson) }, text: table(rows, "There are no checkpoints yet.") };
      }),
    );

  leaf(audit, "erase", "erase addresses and details from the events of an account; that they happened stays")
    .requiredOption("--account <email or id>", "whose; of a deleted account, its id")
    .action(
      run(async (services, { account }: { account: string }) => {
        const accountId = await accountIdOf(services, account);
        const events = await (await operations(services)).erase(COMMAND_LINE, accountId);
        if (events === undefined) throw new Error(`The audit log knows no account ${printable(account)}.`);
        const text = events === 0 ? "There was nothing left to erase." : `Erased from ${events} ${events === 1 ? "event" : "events"}.`;
        return { json: { account_id: accountId, events }, text };
      }),
    );
}

async function operations(services: OperatorServices): Promise<AuditOperations> {
  const { createAuditOperations } = await import("../operations/audit-operations.ts");
  const [{ pool }, { sealer, keys }, audit] = await Promise.all([services.database(), services.auditSealing(), services.audit()]);
  return createAuditOperations({ pool, sealer, keys, audit });
}

/** The id of an account that was deleted is taken as it is. */
async function accountIdOf(services: OperatorServices, idOrEmail: string): Promise<string> {
  if (!idOrEmail.includes("@")) return idOrEmail;
  const account = await (await services.accounts()).findByEmail(idOrEmail);
  if (account === undefined) throw new Error(`There is no account ${printable(idOrEmail)}.`);
  return account.id;
}

const between = (command: Command): Command =>
  command.option("--since <time>", "from then on, ISO 8601", instant).option("--until <time>", "before then, ISO 8601", instant);

function instant(value: string): Date {
  const at = new Date(value);
  if (!/^\d{4}-\d{2}/.test(value) || Number.isNaN(at.getTime()))
    throw new InvalidArgumentError("It must be a time, such as 2026-01-31T09:30:00Z.");
  return at;
}

const drained = (): Promise<void> => new Promise((resolve) => process.stdout.once("drain", resolve));

async function checkpointsOf(file: string): Promise<string[]> {
  const { checkpointsIn } = await import("../observability/audit-checkpoints.ts");
  const found = checkpointsIn(await readFile(file, "utf8"));
  if (found.length === 0) throw new Error(`There is no checkpoint in ${file}.`);
  return found;
}

async function* linesOf(file: string): AsyncGenerator<string> {
  const handle = await open(file);
  yield* handle.readLines();
}

const faultText = ({ batch, position, message }: NonNullable<ChainReport["fault"]>): string =>
  `The audit log was tampered with, or damaged: ${message}${position === undefined ? "" : ` (batch ${batch}, position ${position})`}`;

function verified(report: ChainReport): Answer {
  const { batches, first, last, lastHash, events, unsealed, erased, removed, checkpoints, checkpointsOfRevokedKeys } = report;
  const gone = removed && `${removed.events} of ${removed.batches} batches, until ${time(removed.until)}: their time was over`;
  return {
    json: {
      ...{ holds: true, batches, events, unsealed, erased, checkpoints },
      ...(first !== undefined && { first_batch: first, last_batch: last, last_hash: lastHash?.toString("base64url") }),
      ...(removed && { removed: { batches: removed.batches, events: removed.events, until: removed.until.toISOString() } }),
      checkpoints_of_revoked_keys: checkpointsOfRevokedKeys,
    },
    text: `The chain holds.\n${details([
      ["batches", first === undefined ? "0" : `${batches} (${first} to ${last})`],
      ["events", `${events}`],
      ["not sealed yet", `${unsealed}`],
      ["erased", `${erased}`],
      ["removed", gone],
      ["checkpoints", `${checkpoints}`],
    ])}`,
    notes: checkpointsOfRevokedKeys === 0 ? [] : [`${checkpointsOfRevokedKeys} of the checkpoints were signed with a key that is revoked.`],
  };
}

const checkpointJson = ({ number, sealedAt, hash, checkpoint }: SignedBatch) => ({
  ...{ number, sealed_at: sealedAt.toISOString(), hash: hash.toString("base64url"), checkpoint },
});

function toJson({ id, at, event, outcome, actor, accountId, clientId, address, requestId, detail, batch, erasedAt }: PastEvent) {
  return {
    ...{
      id,
      at: at.toISOString(),
      event,
      outcome,
      actor,
      account_id: accountId,
      client_id: clientId,
      address,
      request_id: requestId,
      detail,
    },
    ...{ batch, erased_at: erasedAt?.toISOString() },
  };
}

const fields = ({ id, at, event, outcome, actor, accountId, clientId, address, requestId, detail, batch, erasedAt }: PastEvent) =>
  [
    ["id", id],
    ["at", at.toISOString()],
    ["event", event],
    ["outcome", outcome],
    ["actor", actor],
    ["account", accountId],
    ["client", clientId],
    ["address", address],
    ["request", requestId],
    ...Object.entries(detail).map(([name, value]) => [name, String(value)] as const),
    ["batch", batch === undefined ? "not sealed yet" : `${batch}`],
    ["erased", time(erasedAt)],
  ] as const;
