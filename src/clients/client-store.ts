/**
 * Applications: made, found, changed, suspended and deleted, with a cache that a change on any process empties. What may be said of one is checked
 * elsewhere (client-metadata.ts, operator-settings.ts, own-changes.ts).
 */
import type { ChangeFeed } from "../storage/change-feed.ts";
import type { Expectation } from "../storage/expectation.ts";
import { Prisma, type PrismaClient } from "../storage/generated/client.ts";
import { createLookupCache } from "../storage/lookup-cache.ts";
import { ClientError } from "./client-error.ts";
import { type ClientPage, type ClientQuestion, listClients } from "./client-list.ts";
import { type ClientMetadata, type ClientType, needsSecret, parseClientMetadata, TYPE_DEFAULTS } from "./client-metadata.ts";
import { requireRoom } from "./client-owners.ts";
import { type ClientRecord, isClientId } from "./client-record.ts";
import { fromRow, NO_PREVIOUS_SECRET, secretColumns, toColumns, toJson } from "./client-rows.ts";
import { generateSecret, isSecretOf, newClientId } from "./client-secrets.ts";
import { checkSettings, type OperatorSettings } from "./operator-settings.ts";
import { refuseOwnChanges, STRANGER } from "./own-changes.ts";
import { refuseBeyondLimits } from "./registration-limits.ts";
import { takeInitialAccessToken } from "./registration-tokens.ts";
import { checkOverlap, type RotatedSecret, rotate, type SecretRotation } from "./secret-rotation.ts";

/** The topic under which other processes hear of a change. */
const CLIENT_TOPIC = "client";

/** Milliseconds. The change feed makes changes seen at once; this bounds what a broken feed can hide. */
const FOUND_TTL = 60_000;
/** Milliseconds. A client that somebody makes with an id of their choice may have been asked for before. */
const ABSENT_TTL = 5_000;
const CACHED_CLIENTS = 5_000;

export interface NewClient extends OperatorSettings {
  /** RFC 7591 members; what is missing comes from the type. */
  metadata: Readonly<Record<string, unknown>>;
  type?: ClientType;
  clientId?: string;
  /** Of 256 random bits, for a client that needs one; absent: it is made here. */
  secret?: string;
  createdBy?: string;
  /** The account that looks after it from the beginning. */
  owner?: string;
  /** How many applications that account may look after. */
  mostOwned?: number;
}

/** Asked under the lock, about what there was and what it is to become. It refuses by throwing; what it returns is changed along. */
export type JudgeOfUpdate = (before: ClientRecord, metadata: ClientMetadata) => OperatorSettings;

/** A client with the secret that was just made for it, which is never shown again. */
export interface ClientWithSecret {
  readonly client: ClientRecord;
  readonly secret?: string;
}

/** What the registration endpoint stores: metadata has been checked, ids and secrets made. */
export interface Registration {
  clientId: string;
  /** Seconds since the epoch, as the answer to a new one says (RFC 7591 §3.2.1). */
  issuedAt?: number;
  metadata: ClientMetadata;
  /** Absent: none is needed, or the one that there is stays. */
  secret?: string;
  /** Verified: its claims are in the metadata. Absent: there is none. */
  softwareStatement?: string;
  /** Loses one use together with the registration, or the registration fails. */
  initialAccessToken?: string;
}

export interface ClientStore {
  /** From the cache when it is warm. */
  find(clientId: string): Promise<ClientRecord | undefined>;
  /** @throws {ClientError} `invalid_redirect_uri`, `invalid_client_metadata`, `conflict` when the id is taken */
  create(client: NewClient): Promise<ClientWithSecret>;
  /** Members given replace, `null` removes. A secret is made when the new authentication method needs one and there is none. @throws {ClientError} */
  update(
    clientId: string,
    changes: OperatorSettings & { metadata?: Readonly<Record<string, unknown>> },
    judge?: JudgeOfUpdate,
  ): Promise<ClientWithSecret>;
  /**
   * Until it is resumed it is as good as not registered. Listeners have ended its grants by then; when one fails, suspend again.
   * @throws {ClientError} `not_found`
   */
  suspend(clientId: string, expect?: Expectation<ClientRecord>): Promise<ClientRecord>;
  /** As it was, without the grants that it had. @throws {ClientError} `not_found` */
  resume(clientId: string, expect?: Expectation<ClientRecord>): Promise<ClientRecord>;
  /** With its consents and registration tokens. @returns whether there was one. Listeners have ended its grants by then; when one fails, delete again. */
  delete(clientId: string, expect?: Expectation<ClientRecord>): Promise<boolean>;
  /** In the order of registration. */
  list(question?: ClientQuestion): Promise<ClientPage>;
  /**
   * The new secret counts at once, the one before for `overlap` seconds more (none without), and any that is older no more: never are there more
   * than two.
   * @throws {ClientError} `not_found`, the client authenticates without a secret, or `overlap` is no whole number of at most 30 days; and what
   * `expect` throws
   */
  rotateSecret(clientId: string, rotation?: SecretRotation): Promise<RotatedSecret>;
  /** The secret before the current one stops working at once. @throws {ClientError} `not_found`, and what `expect` throws */
  endPreviousSecret(clientId: string, expect?: Expectation<ClientRecord>): Promise<ClientRecord>;
  /** Whether it is the secret, or the one before it within its time. */
  checkSecret(clientId: string, secret: string): Promise<boolean>;
  /** Removes the hashes of secrets whose time is over. */
  sweep(): Promise<void>;
  /** @throws {ClientError} `invalid_token` when the initial access token has no use left */
  register(registration: Registration): Promise<void>;
  /** Replaces the metadata of a registration by the application's own will (RFC 7592 §2.2). @throws {ClientError} `not_found`, or it may not */
  replace(registration: Registration): Promise<void>;
  /**
   * Ends what a client holds. Runs before it is deleted, so that it can be deleted again after a failure, and whenever it cannot get anything any
   * more, so that nothing made in between stays.
   */
  onEnd(listener: (clientId: string) => Promise<void>): void;
  close(): void;
}

