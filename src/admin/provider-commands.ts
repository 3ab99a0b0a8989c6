/** `grantor provider …` */
import { type Command, Option } from "commander";
import { type IdentityProvider, PROVIDER_KINDS } from "../federation/provider.ts";
import type { ProviderChanges } from "../federation/provider-store.ts";
import { COMMAND_LINE } from "../operations/operator.ts";
import type { ProviderOperations } from "../operations/provider-operations.ts";
import { type Answer, leaf, type Run, repeatable, UsageError } from "./commands.ts";
import type { OperatorServices } from "./operator-services.ts";
import { details, table, yesNo } from "./output.ts";
import { readInput } from "./prompt.ts";

interface ProviderOptions {
  name?: string;
  issuer?: string;
  baseUrl?: string;
  clientId?: string;
  clientSecret?: string | false;
  scope?: string[] | false;
  claim?: string[] | false;
  rolesClaim?: string;
  role?: string[] | false;
  linkByEmail?: boolean;
  signUp?: boolean;
  updateAtSignIn?: boolean;
  secondFactorAmr?: string[] | false;
  disabled?: boolean;
}

export function addProviderCommands(provider: Command, run: Run): void {
  describedBy(leaf(provider, "create <id>", "let people sign in with another provider; its callback is ISSUER/federation/ID/callback"))
    .addOption(new Option("--kind <kind>", "oidc (OpenID Connect) or github").choices(PROVIDER_KINDS).default("oidc"))
    .option("--no-sign-up", "it makes no accounts: people connect it to theirs")
    .action(
      run(async (services, id: string, { kind, ...options }: ProviderOptions & { kind: string }) => {
        const said = await changesOf(options);
        return answer(services, await (await operations(services)).create(COMMAND_LINE, { id, kind, ...said }));
      }),
    );

  leaf(provider, "list", "list providers, those of IDENTITY_PROVIDERS_FILE first").action(
    run(async (services) => {
      const providers = await (await services.identityProviders()).list();
      const rows = providers.map((each) => [
        ["id", each.id] as const,
        ["name", each.name] as const,
        ["kind", each.kind] as const,
        ["issuer", each.issuer] as const,
        ["state", each.disabled ? "disabled" : "offered"] as const,
        ["from", each.source] as const,
      ]);
      const { issuer } = services.config;
      return { json: { providers: providers.map((each) => toJson(each, issuer)) }, text: table(rows, "There are no providers.") };
    }),
  );

  leaf(provider, "show <id>", "show a provider, without its client secret").action(
    run(async (services, id: string) => answer(services, await (await services.identityProviders()).get(id))),
  );

  describedBy(leaf(provider, "update <id>", "change what is given, and leave the rest; lists are replaced"))
    .option("--no-client-secret", "it knows us as a public client")
    .option("--no-scope", "ask for the usual scopes again")
    .option("--no-claim", "take over the usual claims again")
    .option("--no-role", "leave roles alone: what it gave stays")
    .option("--no-link-by-email", "connect no accounts by their addresses")
    .addOption(new Option("--sign-up", "it makes accounts, as far as SIGN_UP lets people"))
    .option("--no-sign-up", "it makes no accounts: people connect it to theirs")
    .option("--no-update-at-sign-in", "take claims over when it makes an account, and not later")
    .option("--no-second-factor-amr", "its word is one factor")
    .option("--no-disabled", "offer it again")
    .action(
      run(async (services, id: string, options: ProviderOptions) => {
        const changes = await changesOf(options);
        if (Object.keys(changes).length === 0) throw new UsageError("say what to change");
        return answer(services, await (await operations(services)).update(COMMAND_LINE, id, changes));
      }),
    );

  leaf(provider, "delete <id>", "offer it no more; accounts stay, and so do those connected, should it come back").action(
    run(async (services, id: string) => {
      await (await operations(services)).delete(COMMAND_LINE, id);
      return { json: { id, deleted: true }, text: `The provider ${id} is deleted.` };
    }),
  );
}

/** What is the same in `create` and `update`. */
function describedBy(command: Command): Command {
  return command
    .option("--name <name>", "what people read on the button")
    .option("--issuer <uri>", "OpenID Connect: its issuer identifier, as its metadata says it")
    .option("--base-url <url>", "GitHub Enterprise Server: its address")
    .option("--client-id <id>", "the client id that it gave you")
    .option("--client-secret <secret>", "the client secret that it gave you; - reads it from standard input")
    .addOption(repeatable("--scope <scope>", "a scope to ask for, in place of the usual ones"))
    .addOption(repeatable("--claim <ours=theirs>", "where a claim comes from, beside the usual ones; nothing after = leaves it out"))
    .option("--roles-claim <claim>", "its claim that --role is about, such as groups")
    .addOption(repeatable("--role <value=role>", "give a role here to whoever has the value in its claim, and take it from who has not"))
    .option("--link-by-email", "an address that it has verified opens the account here with the same verified address")
    .option("--update-at-sign-in", "take claims over at every sign-in")
    .addOption(repeatable("--second-factor-amr <amr>", "a value of its amr that counts as a second factor here"))
    .option("--disabled", "do not offer it for now");
}

