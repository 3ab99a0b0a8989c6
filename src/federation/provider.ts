// federation/ owns signing in with another provider: which there are, how they are asked who somebody is, and whose account that opens. It
// keeps nothing of what a provider issues (codes, tokens), and owns neither sessions nor pages.

/** What an operator says of a provider, checked; the names are those of the file and of the command line. */
import { z } from "zod";
import { isStandardClaim } from "../accounts/account-claims.ts";
import { checkRoleName } from "../accounts/roles.ts";
import { isLoopback } from "../settings.ts";

export const PROVIDER_KINDS = ["oidc", "github"] as const;

/** Where people at github.com are; an enterprise has an address of its own. */
const GITHUB = "https://github.com";

/** It is part of addresses and of the paths of cookies. */
const PROVIDER_ID = /^[a-z0-9-]{1,32}$/;
export const isProviderId = (id: string): boolean => PROVIDER_ID.test(id);

const LONGEST_TEXT = 500;
const MAX_ENTRIES = 100;

/** Claims that are taken over unless the operator says otherwise, by our name for each. */
const CLAIMS: Readonly<Record<ProviderKind, Readonly<Record<string, string>>>> = {
  oidc: Object.fromEntries(
    ["email", "email_verified", "name", "given_name", "family_name", "nickname", "picture", "zoneinfo", "locale"].map((name) => [
      name,
      name,
    ]),
  ),
  // `email` and `email_verified` are those of its list of addresses.
  github: { email: "email", email_verified: "email_verified", name: "name", nickname: "login", picture: "avatar_url", profile: "html_url" },
};
const SCOPES: Readonly<Record<ProviderKind, readonly string[]>> = {
  oidc: ["openid", "profile", "email"],
  github: ["read:user", "user:email"],
};

/** What is taken over beside the standard claims of a person's record. */
const MAPPED = ["email", "email_verified", "name"];

export type ProviderKind = (typeof PROVIDER_KINDS)[number];

/** At which people can sign in. */
export interface IdentityProvider {
  /** Part of its callback's path. */
  readonly id: string;
  readonly kind: ProviderKind;
  /** What people read. */
  readonly name: string;
  /** OpenID Connect: its issuer identifier. GitHub: its address, without a path. */
  readonly issuer: string;
  readonly clientId: string;
  /** Undefined: a public client. */
  readonly clientSecret: string | undefined;
  readonly scopes: readonly string[];
  /** Our name of a claim → the provider's. `email` and `email_verified` are among them. */
  readonly claims: Readonly<Record<string, string>>;
  /** Which values of which claim give which roles here. Roles that are named here go when the provider no longer says so. */
  readonly roles: { readonly claim: string; readonly values: Readonly<Record<string, readonly string[]>> } | undefined;
  /** Whether an address that both sides have verified connects accounts. */
  readonly linkByEmail: boolean;
  /** Whether it may make accounts, as far as SIGN_UP lets people. */
  readonly signUp: boolean;
  /** Whether name and claims follow the provider at every sign-in, not at the first alone. */
  readonly updateAtSignIn: boolean;
  /** Values of the provider's `amr` that count as a second factor here; without any its word is one factor. */
  readonly secondFactorAmr: readonly string[];
  readonly disabled: boolean;
  /** Configuration wins over the database, and changes with a restart alone. */
  readonly source: "configuration" | "database";
  /** Another one for another state of it. */
  readonly version: string;
}

const webAddress = (value: string): boolean => {
  const url = URL.parse(value);
  if (url === null || url.username + url.password + url.search + url.hash !== "") return false;
  return url.protocol === "https:" || (url.protocol === "http:" && isLoopback(url.hostname));
};
const shortText = (what: string, longest = LONGEST_TEXT) =>
  z
    .string(`must be ${what}`)
    .min(1, `must be ${what}`)
    .max(longest, `must be ${what} of at most ${longest} characters`)
    .refine((value) => !/\p{Cc}/u.test(value), "must not hold control characters");
const listOf = (what: string) =>
  z.array(shortText(what), `must be a list, each ${what}`).max(MAX_ENTRIES, `must hold at most ${MAX_ENTRIES}`);
const yesOrNo = () => z.boolean("must be true or false").optional();
const isScope = (scope: string) => /^[\x21\x23-\x5b\x5d-\x7e]+$/.test(scope);

