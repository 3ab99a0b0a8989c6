import type { ChangeFeed } from "../storage/change-feed.ts";
import { Prisma, type PrismaClient } from "../storage/generated/client.ts";
import { createLookupCache } from "../storage/lookup-cache.ts";
import { ClientError, type Fault, refuseFaults } from "./client-error.ts";
import { type ClientMetadata, type ClientType, needsSecret, parseClientMetadata, TYPE_DEFAULTS } from "./client-metadata.ts";
import type { ClientRecord } from "./client-record.ts";
import { generateSecret, hashSecret, newClientId, secretMatches } from "./client-secrets.ts";
import { refuseOwnChanges, STRANGER } from "./own-changes.ts";
import { takeInitialAccessToken } from "./registration-tokens.ts";
import { isScopeToken } from "./scopes.ts";
import { policyFaults, type TokenExchangePolicy } from "./token-exchange-policy.ts";

/** The topic under which other processes hear of a change. */
const CLIENT_TOPIC = "client";

/** Milliseconds. The change feed makes changes seen at once; this bounds what a broken feed can hide. */
const FOUND_TTL = 60_000;
/** Milliseconds. A client that somebody makes with an id of their choice may have been asked for before. */
const ABSENT_TTL = 5_000;
const CACHED_CLIENTS = 5_000;
const PAGE = 50;
const LARGEST_PAGE = 500;
/** RFC 6749 §2.2, VSCHAR; anything else never reaches the database. */
const CLIENT_ID = /^[\x21-\x7E]{1,200}$/;

/** What only an operator decides. */
export interface OperatorSettings {
  requirePkce?: boolean;
  firstParty?: boolean;
  verified?: boolean;
  managementScopes?: readonly string[];
  /** `null`: it exchanges nothing. */
  tokenExchange?: TokenExchangePolicy | null;
  /** Seconds; `null`: what its resource or ACCESS_TOKEN_TTL says. */
  accessTokenTtl?: number | null;
  /** Seconds; `null`: REFRESH_TOKEN_TTL. */
  refreshTokenTtl?: number | null;
  /** Seconds; `null`: REFRESH_TOKEN_MAX_AGE. */
  refreshTokenMaxAge?: number | null;
}

export interface NewClient extends OperatorSettings {
  /** RFC 7591 members; what is missing comes from the type. */
  metadata: Readonly<Record<string, unknown>>;
  type?: ClientType;
  clientId?: string;
  createdBy?: string;
}

/** A client with the secret that was just made for it, which is never shown again. */
export interface ClientWithSecret {
  readonly client: ClientRecord;
  readonly secret?: string;
}

/** What the registration endpoint stores: metadata has been checked, ids and secrets made. */
export interface Registration {
  clientId: string;
  metadata: ClientMetadata;
  /** Absent: none is needed, or the one that there is stays. */
  secret?: string;
  /** Loses one use together with the registration, or the registration fails. */
  initialAccessToken?: string;
}

