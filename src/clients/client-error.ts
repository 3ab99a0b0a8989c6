/**
 * Clients: the applications that ask for tokens, the resources that tokens are for, and the tokens that let an application register itself.
 * This room owns their rules and their tables. It does not own what is granted to them (oidc/, tokens/), nor what a person allowed them
 * (accounts/), and never sees Koa's ctx.
 */

/** One thing that is wrong with one member of what was given; `message` reads on from the member's name. */
export interface Fault {
  readonly member: string;
  readonly message: string;
  /** What `message` says, for pages that have words of their own for it. */
  readonly reason?: string;
}

export type ClientErrorCode =
  | "invalid_redirect_uri"
  | "invalid_client_metadata"
  | "invalid_software_statement"
  | "unapproved_software_statement"
  | "temporarily_unavailable"
  | "invalid_resource"
  | "not_found"
  | "conflict"
  | "not_allowed"
  | "suspended"
  | "too_many"
  | "last_owner"
  | "invalid_token";

const STATUS: Record<ClientErrorCode, number> = {
  invalid_redirect_uri: 400,
  invalid_client_metadata: 400,
  invalid_software_statement: 400,
  unapproved_software_statement: 400,
  temporarily_unavailable: 503,
  invalid_resource: 400,
  not_found: 404,
  conflict: 409,
  not_allowed: 403,
  suspended: 409,
  too_many: 409,
  last_owner: 409,
  invalid_token: 401,
};

/** `message` is safe to show and fits an `error_description`; the codes for metadata are those of RFC 7591 §3.2.2. */
export class ClientError extends Error {
  override readonly name = "ClientError";
  readonly code: ClientErrorCode;
  readonly status: number;
  readonly expose = true;
  readonly faults: readonly Fault[];

  constructor(code: ClientErrorCode, message: string, options: { faults?: readonly Fault[]; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.status = STATUS[code];
    this.faults = options.faults ?? [];
  }
}

/** "redirect_uris[0] must be https, or http on a loopback address; scope is …" */
export const describeFaults = (faults: readonly Fault[]): string => faults.map(({ member, message }) => `${member} ${message}`).join("; ");

/** @throws {ClientError} naming every fault, unless there is none; faults of the redirect URIs give the error its code */
export function refuseFaults(faults: readonly Fault[]): void {
  if (faults.length === 0) return;
  const ofRedirects = (fault: Fault) => fault.member.startsWith("redirect_uris");
  const sorted = [...faults.filter(ofRedirects), ...faults.filter((fault) => !ofRedirects(fault))];
  throw new ClientError(sorted.some(ofRedirects) ? "invalid_redirect_uri" : "invalid_client_metadata", describeFaults(sorted), {
    faults: sorted,
  });
}