/** Everything that may be said of a provider, in the names of the file. A message never repeats a value, which may be a secret. */
export const providerInput = z
  .strictObject({
    id: z.string("must be a name").regex(PROVIDER_ID, "must be a name of up to 32 small letters, digits and dashes"),
    kind: z.enum(PROVIDER_KINDS, `must be one of ${PROVIDER_KINDS.join(", ")}`),
    name: shortText("what people read", 60),
    issuer: z.string("must be an address").refine(webAddress, "must be the provider's issuer identifier, an https address").optional(),
    base_url: z
      .string("must be an address")
      .refine((value) => webAddress(value) && new URL(value).origin === value, "must be an https address without a path")
      .optional(),
    client_id: shortText("the client id that the provider gave you"),
    client_secret: shortText("the client secret that the provider gave you").optional(),
    scopes: listOf("a scope")
      .refine((scopes) => scopes.every(isScope), "must be scope names")
      .optional(),
    claims: z
      .record(z.string(), shortText("the provider's name of a claim").nullable(), 'must be { "our claim": "the provider\'s claim" }')
      .refine((claims) => Object.keys(claims).every(isMappedClaim), "must name claims that a person's record holds")
      .optional(),
    roles: z
      .strictObject(
        {
          claim: shortText("the name of a claim"),
          values: z.record(
            z.string(),
            listOf("a role").refine((names) => names.every((name) => checkRoleName(name).length === 0), "must be names of roles"),
            'must be { "a value of the claim": ["a role"] }',
          ),
        },
        'must be { "claim": "groups", "values": { "staff": ["employee"] } }',
      )
      .optional(),
    link_by_email: yesOrNo(),
    sign_up: yesOrNo(),
    update_at_sign_in: yesOrNo(),
    second_factor_amr: listOf("a value of amr").optional(),
    disabled: yesOrNo(),
  })
  .superRefine(({ kind, issuer, base_url, client_secret, scopes }, ctx) => {
    const fault = (member: string, message: string) => ctx.addIssue({ code: "custom", path: [member], message });
    if (kind === "oidc") {
      if (issuer === undefined) fault("issuer", "must be the provider's issuer identifier, as its metadata says it");
      if (base_url !== undefined) fault("base_url", "is for GitHub");
      if (scopes !== undefined && !scopes.includes("openid")) fault("scopes", "must hold openid");
    } else {
      if (issuer !== undefined) fault("issuer", "is for OpenID Connect: an enterprise's GitHub has a base_url");
      if (client_secret === undefined) fault("client_secret", "must be the client secret that GitHub gave you");
    }
  });
export type ProviderInput = z.infer<typeof providerInput>;

/** One sentence for each fault, beginning with where it is. */
export const faultsOf = (error: z.ZodError, at = ""): string[] =>
  error.issues.map(({ path, message }) => {
    const where = [...(at === "" ? [] : [at]), ...path.map(String)].join(".");
    return where === "" ? message : `${where}: ${message}`;
  });

/** @param input checked */
export function providerOf(input: ProviderInput, source: IdentityProvider["source"], version: string): IdentityProvider {
  const { kind } = input;
  return Object.freeze({
    id: input.id,
    kind,
    name: input.name,
    issuer: (kind === "oidc" ? input.issuer : input.base_url) ?? GITHUB,
    clientId: input.client_id,
    clientSecret: input.client_secret,
    scopes: input.scopes ?? SCOPES[kind],
    claims: Object.fromEntries(
      Object.entries({ ...CLAIMS[kind], ...input.claims }).filter((entry): entry is [string, string] => entry[1] !== null),
    ),
    roles: input.roles,
    linkByEmail: input.link_by_email ?? false,
    signUp: input.sign_up ?? true,
    updateAtSignIn: input.update_at_sign_in ?? false,
    secondFactorAmr: input.second_factor_amr ?? [],
    disabled: input.disabled ?? false,
    source,
    version,
  });
}

/** GitHub's issuer identifier (RFC 9207), below its address. */
export const gitHubIssuer = ({ issuer }: Pick<IdentityProvider, "issuer">): string => `${issuer}/login/oauth`;

/** Whether it is a provider's word that a linked account stands on. Some issuers end in a slash that their metadata does not have. */
export function vouches(provider: Pick<IdentityProvider, "kind" | "issuer">, issuer: string): boolean {
  return provider.kind === "github" ? issuer === gitHubIssuer(provider) : new URL(issuer).href === new URL(provider.issuer).href;
}

const isMappedClaim = (name: string): boolean => MAPPED.includes(name) || isStandardClaim(name);
