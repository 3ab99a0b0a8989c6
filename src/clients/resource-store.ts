/** Resources: made, found, changed and deleted, with what this process last heard of them at hand. */
import type { KeyObject } from "node:crypto";
import type { ChangeFeed } from "../storage/change-feed.ts";
import type { Expectation } from "../storage/expectation.ts";
import { Prisma, type PrismaClient } from "../storage/generated/client.ts";
import { createLookupCache } from "../storage/lookup-cache.ts";
import type { Sealer } from "../storage/seal.ts";
import { ClientError } from "./client-error.ts";
import type { Resource } from "./resource.ts";
import { audienceFault, parseResource, type ResourceColumns, type ResourceInput } from "./resource-input.ts";
import { encryptionColumns, fromRow, type Row, WITH_INTROSPECTORS } from "./resource-rows.ts";
import { newResourceSecret, openResourceSecret, sealResourceSecret } from "./resource-secrets.ts";
import { OPENID_SCOPES } from "./scopes.ts";

/** The topic under which other processes hear of a change. */
const RESOURCE_TOPIC = "resource";

const FOUND_TTL = 60_000; // ms, should the change feed be broken
const ABSENT_TTL = 5_000; // ms
const CACHED_RESOURCES = 1_000;
const PAGE = 50;
const LARGEST_PAGE = 500;

/** A resource with the secret that was just made for it, which is never shown again. */
export type ResourceWithSecret = Resource & { readonly secret?: string };

export interface ResourceStore {
  /** From the cache when it is warm. */
  find(audience: string): Promise<Resource | undefined>;
  /** As of the last change that this process heard of, in the order of audiences. */
  all(): readonly Resource[];
  /** The OpenID scopes and those of every resource, as of the last change heard of: what an application may register for. */
  knownScopes(): ReadonlySet<string>;
  /** @throws {ClientError} `invalid_resource` naming every fault, `conflict` */
  create(audience: string, resource: ResourceInput): Promise<ResourceWithSecret>;
  /** What is given replaces. @throws {ClientError} `invalid_resource`, `not_found`, and what `expect` throws */
  update(audience: string, changes: ResourceInput, expect?: Expectation<Resource>): Promise<ResourceWithSecret>;
  /** Tokens under the old secret are none any more. @throws {ClientError} `not_found`, or its tokens are not signed with a secret */
  rotateSecret(audience: string): Promise<ResourceWithSecret>;
  /** What signs the tokens of a resource with HS256; undefined: one of our key pairs does. */
  hmacKey(resource: Resource): KeyObject | undefined;
  /** The same for what is looked for by the `aud` of a token, as of the last change that this process heard of. */
  hmacKeyFor(audience: string): KeyObject | undefined;
  /** @returns whether there was one @throws what `expect` throws */
  delete(audience: string, expect?: Expectation<Resource>): Promise<boolean>;
  /** Straight from the database, in the order of audiences. `next` is the cursor of the following page. */
  list(options?: { cursor?: string; limit?: number }): Promise<{ resources: Resource[]; next?: string }>;
  close(): void;
}

export interface ResourceStoreOptions {
  prisma: PrismaClient;
  feed: Pick<ChangeFeed, "publish" | "subscribe">;
  issuer: string;
  /** Of the secrets that sign with HS256. */
  sealer: Sealer;
  /** Milliseconds since the epoch. */
  now?: () => number;
  /** Hears when resources could not be read again after a change; the earlier ones stay in use. */
  onReadError?: (error: unknown) => void;
}

