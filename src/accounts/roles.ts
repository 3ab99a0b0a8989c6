import { text } from "../i18n/messages.ts";
import type { ChangeFeed } from "../storage/change-feed.ts";
import type { Expectation } from "../storage/expectation.ts";
import { Prisma, type PrismaClient } from "../storage/generated/client.ts";
import { AccountError, type Fault } from "./account-error.ts";
import { lockAccount } from "./account-lock.ts";

/** The role of those who operate the server. It exists from the start, and stays. */
export const ADMIN_ROLE = "admin";

const NAME = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$/;

/** What is absent stays as it is; of a new role it is empty, and false. */
export interface RoleSettings {
  description?: string;
  /** Scopes that the role permits its holder. */
  permissions?: readonly string[];
  /** Its holders sign in with two factors, or with a passkey. */
  requiresSecondFactor?: boolean;
}

export interface Role extends Required<RoleSettings> {
  readonly name: string;
  /** Accounts that have it. */
  readonly holders: number;
}

/** An account that has a role. */
export interface RoleHolder {
  readonly accountId: string;
  readonly since: Date;
}

/** Every change shows at once in every process, in what the holders' next tokens may hold. */
export interface Roles {
  /** Makes the built-in role; safe in any number of processes at once. */
  ensureBuiltIn(): Promise<void>;
  /** In the order of names. */
  list(): Promise<Role[]>;
  /** @throws AccountError `not_found` */
  get(name: string): Promise<Role>;
  /** @throws AccountError `invalid_input`, `role_exists` */
  create(name: string, settings?: RoleSettings): Promise<Role>;
  /** @throws AccountError `not_found`, and what `expect` throws */
  update(name: string, settings: RoleSettings, expect?: Expectation<Role>): Promise<Role>;
  /** Takes it from everybody who has it. @returns it as it was @throws AccountError `not_found`, or `invalid_input` for the built-in role, and what `expect` throws */
  remove(name: string, expect?: Expectation<Role>): Promise<Role>;
  /** Who has it, in the order of account ids. @param page.after the last id of the page before @throws AccountError `not_found` */
  holders(name: string, page: { after?: string | undefined; limit: number }): Promise<RoleHolder[]>;
  /** Beside the roles that the account has. @returns false: it has it already @throws AccountError `not_found` when there is no such role or account */
  give(accountId: string, name: string): Promise<boolean>;
  /** @returns false: the account does not have it @throws AccountError `last_administrator` */
  take(accountId: string, name: string): Promise<boolean>;
}

export function checkRoleName(name: string): Fault[] {
  if (NAME.test(name)) return [];
  return [
    {
      field: "role",
      message: `"${name.slice(0, 80)}" is no role name: use up to 64 letters, digits, dots, colons, dashes and underscores.`,
    },
  ];
}

const WITH_HOLDERS = { _count: { select: { accounts: true } } } as const;
type Stored = Prisma.RoleGetPayload<{ include: typeof WITH_HOLDERS }>;

