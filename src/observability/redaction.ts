/**
 * What may not reach a log, whoever logs it: the names of secret fields, at any depth, and the shapes of secrets inside text.
 */
import { IncomingMessage } from "node:http";
import { isCheckpoint } from "./audit-checkpoints.ts";

/** What stands in a log where a secret stood. */
export const REDACTED = "[redacted]";

/** Characters of one text that a log line keeps, and of a stack: strangers choose how much of theirs there would be. */
const MAX_TEXT = 1_000;
const MAX_STACK = 4_000;

/** Objects nested deeper than this are not logged: a log line is flat, what is deeper came in by accident. */
const MAX_DEPTH = 6;

/** Names whose value is a credential, in lower case without `_` and `-`. */
const SECRET_NAMES = new Set([
  "authorization",
  "proxyauthorization",
  "code",
  "otp",
  "totp",
  "pin",
  "jwt",
  "csrf",
  "xsrf",
  "dpop",
  "databaseurl",
  "redisurl",
  "smtpurl",
  "secretkey",
  "secretkeys",
  "credentials",
  "sessionid",
  "requesturi",
]);

/** Names that end so hold a credential too: `access_token`, `client_secret`, `set-cookie`, `newPassword`, … */
const SECRET_ENDINGS = [
  "password",
  "passphrase",
  "secret",
  "token",
  "tokens",
  "tokenhint",
  "cookie",
  "cookies",
  "assertion",
  "codeverifier",
  "usercode",
  "devicecode",
  "recoverycode",
  "recoverycodes",
  "privatekey",
  "apikey",
];

const URL_ENDINGS = ["url", "uri", "href", "referer", "referrer", "location"];

type Kind = "secret" | "url" | "plain";

/** The decision by name, kept: log lines use few names, again and again. */
const kinds = new Map<string, Kind>();
const MAX_KINDS = 2000;

function kindOf(name: string): Kind {
  let kind = kinds.get(name);
  if (kind === undefined) {
    const bare = name.toLowerCase().replace(/[-_]/g, "");
    kind = "plain";
    if (SECRET_NAMES.has(bare) || SECRET_ENDINGS.some((ending) => bare.endsWith(ending))) kind = "secret";
    else if (URL_ENDINGS.some((ending) => bare.endsWith(ending))) kind = "url";
    if (kinds.size < MAX_KINDS) kinds.set(name, kind);
  }
  return kind;
}

/**
 * The path of a URL, or its origin and path: no query, no fragment, no user information.
 * @example urlWithoutQuery("https://rp.example/cb?code=x#y") // "https://rp.example/cb"
 */
function urlWithoutQuery(url: string): string {
  const end = url.search(/[?#]/);
  return (end < 0 ? url : url.slice(0, end)).replace(/\/\/[^/@]*@/, "//");
}

/**
 * Strangers choose the text, so every alternative MUST take linear time: none may begin inside what it has just run through in vain. A JWT is
 * therefore looked for at the beginning of a run of its characters alone, whatever precedes it in that run.
 */
const TEXT_SECRETS =
  /(?<![\w-])(?=(?:[\w-]*[_-])?eyJ[\w-]{8})[\w-]+\.[\w-]+\.[\w-]*|\b(Bearer|DPoP|Basic) [\w.~+/=-]{8,}|(:\/\/)[^\s/@"\\]+@|([?&](?:code|state|[\w-]*(?:token(?:_hint)?|secret|password|assertion|verifier|user_code|device_code|request_uri|request))=)[^\s&"'\\]+/gi;

/** Hides what looks like a credential inside text: JWTs, `Authorization` values, passwords in URLs, query parameters. */
export function redactText(text: string): string {
  return text.replace(TEXT_SECRETS, (found, scheme?: string, slashes?: string, parameter?: string) => {
    if (scheme) return `${scheme} ${REDACTED}`;
    if (slashes) return `${slashes}${REDACTED}@`;
    if (parameter) return parameter + REDACTED;
    return isCheckpoint(found) ? found : REDACTED; // which opens nothing, and is logged in order to be kept
  });
}

/** Text for a log line: hidden first, then cut, so that no half of a secret is left that nothing recognizes. */
export function logText(text: string, limit: number = MAX_TEXT): string {
  if (text.length <= limit) return text; // the whole line is redacted when it is written
  const hidden = redactText(text);
  return hidden.length <= (isCheckpoint(text) ? MAX_STACK : limit) ? hidden : `${hidden.slice(0, limit)}…`;
}

function redactValue(name: string, value: unknown, depth: number): unknown {
  if (value === null || value === undefined || typeof value === "boolean") return value;
  const kind = kindOf(name);
  if (kind === "secret") return REDACTED;
  if (typeof value === "string") return logText(kind === "url" ? urlWithoutQuery(value) : value);
  return typeof value === "object" ? redactNested(value, depth) : value;
}

function redactNested(value: object, depth: number): unknown {
  if (value instanceof Error) return serializeError(value, depth);
  if (value instanceof URL) return urlWithoutQuery(value.href);
  if (value instanceof Date) return value;
  if (value instanceof IncomingMessage) return { method: value.method, path: logText(urlWithoutQuery(value.url ?? "")) };
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return "[binary]";
  if (depth >= MAX_DEPTH) return "[deep]";
  if (Array.isArray(value)) return value.map((item) => redactValue("", item, depth + 1));
  if (value instanceof Map || value instanceof Set) return "[collection]";
  // A JSON Web Key shows what identifies it, whichever of its parts are private.
  if ("kty" in value) {
    const { kty, kid, alg } = value as Record<string, unknown>;
    return { kty, kid, alg };
  }
  return redactFields(value as Record<string, unknown>, depth + 1);
}

/** A log object without its secrets: by the names of its fields, at any depth. */
export function redactFields(fields: Record<string, unknown>, depth = 0): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (const name of Object.keys(fields)) result[name] = redactValue(name, fields[name], depth);
  return result;
}

/** An error as the log keeps it, its causes included. Its `code` is a name such as ECONNREFUSED, not a credential. */
function serializeError(error: unknown, depth = 0): unknown {
  if (!(error instanceof Error)) return redactValue("", error, depth);
  const { code, status, error_detail } = error as Error & { code?: unknown; status?: unknown; error_detail?: unknown };
  return {
    type: error.name,
    message: logText(error.message),
    ...(typeof code === "string" || typeof code === "number" ? { code } : {}),
    ...(typeof status === "number" ? { status } : {}),
    ...(typeof error_detail === "string" ? { detail: logText(error_detail) } : {}),
    ...(error.stack === undefined ? {} : { stack: logText(error.stack, MAX_STACK) }),
    ...(error.cause !== undefined && depth < MAX_DEPTH ? { cause: serializeError(error.cause, depth + 1) } : {}),
    ...(error instanceof AggregateError && depth < MAX_DEPTH ? { errors: error.errors.map((one) => serializeError(one, depth + 1)) } : {}),
  };
}
