import type { ChangeFeed } from "../storage/change-feed.ts";
import type { PrismaClient } from "../storage/generated/client.ts";
import { AccountError, type Fault } from "./account-error.ts";

/** The role of those who operate the server. It exists from the start. */
export const ADMIN_ROLE = "admin";

const NAME = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$/;

export interface Role {
  readonly name: string;
  readonly description: string;
  /** Scopes that the role permits its holder. */
  readonly permissions: readonly string[];
}

export interface Roles {
  /** Makes the built-in role; safe in any number of processes at once. */
  ensureBuiltIn(): Promise<void>;
  list(): Promise<Role[]>;
  find(name: string): Promise<Role | undefined>;
  /** Makes or changes a role; every process then sees its holders' new permissions. @throws AccountError `invalid_input` */
  save(role: { name: string; description?: string; permissions?: readonly string[] }): Promise<Role>;
  /** @throws AccountError `not_found`, or `invalid_input` for the built-in role */
  remove(name: string): Promise<void>;
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

export function createRoles(prisma: PrismaClient, feed: Pick<ChangeFeed, "publish">): Roles {
  return {
    async ensureBuiltIn() {
      await prisma.$executeRaw`
        INSERT INTO role (name, description) VALUES (${ADMIN_ROLE}, 'Operates this server') ON CONFLICT (name) DO NOTHING`;
    },
    list() {
      return prisma.role.findMany({ orderBy: { name: "asc" } });
    },
    async find(name) {
      return (await prisma.role.findUnique({ where: { name } })) ?? undefined;
    },
    async save({ name, description, permissions }) {
      const [fault] = checkRoleName(name);
      if (fault) throw new AccountError("invalid_input", fault.message, { faults: [fault] });
      const said = {
        ...(description === undefined ? {} : { description }),
        ...(permissions === undefined ? {} : { permissions: [...new Set(permissions)] }),
      };
      const role = await prisma.role.upsert({ where: { name }, create: { name, ...said }, update: said });
      await feed.publish("role", name);
      return role;
    },
    async remove(name) {
      if (name === ADMIN_ROLE) throw new AccountError("invalid_input", `The role "${ADMIN_ROLE}" is built in and stays.`);
      const { count } = await prisma.role.deleteMany({ where: { name } });
      if (count === 0) throw new AccountError("not_found", `There is no role "${name}".`);
      await feed.publish("role", name);
    },
  };
}
