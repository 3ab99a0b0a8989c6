/** Scope names: a space-separated list on the wire (RFC 6749 §3.3), an array here. */

/** What the issuer itself understands; everything else belongs to a resource. @see OIDC Core §5.4, §11 */
export const OPENID_SCOPES = ["openid", "profile", "email", "address", "phone", "offline_access", "roles"] as const;

/** Before every scope of the management API: operators alone give them, a registration cannot name them, and no resource can have one. */
export const MANAGEMENT_PREFIX = "grantor:";

const OPENID: ReadonlySet<string> = new Set(OPENID_SCOPES);
const SCOPE_TOKEN = /^[\x21\x23-\x5B\x5D-\x7E]+$/;

export const isOpenIdScope = (scope: string): boolean => OPENID.has(scope);

export const isManagementScope = (scope: string): boolean => scope.startsWith(MANAGEMENT_PREFIX);

/** RFC 6749 §3.3, `scope-token`. */
export const isScopeToken = (scope: string): boolean => scope.length <= 200 && SCOPE_TOKEN.test(scope);

/** Each name once, in the order given; an absent list has none. */
export const splitScope = (scope: string | undefined): string[] => [...new Set((scope ?? "").split(" ").filter((name) => name !== ""))];

export const joinScope = (scopes: Iterable<string>): string => [...scopes].join(" ");
