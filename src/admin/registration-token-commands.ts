/** `grantor registration-token …` */
import type { Command } from "commander";
import { limitsToJson } from "../clients/registration-limits.ts";
import type { ListedToken } from "../clients/registration-tokens.ts";
import { splitScope } from "../clients/scopes.ts";
import { COMMAND_LINE } from "../operations/operator.ts";
import { createRegistrationTokenOperations, type RegistrationTokenOperations } from "../operations/registration-token-operations.ts";
import { leaf, positiveInteger, type Run, repeatable } from "./commands.ts";
import type { OperatorServices } from "./operator-services.ts";
import { details, numericDate, table, time } from "./output.ts";

export function addRegistrationTokenCommands(registrationToken: Command, run: Run): void {
  leaf(registrationToken, "create", "make an initial access token, with which an application registers itself; shown this once")
    .option("--expires <seconds>", "good for so long; without it, for ever", positiveInteger)
    .option("--uses <n>", "good for so many registrations; without it, for any number", positiveInteger)
    .addOption(
      repeatable("--scope <scopes>", "who registers with it may have these scopes, space-separated; without it, all that there are"),
    )
    .addOption(
      repeatable(
        "--redirect-host <host>",
        "redirect URIs lead to this host alone, such as app.example, *.app.example or the scheme com.example.app: (with its colon); without it, anywhere",
      ),
    )
    .action(
      run(async (services, { expires, uses, scope, redirectHost }: CreateOptions) => {
        const made = await (await operations(services)).create(COMMAND_LINE, {
          ...(expires !== undefined && { expires }),
          ...(uses !== undefined && { uses }),
          ...(scope !== undefined && { scopes: splitScope(scope.join(" ")) }),
          ...(redirectHost !== undefined && { redirectHosts: redirectHost }),
        });
        return {
          json: {
            id: made.id,
            initial_access_token: made.token,
            ...limitsToJson(made),
            ...(made.expiresAt !== undefined && { expires_at: numericDate(made.expiresAt) }),
            ...(made.uses !== undefined && { uses: made.uses }),
          },
          text: details([
            ["initial access token", made.token],
            ["expires", time(made.expiresAt) ?? "never"],
            ["uses", made.uses === undefined ? "any number" : `${made.uses}`],
            ["scopes", made.scopes?.join(" ") ?? "all"],
            ["redirect hosts", made.redirectHosts?.join(" ") ?? "any"],
          ]),
          ...(services.config.registration === "closed" && { notes: ["REGISTRATION is closed: set it to token, or nobody can use this."] }),
        };
      }),
    );

  leaf(registrationToken, "list", "list initial access tokens, the newest first, by the ids that they are deleted with").action(
    run(async (services) => {
      const tokens = await (await operations(services)).list();
      const rows = tokens.map((each) => [
        ["id", each.id] as const,
        ["created", time(each.createdAt)] as const,
        ["expires", time(each.expiresAt) ?? "never"] as const,
        ["uses left", each.usesLeft === undefined ? "any number" : `${each.usesLeft}`] as const,
        ["scopes", each.scopes?.join(" ") ?? "all"] as const,
        ["redirect hosts", each.redirectHosts?.join(" ") ?? "any"] as const,
        ["state", each.usable ? "good" : "of no use"] as const,
      ]);
      return { json: { registration_tokens: tokens.map(toJson) }, text: table(rows, "There are no registration tokens.") };
    }),
  );

  leaf(registrationToken, "delete <id>", "let nobody register with it any more; who has registered stays").action(
    run(async (services, id: string) => {
      await (await operations(services)).delete(COMMAND_LINE, id);
      return { json: { id, deleted: true }, text: `The registration token ${id} is deleted.` };
    }),
  );
}

async function operations(services: OperatorServices): Promise<RegistrationTokenOperations> {
  return createRegistrationTokenOperations({ tokens: await services.registrationTokens(), audit: await services.audit() });
}

interface CreateOptions {
  expires?: number;
  uses?: number;
  scope?: string[];
  redirectHost?: string[];
}

function toJson({ id, createdAt, expiresAt, usesLeft, usable, ...limits }: ListedToken): Record<string, unknown> {
  return {
    id,
    ...limitsToJson(limits),
    created_at: numericDate(createdAt),
    ...(expiresAt !== undefined && { expires_at: numericDate(expiresAt) }),
    ...(usesLeft !== undefined && { uses_left: usesLeft }),
    usable,
  };
}