async function changesOf(options: ProviderOptions): Promise<ProviderChanges> {
  const { name, issuer, baseUrl, clientId, clientSecret, scope, claim, linkByEmail, signUp, updateAtSignIn, secondFactorAmr, disabled } =
    options;
  const roles = rolesOf(options);
  return {
    ...(name !== undefined && { name }),
    ...(issuer !== undefined && { issuer }),
    ...(baseUrl !== undefined && { base_url: baseUrl }),
    ...(clientId !== undefined && { client_id: clientId }),
    ...(clientSecret !== undefined && { client_secret: clientSecret === "-" ? await readInput() : clientSecret || null }),
    ...(scope !== undefined && { scopes: scope || null }),
    ...(claim !== undefined && {
      claims: claim ? Object.fromEntries(claim.map(pair).map(([ours, theirs]) => [ours, theirs || null])) : null,
    }),
    ...(roles !== undefined && { roles }),
    ...(linkByEmail !== undefined && { link_by_email: linkByEmail }),
    ...(signUp !== undefined && { sign_up: signUp }),
    ...(updateAtSignIn !== undefined && { update_at_sign_in: updateAtSignIn }),
    ...(secondFactorAmr !== undefined && { second_factor_amr: secondFactorAmr || null }),
    ...(disabled !== undefined && { disabled }),
  };
}

function rolesOf({ role, rolesClaim }: ProviderOptions): ProviderChanges["roles"] {
  if (role === false) return null;
  if (role === undefined && rolesClaim === undefined) return undefined;
  if (role === undefined || rolesClaim === undefined) throw new UsageError("--role and --roles-claim belong together");
  const values: Record<string, string[]> = {};
  for (const [value, name] of role.map(pair)) values[value] = [...(values[value] ?? []), name];
  return { claim: rolesClaim, values };
}

function pair(given: string): [string, string] {
  const at = given.indexOf("=");
  if (at < 1) throw new UsageError(`"${given.slice(0, 100)}" has no "=" in it.`);
  return [given.slice(0, at), given.slice(at + 1)];
}

async function operations(services: OperatorServices): Promise<ProviderOperations> {
  const { createProviderOperations } = await import("../operations/provider-operations.ts");
  return createProviderOperations({ providers: await services.identityProviders(), audit: await services.audit() });
}

const callbackOf = (issuer: string, { id }: IdentityProvider): string => `${issuer}/federation/${id}/callback`;

/** In the names of the file; the secret is never shown. */
const toJson = (provider: IdentityProvider, issuer: string): Record<string, unknown> => ({
  id: provider.id,
  kind: provider.kind,
  name: provider.name,
  [provider.kind === "oidc" ? "issuer" : "base_url"]: provider.issuer,
  redirect_uri: callbackOf(issuer, provider),
  client_id: provider.clientId,
  scopes: provider.scopes,
  claims: provider.claims,
  ...(provider.roles && { roles: provider.roles }),
  link_by_email: provider.linkByEmail,
  sign_up: provider.signUp,
  update_at_sign_in: provider.updateAtSignIn,
  second_factor_amr: provider.secondFactorAmr,
  disabled: provider.disabled,
  source: provider.source,
});

function answer({ config }: OperatorServices, provider: IdentityProvider): Answer {
  const { claims, roles } = provider;
  return {
    json: toJson(provider, config.issuer),
    text: details([
      ["id", provider.id],
      ["name", provider.name],
      ["kind", provider.kind],
      [provider.kind === "oidc" ? "issuer" : "address", provider.issuer],
      ["redirect URI", callbackOf(config.issuer, provider)],
      ["client id", provider.clientId],
      ["client secret", provider.clientSecret === undefined ? "none: a public client" : "stored"],
      ["scopes", provider.scopes.join(" ")],
      [
        "claims",
        Object.entries(claims)
          .flatMap(([ours, theirs]) => (ours === theirs ? [ours] : [`${ours}=${theirs}`]))
          .join(" "),
      ],
      ...Object.entries(roles?.values ?? {}).map(([value, names]) => ["role", `${roles?.claim} ${value}: ${names.join(" ")}`] as const),
      ["links by address", yesNo(provider.linkByEmail)],
      ["makes accounts", yesNo(provider.signUp)],
      ["updates claims", yesNo(provider.updateAtSignIn)],
      ["second factor", provider.secondFactorAmr.join(" ")],
      ["state", provider.disabled ? "disabled" : "offered"],
      ["from", provider.source],
    ]),
  };
}