export interface ClientStore {
  /** From the cache when it is warm. */
  find(clientId: string): Promise<ClientRecord | undefined>;
  /** @throws {ClientError} `invalid_redirect_uri`, `invalid_client_metadata`, `conflict` when the id is taken */
  create(client: NewClient): Promise<ClientWithSecret>;
  /** Members given replace, `null` removes. A secret is made when the new authentication method needs one and there is none. @throws {ClientError} */
  update(clientId: string, changes: OperatorSettings & { metadata?: Readonly<Record<string, unknown>> }): Promise<ClientWithSecret>;
  /**
   * Until it is resumed it is as good as not registered. Listeners have ended its grants by then; when one fails, suspend again.
   * @throws {ClientError} `not_found`
   */
  suspend(clientId: string): Promise<ClientRecord>;
  /** As it was, without the grants that it had. @throws {ClientError} `not_found` */
  resume(clientId: string): Promise<ClientRecord>;
  /** With its consents and registration tokens. @returns whether there was one. Listeners have ended its grants by then; when one fails, delete again. */
  delete(clientId: string): Promise<boolean>;
  /** In the order of creation. `next` is the cursor of the following page. */
  list(options?: { cursor?: string; limit?: number; createdBy?: string }): Promise<{ clients: ClientRecord[]; next?: string }>;
  /** The old secret stops working at once. @returns the new one @throws {ClientError} `not_found`, or the client authenticates without a secret */
  rotateSecret(clientId: string): Promise<string>;
  checkSecret(clientId: string, secret: string): Promise<boolean>;
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
  const unsubscribe = feed.subscribe(CLIENT_TOPIC, (clientId) => {
    cache.forget(clientId);
    if (clientId !== undefined && !tellsOthers) endIfGone(clientId).catch(() => {}); // `resume` and a second `delete` do it again
  });
  /** The feed delivers what it is told here before it tells others. */
  let tellsOthers = false;
  const endListeners: ((clientId: string) => Promise<void>)[] = [];

