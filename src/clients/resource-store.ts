import type { KeyObject } from "node:crypto";
import { z } from "zod";
import type { ChangeFeed } from "../storage/change-feed.ts";
import { Prisma, type PrismaClient } from "../storage/generated/client.ts";
import { createLookupCache } from "../storage/lookup-cache.ts";
import type { Sealer } from "../storage/seal.ts";
import { ClientError, describeFaults, type Fault } from "./client-error.ts";
import { type EncryptionInput, type ResourceEncryption, resourceEncryption } from "./resource-encryption.ts";
import { newResourceSecret, openResourceSecret, sealResourceSecret } from "./resource-secrets.ts";
import { isManagementScope, isOpenIdScope, isScopeToken, OPENID_SCOPES } from "./scopes.ts";

/** The topic under which other processes hear of a change. */
const RESOURCE_TOPIC = "resource";

const FOUND_TTL = 60_000; // ms, should the change feed be broken
const ABSENT_TTL = 5_000; // ms
const CACHED_RESOURCES = 1_000;
const PAGE = 50;
const LARGEST_PAGE = 500;
/** Seconds: a month. An access token that lives longer is a refresh token without rotation. */
const LONGEST_TOKEN_TTL = 2_592_000;
const LONGEST_AUDIENCE = 500;
const RESOURCE_ALGS = ["RS256", "ES256", "PS256", "EdDSA", "HS256"] as const;

/** The management API: a resource of its own, never the default, and not kept here. */
export const managementAudience = (issuer: string): string => `${issuer}/api/v1`;

export interface ResourceScope {
  readonly name: string;
  /** What a person reads when they are asked to allow it. */
  readonly description: string;
}

/** A resource server's API. @see RFC 8707 */
export interface Resource {
  /** What a client names as `resource`, and `aud` of its tokens. */
  readonly audience: string;
  readonly name: string;
  readonly scopes: readonly ResourceScope[];
  /** Seconds; absent: ACCESS_TOKEN_TTL. */
  readonly accessTokenTtl?: number;
  readonly signingAlg: (typeof RESOURCE_ALGS)[number];
  /** With HS256: what signs its tokens, sealed. */
  readonly sealedSecret?: string;
  /** Absent: its tokens are signed, and everybody can read them. */
  readonly encryption?: ResourceEncryption;
  /** Every token for it tells the person's roles. */
  readonly includeRoles: boolean;
  /** Clients that may introspect its tokens. */
  readonly introspectors: readonly string[];
  readonly createdAt: Date;
}

/** A resource with the secret that was just made for it, which is never shown again. */
export type ResourceWithSecret = Resource & { readonly secret?: string };

export interface ResourceInput {
  name?: string;
  /** A name alone stands for one without a description. */
  scopes?: readonly (string | { name: string; description?: string })[];
  /** `null`: ACCESS_TOKEN_TTL. */
  accessTokenTtl?: number | null;
  signingAlg?: string;
  /** `null`: they are only signed. */
  encryption?: EncryptionInput | null;
  includeRoles?: boolean;
  introspectors?: readonly string[];
}

export interface ResourceStore {
  /** From the cache when it is warm. */
  find(audience: string): Promise<Resource | undefined>;
  /** As of the last change that this process heard of, in the order of audiences. */
  all(): readonly Resource[];
  /** The OpenID scopes and those of every resource, as of the last change heard of: what an application may register for. */
  knownScopes(): ReadonlySet<string>;
  /** @throws {ClientError} `invalid_resource` naming every fault, `conflict` */
  create(audience: string, resource: ResourceInput): Promise<ResourceWithSecret>;
  /** What is given replaces. @throws {ClientError} `invalid_resource`, `not_found` */
  update(audience: string, changes: ResourceInput): Promise<ResourceWithSecret>;
  /** Tokens under the old secret are none any more. @throws {ClientError} `not_found`, or its tokens are not signed with a secret */
  rotateSecret(audience: string): Promise<ResourceWithSecret>;
  /** What signs the tokens of a resource with HS256; undefined: one of our key pairs does. */
  hmacKey(resource: Resource): KeyObject | undefined;
  /** The same for what is looked for by the `aud` of a token, as of the last change that this process heard of. */
  hmacKeyFor(audience: string): KeyObject | undefined;
  /** @returns whether there was one */
  delete(audience: string): Promise<boolean>;
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

const scopeInput = z
  .union([
    z.string().transform((name) => ({ name, description: "" })),
    z.object({ name: z.string(), description: z.string().max(500).default("") }),
  ])
  .refine(({ name }) => isScopeToken(name), "must be a scope name without spaces or quotes")
  .refine(({ name }) => !isOpenIdScope(name), "must not be a scope of the issuer itself")
  .refine(({ name }) => !isManagementScope(name), "must not hold a name that is kept for the management API");
const members = {
  name: z.string().max(100, "must not be longer than 100 characters"),
  scopes: z.array(scopeInput).max(200, "must not hold more than 200 scopes"),
  accessTokenTtl: z
    .int()
    .min(1, "must be a whole number of seconds above 0")
    .max(LONGEST_TOKEN_TTL, `must be at most ${LONGEST_TOKEN_TTL} seconds`)
    .nullable(),
  signingAlg: z.enum(RESOURCE_ALGS, `must be one of ${RESOURCE_ALGS.join(", ")}`),
  includeRoles: z.boolean(),
  introspectors: z.array(z.string()).transform((ids) => [...new Set(ids)]),
  // What it says depends on the key: resource-encryption.ts
  encryption: z.object({ alg: z.string().optional(), enc: z.string().optional(), jwk: z.unknown().optional() }).nullable(),
};

/** What operators know them by, where it is another name. */
const SHOWN: Readonly<Record<string, string>> = {
  accessTokenTtl: "access_token_ttl",
  signingAlg: "alg",
  includeRoles: "roles",
  introspectors: "introspected_by",
};

const WITH_INTROSPECTORS = { introspectors: { orderBy: { clientId: "asc" } } } as const;
type Row = Prisma.ResourceGetPayload<{ include: typeof WITH_INTROSPECTORS }>;

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

