/** `grantor resource …` */
import { type Command, Option } from "commander";
import type { Resource, ResourceInput } from "../clients/resource-store.ts";
import { splitScope } from "../clients/scopes.ts";
import { type Answer, leaf, moreNote, type PageOptions, paged, positiveInteger, type Run, repeatable, UsageError } from "./commands.ts";
import { COMMAND_LINE } from "./operator.ts";
import type { OperatorServices } from "./operator-services.ts";
import { details, numericDate, table, time, yesNo } from "./output.ts";
import { createResourceOperations, type ResourceOperations } from "./resource-operations.ts";

interface ResourceOptions {
  name?: string;
  scope?: string[] | false;
  accessTokenTtl?: number | false;
  alg?: string;
  roles?: boolean;
  introspectedBy?: string[] | false;
}

export function addResourceCommands(resource: Command, run: Run): void {
  const create = leaf(resource, "create", "make an API known that tokens can be for");
  describedBy(create)
    .requiredOption("--audience <uri>", "what applications name as resource, and aud of its tokens")
    .action(
      run(async (services, { audience, ...options }: ResourceOptions & { audience: string }) =>
        answer(await (await operations(services)).create(COMMAND_LINE, audience, inputOf(options))),
      ),
    );

  paged(leaf(resource, "list", "list resources by audience")).action(
    run(async (services, { limit, cursor }: PageOptions) => {
      const page = await (await services.resources()).list({
        ...(limit !== undefined && { limit }),
        ...(cursor !== undefined && { cursor }),
      });
      const rows = page.resources.map((each) => [
        ["audience", each.audience] as const,
        ["name", each.name] as const,
        ["scopes", each.scopes.map(({ name }) => name).join(" ")] as const,
        ["alg", each.signingAlg] as const,
        ["token life", life(each)] as const,
      ]);
      return {
        json: { resources: page.resources.map(toJson), ...(page.next !== undefined && { next: page.next }) },
        text: table(rows, "There are no resources."),
        ...moreNote(page.next),
      };
    }),
  );

  leaf(resource, "delete <audience>", "forget an API: no further token is for it").action(
    run(async (services, audience: string) => {
      await (await operations(services)).delete(COMMAND_LINE, audience);
      return { json: { audience, deleted: true }, text: `The resource ${audience} is deleted.` };
    }),
  );

  const update = leaf(resource, "update <audience>", "change what is given, and leave the rest; lists are replaced");
  describedBy(update)
    .option("--no-scope", "take all scopes away")
    .option("--no-access-token-ttl", "go back to ACCESS_TOKEN_TTL")
    .option("--no-roles", "leave the person's roles out of its tokens")
    .option("--no-introspected-by", "let nobody but their own application introspect its tokens")
    .action(
      run(async (services, audience: string, options: ResourceOptions) => {
        const changes = inputOf(options);
        if (Object.keys(changes).length === 0) throw new UsageError("say what to change");
        return answer(await (await operations(services)).update(COMMAND_LINE, audience, changes));
      }),
    );
}

/** What is the same in `create` and `update`. */
function describedBy(command: Command): Command {
  return command
    .option("--name <name>", "what people read beside its scopes")
    .addOption(repeatable("--scope <scope>", 'a scope; with "=" and words, what people read: "things:read=Read your things"'))
    .option("--access-token-ttl <seconds>", "life of its access tokens; without it ACCESS_TOKEN_TTL", positiveInteger)
    .addOption(new Option("--alg <alg>", "what its access tokens are signed with: RS256, ES256, PS256 or EdDSA"))
    .option("--roles", "put the person's roles into its tokens")
    .addOption(repeatable("--introspected-by <client_id>", "an application that may introspect its tokens"));
}

function inputOf({ name, scope, accessTokenTtl, alg, roles, introspectedBy }: ResourceOptions): ResourceInput {
  return {
    ...(name !== undefined && { name }),
    ...(scope !== undefined && { scopes: (scope || []).flatMap(readScopes) }),
    ...(accessTokenTtl !== undefined && { accessTokenTtl: accessTokenTtl || null }),
    ...(alg !== undefined && { signingAlg: alg }),
    ...(roles !== undefined && { includeRoles: roles }),
    ...(introspectedBy !== undefined && { introspectors: introspectedBy || [] }),
  };
}

/** One scope with its description after "=", or names separated by spaces. */
function readScopes(given: string): { name: string; description: string }[] {
  const equals = given.indexOf("=");
  if (equals === -1) return splitScope(given).map((name) => ({ name, description: "" }));
  return [{ name: given.slice(0, equals).trim(), description: given.slice(equals + 1).trim() }];
}

async function operations(services: OperatorServices): Promise<ResourceOperations> {
  return createResourceOperations({ resources: await services.resources(), audit: await services.audit() });
}

/** In the names of the options, which are those of the protocol where it has any. */
function toJson(resource: Resource): Record<string, unknown> {
  return {
    audience: resource.audience,
    name: resource.name,
    scopes: resource.scopes,
    ...(resource.accessTokenTtl !== undefined && { access_token_ttl: resource.accessTokenTtl }),
    alg: resource.signingAlg,
    roles: resource.includeRoles,
    introspected_by: resource.introspectors,
    created_at: numericDate(resource.createdAt),
  };
}

function answer(resource: Resource): Answer {
  return {
    json: toJson(resource),
    text: details([
      ["audience", resource.audience],
      ["name", resource.name],
      ...resource.scopes.map(({ name, description }) => ["scope", description === "" ? name : `${name}: ${description}`] as const),
      ["alg", resource.signingAlg],
      ["token life", life(resource)],
      ["roles in tokens", yesNo(resource.includeRoles)],
      ["introspected by", resource.introspectors.join(" ")],
      ["created", time(resource.createdAt)],
    ]),
  };
}

const life = ({ accessTokenTtl }: Resource): string => (accessTokenTtl === undefined ? "ACCESS_TOKEN_TTL" : `${accessTokenTtl} s`);
