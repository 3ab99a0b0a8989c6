/**
 * What an application may say about itself: the members of RFC 7591 §2 and OpenID Connect Registration §2 that we understand, and the rules
 * between them. Whatever is not listed is dropped, as RFC 7591 §2 asks. What only an operator may say (`require_pkce`, `first_party`,
 * `verified`, management scopes) has no place here.
 */
import { z } from "zod";
import { isStorable } from "../storage/storable.ts";
import { type Fault, refuseFaults } from "./client-error.ts";
import { holdsPrivateKey, jwksFault } from "./client-jwks.ts";
import { redirectUriFault, URI_FAULTS, webUriFault } from "./client-uris.ts";
import { isOpenIdScope, isScopeToken, joinScope, splitScope } from "./scopes.ts";

export const DEVICE_CODE_GRANT = "urn:ietf:params:oauth:grant-type:device_code";
const GRANT_TYPES = ["authorization_code", "refresh_token", "client_credentials", DEVICE_CODE_GRANT] as const;
const AUTH_METHODS = ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"] as const;
/** Algorithms with which a client may sign its own assertions, and which it may ask for in ID tokens and answers of introspection. All asymmetric: we hold no secret to check an HMAC with. */
const CLIENT_SIGNING_ALGS = ["RS256", "PS256", "ES256", "EdDSA"] as const;

/** Longest text that a consent page can show. */
const LONGEST_NAME = 100;
const MOST_URIS = 50;
/** Seconds. */
const LONGEST_LIFETIME = 315_360_000;
/** What nobody sees, and what turns the direction of a text: a name is shown to a person who decides by it. */
const DECEPTIVE = /[\p{Cc}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800\uFFF9-\uFFFB]/u;
/** Where invisible characters belong to what is seen: within an emoji, and between the letters of a Persian word. */
const SEEN = /\p{RGI_Emoji}|(?<=\p{Script=Arabic})\u200C(?=\p{Script=Arabic})/gv;
/** Marks that belong to no letter, or so many on one that they cover the lines around it; no language needs more. */
const OVERFLOWING = /^\s*\p{Mn}|\p{Mn}{5}/u;
const isReadable = (name: string): boolean =>
  name.trim() !== "" && !DECEPTIVE.test(name.replace(SEEN, "")) && !OVERFLOWING.test(name.normalize("NFD"));

const choice = <const T extends readonly string[]>(values: T) => z.enum(values, `must be one of ${values.join(", ")}`);
const list = <T extends z.ZodType>(item: T) =>
  z
    .array(item, "must be a list")
    .max(MOST_URIS, `must not hold more than ${MOST_URIS} entries`)
    .transform((items) => [...new Set(items)]);
const text = (longest: number) => z.string("must be text").max(longest, `must not be longer than ${longest} characters`);
const flag = z.boolean("must be true or false");
/** Seconds that its tokens live at most, where the server would let them live for longer: a member of ours. */
const lifetime = z
  .int("must be a whole number of seconds")
  .min(60, "must be 60 seconds or more")
  .max(LONGEST_LIFETIME, "must not be longer than ten years");
const webUri = z.string("must be text").superRefine((value, ctx) => {
  const reason = webUriFault(value);
  if (reason !== undefined) ctx.addIssue({ code: "custom", message: URI_FAULTS[reason], params: { reason } });
});
const email = z.email("must be an e-mail address");

