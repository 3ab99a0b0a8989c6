/** Why a request of an application was refused, and what its developer does about it; the words are `remedies:<name>`. */
import type { RepeatedFailure } from "../clients/client-failures.ts";
import type { ClientRecord } from "../clients/client-record.ts";
import { type Text, text, type Values } from "../i18n/messages.ts";
import { refusalWords } from "../interactions/refusal-words.ts";

export interface Explanation {
  /** What went wrong. */
  readonly what: Text;
  /** What to do about it. */
  readonly remedy: Text;
}

/** Names for which there are words; those of the protocol's error codes among them. */
const EXPLAINED: ReadonlySet<string> = new Set([
  ...["wrong_secret", "wrong_auth_method", "no_auth", "two_auth_methods", "auth_encoding", "assertion", "used_before", "code_redirect_uri"],
  ...["code_verifier", "pkce_missing", "pkce_wrong", "expired", "another_client", "unknown_grant", "dpop_key", "second_factor"],
  ...["grant_type", "response_type", "par_required", "missing_parameter"],
  ...["access_denied", "login_required", "consent_required", "interaction_required", "invalid_scope", "invalid_target"],
  ...["unauthorized_client", "unsupported_response_type", "unsupported_grant_type", "slow_down", "expired_token", "invalid_token"],
  ...["insufficient_scope", "invalid_dpop_proof", "temporarily_unavailable", "unsupported_token_type", "invalid_client_metadata"],
]);

/** Stands, in every language, where a request said nothing. */
const NOTHING = "—";

export function explainFailure(failure: Pick<RepeatedFailure, "error" | "detail">, client: ClientRecord): Explanation {
  const { error, detail } = failure;
  if (error === "invalid_redirect_uri") return redirectUri(detail.redirect_uri, client.metadata.redirect_uris);
  const name = [detail.reason, error].find((each) => each !== undefined && EXPLAINED.has(each));
  if (name === undefined) return { what: refusalWords(error, detail.said), remedy: text("remedies:other.remedy") };
  return explained(name, {
    method: client.metadata.token_endpoint_auth_method,
    used: detail.auth_method ?? "none",
    scope: detail.scope || NOTHING,
    resource: detail.resource || NOTHING,
    grant: detail.grant_type || NOTHING,
    response: detail.response_type || NOTHING,
  });
}

const explained = (name: string, values?: Values): Explanation => ({
  what: text(`remedies:${name}.what`, values),
  remedy: text(`remedies:${name}.remedy`, values),
});

function redirectUri(sent: string | undefined, registered: readonly string[]): Explanation {
  if (sent === undefined) return explained("redirect_uri_missing");
  const [nearest] = registered
    .map((uri) => ({ uri, difference: differenceOf(sent, uri) }))
    .sort((one, other) => CLOSENESS.indexOf(one.difference) - CLOSENESS.indexOf(other.difference));
  if (nearest === undefined) return explained("redirect_uri_none", { sent });
  const { uri, difference } = nearest;
  return {
    what: text("remedies:redirect_uri.what", { sent, registered: uri }),
    remedy: text(`remedies:redirect_uri.remedies.${difference}`, { sent, registered: uri }),
  };
}

/** The nearest first: the smaller the difference, the likelier it is a slip. */
const CLOSENESS = ["none", "trailing_slash", "path_case", "scheme", "port", "loopback_name", "query", "www", "path", "other"] as const;
export type Difference = (typeof CLOSENESS)[number];

const LOOPBACK = new Set(["localhost", "127.0.0.1", "[::1]"]);

/** In what one URI differs from another; `none`: it is registered by now. */
export function differenceOf(sent: string, registered: string): Difference {
  if (sent === registered) return "none";
  if (!URL.canParse(sent) || !URL.canParse(registered)) return "other";
  const [one, other] = [new URL(sent), new URL(registered)];
  const same = (...parts: readonly ("protocol" | "hostname" | "port" | "pathname" | "search")[]) =>
    parts.every((part) => one[part] === other[part]);
  if (same("protocol", "hostname", "port", "pathname", "search")) return "trailing_slash"; // "https://a" and "https://a/" are one to a parser
  if (same("protocol", "hostname", "port", "search")) {
    const [a, b] = [one.pathname, other.pathname];
    if (a.replace(/\/$/, "") === b.replace(/\/$/, "")) return "trailing_slash";
    return a.toLowerCase() === b.toLowerCase() ? "path_case" : "path";
  }
  if (same("hostname", "pathname", "search")) return same("port") || one.port + other.port === "" ? "scheme" : "port";
  if (same("protocol", "port", "pathname", "search")) {
    if (LOOPBACK.has(one.hostname) && LOOPBACK.has(other.hostname)) return "loopback_name";
    if (one.hostname.replace(/^www\./, "") === other.hostname.replace(/^www\./, "")) return "www";
  }
  return same("protocol", "hostname", "port", "pathname") ? "query" : "other";
}
