/** `grantor token …` */
import type { Command } from "commander";
import type { StatusFinding, StatusReference, TokenInspection } from "../../views/assets/token-inspection.js";
import { describeInspection } from "../../views/assets/token-words.js";
import { english, text } from "../i18n/messages.ts";
import { leaf, type Run } from "./commands.ts";
import { details, printable, table } from "./output.ts";
import { readInput } from "./prompt.ts";

export function addTokenCommands(token: Command, run: Run): void {
  leaf(
    token,
    "inspect <jwt>",
    "say what is in a token, whether we signed it and whether it was revoked, without sending it anywhere; - reads it from standard input, and so keeps it out of the shell's history",
  ).action(
    run(async (services, given: string) => {
      const jwt = given === "-" ? await readInput() : given;
      const [{ inspectToken, UnreadableTokenError }, { readPublicKeys }, { readTokenStatus }] = await Promise.all([
        import("../../views/assets/token-inspection.js"),
        import("../keys/public-keys.ts"),
        import("../tokens/token-status.ts"),
      ]);
      const now = Date.now();
      const statusOf = async ({ idx, uri }: StatusReference): Promise<StatusFinding> => {
        const status = await readTokenStatus(await services.database(), { list: uri.slice(uri.lastIndexOf("/") + 1), idx });
        if (status === undefined) return { state: "unknown", reason: text("tokens:reasons.not_kept") };
        return status.endedAt === undefined ? { state: "valid" } : { state: "revoked", since: status.endedAt };
      };
      const sources = { issuer: services.config.issuer, now, statusOf };
      const secretOf = async (audience: string) => (await services.resources()).hmacKeyFor(audience)?.export();
      // What cannot be read needs no database.
      await inspectToken(jwt, { ...sources, keys: [] }).catch((error: unknown) => {
        throw error instanceof UnreadableTokenError ? new Error(english(error.words), { cause: error }) : error;
      });
      const inspection = await inspectToken(jwt, { ...sources, secretOf, keys: await readPublicKeys(await services.database()) });
      const description = describeInspection(inspection, now, "en");
      return { json: inspectionJson(inspection, description), text: inspectionText(inspection, description) };
    }),
  );
}

type Description = ReturnType<typeof describeInspection>;

function inspectionJson(inspection: TokenInspection, { verdict }: Description): Record<string, unknown> {
  const { header, claims, explained, key, reference, status } = inspection;
  return {
    kind: english(inspection.kind),
    verdict: english(verdict.words),
    header,
    ...(claims !== undefined && { claims }),
    meanings: Object.fromEntries(explained.flatMap(({ name, meaning }) => (meaning === undefined ? [] : [[name, english(meaning)]]))),
    times: Object.fromEntries(explained.flatMap(({ name, time: at }) => (at === undefined ? [] : [[name, at.toISOString()]]))),
    signature: inspection.signature,
    ...(key !== undefined && { key }),
    expired: inspection.expired,
    not_yet_valid: inspection.notYetValid,
    issued_here: inspection.ours,
    verifies: inspection.verifies,
    status: {
      state: status.state,
      ...(status.reason !== undefined && { reason: english(status.reason) }),
      ...(status.since !== undefined && { since: status.since.toISOString() }),
      ...reference,
    },
  };
}

function inspectionText(inspection: TokenInspection, { verdict, facts, header, claims }: Description): string {
  const rows = (values: typeof claims) =>
    indent(
      table(
        values.map(({ name, value, when, meaning }) => [
          ["name", name],
          ["value", when === undefined ? english(value) : `${english(value)} (${english(when)})`],
          ["meaning", meaning && english(meaning)],
        ]),
        "none",
      ),
    );
  return [
    printable(english(verdict.words)),
    details(facts.map(([label, words]) => [english(label), english(words)])),
    `Header\n${rows(header)}`,
    ...(inspection.claims === undefined ? [] : [`Claims\n${rows(claims)}`]),
  ].join("\n\n");
}

const indent = (text: string): string => text.replace(/^/gm, "  ");
