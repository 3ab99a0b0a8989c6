/**
 * operations/ holds what operators can do to accounts, applications, resources and keys, and developers to their own applications. It has three
 * faces: the command line (admin/), the management API (api/) and pages (app-pages/). Operations own the business rules and the audit records:
 * they print nothing and know neither commander nor HTTP.
 * The rules of one noun (what a password or a redirect URI must be) belong to the noun's own room.
 */

/** Who gives an order; stands in its audit record. */
export interface Operator {
  /** `operator` for whoever has the command line, else an account or client id. */
  readonly actor: string;
  readonly address?: string;
  readonly requestId?: string;
}

/** Part of an order has been carried out; the message says which. */
export class UnfinishedError extends Error {
  override readonly name = "UnfinishedError";
}

/**
 * Carries out the last part of an order, which ends sessions, grants or tokens in a store that may be away.
 * @param done what counts already, such as "The account is disabled"
 */
export async function finishing<T>(done: string, what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    const reason = cause instanceof Error ? ` ${cause.message}` : "";
    throw new UnfinishedError(`${done}, but its ${what} could not be ended. Give the order again.${reason}`, { cause });
  }
}

/** Whoever can read the server's environment and secrets. */
export const COMMAND_LINE: Operator = { actor: "operator" };
