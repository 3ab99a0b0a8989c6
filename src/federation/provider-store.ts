/** The providers that there are: those of the configuration, and those that operators have made in the database. */
import type { ChangeFeed } from "../storage/change-feed.ts";
import type { Expectation } from "../storage/expectation.ts";
import type { Prisma, PrismaClient, IdentityProvider as Row } from "../storage/generated/client.ts";
import { createLookupCache } from "../storage/lookup-cache.ts";
import type { Sealer } from "../storage/seal.ts";
import { FederationError } from "./federation-error.ts";
import { faultsOf, type IdentityProvider, type ProviderInput, providerInput, providerOf } from "./provider.ts";

/** A change made on another process shows at once through the feed; this is how long one can go unseen when the feed is broken. */
const CACHE_MS = 60_000;
const TOPIC = "identity_provider";
const ALL = "all";

/** What is absent stays; `null` goes back to the default. */
export type ProviderChanges = { readonly [K in Exclude<keyof ProviderInput, "id" | "kind">]?: ProviderInput[K] | null };

export interface ProviderStore {
  /** Configuration first, then by id. Disabled ones too. */
  list(): Promise<readonly IdentityProvider[]>;
  /** One at which people may sign in now. */
  find(id: string): Promise<IdentityProvider | undefined>;
  /** Also a disabled one. @throws {FederationError} `not_found` */
  get(id: string): Promise<IdentityProvider>;
  /** @throws {FederationError} `invalid_provider` naming every fault, `provider_exists` */
  create(input: unknown): Promise<IdentityProvider>;
  /** @throws {FederationError} `not_found`, `invalid_provider`, `in_configuration` */
  update(id: string, changes: ProviderChanges, expect?: Expectation<IdentityProvider>): Promise<IdentityProvider>;
  /** Nobody signs in with it any more. Who had connected it stays connected, should it come back. @throws {FederationError} `not_found`, `in_configuration` */
  delete(id: string, expect?: Expectation<IdentityProvider>): Promise<IdentityProvider>;
  close(): void;
}

export interface ProviderStoreOptions {
  prisma: PrismaClient;
  feed: ChangeFeed;
  sealer: Sealer;
  configured: readonly IdentityProvider[];
}

export function createProviderStore({ prisma, feed, sealer, configured }: ProviderStoreOptions): ProviderStore {
  const isConfigured = (id: string): boolean => configured.some((each) => each.id === id);
  const cache = createLookupCache<readonly IdentityProvider[]>({
    max: 1,
    ttl: CACHE_MS,
    async load() {
      const rows = await prisma.identityProvider.findMany({ orderBy: { id: "asc" } });
      return [...configured, ...rows.filter(({ id }) => !isConfigured(id)).map((row) => toProvider(row, sealer))];
    },
  });
  const unsubscribe = feed.subscribe(TOPIC, () => cache.forget(undefined));
  const list = async () => (await cache.get(ALL)) ?? [];

  async function rowOf(id: string): Promise<Row> {
    if (isConfigured(id)) {
      throw new FederationError(
        "in_configuration",
        `The provider "${id}" is in the file that IDENTITY_PROVIDERS_FILE names: change it there.`,
      );
    }
    const row = await prisma.identityProvider.findUnique({ where: { id } });
    if (row === null) throw notFound(id);
    return row;
  }

  async function saved(id: string): Promise<IdentityProvider> {
    await feed.publish(TOPIC, id);
    return toProvider(await rowOf(id), sealer);
  }

  return {
    list,
    async find(id) {
      return (await list()).find((each) => each.id === id && !each.disabled);
    },
    async get(id) {
      const found = (await list()).find((each) => each.id === id);
      if (found === undefined) throw notFound(id);
      return found;
    },
    async create(given) {
      const input = check(given);
      const exists = new FederationError("provider_exists", `There is already a provider "${input.id}".`);
      if (isConfigured(input.id)) throw exists;
      const { count } = await prisma.identityProvider.createMany({
        data: [{ id: input.id, ...columnsOf(input, sealer) }],
        skipDuplicates: true,
      });
      if (count === 0) throw exists;
      return saved(input.id);
    },
    async update(id, changes, expect) {
      const row = await rowOf(id);
      expect?.(toProvider(row, sealer));
      // A secret that is replaced need not be opened: it may be sealed under one that is gone.
      const known = inputOf(changes.client_secret === undefined ? row : { ...row, clientSecret: null }, sealer);
      const merged = Object.entries({ ...known, ...changes }).filter(([, value]) => value !== null);
      const { id: _same, ...columns } = { id, ...columnsOf(check(Object.fromEntries(merged)), sealer) };
      // Compare and set: of two operators at once the second is told, not lost.
      const { count } = await prisma.identityProvider.updateMany({ where: { id, updatedAt: row.updatedAt }, data: columns });
      if (count === 0) throw changedMeanwhile(id);
      return saved(id);
    },
    async delete(id, expect) {
      const row = await rowOf(id);
      const provider = toProvider(row, sealer);
      expect?.(provider);
      const { count } = await prisma.identityProvider.deleteMany({ where: { id, ...(expect && { updatedAt: row.updatedAt }) } });
      if (expect && count === 0) throw changedMeanwhile(id);
      await feed.publish(TOPIC, id);
      return provider;
    },
    close: unsubscribe,
  };
}

