/** A client as its row in the database, and back; and a place in the list of them. */
import { Prisma } from "../storage/generated/client.ts";
import { ClientError } from "./client-error.ts";
import { type ClientMetadata, needsSecret } from "./client-metadata.ts";
import { type ClientRecord, isClientId } from "./client-record.ts";
import { hashSecret } from "./client-secrets.ts";
import type { OperatorSettings } from "./operator-settings.ts";
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

/** A new secret replaces, an authentication method without one removes, otherwise it stays. */
export function secretColumn(metadata: ClientMetadata, secret: string | undefined): { secretHash?: string | null } {
  if (!needsSecret(metadata)) return { secretHash: null };
  return secret === undefined ? {} : { secretHash: hashSecret(secret) };
}

type Row = Prisma.ClientGetPayload<object>;

export function fromRow(row: Row): ClientRecord;
export function fromRow(row: Row | null): ClientRecord | undefined;
export function fromRow(row: Row | null): ClientRecord | undefined {
  if (row === null) return undefined;
  const { id, metadata, secretHash, tokenExchange, suspendedAt, accessTokenTtl, refreshTokenTtl, refreshTokenMaxAge, ...others } = row;
  const { branding, ...columns } = others;
  return {
    clientId: id,
    metadata: metadata as unknown as ClientMetadata,
    ...(secretHash !== null && { secretHash }),
    ...(tokenExchange !== null && { tokenExchange: tokenExchange as unknown as TokenExchangePolicy }),
    ...(branding !== null && { brandColor: (branding as { color: string }).color }),
    ...(suspendedAt !== null && { suspendedAt }),
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
    if (typeof at === "number" && !Number.isNaN(new Date(at).getTime()) && typeof id === "string" && isClientId(id))
      return { at: new Date(at), id };
  } catch {
    // answered below
  }
  throw new ClientError("invalid_client_metadata", "cursor is not one of ours");
}