export function createRoles(prisma: PrismaClient, feed: Pick<ChangeFeed, "publish">): Roles {
  const absent = (name: string, cause?: unknown) =>
    new AccountError("not_found", `There is no role "${name.slice(0, 80)}".`, cause === undefined ? {} : { cause });

  async function changed(stored: Stored): Promise<Role> {
    await feed.publish("role", stored.name);
    return fromStored(stored);
  }

  /** Nobody gets it or changes it until the transaction ends. */
  async function locked(tx: Prisma.TransactionClient, name: string): Promise<Stored> {
    await tx.$queryRaw`SELECT name FROM role WHERE name = ${name} FOR UPDATE`;
    const stored = await tx.role.findUnique({ where: { name }, include: WITH_HOLDERS });
    if (stored === null) throw absent(name);
    return stored;
  }

  return {
    async ensureBuiltIn() {
      await prisma.$executeRaw`
        INSERT INTO role (name, description) VALUES (${ADMIN_ROLE}, 'Operates this server') ON CONFLICT (name) DO NOTHING`;
    },
    async list() {
      return (await prisma.role.findMany({ orderBy: { name: "asc" }, include: WITH_HOLDERS })).map(fromStored);
    },
    async get(name) {
      const stored = await prisma.role.findUnique({ where: { name }, include: WITH_HOLDERS });
      if (stored === null) throw absent(name);
      return fromStored(stored);
    },
    async create(name, settings = {}) {
      const [fault] = checkRoleName(name);
      if (fault) throw new AccountError("invalid_input", fault.message, { faults: [{ ...fault, field: "name" }] });
      const made = prisma.role.create({ data: { name, ...columns(settings) }, include: WITH_HOLDERS });
      return changed(
        await made.catch((cause: unknown) => {
          if (isError(cause, "P2002")) throw new AccountError("role_exists", `There is already a role "${name}".`, { cause });
          throw cause;
        }),
      );
    },
    async update(name, settings, expect) {
      const stored = await prisma.$transaction(async (tx) => {
        const before = await locked(tx, name);
        expect?.(fromStored(before));
        return tx.role.update({ where: { name }, data: columns(settings), include: WITH_HOLDERS });
      });
      return changed(stored);
    },
    async remove(name, expect) {
      if (name === ADMIN_ROLE) throw new AccountError("invalid_input", `The role "${ADMIN_ROLE}" is built in and stays.`);
      // In one transaction, so that the holders that are told of are those that it was taken from.
      const stored = await prisma.$transaction(async (tx) => {
        const before = await locked(tx, name);
        expect?.(fromStored(before));
        return tx.role.delete({ where: { name }, include: WITH_HOLDERS });
      });
      return changed(stored);
    },
    async holders(name, { after, limit }) {
      const rows = await prisma.accountRole.findMany({
        where: { roleName: name, ...(after !== undefined && { accountId: { gt: after } }) },
        orderBy: { accountId: "asc" },
        take: limit,
      });
      if (rows.length === 0 && (await prisma.role.findUnique({ where: { name } })) === null) throw absent(name);
      return rows.map(({ accountId, grantedAt }) => ({ accountId, since: grantedAt }));
    },
    async give(accountId, name) {
      const given = prisma.accountRole.createMany({ data: [{ accountId, roleName: name }], skipDuplicates: true });
      const { count } = await given.catch(async (cause: unknown) => {
        if (!isError(cause, "P2003")) throw cause;
        if ((await prisma.role.findUnique({ where: { name } })) === null) throw absent(name, cause);
        throw new AccountError("not_found", "There is no such account.", { cause });
      });
      if (count > 0) await feed.publish("account", accountId);
      return count > 0;
    },
    async take(accountId, name) {
      const { count } = await prisma.$transaction(async (tx) => {
        if (name === ADMIN_ROLE) await keepAnAdministrator(tx, accountId);
        await lockAccount(tx, accountId); // so that whoever changes the account sees its roles as they are
        return tx.accountRole.deleteMany({ where: { accountId, roleName: name } });
      });
      if (count > 0) await feed.publish("account", accountId);
      return count > 0;
    },
  };
}

/**
 * For whoever takes the role of administrators from an account, or the account from its owner: of the last two who go at once one stays. It comes
 * first in its transaction, before the account is locked, so that nobody waits for who waits for them.
 * @throws {AccountError} `last_administrator`
 */
export async function keepAnAdministrator(tx: Prisma.TransactionClient, accountId: string): Promise<void> {
  await lockAdministrators(tx);
  const usable = await administrators(tx, 2);
  if (usable.length === 1 && usable[0] === accountId) throw lastAdministrator();
}

/**
 * The same for whoever changes many accounts in one transaction: it comes first in it, and what it returns comes last.
 * @returns throws {AccountError} `last_administrator` when there was an administrator, and none is left
 */
export async function keepSomeAdministrator(tx: Prisma.TransactionClient): Promise<() => Promise<void>> {
  await lockAdministrators(tx);
  const before = await administrators(tx, 1);
  return async () => {
    if (before.length > 0 && (await administrators(tx, 1)).length === 0) throw lastAdministrator();
  };
}

/** The ids of accounts that hold the role of administrators and that somebody can sign in to. */
export async function administrators(db: Pick<PrismaClient, "accountRole">, most?: number): Promise<string[]> {
  const rows = await db.accountRole.findMany({
    where: { roleName: ADMIN_ROLE, account: { disabledAt: null, deleteAt: null } },
    select: { accountId: true },
    ...(most !== undefined && { take: most }),
  });
  return rows.map(({ accountId }) => accountId);
}

const lockAdministrators = (tx: Prisma.TransactionClient) =>
  tx.$queryRaw`SELECT name FROM role WHERE name = ${ADMIN_ROLE} FOR NO KEY UPDATE`;

const lastAdministrator = (): AccountError => new AccountError("last_administrator", text("deletion:last_administrator"));

function columns({ description, permissions, requiresSecondFactor }: RoleSettings) {
  return {
    ...(description !== undefined && { description }),
    ...(permissions !== undefined && { permissions: [...new Set(permissions)] }),
    ...(requiresSecondFactor !== undefined && { requiresSecondFactor }),
  };
}

function fromStored({ name, description, permissions, requiresSecondFactor, _count }: Stored): Role {
  return { name, description, permissions, requiresSecondFactor, holders: _count.accounts };
}

const isError = (error: unknown, code: string): boolean => error instanceof Prisma.PrismaClientKnownRequestError && error.code === code;
