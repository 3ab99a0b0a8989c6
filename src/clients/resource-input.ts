/** What an operator says of a resource: what may be said, and in which words it is refused. */
import { z } from "zod";
import { ClientError, describeFaults, type Fault } from "./client-error.ts";
import { managementAudience, RESOURCE_ALGS } from "./resource.ts";
import type { EncryptionInput } from "./resource-encryption.ts";
import { isManagementScope, isOpenIdScope, isScopeToken } from "./scopes.ts";

/** Seconds: a month. An access token that lives longer is a refresh token without rotation. */
const LONGEST_TOKEN_TTL = 2_592_000;
const LONGEST_AUDIENCE = 500;

export interface ResourceInput {
  name?: string;
  /** A name alone stands for one without a description. */
  scopes?: readonly (string | { name: string; description?: string })[];
  /** `null`: ACCESS_TOKEN_TTL. */
  accessTokenTtl?: number | null;
  signingAlg?: string;
  /** `null`: they are only signed. */
  encryption?: EncryptionInput | null;
  scopesByRole?: boolean;
  includeRoles?: boolean;
  introspectors?: readonly string[];
}

/** What was given, checked. */
export interface ResourceColumns {
  name?: string;
  scopes?: { name: string; description: string }[];
  accessTokenTtl?: number | null;
  signingAlg?: string;
  encryption?: EncryptionInput | null;
  scopesByRole?: boolean;
  includeRoles?: boolean;
  introspectors?: string[];
}

const scopeInput = z
  .union([
    z.string().transform((name) => ({ name, description: "" })),
    z.object({ name: z.string(), description: z.string().max(500).default("") }),
  ])
  .refine(({ name }) => isScopeToken(name), "must be a scope name without spaces or quotes")
  .refine(({ name }) => !isOpenIdScope(name), "must not be a scope of the issuer itself")
  .refine(({ name }) => !isManagementScope(name), "must not hold a name that is kept for the management API");
const members = {
  name: z.string().max(100, "must not be longer than 100 characters"),
  scopes: z.array(scopeInput).max(200, "must not hold more than 200 scopes"),
  accessTokenTtl: z
    .int()
    .min(1, "must be a whole number of seconds above 0")
    .max(LONGEST_TOKEN_TTL, `must be at most ${LONGEST_TOKEN_TTL} seconds`)
    .nullable(),
  signingAlg: z.enum(RESOURCE_ALGS, `must be one of ${RESOURCE_ALGS.join(", ")}`),
  scopesByRole: z.boolean(),
  includeRoles: z.boolean(),
  introspectors: z.array(z.string()).transform((ids) => [...new Set(ids)]),
  // What it says depends on the key: resource-encryption.ts
  encryption: z.object({ alg: z.string().optional(), enc: z.string().optional(), jwk: z.unknown().optional() }).nullable(),
};

/** What operators know them by, where it is another name. */
const SHOWN: Readonly<Record<string, string>> = {
  accessTokenTtl: "access_token_ttl",
  signingAlg: "alg",
  scopesByRole: "scopes_by_role",
  includeRoles: "roles",
  introspectors: "introspected_by",
};

/** RFC 8707 §2: an absolute URI without a fragment. */
export function audienceFault(audience: string, issuer?: string): string | undefined {
  if (audience.length > LONGEST_AUDIENCE) return `must not be longer than ${LONGEST_AUDIENCE} characters`;
  if (!/^[\x21-\x7E]+$/.test(audience) || !URL.canParse(audience)) return "must be an absolute URI, such as https://api.example.com";
  if (audience.includes("#")) return "must not have a fragment";
  if (issuer !== undefined && isOwn(new URL(audience), issuer)) return "is a resource of the issuer itself";
  return undefined;
}

/** The issuer itself, and its management API with all that is below: in whatever spelling a reader could take for the same URL. */
function isOwn({ origin, pathname, search }: URL, issuer: string): boolean {
  if (withoutRootDot(origin) !== withoutRootDot(new URL(issuer).origin)) return false;
  const { pathname: api } = new URL(managementAudience(issuer));
  const path = usualPath(pathname);
  return (path === "/" && search === "") || path === api || path.startsWith(`${api}/`);
}

/** `id.example.` is the same host (RFC 1034 §3.1). */
const withoutRootDot = (origin: string): string => origin.replace(/\.(?=$|:\d+$)/, "");

/** Percent-encoding undone (RFC 3986 §6.2.2.2), without dot segments, empty ones and capitals. */
function usualPath(pathname: string): string {
  const decoded = pathname.replace(/%([2-7][0-9a-f])/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  const segments: string[] = [];
  for (const segment of decoded.toLowerCase().split(/[/\\]/))
    if (segment === "..") segments.pop();
    else if (segment !== "" && segment !== ".") segments.push(segment);
  return `/${segments.join("/")}`;
}

/** @throws {ClientError} `invalid_resource` naming every fault */
export function parseResource(input: ResourceInput, faults: Fault[] = []): ResourceColumns {
  const given: Record<string, unknown> = {};
  const found = [...faults];
  for (const [member, schema] of Object.entries(members)) {
    const value = input[member as keyof ResourceInput];
    if (value === undefined) continue;
    const parsed = schema.safeParse(value);
    if (parsed.success) given[member] = parsed.data;
    else
      for (const { path, message } of parsed.error.issues)
        found.push({ member: (SHOWN[member] ?? member) + path.map((part) => `[${String(part)}]`).join(""), message });
  }
  const { scopes } = given as ResourceColumns;
  if (scopes !== undefined && new Set(scopes.map(({ name }) => name)).size < scopes.length)
    found.push({ member: "scopes", message: "must name each scope once" });
  if (found.length > 0) throw new ClientError("invalid_resource", describeFaults(found), { faults: found });
  return given;
}
