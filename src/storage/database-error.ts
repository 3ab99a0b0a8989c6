/** What went wrong with the database, in a form that start-up, the command line and HTTP can act on. */

type DatabaseErrorCode = "unsupported_platform" | "start_failed" | "unreachable" | "refused" | "migration_failed";

/** The message is safe to show: it names no password and says what to do. */
export class DatabaseError extends Error {
  readonly code: DatabaseErrorCode;

  constructor(code: DatabaseErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "DatabaseError";
    this.code = code;
  }
}

/** Connection loss as Node reports it; ENOENT is a Unix socket whose server is gone. */
const SOCKET_CODES = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "EPIPE",
  "ETIMEDOUT",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENETDOWN",
  "EAI_AGAIN",
  "ENOTFOUND",
  "ENOENT",
]);

/**
 * SQLSTATEs of a server that cannot serve now: class 08 connection, 53 resources, 57P0x shutting down or starting, 57014 statement timeout,
 * 25006 a primary that became a replica.
 * @see https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
const SQL_STATES = /^(08...|53...|57P0[1-5]|57014|25006)$/;

/** Prisma: unreachable, timeout, closed, pool timeout, transaction could not start or was lost, too many connections. */
const PRISMA_CODES = new Set(["P1001", "P1002", "P1008", "P1011", "P1017", "P2024", "P2028", "P2037"]);

/** `kind` of the errors that Prisma's driver adapter maps by itself. */
const ADAPTER_KINDS = new Set(["DatabaseNotReachable", "ConnectionClosed", "SocketTimeout", "TlsConnectionError", "TooManyConnections"]);

/** pg and pg-pool give these no code. */
const MESSAGES = [
  /^Connection terminated/,
  /^timeout exceeded when trying to connect$/,
  /^timeout expired$/,
  /^Query read timeout$/,
  /^Client has encountered a connection error and is not queryable$/,
  /^Client was closed and is not queryable$/,
  /^Cannot use a pool after calling end on the pool$/,
];

/**
 * True when the database could not be reached or did not answer in time, so that the same request may succeed later (503 with
 * `Retry-After`). Looks through causes, since Prisma wraps what the driver threw.
 */
export function isUnavailable(error: unknown): boolean {
  for (let current = error, depth = 0; typeof current === "object" && current !== null && depth < 8; depth++) {
    const { code, originalCode, kind, message, errors, meta, cause } = current as Record<string, unknown>;
    if (current instanceof DatabaseError && current.code === "unreachable") return true;
    for (const each of [code, originalCode]) {
      if (typeof each === "string" && (SOCKET_CODES.has(each) || SQL_STATES.test(each) || PRISMA_CODES.has(each))) return true;
    }
    if (typeof kind === "string" && ADAPTER_KINDS.has(kind)) return true;
    if (typeof message === "string" && MESSAGES.some((pattern) => pattern.test(message))) return true;
    if (Array.isArray(errors) && errors.some(isUnavailable)) return true;
    current = cause ?? (meta as { driverAdapterError?: unknown } | undefined)?.driverAdapterError;
  }
  return false;
}

/** What a log needs to know of a lost connection. The driver's own error drags the whole client along, with the key that cancels its queries. */
export function describeLoss(error: unknown): { code: string | undefined; reason: string } {
  const { code, message } = error as { code?: unknown; message?: unknown };
  return { code: typeof code === "string" ? code : undefined, reason: typeof message === "string" ? message : String(error) };
}
