/** What a request says, checked against the schemas of its endpoint; every fault is named at once. */
import parse from "co-body";
import type { Context } from "koa";
import { z } from "zod";
import type { Endpoint, Shape } from "./endpoint.ts";
import { type FieldError, Problem } from "./problems.ts";

/** What a page of a list holds, when nothing is said; and at most. */
const PAGE = 50;
const LARGEST_PAGE = 200;
const BODY_LIMIT = "256kb";
/** Far deeper than any body has to be. */
const DEEPEST = 32;

/** What comes with every list, beside its filters. */
export const PAGING = {
  limit: z.coerce
    .number()
    .int()
    .min(1)
    .max(LARGEST_PAGE)
    .default(PAGE)
    .describe("How many items a page holds, at most.")
    .meta({ override: { type: "integer", minimum: 1, maximum: LARGEST_PAGE } }),
  cursor: z.string().optional().describe("`next` of the page before; without it the list begins."),
};

export interface EndpointSchemas {
  readonly params: z.ZodType<Record<string, unknown>>;
  readonly query: z.ZodType<Record<string, unknown>>;
  readonly body: z.ZodType | undefined;
}

/** Made once for each endpoint. */
export function schemasOf(endpoint: Endpoint): EndpointSchemas {
  const { params = {}, query = {} } = endpoint as { params?: Shape; query?: Shape };
  return {
    params: z.object(params),
    query: z.strictObject({ ...query, ...(endpoint.kind === "listing" && PAGING) }),
    body: endpoint.kind === "operation" ? endpoint.body : undefined,
  };
}

/** @throws {Problem} `not-found`: nothing has such an id */
export function readParams(schema: EndpointSchemas["params"], raw: Readonly<Record<string, string>>): Record<string, unknown> {
  const parsed = schema.safeParse(raw);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: no id holds one, and PostgreSQL stores no NUL
  if (!parsed.success || Object.values(raw).some((value) => /[\x00-\x1f\x7f]/.test(value) || !value.isWellFormed()))
    throw new Problem("not-found", "Nothing has such an id.");
  return parsed.data;
}

/** @throws {Problem} `invalid-input` naming every parameter that is wrong, unknown or given twice */
export function readQuery(schema: EndpointSchemas["query"], search: string): Record<string, unknown> {
  const raw: Record<string, string> = {};
  const twice: FieldError[] = [];
  for (const [name, value] of new URLSearchParams(search)) {
    if (Object.hasOwn(raw, name)) twice.push({ field: `query/${name}`, message: "must be given once" });
    Object.defineProperty(raw, name, { value, enumerable: true, configurable: true, writable: true });
    if (value.includes("\0")) twice.push({ field: `query/${name}`, message: "must not hold the character U+0000" });
  }
  const parsed = schema.safeParse(raw, { error: missing });
  const errors = [...twice, ...(parsed.success ? [] : faultsOf(parsed.error, (path) => `query/${path.join("/")}`))];
  if (!parsed.success || errors.length > 0) throw invalid("A parameter in the query is not as it must be.", errors);
  return parsed.data;
}

/** @throws {Problem} `invalid-input` naming every member that is wrong or unknown, `malformed-request`, `content-too-large`, `unsupported-media-type` */
export async function readBody(ctx: Context, schema: z.ZodType | undefined): Promise<{ body: unknown; text: string }> {
  const text = await readText(ctx, schema !== undefined);
  if (schema === undefined) {
    if (text.trim() === "" || text.trim() === "{}") return { body: undefined, text: "" };
    throw invalid("This takes no body.", [{ field: "", message: "must be empty" }]);
  }
  const parsed = schema.safeParse(text.trim() === "" && schema.safeParse({}).success ? {} : json(text), { error: missing });
  if (!parsed.success) throw invalid("The body is not as it must be.", faultsOf(parsed.error, pointer));
  return { body: parsed.data, text };
}

async function readText(ctx: Context, takesBody: boolean): Promise<string> {
  const { headers } = ctx.req;
  if (headers["transfer-encoding"] === undefined && Number(headers["content-length"] ?? 0) === 0) return "";
  const coding = ctx.get("Content-Encoding");
  if (takesBody) requireJson(ctx.get("Content-Type"), ctx.method === "PATCH");
  if (coding !== "" && coding.toLowerCase() !== "identity")
    throw new Problem("unsupported-media-type", "Send the body without a content coding.", { headers: { "Accept-Encoding": "identity" } });
  try {
    return await parse.text(ctx.req, { limit: BODY_LIMIT, encoding: "utf8" });
  } catch (cause) {
    if ((cause as { status?: number }).status === 413)
      // What is left of the body stays unread.
      throw new Problem("content-too-large", "A body has at most 256 KiB.", { headers: { Connection: "close" } });
    throw new Problem("malformed-request", "The body did not arrive in whole.", { cause });
  }
}

function requireJson(contentType: string, merges: boolean): void {
  const [type = "", ...parameters] = contentType.split(";").map((part) => part.trim().toLowerCase());
  const charset = parameters.find((parameter) => parameter.startsWith("charset="))?.slice("charset=".length);
  const known = type === "application/json" || (merges && type === "application/merge-patch+json");
  if (known && (charset === undefined || /^"?utf-?8"?$/.test(charset))) return;
  throw new Problem("unsupported-media-type", "Send the body as application/json, in UTF-8.", {
    headers: { Accept: merges ? "application/json, application/merge-patch+json" : "application/json" },
  });
}

function json(text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Problem("malformed-request", "The body is no valid JSON.");
  }
  const errors: FieldError[] = [];
  checkText(value, [], errors);
  if (errors.length > 0) throw invalid("The body holds what cannot be stored.", errors);
  return value;
}

/** PostgreSQL stores no U+0000 and no half of a surrogate pair; and nothing of ours is that deep. */
function checkText(value: unknown, path: readonly (string | number)[], errors: FieldError[]): void {
  const check = (text: string) => {
    if (text.includes("\0") || !text.isWellFormed())
      errors.push({ field: pointer(path), message: "must not hold the character U+0000 or half of a surrogate pair" });
  };
  if (typeof value === "string") check(value);
  if (typeof value !== "object" || value === null) return;
  if (path.length >= DEEPEST) throw new Problem("malformed-request", "The body is nested too deeply.");
  for (const [name, member] of Object.entries(value)) {
    check(name);
    checkText(member, [...path, name], errors);
  }
}

const invalid = (detail: string, errors: readonly FieldError[]): Problem => new Problem("invalid-input", detail, { errors });

/** RFC 6901. */
const pointer = (path: readonly PropertyKey[]): string =>
  path.map((part) => `/${String(part).slice(0, 100).replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");

/** Where nothing stands, the kinds of things that could are of no use; other faults keep their own words. */
const missing = ({ input }: { readonly input?: unknown }): string | undefined => (input === undefined ? "is missing" : undefined);

/** Unknown members are named one by one, where they stand. */
function faultsOf(error: z.ZodError, name: (path: readonly PropertyKey[]) => string): FieldError[] {
  return error.issues.flatMap((issue) =>
    issue.code === "unrecognized_keys"
      ? issue.keys.map((key) => ({ field: name([...issue.path, key]), message: "is not known here" }))
      : [{ field: name(issue.path), message: issue.message }],
  );
}
