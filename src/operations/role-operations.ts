/** What an operator does with roles, and with who has them. */
import type { Account } from "../accounts/account.ts";
import { AccountError } from "../accounts/account-error.ts";
import type { AccountStore } from "../accounts/account-store.ts";
import { ADMIN_ROLE, type Role, type RoleHolder, type RoleSettings, type Roles } from "../accounts/roles.ts";
import { isManagementScope, isOpenIdScope, isScopeToken } from "../clients/scopes.ts";
import type { AuditLog } from "../observability/audit-log.ts";
import type { Expectation } from "../storage/expectation.ts";
import { MANAGEMENT_SCOPES } from "./management-scopes.ts";
import type { Operator } from "./operator.ts";

const MAX_DESCRIPTION_LENGTH = 200;
const MAX_PERMISSIONS = 200;

export interface RoleOperations {
  /** In the order of names. */
  list(): Promise<Role[]>;
  /** @throws {AccountError} `not_found` */
  get(name: string): Promise<Role>;
  /** @throws {AccountError} `invalid_input`, `role_exists` */
  create(by: Operator, name: string, settings: RoleSettings): Promise<Role>;
  /** What is given replaces, and counts for its holders' next tokens. @throws {AccountError} `not_found`, `invalid_input` */
  update(by: Operator, name: string, settings: RoleSettings, expect?: Expectation<Role>): Promise<Role>;
  /** Takes it from everybody who has it. @returns it as it was @throws {AccountError} `not_found`, or `invalid_input` for the built-in role */
  delete(by: Operator, name: string, expect?: Expectation<Role>): Promise<Role>;
  /** Who has it, in the order of account ids, from the one after `after`. @throws {AccountError} `not_found` */
  holders(name: string, page: { after?: string | undefined; limit: number }): Promise<RoleHolder[]>;
  /** Gives an account a role beside those that it has. @throws {AccountError} `not_found` when there is no such account or role */
  grant(by: Operator, idOrEmail: string, name: string): Promise<Account>;
  /** @throws {AccountError} `not_found` when there is no such account, or it does not have the role */
  revoke(by: Operator, idOrEmail: string, name: string): Promise<Account>;
  /** It exists from the start, and stays. */
  isBuiltIn(name: string): boolean;
  /** What its holders may do by it: its permissions, and for the role of administrators all scopes of the management API. */
  permits(role: Role): readonly string[];
  /** Those of its permissions that nothing knows: they open nothing until a resource has them. */
  permissionsWithoutResource(role: Role): Promise<string[]>;
}

export interface RoleOperationsOptions {
  roles: Roles;
  accounts: Pick<AccountStore, "get">;
  /** Those of the issuer and of all resources. */
  knownScopes(): Promise<ReadonlySet<string>>;
  audit: Pick<AuditLog, "record">;
}

export function createRoleOperations({ roles, accounts, knownScopes, audit }: RoleOperationsOptions): RoleOperations {
  const record = (by: Operator, what: string, detail: Record<string, string | number>, accountId?: string): void =>
    audit.record({ event: what, outcome: "success", ...by, accountId, detail });

  return {
    list: () => roles.list(),
    get: (name) => roles.get(name),

    async create(by, name, settings) {
      checkSettings(settings);
      const role = await roles.create(name, settings);
      record(by, "role.created", { role: name, permissions: role.permissions.join(" ") });
      return role;
    },

    holders: (name, page) => roles.holders(name, page),

    async update(by, name, settings, expect) {
      checkSettings(settings);
      if (name === ADMIN_ROLE) await roles.ensureBuiltIn();
      const role = await roles.update(name, settings, expect);
      record(by, "role.updated", { role: name, changed: Object.keys(settings).join(" "), permissions: role.permissions.join(" ") });
      return role;
    },

    async delete(by, name, expect) {
      const role = await roles.remove(name, expect);
      record(by, "role.deleted", { role: name, holders: role.holders });
      return role;
    },

    async grant(by, idOrEmail, name) {
      const { id } = await accounts.get(idOrEmail);
      if (name === ADMIN_ROLE) await roles.ensureBuiltIn();
      if (await roles.give(id, name)) record(by, "account.role_granted", { role: name }, id);
      return accounts.get(id);
    },

    async revoke(by, idOrEmail, name) {
      const { id, email } = await accounts.get(idOrEmail);
      if (!(await roles.take(id, name))) {
        await roles.get(name);
        throw new AccountError("not_found", `${email} does not have the role "${name}".`);
      }
      record(by, "account.role_revoked", { role: name }, id);
      return accounts.get(id);
    },

    isBuiltIn: (name) => name === ADMIN_ROLE,
    permits: ({ name, permissions }) => (name === ADMIN_ROLE ? [...new Set([...MANAGEMENT_SCOPES, ...permissions])] : permissions),

    async permissionsWithoutResource({ permissions }) {
      const ofResources = permissions.filter((scope) => !isManagementScope(scope));
      if (ofResources.length === 0) return [];
      const known = await knownScopes();
      return ofResources.filter((scope) => !known.has(scope));
    },
  };
}

function checkSettings({ description = "", permissions = [] }: RoleSettings): void {
  const wrong = (field: string, message: string) => new AccountError("invalid_input", message, { faults: [{ field, message }] });
  if (description.length > MAX_DESCRIPTION_LENGTH)
    throw wrong("description", `Describe the role in at most ${MAX_DESCRIPTION_LENGTH} characters.`);
  if (permissions.length > MAX_PERMISSIONS) throw wrong("permissions", `A role permits at most ${MAX_PERMISSIONS} scopes.`);
  for (const scope of permissions) {
    const shown = `"${scope.slice(0, 200)}"`;
    if (!isScopeToken(scope)) throw wrong("permissions", `${shown} is no scope: a scope has no spaces, quotes or backslashes in it.`);
    // Those of a person's own data: whoever asks for them asks the person, and no operator could permit or refuse it.
    if (isOpenIdScope(scope))
      throw wrong("permissions", `${shown} is a scope of OpenID Connect, which needs nobody's permission but the person's.`);
    if (isManagementScope(scope) && !MANAGEMENT_SCOPES.includes(scope))
      throw wrong("permissions", `${shown} is no scope of the management API; there are ${MANAGEMENT_SCOPES.join(" ")}.`);
  }
}
