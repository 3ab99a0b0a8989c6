/** `grantor resource …` */
import { readFileSync } from "node:fs";
import { type Command, InvalidArgumentError, Option } from "commander";
import { RESOURCE_ALGS, type Resource } from "../clients/resource.ts";
import type { ResourceInput } from "../clients/resource-input.ts";
import type { ResourceWithSecret } from "../clients/resource-store.ts";
import { splitScope } from "../clients/scopes.ts";
import { COMMAND_LINE } from "../operations/operator.ts";
import { createResourceOperations, type ResourceOperations } from "../operations/resource-operations.ts";
import { type Answer, leaf, moreNote, type PageOptions, paged, positiveInteger, type Run, repeatable, UsageError } from "./commands.ts";
import type { OperatorServices } from "./operator-services.ts";
import { details, numericDate, table, time, yesNo } from "./output.ts";

interface ResourceOptions {
  name?: string;
  scope?: string[] | false;
  accessTokenTtl?: number | false;
  alg?: (typeof RESOURCE_ALGS)[number];
  encryption?: boolean;
  encryptionKey?: unknown;
  encryptionAlg?: string;
  encryptionEnc?: string;
  scopesByRole?: boolean;
  roles?: boolean;
  introspectedBy?: string[] | false;
}

export function addResourceCommands(resource: Command, run: Run): void {
  const create = leaf(
    resource,
    "create",
    "make an API known that tokens can be for; the secret that signs them, if one does, is shown this once",
  );
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

  leaf(resource, "show <audience>", "show an API, its scopes and what its tokens are like").action(
    run(async (services, audience: string) => answer(await (await operations(services)).get(audience))),
  );

  leaf(resource, "delete <audience>", "forget an API: no further token is for it").action(
    run(async (services, audience: string) => {
      await (await operations(services)).delete(COMMAND_LINE, audience);
      return { json: { audience, deleted: true }, text: `The resource ${audience} is deleted.` };
    }),
  );

  leaf(
    resource,
    "rotate-secret <audience>",
    "make another secret for tokens signed with HS256, shown this once; tokens under the old one are none any more",
  ).action(run(async (services, audience: string) => answer(await (await operations(services)).rotateSecret(COMMAND_LINE, audience))));

  const update = leaf(resource, "update <audience>", "change what is given, and leave the rest; lists are replaced");
  describedBy(update)
    .option("--no-scope", "take all scopes away")
    .option("--no-access-token-ttl", "go back to ACCESS_TOKEN_TTL")
    .option("--no-encryption", "sign its tokens, and no longer encrypt them")
    .option("--no-scopes-by-role", "people get its scopes whatever their roles are")
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
    .addOption(new Option("--alg <alg>", "what its access tokens are signed with; HS256 is with a secret").choices(RESOURCE_ALGS))
    .option("--encryption-key <file>", "encrypt its access tokens to this public key of its own, a JSON Web Key", readJwk)
    .option("--encryption-alg <alg>", "RSA-OAEP-256, ECDH-ES, ECDH-ES+A128KW or ECDH-ES+A256KW; without it what fits the key")
    .option("--encryption-enc <enc>", "A256GCM, A128GCM, A128CBC-HS256 or A256CBC-HS512; without it A256GCM")
    .option("--scopes-by-role", "a person gets only those of its scopes that a role of theirs permits")
    .option("--roles", "put the person's roles into its tokens")
    .addOption(repeatable("--introspected-by <client_id>", "an application that may introspect its tokens"));
}

function inputOf(options: ResourceOptions): ResourceInput {
  const { name, scope, accessTokenTtl, alg, scopesByRole, roles, introspectedBy } = options;
  const encryption = encryptionOf(options);
  return {
    ...(name !== undefined && { name }),
    ...(scope !== undefined && { scopes: (scope || []).flatMap(readScopes) }),
    ...(accessTokenTtl !== undefined && { accessTokenTtl: accessTokenTtl || null }),
    ...(alg !== undefined && { signingAlg: alg }),
    ...(encryption !== undefined && { encryption }),
    ...(scopesByRole !== undefined && { scopesByRole }),
    ...(roles !== undefined && { includeRoles: roles }),
    ...(introspectedBy !== undefined && { introspectors: introspectedBy || [] }),
  };
}

function encryptionOf({
  encryption,
  encryptionKey: jwk,
  encryptionAlg: alg,
  encryptionEnc: enc,
}: ResourceOptions): ResourceInput["encryption"] {
  const given = { ...(jwk !== undefined && { jwk }), ...(alg !== undefined && { alg }), ...(enc !== undefined && { enc }) };
  if (encryption !== false) return Object.keys(given).length === 0 ? undefined : given;
  if (Object.keys(given).length > 0) throw new UsageError("--no-encryption stands alone");
  return null;
}

function readJwk(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    // What a parser says quotes the text, which should be public and may not be.
    throw new InvalidArgumentError(error instanceof SyntaxError ? "It is no JSON." : String((error as Error).message));
  }
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
  const { encryption } = resource;
  return {
    audience: resource.audience,
    name: resource.name,
    scopes: resource.scopes,
    ...(resource.accessTokenTtl !== undefined && { access_token_ttl: resource.accessTokenTtl }),
    alg: resource.signingAlg,
    ...(encryption && { encryption_alg: encryption.alg, encryption_enc: encryption.enc, encryption_key: encryption.jwk }),
    scopes_by_role: resource.scopesByRole,
    roles: resource.includeRoles,
    introspected_by: resource.introspectors,
    created_at: numericDate(resource.createdAt),
  };
}

function answer({ secret, ...resource }: ResourceWithSecret): Answer {
  const { encryption } = resource;
  return {
    json: { ...toJson(resource), ...(secret !== undefined && { secret }) },
    text: details([
      ["audience", resource.audience],
      ["name", resource.name],
      ...resource.scopes.map(({ name, description }) => ["scope", description === "" ? name : `${name}: ${description}`] as const),
      ["alg", resource.signingAlg],
      ...(secret === undefined ? [] : [["secret", `${secret}   (shown this once)`] as const]),
      ...(encryption ? [["encrypted", `${encryption.alg}, ${encryption.enc}, key ${encryption.jwk.kid}`] as const] : []),
      ["token life", life(resource)],
      ["scopes by role", yesNo(resource.scopesByRole)],
      ["roles in tokens", yesNo(resource.includeRoles)],
      ["introspected by", resource.introspectors.join(" ")],
      ["created", time(resource.createdAt)],
    ]),
  };
}

const life = ({ accessTokenTtl }: Resource): string => (accessTokenTtl === undefined ? "ACCESS_TOKEN_TTL" : `${accessTokenTtl} s`);
