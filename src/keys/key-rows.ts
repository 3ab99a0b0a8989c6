/** Signing keys as they lie in the database: the JWK sealed and bound to its `kid`. */
import type { JsonWebKey } from "node:crypto";
import type { Database } from "../storage/database.ts";
import type { Prisma, SigningKey as Row } from "../storage/generated/client.ts";
import type { Sealer } from "../storage/seal.ts";
import { generateSigningJwk, publicPart, type SigningAlg } from "./algorithms.ts";
import type { KeyState, SigningKeyInfo } from "./key-schedule.ts";

/** The signing keys cannot be used; the message says what to do and is safe to show. */
export class SigningKeyError extends Error {
  override readonly name = "SigningKeyError";
}

export type SigningJwk = JsonWebKey & { kid: string };

/**
 * @returns the private JWK, or the public one of a key that signs no more
 * @throws {SigningKeyError} when it is sealed under a secret that is not in SECRET_KEY
 */
export function openJwk({ kid, alg, privateKey }: Pick<Row, "kid" | "alg" | "privateKey">, sealer: Sealer): SigningJwk {
  try {
    return JSON.parse(sealer.open(privateKey, context(kid)));
  } catch (cause) {
    throw new SigningKeyError(
      `The signing key ${kid} (${alg}) is sealed under a secret that SECRET_KEY does not hold. Set SECRET_KEY to the value that was in use when the key was made; to change it, list both values, comma-separated, the new one first.`,
      { cause },
    );
  }
}

/** Sealed though it is public: nobody who can only write to the database slips a key in that we would publish. */
export const sealJwk = (jwk: JsonWebKey, kid: string, sealer: Sealer): string => sealer.seal(JSON.stringify(jwk), context(kid));

const context = (kid: string): string => `signing-key:${kid}`;

/** @param at the database's time */
export async function newKeyRow(alg: SigningAlg, state: "next" | "current", at: Date, sealer: Sealer) {
  const jwk = await generateSigningJwk(alg);
  return {
    kid: jwk.kid,
    alg,
    state,
    publicJwk: publicPart(jwk) as object,
    privateKey: sealJwk(jwk, jwk.kid, sealer),
    createdAt: at,
    ...(state === "current" && { activatedAt: at }),
  };
}

/** The clock of all processes: those of several machines differ. */
export async function databaseTime(prisma: Pick<Prisma.TransactionClient, "$queryRaw">): Promise<Date> {
  const [row] = await prisma.$queryRaw<[{ at: Date }]>`SELECT clock_timestamp() AS at`;
  return row.at;
}

/** What the command line lists: needs the database alone, opens nothing. Newest first. */
export async function listSigningKeys({ prisma }: Pick<Database, "prisma">): Promise<SigningKeyInfo[]> {
  const rows = await prisma.signingKey.findMany({ omit: { privateKey: true }, orderBy: [{ createdAt: "desc" }, { alg: "asc" }] });
  return rows.map(describeKey);
}

export function describeKey(row: Omit<Row, "privateKey" | "publicJwk">): SigningKeyInfo {
  const { kid, alg, state, createdAt, activatedAt, replaceAt, retiredAt, publishedUntil, revokedAt } = row;
  return {
    kid,
    alg,
    state: state as KeyState,
    createdAt,
    ...(activatedAt !== null && { activatedAt }),
    ...(replaceAt !== null && { replaceAt }),
    ...(retiredAt !== null && { retiredAt }),
    ...(publishedUntil !== null && { publishedUntil }),
    ...(revokedAt !== null && { revokedAt }),
  };
}
