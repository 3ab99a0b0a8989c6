/** Puts accounts of a file, with what belongs to them, in the place of those that are here. */
import { randomUUID } from "node:crypto";
import { voidMailedLinks } from "../accounts/one-time-tokens.ts";
import { keepSomeAdministrator } from "../accounts/roles.ts";
import type { Prisma } from "../storage/generated/client.ts";
import type { AccountRow } from "./account-row.ts";
import { insertRows, putRows } from "./many-rows.ts";
import type { Noun } from "./noun.ts";

/**
 * What names a role or an application that is not here is left out.
 * @see Noun.write
 * @throws {AccountError} `last_administrator`
 */
export const writeAccounts: Noun<AccountRow>["write"] = async (tx, rows, before, withSecrets) => {
  const keepAdministrator = before.size === 0 ? undefined : await keepSomeAdministrator(tx);
  await putRows(tx, "account", rows.map(withoutParts), before);
  if (before.size > 0) await clear(tx, rows, before, withSecrets);

  const all = <Part>(parts: (row: AccountRow) => readonly Part[]) =>
    rows.flatMap((row) => parts(row).map((part) => ({ ...part, accountId: row.id })));
  const [roles, consents, applications] = [all((row) => row.roles), all((row) => row.consents), all((row) => row.applications)];
  const names = roles.map(({ roleName }) => roleName);
  const ids = [...consents, ...applications].map(({ clientId }) => clientId);
  const knownRoles = new Set((await tx.role.findMany({ where: { name: { in: names } }, select: { name: true } })).map(({ name }) => name));
  const knownClients = new Set((await tx.client.findMany({ where: { id: { in: ids } }, select: { id: true } })).map(({ id }) => id));
  const isKnown = ({ clientId }: { clientId: string }) => knownClients.has(clientId);
  const parts: Readonly<Record<string, readonly object[]>> = {
    credential: all((row) => row.credentials).map((each) => ({ ...each, id: randomUUID() })),
    passkey: all((row) => row.passkeys),
    recovery_code: all((row) => row.recoveryCodes),
    federated_identity: all((row) => row.identities),
    account_role: roles.filter(({ roleName }) => knownRoles.has(roleName)),
    consent: consents.filter(isKnown),
    client_owner: applications.filter(isKnown),
  };
  for (const [table, of] of Object.entries(parts)) await insertRows(tx, table, of);
  await keepAdministrator?.();
  return {
    role: names.filter((name) => !knownRoles.has(name)).length,
    client: ids.filter((clientId) => !knownClients.has(clientId)).length,
  };
};

/** What stands in the row of the account itself. */
function withoutParts(row: AccountRow) {
  const { credentials: _c, passkeys: _p, recoveryCodes: _r, identities: _i, roles: _o, consents: _s, applications: _a, ...own } = row;
  return own;
}

/** Takes away what belongs to accounts that are here, and what was mailed to their owners where it counts no more. */
async function clear(
  tx: Prisma.TransactionClient,
  rows: readonly AccountRow[],
  before: ReadonlyMap<string, AccountRow>,
  withSecrets: boolean,
): Promise<void> {
  const outdated = rows.filter((row) => outdatesLinks(row, before.get(row.id))).map(({ id }) => id);
  await voidMailedLinks(tx, outdated, new Date());
  const where = { accountId: { in: [...before.keys()] } };
  await tx.credential.deleteMany({ where: withSecrets ? where : { ...where, kind: "password" } });
  await tx.passkey.deleteMany({ where });
  await tx.recoveryCode.deleteMany({ where });
  await tx.federatedIdentity.deleteMany({ where });
  await tx.accountRole.deleteMany({ where });
  await tx.consent.deleteMany({ where });
  await tx.clientOwner.deleteMany({ where });
}

const passwordOf = ({ credentials }: AccountRow): string | undefined => credentials.find(({ kind }) => kind === "password")?.secret;

/** As when an operator changes the address, the password or what counts as verified. */
const outdatesLinks = (row: AccountRow, before: AccountRow | undefined): boolean =>
  before !== undefined &&
  (row.email !== before.email || row.emailVerified !== before.emailVerified || passwordOf(row) !== passwordOf(before));
