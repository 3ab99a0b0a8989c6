/**
 * Operators: what they can do to accounts, applications, resources and keys, and the faces of it, of which the command line is one.
 * `*-operations.ts` own the business rules and the audit records: they print nothing and know neither commander nor HTTP.
 * The rules of one noun (what a password or a redirect URI must be) belong to the noun's own room.
 */

/** Who gives an order; stands in its audit record. */
export interface Operator {
  /** `operator` for whoever has the command line, else an account or client id. */
  readonly actor: string;
  readonly address?: string;
  readonly requestId?: string;
}

/** Whoever can read the server's environment and secrets. */
export const COMMAND_LINE: Operator = { actor: "operator" };
