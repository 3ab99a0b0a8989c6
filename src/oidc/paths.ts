/** Where the engine answers (contract, "URLs"). */
export const ENGINE_ROUTES = {
  authorization: "/oauth/authorize",
  token: "/oauth/token",
  pushed_authorization_request: "/oauth/par",
  userinfo: "/oauth/userinfo",
  introspection: "/oauth/introspect",
  revocation: "/oauth/revoke",
  registration: "/oauth/register",
  device_authorization: "/oauth/device",
  code_verification: "/device",
  end_session: "/oauth/logout",
  jwks: "/.well-known/jwks.json",
} as const;

/** All status lists; each has its own address below. */
export const STATUS_LISTS_PATH = "/oauth/status-lists";

const ENGINE_PREFIXES = ["/oauth/", "/.well-known/", "/device/"];

/** Whether the engine's application answers a path; all others are the host's own. */
export const isEnginePath = (path: string): boolean => path === "/device" || ENGINE_PREFIXES.some((prefix) => path.startsWith(prefix));