const members = {
  application_type: choice(["web", "native"]),
  client_name: text(LONGEST_NAME).refine(isReadable, "must be readable text"),
  client_uri: webUri,
  logo_uri: webUri,
  policy_uri: webUri,
  tos_uri: webUri,
  contacts: list(email),
  redirect_uris: list(z.string("must be text")),
  post_logout_redirect_uris: list(z.string("must be text")),
  grant_types: list(choice(GRANT_TYPES)),
  response_types: list(choice(["code"])),
  token_endpoint_auth_method: choice(AUTH_METHODS),
  token_endpoint_auth_signing_alg: choice(CLIENT_SIGNING_ALGS),
  id_token_signed_response_alg: choice(CLIENT_SIGNING_ALGS),
  introspection_signed_response_alg: choice(CLIENT_SIGNING_ALGS), // RFC 9701 §6
  jwks: z.record(z.string(), z.unknown(), "must be a JSON Web Key Set").superRefine((value, ctx) => {
    const message = jwksFault(value);
    const reason = holdsPrivateKey(value) ? "private_key" : undefined;
    if (message !== undefined) ctx.addIssue({ code: "custom", message, params: { reason } });
  }),
  jwks_uri: webUri,
  scope: text(4000).refine((scope) => splitScope(scope).every(isScopeToken), "must be scope names, separated by spaces"),
  subject_type: choice(["public"]),
  sector_identifier_uri: webUri.refine((uri) => uri.startsWith("https:"), "must use https"),
  default_max_age: z.int("must be a whole number of seconds").min(0, "must not be negative"),
  require_auth_time: flag,
  require_pushed_authorization_requests: flag,
  dpop_bound_access_tokens: flag, // RFC 9449 §5.2
  initiate_login_uri: webUri.refine((uri) => uri.startsWith("https:"), "must use https"),
  backchannel_logout_uri: webUri,
  backchannel_logout_session_required: flag,
  access_token_max_ttl: lifetime,
  refresh_token_max_ttl: lifetime,
  software_id: text(200),
  software_version: text(200),
};

/** What each member may be, before the rules between them. */
export const METADATA_SCHEMAS = members;

type Members = { [K in keyof typeof members]?: z.output<(typeof members)[K]> };

/** Registered metadata, in RFC 7591's own names. `scope` holds static and resource scopes alike; absent, it means the OpenID ones. */
export type ClientMetadata = Members &
  Required<Pick<Members, "application_type" | "grant_types" | "redirect_uris" | "response_types" | "token_endpoint_auth_method">>;

export const METADATA_MEMBERS = Object.keys(members) as readonly (keyof typeof members)[];

export interface MetadataRules {
  /** When given: the only scopes that may be registered. */
  readonly knownScopes?: ReadonlySet<string>;
  /**
   * The application registers itself and nobody vouches for it. It then gets no resource scopes for use without a person
   * (`client_credentials`), where no consent would stand between a stranger and the resource.
   */
  readonly stranger?: boolean;
}

export const STRANGERS_SCOPES = "holds scopes of a resource, which only an operator gives to a client with the client_credentials grant";

/**
 * @param input RFC 7591 members; `null` and the empty string count as absent (RFC 7592 §2.2)
 * @throws {ClientError} `invalid_redirect_uri` or `invalid_client_metadata`, naming every fault
 */