/** @param now milliseconds since the epoch */
export function createClientStore(
  prisma: PrismaClient,
  feed: Pick<ChangeFeed, "publish" | "subscribe">,
  now: () => number = Date.now,
): ClientStore {
  const cache = createLookupCache<ClientRecord>({
    max: CACHED_CLIENTS,
    ttl: FOUND_TTL,
    absentTtl: ABSENT_TTL,
    now,
    load: async (id) => fromRow(await prisma.client.findUnique({ where: { id } })),
  });
  /** The feed delivers what it is told here before it tells others. */
  let tellsOthers = false;
  const unsubscribe = feed.subscribe(CLIENT_TOPIC, (clientId) => {
    cache.forget(clientId);
    if (clientId !== undefined && !tellsOthers) endIfGone(clientId).catch(() => {}); // `resume` and a second `delete` do it again
  });
  const endListeners: ((clientId: string) => Promise<void>)[] = [];

  async function find(clientId: string): Promise<ClientRecord | undefined> {
    return isClientId(clientId) ? cache.get(clientId) : undefined;
  }

  async function endGrants(clientId: string): Promise<void> {
    for (const listener of endListeners) await listener(clientId);
  }

  /** Ends what this process gave a client before it heard from another one that it is to get nothing any more. */
  async function endIfGone(clientId: string): Promise<void> {
    const client = await find(clientId);
    if (client === undefined || client.suspendedAt !== undefined) await endGrants(clientId);
  }

  async function changed(clientId: string): Promise<void> {
    tellsOthers = true;
    const told = feed.publish(CLIENT_TOPIC, clientId);
    tellsOthers = false;
    await told;
  }

  async function lockRow(tx: Prisma.TransactionClient, clientId: string): Promise<ClientRecord | undefined> {
    await tx.$queryRaw`SELECT id FROM client WHERE id = ${clientId} FOR UPDATE`;
    return fromRow(await tx.client.findUnique({ where: { id: clientId } }));
  }

  /** Reads, decides and writes under a lock on the row, so that parallel changes do not undo each other. */
  async function change<T>(
    clientId: string,
    decide: (client: ClientRecord) => { data: Prisma.ClientUpdateInput; result: T },
  ): Promise<{ client: ClientRecord; result: T }> {
    const done = await prisma.$transaction(async (tx) => {
      const before = await lockRow(tx, clientId);
      if (before === undefined) throw new ClientError("not_found", "there is no such client");
      const { data, result } = decide(before);
      return { client: fromRow(await tx.client.update({ where: { id: clientId }, data })), result };
    });
    await changed(clientId);
    return done;
  }

  return {
    find,

    async create({ metadata: given, type, clientId = newClientId(), createdBy = "operator", ...order }) {
      const { owner, mostOwned, secret: chosen, ...settings } = order;
      if (!isClientId(clientId)) throw new ClientError("invalid_client_metadata", "client_id must be printable characters without spaces");
      const metadata = parseClientMetadata({ ...(type !== undefined && TYPE_DEFAULTS[type]), ...given });
      checkSettings(metadata, { requirePkce: true, ...settings });
      const secret = needsSecret(metadata) ? (chosen ?? generateSecret()) : undefined;
      try {
        const data = {
          id: clientId,
          metadata: toJson(metadata),
          createdBy,
          createdAt: new Date(now()),
          ...(owner !== undefined && { owners: { create: { accountId: owner, createdAt: new Date(now()) } } }),
          ...toColumns(settings),
          ...secretColumns(metadata, secret, new Date(now())),
        };
        const row = await prisma.$transaction(async (tx) => {
          if (owner !== undefined && mostOwned !== undefined) await requireRoom(tx, owner, mostOwned);
          return tx.client.create({ data });
        });
        await changed(clientId);
        return { client: fromRow(row), ...(secret !== undefined && { secret }) };
      } catch (error) {
        if (error instanceof Prisma.PrismaClientKnownRequestError && error.code === "P2002")
          throw new ClientError("conflict", "there is a client with this client_id already", { cause: error });
        throw error;
      }
    },

    async update(clientId, { metadata: given, ...changes }, judge) {
      const { client, result: secret } = await change(clientId, (before) => {
        const metadata = given === undefined ? before.metadata : parseClientMetadata({ ...before.metadata, ...given });
        const settings = { ...changes, ...judge?.(before, metadata) };
        checkSettings(metadata, { ...before, ...settings });
        const made = needsSecret(metadata) && before.secretHash === undefined ? generateSecret() : undefined;
        return {
          data: { metadata: toJson(metadata), ...toColumns(settings), ...secretColumns(metadata, made, new Date(now())) },
          result: made,
        };
      });
      return { client, ...(secret !== undefined && { secret }) };
    },

    async suspend(clientId, expect) {
      const { client } = await change(clientId, (before) => {
        expect?.(before);
        return { data: { suspendedAt: before.suspendedAt ?? new Date(now()) }, result: undefined };
      });
      await endGrants(clientId);
      return client;
    },

    async resume(clientId, expect) {
      await endGrants(clientId); // what another process gave it before it heard of the suspension
      const { client } = await change(clientId, (before) => {
        expect?.(before);
        return { data: { suspendedAt: null }, result: undefined };
      });
      return client;
    },

    async delete(clientId, expect) {
      const found = expect && fromRow(await prisma.client.findUnique({ where: { id: clientId } }));
      if (found !== undefined) expect?.(found);
      await endGrants(clientId);
      const count = await prisma.$transaction(async (tx) => {
        const before = expect && (await lockRow(tx, clientId));
        if (before !== undefined) expect?.(before);
        await tx.registrationToken.deleteMany({ where: { clientId } });
        return (await tx.client.deleteMany({ where: { id: clientId } })).count;
      });
      try {
        await changed(clientId);
      } finally {
        await endGrants(clientId);
      }
      return count > 0;
    },

    list: (question = {}) => listClients(prisma, question),

    async rotateSecret(clientId, { overlap = 0, secret = generateSecret(), expect } = {}) {
      checkOverlap(overlap);
      const { client, result } = await change(clientId, (before) =>
        rotate(before, { overlap, secret, ...(expect !== undefined && { expect }) }, now()),
      );
      return { client, secret, ...result };
    },

    async endPreviousSecret(clientId, expect) {
      const { client } = await change(clientId, (before) => {
        expect?.(before);
        return { data: NO_PREVIOUS_SECRET, result: undefined };
      });
      return client;
    },

    async checkSecret(clientId, secret) {
      const client = await find(clientId);
      return client !== undefined && isSecretOf(client, secret, now());
    },

    async sweep() {
      // Nobody sees a change by it: neither the feed nor `updated_at` does.
      await prisma.$executeRaw`
        UPDATE client SET previous_secret_hash = NULL, previous_secret_until = NULL WHERE previous_secret_until <= ${new Date(now())}`;
    },

    async register({ clientId, issuedAt = Math.floor(now() / 1000), metadata, secret, softwareStatement, initialAccessToken }) {
      // Within the second that is answered, which may be over by now.
      const createdAt = new Date(Math.min(Math.max(now(), issuedAt * 1000), issuedAt * 1000 + 999));
      await prisma.$transaction(async (tx) => {
        const limits = initialAccessToken === undefined ? undefined : await takeInitialAccessToken(tx, initialAccessToken, now());
        refuseBeyondLimits(metadata, limits);
        await tx.client.create({
          data: {
            id: clientId,
            metadata: toJson(metadata),
            ...(softwareStatement !== undefined && { softwareStatement }),
            ...(limits && { registrationLimits: limits as Prisma.InputJsonObject }),
            createdBy: initialAccessToken === undefined ? STRANGER : "initial_access_token",
            createdAt,
            ...secretColumns(metadata, secret, createdAt),
          },
        });
      });
      await changed(clientId);
    },

    async replace({ clientId, metadata, secret, softwareStatement }) {
      await change(clientId, (before) => {
        refuseOwnChanges(before, metadata);
        refuseBeyondLimits(metadata, before.registrationLimits, before.metadata);
        return {
          // A public client has nothing but PKCE: what an operator allowed a confidential one ends with its secret.
          data: {
            metadata: toJson(metadata),
            ...(softwareStatement !== undefined && { softwareStatement }),
            ...secretColumns(metadata, secret, new Date(now())),
            ...(metadata.token_endpoint_auth_method === "none" && { requirePkce: true }),
          },
          result: undefined,
        };
      });
    },

    onEnd: (listener) => void endListeners.push(listener),
    close: unsubscribe,
  };
}

/** The answer to a registration (RFC 7591 §3.2.1): what `client create --json` prints too. */
export function registrationResponse({ client, secret }: ClientWithSecret): Record<string, unknown> {
  return {
    client_id: client.clientId,
    client_id_issued_at: Math.floor(client.createdAt.getTime() / 1000),
    ...(secret !== undefined && { client_secret: secret, client_secret_expires_at: 0 }),
    ...client.metadata,
  };
}
