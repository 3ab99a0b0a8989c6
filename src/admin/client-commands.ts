/** `grantor client …` */
import { readFileSync } from "node:fs";
import { type Command, InvalidArgumentError, Option } from "commander";
import { CLIENT_TYPES, type ClientType, clientType } from "../clients/client-metadata.ts";
import { createClientOwners } from "../clients/client-owners.ts";
import type { ClientWithSecret } from "../clients/client-store.ts";
import { splitScope } from "../clients/scopes.ts";
import { type ClientOperations, type ClientOrder, createClientOperations } from "../operations/client-operations.ts";
import { COMMAND_LINE } from "../operations/operator.ts";
import { createOwnerOperations, type OwnerOperations } from "../operations/owner-operations.ts";
import { answer, toJson } from "./client-output.ts";
import {
  type Answer,
  leaf,
  moreNote,
  type PageOptions,
  paged,
  positiveInteger,
  type Run,
  repeatable,
  UsageError,
  wholeNumber,
} from "./commands.ts";
import { firstFound, readCursor, writeCursor } from "./list-cursor.ts";
import type { OperatorServices } from "./operator-services.ts";
import { table, time } from "./output.ts";

interface ClientOptions {
  name?: string;
  /** Addresses or ids; false: nobody. */
  owner?: string[] | false;
  type?: ClientType;
  redirectUri?: string[] | false;
  postLogoutRedirectUri?: string[] | false;
  scope?: string[];
  authMethod?: string;
  grantType?: string[];
  dpop?: boolean;
  pkce?: boolean;
  firstParty?: boolean;
  verified?: boolean;
  brandColor?: string | false;
  requireSecondFactor?: boolean;
  metadata?: Record<string, unknown>;
  exchangeTo?: string[] | false;
  exchangeScope?: string[] | false;
  exchangeImpersonation?: boolean;
  accessTokenTtl?: number | false;
  refreshTokenTtl?: number | false;
  refreshTokenMaxAge?: number | false;
}

interface ListOptions extends PageOptions {
  search?: string;
  owner?: string;
  ownerless?: true;
  suspended?: true;
}