export function parseClientMetadata(input: Readonly<Record<string, unknown>>, rules: MetadataRules = {}): ClientMetadata {
  const faults: Fault[] = [];
  const given: Record<string, unknown> = {};
  for (const name of METADATA_MEMBERS) {
    const value = Object.hasOwn(input, name) ? input[name] : undefined;
    if (value === undefined || value === null || value === "") continue;
    const parsed = members[name].safeParse(value);
    if (!isStorable(value)) faults.push({ member: name, message: "holds characters that are no text, or is nested too deeply" });
    else if (parsed.success) given[name] = parsed.data;
    else
      for (const issue of parsed.error.issues)
        faults.push({
          member: name + issue.path.map((part) => `[${String(part)}]`).join(""),
          message: issue.message,
          ...(issue.code === "custom" && typeof issue.params?.reason === "string" && { reason: issue.params.reason }),
        });
  }
  const metadata = withDefaults(given as Members);
  refuseFaults([...faults, ...faultsBetween(metadata, new Set(faults.map(({ member }) => member.replace(/\[.*/, ""))), rules)]);
  return metadata;
}

/** RFC 7591 §2; where response types are not given they follow from the grant types. */
function withDefaults(given: Members): ClientMetadata {
  const grant_types = given.grant_types ?? ["authorization_code"];
  return {
    ...given,
    application_type: given.application_type ?? "web",
    token_endpoint_auth_method: given.token_endpoint_auth_method ?? "client_secret_basic",
    grant_types,
    response_types: given.response_types ?? (grant_types.includes("authorization_code") ? ["code"] : []),
    redirect_uris: given.redirect_uris ?? [],
    ...(given.scope !== undefined && { scope: joinScope(splitScope(given.scope)) }),
  };
}

/** @param broken members that have a fault of their own: nothing further is said about them */
function faultsBetween(client: ClientMetadata, broken: ReadonlySet<string>, rules: MetadataRules): Fault[] {
  const faults: Fault[] = [];
  const check = (wrong: boolean, member: string, message: string): void => {
    if (wrong && !broken.has(member)) faults.push({ member, message });
  };
  const grants = (grant: (typeof GRANT_TYPES)[number]) => client.grant_types.includes(grant);
  const method = client.token_endpoint_auth_method;

  for (const member of ["redirect_uris", "post_logout_redirect_uris"] as const) {
    for (const [index, uri] of (client[member] ?? []).entries()) {
      const reason = redirectUriFault(uri, client.application_type);
      if (reason !== undefined && !broken.has(member)) faults.push({ member: `${member}[${index}]`, message: URI_FAULTS[reason], reason });
    }
  }
  const usesCode = client.response_types.includes("code");
  check(usesCode && client.redirect_uris.length === 0, "redirect_uris", "must hold at least one URI for the authorization code grant");
  check(client.grant_types.length === 0, "grant_types", "must hold at least one grant type");
  check(usesCode !== grants("authorization_code"), "response_types", "must hold code exactly when grant_types holds authorization_code");
  check(
    grants("refresh_token") && !grants("authorization_code") && !grants(DEVICE_CODE_GRANT),
    "grant_types",
    `holds refresh_token, which needs authorization_code or ${DEVICE_CODE_GRANT} beside it`,
  );
  // RFC 6749 §4.4: the client credentials grant MUST only be used by confidential clients.
  check(
    grants("client_credentials") && method === "none",
    "token_endpoint_auth_method",
    "must not be none for the client_credentials grant",
  );
  check(
    method === "private_key_jwt" && client.jwks === undefined && client.jwks_uri === undefined,
    "jwks",
    "or jwks_uri is needed for private_key_jwt",
  );
  check(client.jwks !== undefined && client.jwks_uri !== undefined, "jwks_uri", "must not be given beside jwks"); // RFC 7591 §2
  check(
    client.token_endpoint_auth_signing_alg !== undefined && method !== "private_key_jwt",
    "token_endpoint_auth_signing_alg",
    "is for private_key_jwt alone",
  );
  const scopes = splitScope(client.scope);
  const unknown = rules.knownScopes === undefined ? [] : scopes.filter((scope) => !rules.knownScopes?.has(scope));
  check(unknown.length > 0, "scope", `names what does not exist here: ${unknown.join(" ")}`);
  check(rules.stranger === true && grants("client_credentials") && !scopes.every(isOpenIdScope), "scope", STRANGERS_SCOPES);
  return faults;
}

/** What people call the kinds of applications. */
export const CLIENT_TYPES = ["web", "spa", "native", "service", "device"] as const;
export type ClientType = (typeof CLIENT_TYPES)[number];

/** Members that a type implies; what is given beside it wins. */
export const TYPE_DEFAULTS: Readonly<Record<ClientType, Readonly<Record<string, unknown>>>> = {
  web: { application_type: "web", token_endpoint_auth_method: "client_secret_basic", grant_types: ["authorization_code", "refresh_token"] },
  spa: { application_type: "web", token_endpoint_auth_method: "none", grant_types: ["authorization_code", "refresh_token"] },
  native: { application_type: "native", token_endpoint_auth_method: "none", grant_types: ["authorization_code", "refresh_token"] },
  service: { application_type: "web", token_endpoint_auth_method: "client_secret_basic", grant_types: ["client_credentials"] },
  device: { application_type: "native", token_endpoint_auth_method: "none", grant_types: [DEVICE_CODE_GRANT, "refresh_token"] },
};

/** The type that fits metadata best, for showing. */
export function clientType({ application_type, grant_types, token_endpoint_auth_method }: ClientMetadata): ClientType {
  if (!grant_types.includes("authorization_code")) return grant_types.includes(DEVICE_CODE_GRANT) ? "device" : "service";
  if (application_type === "native") return "native";
  return token_endpoint_auth_method === "none" ? "spa" : "web";
}

export const needsSecret = ({ token_endpoint_auth_method: method }: Pick<ClientMetadata, "token_endpoint_auth_method">): boolean =>
  method === "client_secret_basic" || method === "client_secret_post";
