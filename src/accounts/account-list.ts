/** Accounts in the order in which they were made: all, or those that an operator looks for. */
import { Prisma, type PrismaClient } from "../storage/generated/client.ts";
import { matchesWords, type Place, pageOfIds } from "../storage/listing.ts";
import type { Account } from "./account.ts";
import { fromStored, WITH_ROLES } from "./account-rows.ts";
import { normalizeEmail } from "./email-address.ts";

const PAGE = 50;
const LARGEST_PAGE = 500;

/** What is absent does not matter. */
export interface AccountQuestion {
  /** An id, an address, or words of address and name; the last one may be only begun. */
  search?: string;
  verified?: boolean;
  disabled?: boolean;
  role?: string;
  createdSince?: Date;
  after?: Place;
  limit?: number;
}

export interface AccountPage {
  readonly accounts: Account[];
  /** Where the following page begins; undefined: this is the last. A page of a search that has one may be short, or empty. */
  readonly next?: Place;
}

export async function listAccounts(prisma: PrismaClient, question: AccountQuestion): Promise<AccountPage> {
  const { role, createdSince, after, limit = PAGE } = question;
  const search = question.search?.replaceAll("\0", " "); // which no text of the database holds
  const known = search === undefined ? undefined : await findExactly(prisma, search.trim());
  const words = search === undefined || known !== undefined ? undefined : matchesWords(search);
  const holds = role === undefined ? undefined : Prisma.sql`t.id IN (SELECT account_id FROM account_role WHERE role_name = ${role})`;
  const { ids, next } = await pageOfIds(prisma, {
    table: "account",
    filters: [...stateFilters(question), ...(holds !== undefined && words !== undefined ? [holds] : [])],
    indexed: words ?? holds,
    // Who knows an address looks for nobody else in whose address its words are.
    among: known === undefined ? undefined : [known],
    after: after ?? (createdSince && { at: createdSince, id: "" }),
    limit: Math.min(Math.max(1, limit), LARGEST_PAGE),
  });
  const rows = await prisma.account.findMany({ where: { id: { in: [...ids] } }, include: WITH_ROLES });
  const byId = new Map(rows.map((row) => [row.id, fromStored(row)]));
  return { accounts: ids.flatMap((id) => byId.get(id) ?? []), ...(next !== undefined && { next }) };
}

async function findExactly(prisma: PrismaClient, search: string): Promise<string | undefined> {
  const where = search.includes("@") ? { email: normalizeEmail(search) } : { id: search };
  return (await prisma.account.findUnique({ where, select: { id: true } }))?.id;
}

function stateFilters({ verified, disabled }: AccountQuestion): Prisma.Sql[] {
  return [
    ...(verified === undefined ? [] : [Prisma.sql`t.email_verified = ${verified}`]),
    ...(disabled === undefined ? [] : [Prisma.sql`(t.disabled_at IS NOT NULL) = ${disabled}`]),
  ];
}