export function addClientCommands(client: Command, run: Run): void {
  const create = leaf(client, "create", "register an application; its secret, if it has one, is shown this once");
  describedBy(create)
    .requiredOption("--name <name>", "what people read when they are asked for consent")
    .addOption(typeOption().makeOptionMandatory())
    .option("--dpop", "give it only tokens that are bound to a key of its own (RFC 9449)")
    .addOption(new Option("--verified", "show people that you know who stands behind it"))
    .option("--no-pkce", "let a confidential OpenID Connect application send a nonce instead of a PKCE challenge")
    .option("--first-party", "your own: people are not asked for consent")
    .option("--require-second-factor", "whoever signs in for it does so with two factors, or with a passkey")
    .action(
      run(async (services, options: ClientOptions) => {
        const { owner } = options;
        if (Array.isArray(owner)) for (const each of owner) await (await services.accounts()).get(each); // nothing is made for nobody
        const made = await (await operations(services)).create(COMMAND_LINE, orderOf(options));
        await setOwners(services, made.client.clientId, owner);
        return withNotes(services, made);
      }),
    );

  paged(leaf(client, "list", "list applications in the order of their registration"))
    .option("--search <text>", "only those with these words in their name or client_id; the last one may be only begun")
    .option("--owner <account>", "only those that this account looks after, by e-mail address or id")
    .option("--ownerless", "only those that a person made and nobody looks after any more")
    .option("--suspended", "only those that are suspended")
    .action(
      run(async (services, { limit, cursor, search, owner, ownerless, suspended }: ListOptions) => {
        const store = await services.clients();
        const question = {
          ...(limit !== undefined && { limit }),
          ...(search !== undefined && { search }),
          ...(owner !== undefined && { owner: (await (await services.accounts()).get(owner)).id }),
          ...(ownerless === true && { ownerless }),
          ...(suspended === true && { suspended }),
        };
        const page = await firstFound(
          (after) => store.list({ ...question, ...(after !== undefined && { after }) }),
          ({ clients }) => clients.length === 0,
          cursor === undefined ? undefined : readCursor(cursor),
        );
        const next = page.next && writeCursor(page.next);
        const rows = page.clients.map((each) => [
          ["client_id", each.clientId] as const,
          ["name", each.metadata.client_name] as const,
          ["type", clientType(each.metadata)] as const,
          ["state", each.suspendedAt === undefined ? "active" : "suspended"] as const,
          ["made by", each.createdBy] as const,
          ["registered", time(each.createdAt)] as const,
        ]);
        return {
          json: { clients: page.clients.map((each) => toJson({ client: each })), ...(next !== undefined && { next }) },
          text: table(rows, "There are no such applications."),
          ...moreNote(next),
        };
      }),
    );

  leaf(client, "show <client_id>", "show an application").action(
    run(async (services, clientId: string) => {
      const client = await (await operations(services)).get(clientId);
      const owners = await (await ownersIn(services)).of(clientId);
      const { json, text, ...rest } = answer({ client });
      return {
        ...rest,
        json: { ...(json as object), owners },
        text: `${text}${owners.map((email) => `\nlooked after by  ${email}`).join("")}`,
      };
    }),
  );

  leaf(client, "delete <client_id>", "remove an application with its consents, and end every grant and token of it").action(
    run(async (services, clientId: string) => {
      await (await operations(services)).delete(COMMAND_LINE, clientId);
      return { json: { client_id: clientId, deleted: true }, text: `The application ${clientId} is deleted.` };
    }),
  );

  leaf(client, "suspend <client_id>", "end every grant and token of an application, and let it do nothing until it is resumed").action(
    run(async (services, clientId: string) => answer({ client: await (await operations(services)).suspend(COMMAND_LINE, clientId) })),
  );

  leaf(client, "resume <client_id>", "let a suspended application ask for tokens again; those that it had stay ended").action(
    run(async (services, clientId: string) => answer({ client: await (await operations(services)).resume(COMMAND_LINE, clientId) })),
  );

  leaf(client, "rotate-secret <client_id>", "make another secret, shown this once; the old one stops working at once, or after --overlap")
    .option("--overlap <seconds>", "for how long the old secret works too, up to 30 days; 0 also ends one that still works", wholeNumber, 0)
    .action(
      run(async (services, clientId: string, { overlap }: { overlap: number }) =>
        answer(await (await operations(services)).rotateSecret(COMMAND_LINE, clientId, { overlap })),
      ),
    );

  const update = leaf(client, "update <client_id>", "change what is given, and leave the rest; lists are replaced");
  describedBy(update)
    .option("--name <name>", "what people read when they are asked for consent")
    .addOption(typeOption())
    .option("--no-redirect-uri", "take all redirect URIs away")
    .option("--no-post-logout-redirect-uri", "take all post-logout redirect URIs away")
    .option("--no-owner", "leave it to operators alone")
    .option("--verified", "show people that you know who stands behind it")
    .option("--no-verified", "show people that you do not know who stands behind it")
    .option("--dpop", "give it only tokens that are bound to a key of its own (RFC 9449)")
    .option("--no-dpop", "give it bearer tokens as well, when it sends no proof")
    .option("--pkce", "require PKCE")
    .option("--no-pkce", "let a confidential OpenID Connect application send a nonce instead of a PKCE challenge")
    .option("--first-party", "your own: people are not asked for consent")
    .option("--no-first-party", "somebody else's: people are asked for consent")
    .option("--require-second-factor", "whoever signs in for it does so with two factors, or with a passkey")
    .option("--no-require-second-factor", "a password alone will do")
    .option("--no-brand-color", "go back to BRAND_COLOR")
    .option("--no-access-token-ttl", "go back to what the resource or ACCESS_TOKEN_TTL says")
    .option("--no-refresh-token-ttl", "go back to REFRESH_TOKEN_TTL")
    .option("--no-refresh-token-max-age", "go back to REFRESH_TOKEN_MAX_AGE")
    .option("--no-exchange-to", "let it exchange nothing")
    .option("--no-exchange-scope", "let scopes stand for nothing but themselves")
    .option("--no-exchange-impersonation", "always say in the new token who acts")
    .action(
      run(async (services, clientId: string, options: ClientOptions) => {
        const order = orderOf(options);
        if (Object.keys(order).length === 0 && options.owner === undefined) throw new UsageError("say what to change");
        const orders = await operations(services);
        const updated =
          Object.keys(order).length === 0 ? { client: await orders.get(clientId) } : await orders.update(COMMAND_LINE, clientId, order);
        await setOwners(services, clientId, options.owner);
        return withNotes(services, updated);
      }),
    );
}

