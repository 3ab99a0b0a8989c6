/** `grantor role …` */
import type { Command } from "commander";
import type { Role, RoleSettings } from "../accounts/roles.ts";
import { splitScope } from "../clients/scopes.ts";
import { COMMAND_LINE } from "../operations/operator.ts";
import type { RoleOperations } from "../operations/role-operations.ts";
import { type Answer, leaf, type Run, repeatable, UsageError } from "./commands.ts";
import type { OperatorServices } from "./operator-services.ts";
import { details, table } from "./output.ts";

interface RoleOptions {
  description?: string;
  permission?: string[] | false;
  requireSecondFactor?: boolean;
}

export function addRoleCommands(role: Command, run: Run): void {
  describedBy(leaf(role, "create <name>", "make a role that accounts can have")).action(
    run(async (services, name: string, options: RoleOptions) => {
      const does = await roleOperations(services);
      return withNotes(does, await does.create(COMMAND_LINE, name, settingsOf(options)));
    }),
  );

  leaf(role, "list", "list roles by name").action(
    run(async (services) => {
      const does = await roleOperations(services);
      const roles = await does.list();
      const rows = roles.map((each) => [
        ["name", each.name] as const,
        ["accounts", `${each.holders}`] as const,
        ["second factor", each.requiresSecondFactor ? "required" : ""] as const,
        ["permissions", does.permits(each).join(" ")] as const,
        ["description", each.description] as const,
      ]);
      return { json: { roles: roles.map((each) => toJson(each, does.permits(each))) }, text: table(rows, "There are no roles.") };
    }),
  );

  leaf(role, "show <name>", "show what a role permits, and how many accounts have it").action(
    run(async (services, name: string) => {
      const does = await roleOperations(services);
      return answer(does, await does.get(name));
    }),
  );

  describedBy(leaf(role, "update <name>", "change what is given, and leave the rest; permissions are replaced"))
    .option("--no-permission", "take all permissions away")
    .option("--no-require-second-factor", "a password alone is enough again")
    .action(
      run(async (services, name: string, options: RoleOptions) => {
        const settings = settingsOf(options);
        if (Object.keys(settings).length === 0) throw new UsageError("say what to change");
        const does = await roleOperations(services);
        return withNotes(does, await does.update(COMMAND_LINE, name, settings));
      }),
    );

  leaf(role, "delete <name>", "remove a role, and take it from everybody who has it").action(
    run(async (services, name: string) => {
      const { holders } = await (await roleOperations(services)).delete(COMMAND_LINE, name);
      const had = holders === 1 ? "1 account had it." : `${holders} accounts had it.`;
      return { json: { name, deleted: true, accounts: holders }, text: `The role ${name} is deleted. ${had}` };
    }),
  );
}

export async function roleOperations(services: OperatorServices): Promise<RoleOperations> {
  const { createRoleOperations } = await import("../operations/role-operations.ts");
  return createRoleOperations({
    roles: await services.roles(),
    accounts: await services.accounts(),
    audit: await services.audit(),
    knownScopes: async () => (await services.resources()).knownScopes(),
  });
}

/** What is the same in `create` and `update`. */
function describedBy(command: Command): Command {
  return command
    .option("--description <text>", "what it is for")
    .addOption(repeatable("--permission <scope>", "a scope that whoever has the role may use, where scopes go by roles"))
    .option("--require-second-factor", "whoever has it signs in with two factors, or with a passkey");
}

function settingsOf({ description, permission, requireSecondFactor }: RoleOptions): RoleSettings {
  return {
    ...(description !== undefined && { description }),
    ...(permission !== undefined && { permissions: (permission || []).flatMap(splitScope) }),
    ...(requireSecondFactor !== undefined && { requiresSecondFactor: requireSecondFactor }),
  };
}

async function withNotes(does: RoleOperations, role: Role): Promise<Answer> {
  const unknown = await does.permissionsWithoutResource(role);
  if (unknown.length === 0) return answer(does, role);
  return {
    ...answer(does, role),
    notes: [`No resource has the scope ${unknown.join(" ")}: until one has, the role permits nothing by it.`],
  };
}

function toJson({ name, description, requiresSecondFactor, holders }: Role, permissions: readonly string[]): Record<string, unknown> {
  return { name, description, permissions, require_second_factor: requiresSecondFactor, accounts: holders };
}

function answer(does: RoleOperations, role: Role): Answer {
  const permissions = does.permits(role);
  return {
    json: toJson(role, permissions),
    text: details([
      ["name", role.name],
      ["description", role.description],
      ...permissions.map((scope) => ["permits", scope] as const),
      ["second factor", role.requiresSecondFactor ? "required" : "not required"],
      ["accounts", `${role.holders}`],
    ]),
  };
}
