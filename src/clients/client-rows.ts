/** A client as its row in the database, and back; and a place in the list of them. */
import { Prisma } from "../storage/generated/client.ts";
import { isStorableTime } from "../storage/storable.ts";
import { ClientError } from "./client-error.ts";
import { type ClientMetadata, needsSecret } from "./client-metadata.ts";
import { type ClientRecord, isClientId } from "./client-record.ts";
import { hashSecret } from "./client-secrets.ts";
import type { OperatorSettings } from "./operator-settings.ts";
import type { RegistrationLimits } from "./registration-limits.ts";
import type { TokenExchangePolicy } from "./token-exchange-policy.ts";

export const toJson = (metadata: ClientMetadata) => metadata as unknown as Prisma.InputJsonObject;

/** Only what is given. */
export function toColumns({ requirePkce, firstParty, verified, managementScopes, tokenExchange, ...others }: OperatorSettings) {
  const { brandColor, requiresSecondFactor, accessTokenTtl, refreshTokenTtl, refreshTokenMaxAge } = others;
  return {
    ...(accessTokenTtl !== undefined && { accessTokenTtl }),
    ...(refreshTokenTtl !== undefined && { refreshTokenTtl }),
    ...(refreshTokenMaxAge !== undefined && { refreshTokenMaxAge }),
    ...(requirePkce !== undefined && { requirePkce }),
    ...(firstParty !== undefined && { firstParty }),
    ...(verified !== undefined && { verified }),
    ...(requiresSecondFactor !== undefined && { requiresSecondFactor }),
    ...(brandColor !== undefined && { branding: brandColor === null ? Prisma.DbNull : { color: brandColor.toLowerCase() } }),
    ...(managementScopes !== undefined && { managementScopes: [...managementScopes] }),
    ...(tokenExchange !== undefined && {
      tokenExchange: tokenExchange === null ? Prisma.DbNull : (tokenExchange as unknown as Prisma.InputJsonObject),
    }),
  };
}

export const NO_PREVIOUS_SECRET = { previousSecretHash: null, previousSecretUntil: null };

/**
 * A new secret, beside which the one before may count for a while.
 * @param overlap what was until now, and until when it counts
 */
export const newSecretColumns = (secret: string, at: Date, overlap?: { hash: string; until: Date }) => ({
  secretHash: hashSecret(secret),
  secretCreatedAt: at,
  ...(overlap === undefined ? NO_PREVIOUS_SECRET : { previousSecretHash: overlap.hash, previousSecretUntil: overlap.until }),
});

/** A new secret replaces what there was, an authentication method without one removes it, otherwise it stays. */
export function secretColumns(metadata: ClientMetadata, secret: string | undefined, at: Date) {
  if (!needsSecret(metadata)) return { secretHash: null, secretCreatedAt: null, ...NO_PREVIOUS_SECRET };
  return secret === undefined ? {} : newSecretColumns(secret, at);
}

export type Row = Prisma.ClientGetPayload<object>;

export function fromRow(row: Row): ClientRecord;
export function fromRow(row: Row | null): ClientRecord | undefined;
export function fromRow(row: Row | null): ClientRecord | undefined {
  if (row === null) return undefined;
  const { id, metadata, secretHash, tokenExchange, suspendedAt, accessTokenTtl, refreshTokenTtl, refreshTokenMaxAge, ...others } = row;
  const { branding, secretCreatedAt, previousSecretHash, previousSecretUntil, ...theirs } = others;
  const { registrationLimits, softwareStatement, lastUsedAt, ...columns } = theirs;
  return {
    clientId: id,
    metadata: metadata as unknown as ClientMetadata,
    ...(secretHash !== null && { secretHash, ...(secretCreatedAt !== null && { secretCreatedAt }) }),
    ...(previousSecretHash !== null &&
      previousSecretUntil !== null && { previousSecret: { hash: previousSecretHash, until: previousSecretUntil } }),
    ...(tokenExchange !== null && { tokenExchange: tokenExchange as unknown as TokenExchangePolicy }),
    ...(branding !== null && { brandColor: (branding as { color: string }).color }),
    ...(suspendedAt !== null && { suspendedAt }),
    ...(registrationLimits !== null && { registrationLimits: registrationLimits as RegistrationLimits }),
    ...(softwareStatement !== null && { softwareStatement }),
    ...(lastUsedAt !== null && { lastUsedAt }),
    ...(accessTokenTtl !== null && { accessTokenTtl }),
    ...(refreshTokenTtl !== null && { refreshTokenTtl }),
    ...(refreshTokenMaxAge !== null && { refreshTokenMaxAge }),
    ...columns,
  };
}

export const writeCursor = ({ createdAt, clientId }: ClientRecord): string =>
  Buffer.from(JSON.stringify([createdAt.getTime(), clientId])).toString("base64url");

/** @throws {ClientError} when it is none that was given out */
export function readCursor(cursor: string): { at: Date; id: string } {
  try {
    const [at, id] = JSON.parse(Buffer.from(cursor, "base64url").toString()) as [unknown, unknown];
    if (isStorableTime(at) && typeof id === "string" && isClientId(id)) return { at: new Date(at), id };
  } catch {
    // answered below
  }
  throw new ClientError("invalid_client_metadata", "cursor is not one of ours");
}