const typeOption = (): Option => new Option("--type <type>", "what kind of application it is: its defaults follow").choices(CLIENT_TYPES);

/** What is the same in `create` and `update`. */
function describedBy(command: Command): Command {
  return command
    .addOption(repeatable("--owner <account>", "who looks after it in the portal, by e-mail address or id; replaces all"))
    .addOption(repeatable("--redirect-uri <uri>", "where people come back to, exactly"))
    .addOption(repeatable("--post-logout-redirect-uri <uri>", "where people come back to after signing out, exactly"))
    .addOption(repeatable("--scope <scopes>", "what it may ask for, separated by spaces; without any: the OpenID scopes"))
    .option("--auth-method <method>", "client_secret_basic, client_secret_post, private_key_jwt or none")
    .addOption(repeatable("--grant-type <grant>", "authorization_code, refresh_token, client_credentials or device_code"))
    .option("--brand-color <color>", "the colour of the pages on which it asks people for something; without it BRAND_COLOR")
    .option("--access-token-ttl <seconds>", "life of its access tokens, where the resource does not say less", positiveInteger)
    .option("--refresh-token-ttl <seconds>", "how long a refresh token may lie unused; without it REFRESH_TOKEN_TTL", positiveInteger)
    .option(
      "--refresh-token-max-age <seconds>",
      "how long a sign-in can be refreshed in all; without it REFRESH_TOKEN_MAX_AGE",
      positiveInteger,
    )
    .addOption(repeatable("--exchange-to <audience>", "a resource that it may get tokens for in exchange for those of people (RFC 8693)"))
    .addOption(repeatable("--exchange-scope <from=to>", "what a scope of the exchanged token stands for at the other resource"))
    .option("--exchange-impersonation", "let it leave out, without an actor token, who acts")
    .option("--metadata <json>", "further members of RFC 7591, such as jwks_uri, as a JSON object or @FILE with one", readMetadata);
}

function orderOf(options: ClientOptions): ClientOrder {
  const { name, type, redirectUri, postLogoutRedirectUri, scope, authMethod, grantType, dpop, pkce, firstParty, verified, metadata } =
    options;
  const { brandColor, requireSecondFactor, accessTokenTtl, refreshTokenTtl, refreshTokenMaxAge } = options;
  const tokenExchange = exchangeOf(options);
  return {
    ...(type !== undefined && { type }),
    ...(metadata !== undefined && { metadata }),
    ...(name !== undefined && { name }),
    ...(redirectUri !== undefined && { redirectUris: redirectUri || [] }),
    ...(postLogoutRedirectUri !== undefined && { postLogoutRedirectUris: postLogoutRedirectUri || [] }),
    ...(scope !== undefined && { scope: scope.join(" ") }),
    ...(authMethod !== undefined && { authMethod }),
    ...(grantType !== undefined && { grantTypes: grantType }),
    ...(dpop !== undefined && { dpopBound: dpop }),
    ...(pkce !== undefined && { requirePkce: pkce }),
    ...(firstParty !== undefined && { firstParty }),
    ...(verified !== undefined && { verified }),
    ...(requireSecondFactor !== undefined && { requiresSecondFactor: requireSecondFactor }),
    ...(brandColor !== undefined && { brandColor: brandColor || null }),
    ...(tokenExchange !== undefined && { tokenExchange }),
    ...(accessTokenTtl !== undefined && { accessTokenTtl: accessTokenTtl || null }),
    ...(refreshTokenTtl !== undefined && { refreshTokenTtl: refreshTokenTtl || null }),
    ...(refreshTokenMaxAge !== undefined && { refreshTokenMaxAge: refreshTokenMaxAge || null }),
  };
}