/** Seals again what an older SECRET_KEY had sealed. @throws {Error} when one cannot be opened, with the words that say what to do */
export async function sealProviderSecretsAgain(prisma: PrismaClient, sealer: Sealer): Promise<void> {
  const rows = await prisma.identityProvider.findMany({ where: { clientSecret: { not: null } }, select: { id: true, clientSecret: true } });
  for (const { id, clientSecret } of rows) {
    const secret = openProviderSecret(id, clientSecret, sealer);
    if (clientSecret === null || secret === undefined || sealer.isCurrent(clientSecret)) continue;
    // Compare and set: whoever set another secret meanwhile wins.
    await prisma.identityProvider.updateMany({
      where: { id, clientSecret },
      data: { clientSecret: sealProviderSecret(id, secret, sealer) },
    });
  }
}

function check(given: unknown): ProviderInput {
  const { success, data, error } = providerInput.safeParse(given);
  if (success) return data;
  const faults = error.issues.map(({ path, message }) => ({ member: path.map(String).join("."), message }));
  throw new FederationError("invalid_provider", faultsOf(error).join("; "), faults);
}

function columnsOf(input: ProviderInput, sealer: Sealer): Omit<Prisma.IdentityProviderCreateManyInput, "id"> {
  const { id, kind, name, issuer, client_id, client_secret, disabled, ...options } = input;
  return {
    kind,
    name,
    issuer: issuer ?? null,
    clientId: client_id,
    clientSecret: client_secret === undefined ? null : sealProviderSecret(id, client_secret, sealer),
    disabledAt: disabled ? new Date() : null,
    options,
  };
}

function inputOf(row: Row, sealer: Sealer): Record<string, unknown> {
  const client_secret = openProviderSecret(row.id, row.clientSecret, sealer);
  return {
    ...(row.options as object),
    id: row.id,
    kind: row.kind,
    name: row.name,
    ...(row.issuer !== null && { issuer: row.issuer }),
    client_id: row.clientId,
    ...(client_secret !== undefined && { client_secret }),
    ...(row.disabledAt !== null && { disabled: true }),
  };
}

const toProvider = (row: Row, sealer: Sealer): IdentityProvider =>
  providerOf(inputOf(row, sealer) as ProviderInput, "database", row.updatedAt.toISOString());

/** @throws {Error} with the words that say what to do */
export function openProviderSecret(id: string, sealed: string | null, sealer: Sealer): string | undefined {
  if (sealed === null) return undefined;
  try {
    return sealer.open(sealed, contextOf(id));
  } catch (cause) {
    throw new Error(
      `The client secret of the provider ${id} is sealed under one that SECRET_KEY does not hold. Set SECRET_KEY to the value that was in use when it was stored, or store it anew with: grantor provider update ${id} --client-secret -`,
      { cause },
    );
  }
}

export const sealProviderSecret = (id: string, secret: string, sealer: Sealer): string => sealer.seal(secret, contextOf(id));

const contextOf = (id: string): string => `identity-provider:${id}`;
const changedMeanwhile = (id: string): FederationError =>
  new FederationError("changed_meanwhile", `The provider "${id}" was changed meanwhile. Give the order again.`);
const notFound = (id: string): FederationError => new FederationError("not_found", `There is no provider "${id.slice(0, 64)}".`);
