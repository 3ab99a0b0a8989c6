/**
 * What this server states about itself, signed with the key that signs tokens of the first algorithm: JWTs that last, which others keep and show
 * again when the key has long been replaced. Keys are opened from the database each time, with SECRET_KEY: whoever can only write there has no
 * key to sign with, and cannot slip one in.
 */
import { importJWK, SignJWT } from "jose";
import { CHECKPOINT_TYPE, type CheckpointKeys } from "../observability/audit-checkpoints.ts";
import type { Database } from "../storage/database.ts";
import type { Sealer } from "../storage/seal.ts";
import { publicKeyObject, SIGNING_ALGS, type SigningAlg, signatureIsValid } from "./algorithms.ts";
import { openJwk, SigningKeyError } from "./key-rows.ts";
import type { KeyState } from "./key-schedule.ts";
import type { Claims } from "./key-set.ts";

const ALG: SigningAlg = SIGNING_ALGS[0];

interface Statement {
  readonly claims: Claims;
  readonly kid: string;
  /** Of the key that signed it, now. */
  readonly keyState: KeyState;
}

export interface Statements {
  /** @param typ the `typ` header (RFC 8725 §3.11) @throws {SigningKeyError} when there is no key, or it cannot be opened */
  sign(typ: string, claims: Claims): Promise<string>;
  /** Whatever ISSUER was when it was signed. @returns undefined when it is none of this type, or no key of ours has signed it */
  verify(jws: string, typ: string): Promise<Statement | undefined>;
}

export function createStatements({ prisma }: Pick<Database, "prisma">, sealer: Sealer, issuer: string): Statements {
  return {
    async sign(typ, claims) {
      const row = await prisma.signingKey.findFirst({ where: { alg: ALG, state: "current" } });
      if (row === null) throw new SigningKeyError("There are no keys yet: the server makes them at its first start.");
      const key = await importJWK(openJwk(row, sealer) as Parameters<typeof importJWK>[0], ALG);
      return new SignJWT({ ...claims, iss: issuer }).setProtectedHeader({ alg: ALG, kid: row.kid, typ }).sign(key);
    },

    async verify(jws, typ) {
      const [head = "", body = "", tail = "", ...more] = jws.split(".");
      const header = decode(head);
      const claims = decode(body);
      if (more.length > 0 || header?.typ !== typ || header.alg !== ALG || header.crit !== undefined || claims === undefined)
        return undefined;
      const row = await prisma.signingKey.findUnique({ where: { kid: String(header.kid) } });
      if (row === null || row.alg !== ALG) return undefined;
      const key = publicKeyObject(openJwk(row, sealer));
      if (!signatureIsValid(ALG, key, Buffer.from(`${head}.${body}`), Buffer.from(tail, "base64url"))) return undefined;
      return { claims, kid: row.kid, keyState: row.state as KeyState };
    },
  };
}

function decode(part: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, "base64url").toString("utf8"));
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** The checkpoints of the audit log. */
export const checkpointKeys = (statements: Statements): CheckpointKeys => ({
  sign: (claims) => statements.sign(CHECKPOINT_TYPE, claims),
  async verify(jws) {
    const statement = await statements.verify(jws, CHECKPOINT_TYPE);
    return statement && { ...statement, revoked: statement.keyState === "revoked" };
  },
});
