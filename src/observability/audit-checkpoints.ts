/**
 * Checkpoints of the audit log: signed statements that the chain had come so far, with that hash. Kept elsewhere they prove that nothing before
 * them was changed since, and that the end was not cut off.
 */
import type { Batch } from "./audit-chain.ts";

/** The `typ` header of the JWS. */
export const CHECKPOINT_TYPE = "grantor-audit-checkpoint+jwt";
/** Milliseconds between two that are made by themselves, while there is something to seal. */
export const CHECKPOINT_EVERY = 3_600_000;

/** Signs and checks with the server's own keys; handed in. */
export interface CheckpointKeys {
  sign(claims: Readonly<Record<string, unknown>>): Promise<string>;
  /** Undefined: not signed by this server. */
  verify(jws: string): Promise<{ claims: Readonly<Record<string, unknown>>; kid: string; revoked: boolean } | undefined>;
}

/** What one says. */
export interface Checkpoint {
  readonly number: number;
  readonly hash: Buffer;
  readonly sealedAt: Date;
  readonly kid: string;
  /** Its key was revoked since: others may hold it. */
  readonly keyRevoked: boolean;
}

export const checkpointClaims = ({ number, hash, sealedAt }: Pick<Batch, "number" | "hash" | "sealedAt">) => ({
  number,
  hash: hash.toString("base64url"),
  sealed_at: sealedAt.toISOString(),
  iat: Math.floor(sealedAt.getTime() / 1000),
});

/** @returns undefined for what is no checkpoint that this server has signed */
export async function readCheckpoint(keys: Pick<CheckpointKeys, "verify">, jws: string): Promise<Checkpoint | undefined> {
  const statement = await keys.verify(jws);
  if (statement === undefined) return undefined;
  const { number, hash, sealed_at } = statement.claims as ReturnType<typeof checkpointClaims>;
  return {
    number,
    hash: Buffer.from(hash, "base64url"),
    sealedAt: new Date(sealed_at),
    kid: statement.kid,
    keyRevoked: statement.revoked,
  };
}

/** @returns every JWS that a text holds: one a line, or in JSON, or in a log */
export const checkpointsIn = (text: string): string[] => text.match(/\beyJ[\w-]+\.eyJ[\w-]+\.[\w-]+/g) ?? [];

/** Whether a text is a JWT that calls itself a checkpoint, whoever has signed it. */
export function isCheckpoint(text: string): boolean {
  const [, header] = /^(eyJ[\w-]+)\.eyJ[\w-]+\.[\w-]+$/.exec(text) ?? [];
  return header !== undefined && Buffer.from(header, "base64url").includes(`"${CHECKPOINT_TYPE}"`);
}
