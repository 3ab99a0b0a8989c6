/** A resource as its row in the database, and back. */
import { Prisma } from "../storage/generated/client.ts";
import type { Resource, ResourceScope } from "./resource.ts";
import { type EncryptionInput, type ResourceEncryption, resourceEncryption } from "./resource-encryption.ts";

export const WITH_INTROSPECTORS = { introspectors: { orderBy: { clientId: "asc" } } } as const;
export type Row = Prisma.ResourceGetPayload<{ include: typeof WITH_INTROSPECTORS }>;

/** `null` removes, `undefined` leaves. */
export function encryptionColumns(given: EncryptionInput | null | undefined, before?: ResourceEncryption) {
  if (given === undefined) return {};
  if (given === null) return { encryptionAlg: null, encryptionEnc: null, encryptionJwk: Prisma.DbNull };
  const { alg, enc, jwk } = resourceEncryption(given, before);
  return { encryptionAlg: alg, encryptionEnc: enc, encryptionJwk: jwk as Prisma.InputJsonObject };
}

export function fromRow(row: Row): Resource;
export function fromRow(row: Row | null): Resource | undefined;
export function fromRow(row: Row | null): Resource | undefined {
  if (row === null) return undefined;
  const { audience, name, scopes, accessTokenTtl, signingAlg, hmacSecret, scopesByRole, includeRoles, introspectors, createdAt } = row;
  const { encryptionAlg: alg, encryptionEnc: enc, encryptionJwk: jwk } = row;
  return {
    audience,
    name,
    scopes: scopes as unknown as ResourceScope[],
    ...(accessTokenTtl !== null && { accessTokenTtl }),
    signingAlg: signingAlg as Resource["signingAlg"],
    ...(hmacSecret !== null && { sealedSecret: hmacSecret }),
    ...(alg !== null && enc !== null && jwk !== null && { encryption: { alg, enc, jwk: jwk as unknown as ResourceEncryption["jwk"] } }),
    scopesByRole,
    includeRoles,
    introspectors: introspectors.map(({ clientId }) => clientId),
    createdAt,
  };
}
