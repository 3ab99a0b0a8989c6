/** What the URIs of an application may look like. */

/** Names and addresses of the person's own machine (RFC 8252 §7.3, §8.3). `localhost` can be made to point elsewhere, but developers need it. */
const LOOPBACK_HOSTS = new Set(["localhost", "127.0.0.1", "[::1]"]);

/** RFC 8252 §7.1: a private-use scheme is a domain name under the application's control, written in reverse, and so holds a dot. */
const PRIVATE_USE_SCHEME = /^[a-z][a-z0-9+-]*(?:\.[a-z0-9+-]+)+:$/;

const LONGEST = 2000;
/** RFC 3986 §2: what a URI is written with. WHATWG parsers quietly drop or mend everything else, and exact matching must not depend on that. */
const URI_CHARACTERS = /^[A-Za-z0-9\-._~:/?#[\]@!$&'()*+,;=%]+$/;

export type ApplicationType = "web" | "native";

/** What is wrong with a URI, for whoever gets to read it: each is said after the member's name. */
export const URI_FAULTS = {
  too_long: `must not be longer than ${LONGEST} characters`,
  characters: "must be an absolute URI, percent-encoded where needed",
  fragment: "must not have a fragment",
  not_absolute: "must be an absolute URI",
  credentials: "must not hold a user name or password",
  wildcard: "must not hold a wildcard",
  loopback_https: "must use http on a loopback address (RFC 8252 §7.3)",
  plain_http: "must use https: http is for loopback addresses alone",
  not_web: "must use https, or http on a loopback address",
  scheme:
    "must use https, http on a loopback address, or a private-use scheme that is a reversed domain name, such as com.example.app:/callback (RFC 8252 §7.1)",
} as const;
export type UriFault = keyof typeof URI_FAULTS;

/**
 * Redirect URIs are compared as strings; only a native application's loopback port may vary.
 * @returns what is wrong, or undefined  @see RFC 6749 §3.1.2, RFC 9700 §2.1 and §4.1, RFC 8252 §7
 */
export function redirectUriFault(uri: string, type: ApplicationType): UriFault | undefined {
  const url = parse(uri);
  if (typeof url === "string") return url;
  if (uri.includes("*")) return "wildcard";
  if (url.protocol === "https:") return type === "native" && isLoopback(url) ? "loopback_https" : undefined;
  if (url.protocol === "http:") return isLoopback(url) ? undefined : "plain_http";
  if (type === "web") return "not_web";
  return PRIVATE_USE_SCHEME.test(url.protocol) ? undefined : "scheme";
}

/** Pages, pictures and documents of the application, and what we call at its place: `https`, or `http` on a loopback address. */
export function webUriFault(uri: string): UriFault | undefined {
  const url = parse(uri);
  if (typeof url === "string") return url;
  return url.protocol === "https:" || (url.protocol === "http:" && isLoopback(url)) ? undefined : "not_web";
}

/** Whether a URI that is right leads to the machine of whoever follows it. */
export const leadsToOwnMachine = (uri: string): boolean => URL.canParse(uri) && isLoopback(new URL(uri));

const isLoopback = ({ hostname }: URL): boolean => LOOPBACK_HOSTS.has(hostname);

function parse(uri: string): URL | UriFault {
  if (uri.length > LONGEST) return "too_long";
  if (!URI_CHARACTERS.test(uri)) return "characters";
  if (uri.includes("#")) return "fragment";
  const url = URL.parse(uri);
  if (url === null) return "not_absolute";
  const isWeb = url.protocol === "http:" || url.protocol === "https:";
  if (isWeb && !/^https?:\/\/[^/]/i.test(uri)) return "not_absolute";
  const authority = /^[^:]+:\/\/([^/?]*)/.exec(uri)?.[1] ?? "";
  return authority.includes("@") ? "credentials" : url;
}
