/** The public halves of all keys, revoked ones too: for looking at a token without opening anything. */
import type { JsonWebKey } from "node:crypto";
import type { Database } from "../storage/database.ts";
import { isSigningAlg, type SigningAlg } from "./algorithms.ts";
import type { KeyState } from "./key-schedule.ts";

export interface PublicKey {
  readonly kid: string;
  readonly alg: SigningAlg;
  readonly state: KeyState;
  readonly jwk: JsonWebKey;
}

/** Straight from the database; needs no SECRET_KEY. */
export async function readPublicKeys({ prisma }: Pick<Database, "prisma">): Promise<PublicKey[]> {
  const rows = await prisma.signingKey.findMany({ select: { kid: true, alg: true, state: true, publicJwk: true } });
  return rows.flatMap(({ kid, alg, state, publicJwk }) =>
    isSigningAlg(alg) ? [{ kid, alg, state: state as KeyState, jwk: publicJwk as JsonWebKey }] : [],
  );
}