  async function find(clientId: string): Promise<ClientRecord | undefined> {
    return CLIENT_ID.test(clientId) ? cache.get(clientId) : undefined;
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

  /** Reads, decides and writes under a lock on the row, so that parallel changes do not undo each other. */
  async function change<T>(
    clientId: string,
    decide: (client: ClientRecord) => { data: Prisma.ClientUpdateInput; result: T },
  ): Promise<{ client: ClientRecord; result: T }> {
    const done = await prisma.$transaction(async (tx) => {
      await tx.$queryRaw`SELECT id FROM client WHERE id = ${clientId} FOR UPDATE`;
      const before = fromRow(await tx.client.findUnique({ where: { id: clientId } }));
      if (before === undefined) throw new ClientError("not_found", "there is no such client");
      const { data, result } = decide(before);
      return { client: fromRow(await tx.client.update({ where: { id: clientId }, data })), result };
    });
    await changed(clientId);
    return done;
  }

  return {
    find,

    async create({ metadata: given, type, clientId = newClientId(), createdBy = "operator", ...settings }) {
      if (!CLIENT_ID.test(clientId))
        throw new ClientError("invalid_client_metadata", "client_id must be printable characters without spaces");
      const metadata = parseClientMetadata({ ...(type !== undefined && TYPE_DEFAULTS[type]), ...given });
      checkSettings(metadata, { requirePkce: true, ...settings });
      const secret = needsSecret(metadata) ? generateSecret() : undefined;
      try {
        const row = await prisma.client.create({
          data: {
            id: clientId,
            metadata: toJson(metadata),
            createdBy,
            createdAt: new Date(now()),
            ...toColumns(settings),
            ...(secret !== undefined && { secretHash: hashSecret(secret) }),
          },
        });
        await changed(clientId);
        return { client: fromRow(row), ...(secret !== undefined && { secret }) };
      } catch (error) {
        if (error instanceof Prisma.PrismaClientKnownRequestError && error.code === "P2002")
          throw new ClientError("conflict", "there is a client with this client_id already", { cause: error });
        throw error;
      }
    },

    async update(clientId, { metadata: given, ...settings }) {
      const { client, result: secret } = await change(clientId, (before) => {
        const metadata = given === undefined ? before.metadata : parseClientMetadata({ ...before.metadata, ...given });
        checkSettings(metadata, { ...before, ...settings });
        const made = needsSecret(metadata) && before.secretHash === undefined ? generateSecret() : undefined;
        return { data: { metadata: toJson(metadata), ...toColumns(settings), ...secretColumn(metadata, made) }, result: made };
      });
      return { client, ...(secret !== undefined && { secret }) };
    },

    async suspend(clientId) {
      const { client } = await change(clientId, ({ suspendedAt = new Date(now()) }) => ({ data: { suspendedAt }, result: undefined }));
      await endGrants(clientId);
      return client;
    },

    async resume(clientId) {
      await endGrants(clientId); // what another process gave it before it heard of the suspension
      return (await change(clientId, () => ({ data: { suspendedAt: null }, result: undefined }))).client;
    },

    async delete(clientId) {
      await endGrants(clientId);
      const [{ count }] = await prisma.$transaction([
        prisma.client.deleteMany({ where: { id: clientId } }),
        prisma.registrationToken.deleteMany({ where: { clientId } }),
      ]);
      try {
        await changed(clientId);
      } finally {
        await endGrants(clientId);
      }
      return count > 0;
    },

    async list({ cursor, limit = PAGE, createdBy } = {}) {
      const take = Math.min(Math.max(1, limit), LARGEST_PAGE);
      const after = cursor === undefined ? undefined : readCursor(cursor);
      const rows = await prisma.client.findMany({
        where: {
          ...(createdBy !== undefined && { createdBy }),
          ...(after !== undefined && { OR: [{ createdAt: { gt: after.at } }, { createdAt: after.at, id: { gt: after.id } }] }),
        },
        orderBy: [{ createdAt: "asc" }, { id: "asc" }],
        take: take + 1,
      });
      const clients = rows.slice(0, take).map((row) => fromRow(row));
      const last = rows.length > take ? clients.at(-1) : undefined;
      return { clients, ...(last !== undefined && { next: writeCursor(last) }) };
    },

    async rotateSecret(clientId) {
      const { result } = await change(clientId, ({ metadata }) => {
        if (!needsSecret(metadata)) {
          throw new ClientError(
            "invalid_client_metadata",
            `this client has no secret: it authenticates with ${metadata.token_endpoint_auth_method}`,
          );
        }
        const secret = generateSecret();
        return { data: { secretHash: hashSecret(secret) }, result: secret };
      });
      return result;
    },

    async checkSecret(clientId, secret) {
      return secretMatches((await find(clientId))?.secretHash, secret);
    },

    async register({ clientId, metadata, secret, initialAccessToken }) {
      await prisma.$transaction(async (tx) => {
        if (initialAccessToken !== undefined) await takeInitialAccessToken(tx, initialAccessToken, now());
        await tx.client.create({
          data: {
            id: clientId,
            metadata: toJson(metadata),
            createdBy: initialAccessToken === undefined ? STRANGER : "initial_access_token",
            createdAt: new Date(now()),
            ...(secret !== undefined && { secretHash: hashSecret(secret) }),
          },
        });
      });
      await changed(clientId);
    },

    async replace({ clientId, metadata, secret }) {
      await change(clientId, (before) => {
        refuseOwnChanges(before, metadata);
        return {
          // A public client has nothing but PKCE: what an operator allowed a confidential one ends with its secret.
          data: {
            metadata: toJson(metadata),
            ...secretColumn(metadata, secret),
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

function checkSettings(metadata: ClientMetadata, settings: OperatorSettings): void {
  const { requirePkce, managementScopes = [], tokenExchange } = settings;
  if (requirePkce === false && metadata.token_endpoint_auth_method === "none") {
    throw new ClientError("invalid_client_metadata", "require_pkce cannot be false for a client without authentication");
  }
  if (!managementScopes.every(isScopeToken)) throw new ClientError("invalid_client_metadata", "management_scopes must be scope names");
  refuseFaults(lifetimeFaults(settings));
  if (tokenExchange === undefined || tokenExchange === null) return;
  const message = "is for clients that authenticate: a public client is whoever says so";
  refuseFaults([
    ...policyFaults(tokenExchange),
    ...(metadata.token_endpoint_auth_method === "none" ? [{ member: "token_exchange", message }] : []),
  ]);
}

/** Seconds: a month, as for resources; and ten years. */
const LONGEST_ACCESS_TOKEN_TTL = 2_592_000;
const LONGEST_REFRESH = 315_360_000;

function lifetimeFaults({ accessTokenTtl, refreshTokenTtl, refreshTokenMaxAge }: OperatorSettings): Fault[] {
  const limits = [
    ["access_token_ttl", accessTokenTtl, LONGEST_ACCESS_TOKEN_TTL],
    ["refresh_token_ttl", refreshTokenTtl, LONGEST_REFRESH],
    ["refresh_token_max_age", refreshTokenMaxAge, LONGEST_REFRESH],
  ] as const;
  const faults = limits.flatMap(([member, value, longest]): Fault[] => {
    if (value === undefined || value === null || (Number.isSafeInteger(value) && value >= 1 && value <= longest)) return [];
    return [{ member, message: `must be a whole number of seconds from 1 to ${longest}` }];
  });
  if (faults.length === 0 && refreshTokenTtl && refreshTokenMaxAge && refreshTokenTtl > refreshTokenMaxAge)
    faults.push({ member: "refresh_token_ttl", message: "must not be longer than refresh_token_max_age" });
  return faults;
}

const toJson = (metadata: ClientMetadata) => metadata as unknown as Prisma.InputJsonObject;

function toColumns({ requirePkce, firstParty, verified, managementScopes, tokenExchange, ...lifetimes }: OperatorSettings) {
  const { accessTokenTtl, refreshTokenTtl, refreshTokenMaxAge } = lifetimes;
  return {
    ...(accessTokenTtl !== undefined && { accessTokenTtl }),
    ...(refreshTokenTtl !== undefined && { refreshTokenTtl }),
    ...(refreshTokenMaxAge !== undefined && { refreshTokenMaxAge }),
    ...(requirePkce !== undefined && { requirePkce }),
    ...(firstParty !== undefined && { firstParty }),
    ...(verified !== undefined && { verified }),
    ...(managementScopes !== undefined && { managementScopes: [...managementScopes] }),
    ...(tokenExchange !== undefined && {
      tokenExchange: tokenExchange === null ? Prisma.DbNull : (tokenExchange as unknown as Prisma.InputJsonObject),
    }),
  };
}

/** A new secret replaces, an authentication method without one removes, otherwise it stays. */
function secretColumn(metadata: ClientMetadata, secret: string | undefined): { secretHash?: string | null } {
  if (!needsSecret(metadata)) return { secretHash: null };
  return secret === undefined ? {} : { secretHash: hashSecret(secret) };
}

type Row = Prisma.ClientGetPayload<object>;

function fromRow(row: Row): ClientRecord;
function fromRow(row: Row | null): ClientRecord | undefined;
function fromRow(row: Row | null): ClientRecord | undefined {
  if (row === null) return undefined;
  const { id, metadata, secretHash, tokenExchange, suspendedAt, accessTokenTtl, refreshTokenTtl, refreshTokenMaxAge, ...columns } = row;
  return {
    clientId: id,
    metadata: metadata as unknown as ClientMetadata,
    ...(secretHash !== null && { secretHash }),
    ...(tokenExchange !== null && { tokenExchange: tokenExchange as unknown as TokenExchangePolicy }),
    ...(suspendedAt !== null && { suspendedAt }),
    ...(accessTokenTtl !== null && { accessTokenTtl }),
    ...(refreshTokenTtl !== null && { refreshTokenTtl }),
    ...(refreshTokenMaxAge !== null && { refreshTokenMaxAge }),
    ...columns,
  };
}

const writeCursor = ({ createdAt, clientId }: ClientRecord): string =>
  Buffer.from(JSON.stringify([createdAt.getTime(), clientId])).toString("base64url");

function readCursor(cursor: string): { at: Date; id: string } {
  try {
    const [at, id] = JSON.parse(Buffer.from(cursor, "base64url").toString()) as [unknown, unknown];
    if (typeof at === "number" && !Number.isNaN(new Date(at).getTime()) && typeof id === "string" && CLIENT_ID.test(id))
      return { at: new Date(at), id };
  } catch {
    // answered below
  }
  throw new ClientError("invalid_client_metadata", "cursor is not one of ours");
}