  /**
   * Makes a change while no other one is made, if none of its scopes is another resource's: a client is registered for names alone, and must
   * not get at one resource what it was registered for at another. Names that two resources share from earlier on they keep.
   */
  async function write(audience: string, { scopes = [] }: Columns, work: (tx: Prisma.TransactionClient) => Promise<Row>): Promise<Row> {
    return prisma.$transaction(async (tx) => {
      await tx.$executeRaw`SELECT pg_advisory_xact_lock(hashtext('grantor/resources'))`;
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
      const { introspectors = [], encryption, ...data } = parse(input, fault === undefined ? [] : [{ member: "audience", message: fault }]);
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

    async update(audience, changes) {
      const { introspectors, encryption, ...data } = parse(changes);
      let made: string | undefined;
      const row = await asClientError(
        write(audience, data, async (tx) => {
          const before = fromRow(await tx.resource.findUnique({ where: { audience }, include: WITH_INTROSPECTORS }));
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

    async delete(audience) {
      const { count } = await prisma.resource.deleteMany({ where: { audience } });
      await changed(audience);
      return count > 0;
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

/** RFC 8707 §2: an absolute URI without a fragment. */
function audienceFault(audience: string, issuer?: string): string | undefined {
  if (audience.length > LONGEST_AUDIENCE) return `must not be longer than ${LONGEST_AUDIENCE} characters`;
  if (!/^[\x21-\x7E]+$/.test(audience) || !URL.canParse(audience)) return "must be an absolute URI, such as https://api.example.com";
  if (audience.includes("#")) return "must not have a fragment";
  if (issuer !== undefined && [issuer, `${issuer}/`, managementAudience(issuer)].includes(audience))
    return "is a resource of the issuer itself";
  return undefined;
}

interface Columns {
  name?: string;
  scopes?: { name: string; description: string }[];
  accessTokenTtl?: number | null;
  signingAlg?: string;
  encryption?: EncryptionInput | null;
  includeRoles?: boolean;
  introspectors?: string[];
}

function encryptionColumns(given: EncryptionInput | null | undefined, before?: ResourceEncryption) {
  if (given === undefined) return {};
  if (given === null) return { encryptionAlg: null, encryptionEnc: null, encryptionJwk: Prisma.DbNull };
  const { alg, enc, jwk } = resourceEncryption(given, before);
  return { encryptionAlg: alg, encryptionEnc: enc, encryptionJwk: jwk as Prisma.InputJsonObject };
}

function parse(input: ResourceInput, faults: Fault[] = []): Columns {
  const given: Record<string, unknown> = {};
  const found = [...faults];
  for (const [member, schema] of Object.entries(members)) {
    const value = input[member as keyof ResourceInput];
    if (value === undefined) continue;
    const parsed = schema.safeParse(value);
    if (parsed.success) given[member] = parsed.data;
    else
      for (const { path, message } of parsed.error.issues)
        found.push({ member: (SHOWN[member] ?? member) + path.map((part) => `[${String(part)}]`).join(""), message });
  }
  const { scopes } = given as Columns;
  if (scopes !== undefined && new Set(scopes.map(({ name }) => name)).size < scopes.length)
    found.push({ member: "scopes", message: "must name each scope once" });
  if (found.length > 0) throw new ClientError("invalid_resource", describeFaults(found), { faults: found });
  return given;
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

function fromRow(row: Row): Resource;
function fromRow(row: Row | null): Resource | undefined;
function fromRow(row: Row | null): Resource | undefined {
  if (row === null) return undefined;
  const { audience, name, scopes, accessTokenTtl, signingAlg, hmacSecret, includeRoles, introspectors, createdAt } = row;
  const { encryptionAlg: alg, encryptionEnc: enc, encryptionJwk: jwk } = row;
  return {
    audience,
    name,
    scopes: scopes as unknown as ResourceScope[],
    ...(accessTokenTtl !== null && { accessTokenTtl }),
    signingAlg: signingAlg as Resource["signingAlg"],
    ...(hmacSecret !== null && { sealedSecret: hmacSecret }),
    ...(alg !== null && enc !== null && jwk !== null && { encryption: { alg, enc, jwk: jwk as unknown as ResourceEncryption["jwk"] } }),
    includeRoles,
    introspectors: introspectors.map(({ clientId }) => clientId),
    createdAt,
  };
}
