/** What a request presents: the token and how (RFC 6750 §2.1, RFC 9449 §7.1). Forms and queries are not looked at: RFC 9700 §4.3.2 advises against them. */
import { Refusal } from "./refusal.ts";

/** A Fetch `Request`, a `node:http` IncomingMessage, or anything like them. */
export interface RequestLike {
  readonly method?: string | undefined;
  /** Absolute; or a path, as `node:http` has it. */
  readonly url?: string | undefined;
  /** With lower-case names, where it is a plain object. */
  readonly headers: { get(name: string): string | null } | Readonly<Record<string, string | readonly string[] | undefined>>;
}

export interface Presented {
  readonly scheme: "Bearer" | "DPoP";
  readonly token: string;
  /** Undefined for a bare token. */
  readonly request: RequestLike | undefined;
}

/** RFC 9110 §11.1: the scheme in any case. */
const SCHEME = /^(?:(Bearer)|DPoP)(?=\s|$)/i;
const CREDENTIALS = /^[A-Za-z]+ +([A-Za-z0-9\-._~+/]+=*)$/;

/** @returns undefined when there is no token. @throws Refusal invalid_request when it is malformed */
export function presentedIn(input: string | RequestLike): Presented | undefined {
  if (typeof input === "string") return { scheme: "Bearer", token: input, request: undefined };
  const authorization = headerOf(input, "authorization") ?? "";
  const named = SCHEME.exec(authorization);
  if (named === null) return undefined;
  const [, token] = CREDENTIALS.exec(authorization) ?? [];
  if (token === undefined) throw new Refusal("invalid_request", "the authorization header is malformed");
  return { scheme: named[1] === undefined ? "DPoP" : "Bearer", token, request: input };
}

/** Several of the same name are joined by a comma, as in a Fetch request. */
export function headerOf({ headers }: RequestLike, name: string): string | undefined {
  if (typeof headers.get === "function") return headers.get(name) ?? undefined;
  const value = (headers as Readonly<Record<string, string | readonly string[] | undefined>>)[name];
  return typeof value === "object" ? value.join(", ") : value;
}

/**
 * Where a request was sent to.
 * @param origin the API's own, for when a proxy stands before it; else what the request says
 */
export function urlOf(request: RequestLike, origin: string | undefined): URL | undefined {
  const { url = "/" } = request;
  const encrypted = (request as { socket?: { encrypted?: boolean } }).socket?.encrypted === true;
  const here = origin ?? `${encrypted ? "https" : "http"}://${headerOf(request, "host")}`;
  const said = /^https?:/i.test(url) ? url : here + url;
  if (!URL.canParse(said)) return undefined;
  const { pathname, search } = new URL(said);
  return origin === undefined ? new URL(said) : new URL(origin + pathname + search);
}
