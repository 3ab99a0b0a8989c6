/**
 * Nobody gains by an order: who may write accounts, applications or roles gives nobody a scope of this API that their own token does not hold, and
 * takes over no account and no application that may do more than they.
 */
import type { Account } from "../accounts/account.ts";
import { ADMIN_ROLE } from "../accounts/roles.ts";
import type { ClientRecord } from "../clients/client-record.ts";
import { isManagementScope } from "../clients/scopes.ts";
import { MANAGEMENT_SCOPES } from "../operations/management-scopes.ts";
import type { Caller } from "./endpoint.ts";
import { Problem } from "./problems.ts";

type Holder = Pick<Caller, "scopes">;

/** @param scopes that somebody would get; others than those of this API do not matter @throws {Problem} `forbidden` */
export function refuseBeyond({ scopes: own }: Holder, scopes: readonly string[]): void {
  const beyond = scopes.filter((scope) => isManagementScope(scope) && !own.includes(scope));
  if (beyond.length > 0)
    throw new Problem("forbidden", `It is about more than your access token allows: it does not hold ${beyond.join(" ")}.`);
}

/**
 * Before somebody could come to sign in as the owner of an account.
 * @param applications scopes of those that the account looks after: whoever signs in as it gives them new secrets
 * @throws {Problem} `forbidden`
 */
export function refuseMightier(
  caller: Holder,
  { roles, permissions }: Pick<Account, "roles" | "permissions">,
  applications: readonly string[] = [],
): void {
  refuseBeyond(caller, roles.includes(ADMIN_ROLE) ? MANAGEMENT_SCOPES : [...permissions, ...applications]);
}

/** Before somebody could come to act as an application. @throws {Problem} `forbidden` */
export function refuseMightierClient(caller: Holder, { managementScopes }: ClientRecord): void {
  refuseBeyond(caller, managementScopes);
}
