/** `grantor keys …`, `grantor token …` and `grantor migrate` */
import type { Command } from "commander";
import { leaf, type Run } from "./commands.ts";
import { details, numericDate, printable, table, time } from "./output.ts";
import { readInput } from "./prompt.ts";
import type { SignatureFinding, TokenInspection } from "./token-inspection.ts";

export function addKeyCommands(keys: Command, run: Run): void {
  leaf(keys, "list", "list signing keys, newest first").action(
    run(async (services) => {
      const { listSigningKeys } = await import("../keys/signing-keys.ts");
      const all = await listSigningKeys(await services.database());
      return {
        json: {
          keys: all.map(({ kid, alg, state, createdAt, activatedAt, retiredAt }) => ({
            kid,
            alg,
            use: "sig",
            state,
            created_at: numericDate(createdAt),
            ...(activatedAt !== undefined && { activated_at: numericDate(activatedAt) }),
            ...(retiredAt !== undefined && { retired_at: numericDate(retiredAt) }),
          })),
        },
        text: table(
          all.map((key) => [
            ["kid", key.kid],
            ["alg", key.alg],
            ["state", key.state],
            ["created", time(key.createdAt)],
            ["signs since", time(key.activatedAt)],
            ["retired", time(key.retiredAt)],
          ]),
          "There are no keys yet: the server makes them at its first start.",
        ),
      };
    }),
  );
}

export function addTokenCommands(token: Command, run: Run): void {
  leaf(
    token,
    "inspect <jwt>",
    "say what is in a token and whether we signed it, without sending it anywhere; - reads it from standard input",
  ).action(
    run(async (services, given: string) => {
      const jwt = given === "-" ? await readInput() : given;
      const [{ inspectToken }, { readPublicKeys }] = await Promise.all([import("./token-inspection.ts"), import("../keys/public-keys.ts")]);
      const inspect = (keys: Parameters<typeof inspectToken>[1]["keys"]) =>
        inspectToken(jwt, { keys, issuer: services.config.issuer, now: Date.now() });
      inspect([]); // what cannot be read needs no database
      const inspection = inspect(await readPublicKeys(await services.database()));
      return { json: inspectionJson(inspection), text: inspectionText(inspection) };
    }),
  );
}

export function addMigrate(program: Command, run: Run): void {
  leaf(program, "migrate", "bring the database up to this release; a server does so by itself when it starts").action(
    run(async (services) => {
      const { applied } = await services.database();
      return {
        json: { applied },
        text: applied.length === 0 ? "The database is up to date." : `Applied ${applied.join(", ")}.`,
      };
    }),
  );
}

function inspectionJson(inspection: TokenInspection): Record<string, unknown> {
  const { header, claims, explained, key } = inspection;
  return {
    kind: inspection.kind,
    header,
    claims,
    meanings: Object.fromEntries(explained.flatMap(({ name, meaning }) => (meaning === undefined ? [] : [[name, meaning]]))),
    times: Object.fromEntries(explained.flatMap(({ name, time: at }) => (at === undefined ? [] : [[name, at.toISOString()]]))),
    signature: inspection.signature,
    ...(key !== undefined && { key }),
    expired: inspection.expired,
    not_yet_valid: inspection.notYetValid,
    issued_here: inspection.ours,
    verifies: inspection.verifies,
  };
}

const SIGNATURES: Readonly<Record<SignatureFinding, string>> = {
  valid: "valid",
  invalid: "NOT valid: this is not what the key signed",
  unknown_key: "cannot be checked: the key is none of ours",
  wrong_algorithm: "NOT valid: our key of that name is for another algorithm",
  unsigned: "NOT there: anybody can have written this",
};

function inspectionText(inspection: TokenInspection): string {
  const { header, explained, key } = inspection;
  const sections = [
    details([
      ["this is", `${/^[aeio]/i.test(inspection.kind) ? "an" : "a"} ${inspection.kind}`],
      ["signature", SIGNATURES[inspection.signature]],
      ["signed by", key && `${key.kid} (${key.alg}, ${key.state})`],
      ["issued here", inspection.ours ? "yes" : "no"],
      ["in its time", inspection.expired ? "no: it has expired" : inspection.notYetValid ? "not yet" : "yes"],
      ["verifies", inspection.verifies ? "yes; whether it was revoked is not looked at here" : "NO"],
    ]),
    `Header\n${indent(details(Object.entries(header).map(([name, value]) => [name, shown(value)])))}`,
    `Claims\n${indent(
      table(
        explained.map(({ name, value, meaning, time: at }) => [
          ["name", name],
          ["value", at === undefined ? shown(value) : `${shown(value)} (${time(at)})`],
          ["meaning", meaning],
        ]),
        "none",
      ),
    )}`,
  ];
  return sections.join("\n\n");
}

const shown = (value: unknown): string => printable(typeof value === "string" ? value : JSON.stringify(value));

const indent = (text: string): string => text.replace(/^/gm, "  ");
