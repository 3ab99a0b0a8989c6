/** What the URIs of an application may look like. Every function answers with what is wrong, or with undefined. */

/** Names and addresses of the person's own machine (RFC 8252 §7.3, §8.3). `localhost` can be made to point elsewhere, but developers need it. */
const LOOPBACK_HOSTS = new Set(["localhost", "127.0.0.1", "[::1]"]);

/** RFC 8252 §7.1: a private-use scheme is a domain name under the application's control, written in reverse, and so holds a dot. */
const PRIVATE_USE_SCHEME = /^[a-z][a-z0-9+-]*(?:\.[a-z0-9+-]+)+:$/;

const LONGEST = 2000;
/** RFC 3986 §2: what a URI is written with. WHATWG parsers quietly drop or mend everything else, and exact matching must not depend on that. */
const URI_CHARACTERS = /^[A-Za-z0-9\-._~:/?#[\]@!$&'()*+,;=%]+$/;
const NOT_ABSOLUTE = "must be an absolute URI";

export type ApplicationType = "web" | "native";

/**
 * Redirect URIs are compared as strings; only a native application's loopback port may vary.
 * @see RFC 6749 §3.1.2, RFC 9700 §2.1 and §4.1, RFC 8252 §7
 */
export function redirectUriFault(uri: string, type: ApplicationType): string | undefined {
  const url = parse(uri);
  if (typeof url === "string") return url;
  if (uri.includes("*")) return "must not hold a wildcard";
  if (url.protocol === "https:") {
    return type === "native" && LOOPBACK_HOSTS.has(url.hostname) ? "must use http on a loopback address (RFC 8252 §7.3)" : undefined;
  }
  if (url.protocol === "http:")
    return LOOPBACK_HOSTS.has(url.hostname) ? undefined : "must use https: http is for loopback addresses alone";
  if (type === "web") return "must use https, or http on a loopback address";
  return PRIVATE_USE_SCHEME.test(url.protocol)
    ? undefined
    : "must use https, http on a loopback address, or a private-use scheme that is a reversed domain name, such as com.example.app:/callback (RFC 8252 §7.1)";
}

/** Pages, pictures and documents of the application, and what we call at its place: `https`, or `http` on a loopback address. */
export function webUriFault(uri: string): string | undefined {
  const url = parse(uri);
  if (typeof url === "string") return url;
  if (url.protocol === "https:" || (url.protocol === "http:" && LOOPBACK_HOSTS.has(url.hostname))) return undefined;
  return "must use https, or http on a loopback address";
}

function parse(uri: string): URL | string {
  if (uri.length > LONGEST) return `must not be longer than ${LONGEST} characters`;
  if (!URI_CHARACTERS.test(uri)) return `${NOT_ABSOLUTE}, percent-encoded where needed`;
  if (uri.includes("#")) return "must not have a fragment";
  const url = URL.parse(uri);
  if (url === null) return NOT_ABSOLUTE;
  const isWeb = url.protocol === "http:" || url.protocol === "https:";
  if (isWeb && !/^https?:\/\/[^/]/i.test(uri)) return NOT_ABSOLUTE;
  const authority = /^[^:]+:\/\/([^/?]*)/.exec(uri)?.[1] ?? "";
  if (authority.includes("@")) return "must not hold a user name or password";
  return url;
}