export async function openResourceStore({
  prisma,
  feed,
  issuer,
  sealer,
  now = Date.now,
  onReadError = () => {},
}: ResourceStoreOptions): Promise<ResourceStore> {
  const cache = createLookupCache<Resource>({
    max: CACHED_RESOURCES,
    ttl: FOUND_TTL,
    absentTtl: ABSENT_TTL,
    now,
    load: async (audience) => fromRow(await prisma.resource.findUnique({ where: { audience }, include: WITH_INTROSPECTORS })),
  });
  let everything: readonly Resource[] = [];
  let known: ReadonlySet<string> = new Set();
  let newest = 0;
  const hmacKeys = new WeakMap<Resource, KeyObject>();
  await readAll();
  const unsubscribe = feed.subscribe(RESOURCE_TOPIC, (audience) => {
    cache.forget(audience);
    readAll().catch(onReadError);
  });

  /** A reading that a later one overtook changes nothing. */
  async function readAll(): Promise<void> {
    const mine = ++newest;
    const rows = await prisma.resource.findMany({ include: WITH_INTROSPECTORS, orderBy: { audience: "asc" } });
    if (mine !== newest) return;
    everything = rows.map((row) => fromRow(row));
    known = new Set([...OPENID_SCOPES, ...everything.flatMap(({ scopes }) => scopes.map(({ name }) => name))]);
  }

  /** Does the work while nobody else changes a resource. */
  const change = <T>(work: (tx: Prisma.TransactionClient) => Promise<T>): Promise<T> =>
    prisma.$transaction(async (tx) => {
      await tx.$executeRaw`SELECT pg_advisory_xact_lock(hashtext('grantor/resources'))`;
      return work(tx);
    });

  /**
   * Makes a change while no other one is made, if none of its scopes is another resource's: a client is registered for names alone, and must
   * not get at one resource what it was registered for at another. Names that two resources share from earlier on they keep.
   */
  async function write(
    audience: string,
    { scopes = [] }: ResourceColumns,
    work: (tx: Prisma.TransactionClient) => Promise<Row>,
  ): Promise<Row> {
    return change(async (tx) => {
      const rows = scopes.length === 0 ? [] : await tx.resource.findMany({ include: WITH_INTROSPECTORS });
      const namesOf = (own: boolean) =>
        new Set(rows.filter((row) => (row.audience === audience) === own).flatMap((row) => fromRow(row).scopes.map(({ name }) => name)));
      const [held, others] = [namesOf(true), namesOf(false)];
      const taken = scopes.map(({ name }) => name).filter((name) => others.has(name) && !held.has(name));
      if (taken.length > 0) {
        const message = `must not hold names that another resource has already: ${taken.join(" ")}`;
        throw new ClientError("invalid_resource", `scopes ${message}`, { faults: [{ member: "scopes", message }] });
      }
      return work(tx);
    });
  }

  function hmacKey(resource: Resource): KeyObject | undefined {
    const { audience, sealedSecret } = resource;
    const known = hmacKeys.get(resource);
    if (known !== undefined || sealedSecret === undefined) return known;
    const opened = openResourceSecret(sealer, audience, sealedSecret);
    hmacKeys.set(resource, opened);
    return opened;
  }

  /** A secret is made when the algorithm begins to need one, and goes when it does not any more. */
  function secretColumn(
    audience: string,
    signingAlg: string | undefined,
    before?: Resource,
  ): { hmacSecret?: string | null; secret?: string } {
    if (signingAlg === undefined) return {};
    if (signingAlg !== "HS256") return { hmacSecret: null };
    if (before?.sealedSecret !== undefined) return {};
    const secret = newResourceSecret();
    return { hmacSecret: sealResourceSecret(sealer, audience, secret), secret };
  }

  async function changed(audience: string): Promise<void> {
    cache.forget(audience);
    await feed.publish(RESOURCE_TOPIC, audience);
    await readAll();
  }

  return {
    find: async (audience) => (audienceFault(audience) === undefined ? cache.get(audience) : undefined),
    all: () => everything,
    knownScopes: () => known,

    async create(audience, input) {
      const fault = audienceFault(audience, issuer);
      const {
        introspectors = [],
        encryption,
        ...data
      } = parseResource(input, fault === undefined ? [] : [{ member: "audience", message: fault }]);
      const { secret, ...sealed } = secretColumn(audience, data.signingAlg);
      const row = await asClientError(
        write(audience, data, (tx) =>
          tx.resource.create({
            data: {
              audience,
              ...data,
              ...sealed,
              ...encryptionColumns(encryption),
              createdAt: new Date(now()),
              introspectors: { create: introspectors.map((clientId) => ({ clientId })) },
            },
            include: WITH_INTROSPECTORS,
          }),
        ),
      );
      await changed(audience);
      return { ...fromRow(row), ...(secret !== undefined && { secret }) };
    },

    async update(audience, changes, expect) {
      const { introspectors, encryption, ...data } = parseResource(changes);
      let made: string | undefined;
      const row = await asClientError(
        write(audience, data, async (tx) => {
          const before = fromRow(await tx.resource.findUnique({ where: { audience }, include: WITH_INTROSPECTORS }));
          if (before !== undefined) expect?.(before);
          const { secret, ...sealed } = secretColumn(audience, data.signingAlg, before);
          made = secret;
          return tx.resource.update({
            where: { audience },
            data: {
              ...data,
              ...sealed,
              ...encryptionColumns(encryption, before?.encryption),
              ...(introspectors !== undefined && {
                introspectors: { deleteMany: {}, create: introspectors.map((clientId) => ({ clientId })) },
              }),
            },
            include: WITH_INTROSPECTORS,
          });
        }),
      );
      await changed(audience);
      return { ...fromRow(row), ...(made !== undefined && { secret: made }) };
    },

    async rotateSecret(audience) {
      const secret = newResourceSecret();
      const { count } = await prisma.resource.updateMany({
        where: { audience, signingAlg: "HS256" },
        data: { hmacSecret: sealResourceSecret(sealer, audience, secret) },
      });
      const row = await prisma.resource.findUnique({ where: { audience }, include: WITH_INTROSPECTORS });
      if (row === null) throw new ClientError("not_found", "there is no such resource");
      if (count === 0) throw new ClientError("invalid_resource", `its tokens are signed with ${row.signingAlg}, and not with a secret`);
      await changed(audience);
      return { ...fromRow(row), secret };
    },

    hmacKey,
    hmacKeyFor(audience) {
      const resource = everything.find((each) => each.audience === audience);
      return resource && hmacKey(resource);
    },

    async delete(audience, expect) {
      const there = await change(async (tx) => {
        const before = fromRow(await tx.resource.findUnique({ where: { audience }, include: WITH_INTROSPECTORS }));
        if (before !== undefined) expect?.(before);
        return (await tx.resource.deleteMany({ where: { audience } })).count > 0;
      });
      await changed(audience);
      return there;
    },

    async list({ cursor, limit = PAGE } = {}) {
      const take = Math.min(Math.max(1, limit), LARGEST_PAGE);
      const rows = await prisma.resource.findMany({
        where: cursor === undefined ? {} : { audience: { gt: Buffer.from(cursor, "base64url").toString() } },
        include: WITH_INTROSPECTORS,
        orderBy: { audience: "asc" },
        take: take + 1,
      });
      const resources = rows.slice(0, take).map((row) => fromRow(row));
      const last = rows.length > take ? resources.at(-1) : undefined;
      return { resources, ...(last !== undefined && { next: Buffer.from(last.audience).toString("base64url") }) };
    },

    close: unsubscribe,
  };
}

async function asClientError<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    const code = error instanceof Prisma.PrismaClientKnownRequestError ? error.code : undefined;
    if (code === "P2002") throw new ClientError("conflict", "there is a resource with this audience already", { cause: error });
    if (code === "P2003") throw new ClientError("invalid_resource", "introspected_by names a client that does not exist", { cause: error });
    if (code === "P2025") throw new ClientError("not_found", "there is no such resource", { cause: error });
    throw error;
  }
}