/** @returns undefined when nothing was said about it, null when it shall exchange nothing */
function exchangeOf({ exchangeTo, exchangeScope, exchangeImpersonation }: ClientOptions): ClientOrder["tokenExchange"] {
  if (exchangeTo === false) return null;
  if (exchangeTo === undefined && exchangeScope === undefined && exchangeImpersonation === undefined) return undefined;
  return {
    ...(exchangeTo !== undefined && { audiences: [...new Set(exchangeTo)] }),
    ...(exchangeScope !== undefined && { scopes: readScopeMap(exchangeScope || []) }),
    ...(exchangeImpersonation !== undefined && { impersonation: exchangeImpersonation }),
  };
}

/** `FROM=TO`; scope names may hold "=" too, which the first one then ends. */
function readScopeMap(pairs: readonly string[]): Record<string, string[]> {
  const scopes = new Map<string, string[]>();
  for (const pair of pairs) {
    const equals = pair.indexOf("=");
    if (equals < 1) throw new UsageError(`--exchange-scope is FROM=TO, such as orders:read=stock:read, and not "${pair.slice(0, 200)}"`);
    const from = pair.slice(0, equals);
    scopes.set(from, [...(scopes.get(from) ?? []), ...splitScope(pair.slice(equals + 1))]);
  }
  return Object.fromEntries(scopes);
}

function readMetadata(given: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(given.startsWith("@") ? readFileSync(given.slice(1), "utf8") : given);
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : String(error));
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new InvalidArgumentError("It must be a JSON object.");
  return value as Record<string, unknown>;
}

const ownersIn = async (services: OperatorServices): Promise<OwnerOperations> =>
  createOwnerOperations({
    owners: createClientOwners((await services.database()).prisma),
    accounts: await services.accounts(),
    audit: await services.audit(),
  });

async function setOwners(services: OperatorServices, clientId: string, owner: ClientOptions["owner"]): Promise<void> {
  if (owner !== undefined) await (await ownersIn(services)).replace(COMMAND_LINE, clientId, owner || []);
}

async function operations(services: OperatorServices): Promise<ClientOperations> {
  return createClientOperations({
    clients: await services.clients(),
    audit: await services.audit(),
    knownScopes: async () => (await services.resources()).knownScopes(),
  });
}

async function withNotes(services: OperatorServices, made: ClientWithSecret): Promise<Answer> {
  const unknown = await (await operations(services)).scopesWithoutResource(made.client);
  const resources = new Set((await services.resources()).all().map(({ audience }) => audience));
  const nowhere = (made.client.tokenExchange?.audiences ?? []).filter((audience) => !resources.has(audience));
  const notes = [
    ...(unknown.length > 0 ? [`No resource has the scope ${unknown.join(" ")}: until one has, the application does not get it.`] : []),
    ...(nowhere.length > 0 ? [`There is no resource ${nowhere.join(" ")}: until there is, no token is exchanged for it.`] : []),
  ];
  return notes.length === 0 ? answer(made) : { ...answer(made), notes };
}
