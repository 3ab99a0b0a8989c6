/** Another secret in the place of an application's own, beside which the one before may count for a while. */
import type { Expectation } from "../storage/expectation.ts";
import { ClientError } from "./client-error.ts";
import { needsSecret } from "./client-metadata.ts";
import type { ClientRecord } from "./client-record.ts";
import { newSecretColumns } from "./client-rows.ts";
import { hashSecret } from "./client-secrets.ts";

/** Seconds for which two secrets may count: long enough for every server of an application to get the new one. */
const LONGEST_OVERLAP = 30 * 86_400;

export interface SecretRotation {
  /** Seconds. */
  readonly overlap?: number;
  /** Of 256 random bits, made beforehand, so that an order that comes twice makes one; absent: it is made here. */
  readonly secret?: string;
  readonly expect?: Expectation<ClientRecord>;
}

export interface RotatedSecret {
  readonly client: ClientRecord;
  /** Never shown again. */
  readonly secret: string;
  /** It was the secret already: the order came a second time, and changed nothing. */
  readonly repeated: boolean;
}

/** @throws {ClientError} unless it is a whole number of at most 30 days */
export function checkOverlap(overlap: number): void {
  if (!Number.isInteger(overlap) || overlap < 0 || overlap > LONGEST_OVERLAP)
    throw new ClientError("invalid_client_metadata", `overlap is whole seconds, from 0 to ${LONGEST_OVERLAP}`);
}

/**
 * @param now milliseconds since the epoch
 * @returns what changes in the client's row
 * @throws {ClientError} when it authenticates without a secret, and what `expect` throws
 */
export function rotate(
  client: ClientRecord,
  { overlap, secret, expect }: SecretRotation & { overlap: number; secret: string },
  now: number,
): { data: Partial<ReturnType<typeof newSecretColumns>>; result: { repeated: boolean } } {
  const { metadata, secretHash: hash } = client;
  if (!needsSecret(metadata)) {
    const message = `this client has no secret: it authenticates with ${metadata.token_endpoint_auth_method}`;
    throw new ClientError("invalid_client_metadata", message);
  }
  if (hash === hashSecret(secret)) return { data: {}, result: { repeated: true } };
  expect?.(client);
  const before = overlap > 0 && hash !== undefined ? { hash, until: new Date(now + overlap * 1000) } : undefined;
  return { data: newSecretColumns(secret, new Date(now), before), result: { repeated: false } };
}
