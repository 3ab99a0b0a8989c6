/** Applications in the order of their registration: all, or those that an operator looks for. */
import { Prisma, type PrismaClient } from "../storage/generated/client.ts";
import { matchesWords, type Place, pageOfIds } from "../storage/listing.ts";
import { type ClientRecord, isClientId } from "./client-record.ts";
import { fromRow } from "./client-rows.ts";

const PAGE = 50;
const LARGEST_PAGE = 500;

/** What is absent does not matter. */
export interface ClientQuestion {
  /** A client_id, or words of name and client_id; the last one may be only begun. */
  search?: string;
  /** An account that looks after it. */
  owner?: string;
  grantType?: string;
  verified?: boolean;
  suspended?: boolean;
  createdBy?: string;
  /** Of those that a person made, the ones that nobody looks after any more. */
  ownerless?: boolean;
  after?: Place;
  limit?: number;
}

export interface ClientPage {
  readonly clients: ClientRecord[];
  /** Where the following page begins; undefined: this is the last. A page of a search that has one may be short, or empty. */
  readonly next?: Place;
}

export async function listClients(prisma: PrismaClient, question: ClientQuestion): Promise<ClientPage> {
  const { owner, after, limit = PAGE } = question;
  const search = question.search?.replaceAll("\0", " "); // which no text of the database holds
  const known = search === undefined ? undefined : await findExactly(prisma, search.trim());
  const words = search === undefined || known !== undefined ? undefined : matchesWords(search);
  const owned = owner === undefined ? undefined : Prisma.sql`t.id IN (SELECT client_id FROM client_owner WHERE account_id = ${owner})`;
  const { ids, next } = await pageOfIds(prisma, {
    table: "client",
    filters: [...stateFilters(question), ...(owned !== undefined && words !== undefined ? [owned] : [])],
    indexed: words ?? owned,
    among: known === undefined ? undefined : [known],
    after,
    limit: Math.min(Math.max(1, limit), LARGEST_PAGE),
  });
  const rows = await prisma.client.findMany({ where: { id: { in: [...ids] } } });
  const byId = new Map(rows.map((row) => [row.id, fromRow(row)]));
  return { clients: ids.flatMap((id) => byId.get(id) ?? []), ...(next !== undefined && { next }) };
}

async function findExactly(prisma: PrismaClient, search: string): Promise<string | undefined> {
  return isClientId(search) ? (await prisma.client.findUnique({ where: { id: search }, select: { id: true } }))?.id : undefined;
}

function stateFilters({ grantType, verified, suspended, createdBy, ownerless }: ClientQuestion): Prisma.Sql[] {
  return [
    ...(grantType === undefined ? [] : [Prisma.sql`t.metadata->'grant_types' @> to_jsonb(${grantType}::text)`]),
    ...(verified === undefined ? [] : [Prisma.sql`t.verified = ${verified}`]),
    ...(suspended === undefined ? [] : [Prisma.sql`(t.suspended_at IS NOT NULL) = ${suspended}`]),
    ...(ownerless === true
      ? [
          Prisma.sql`t.created_by NOT IN ('operator', 'registration', 'initial_access_token')`,
          Prisma.sql`NOT EXISTS (SELECT FROM client_owner WHERE client_id = t.id)`,
        ]
      : []),
    ...(createdBy === undefined ? [] : [Prisma.sql`t.created_by = ${createdBy}`]),
  ];
}
