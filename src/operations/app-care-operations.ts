/** What developers do with an application of theirs beyond its settings: its secret, who looks after it, its end. */
import { type Account, isUsable } from "../accounts/account.ts";
import { AccountError, refuseFaults } from "../accounts/account-error.ts";
import type { AccountStore } from "../accounts/account-store.ts";
import { normalizeEmail } from "../accounts/email-address.ts";
import { deadInvitation, type OwnerInvitation, type OwnerInvitations } from "../accounts/owner-invitations.ts";
import { ClientError } from "../clients/client-error.ts";
import type { ClientOwners } from "../clients/client-owners.ts";
import type { ClientRecord } from "../clients/client-record.ts";
import type { ClientStore } from "../clients/client-store.ts";
import type { RotatedSecret } from "../clients/secret-rotation.ts";
import type { Config } from "../config.ts";
import { text } from "../i18n/messages.ts";
import type { AuditLog } from "../observability/audit-log.ts";
import type { Expectation } from "../storage/expectation.ts";
import type { AppOperations } from "./app-operations.ts";
import type { ClientOperations } from "./client-operations.ts";
import type { Developer, OwnerNotices } from "./owner-notices.ts";

export interface OwnerView {
  readonly accountId: string;
  readonly email: string;
  readonly name?: string;
  readonly since: Date;
}

export interface SecretOrder {
  /** Seconds for which the secret before counts, too. */
  readonly overlap: number;
  /** Made beforehand: an order that comes twice makes one secret. */
  readonly secret: string;
  /** SHA-256 of the secret that it replaces. */
  readonly current: string | undefined;
}

/** Each: @throws {ClientError} `not_found`, also for somebody else's application; `suspended`: an operator has suspended it, and it stays as it is */
export interface AppCareOperations {
  /** The owners hear of it, once. @throws {ClientError} as ClientOperations.rotateSecret; `conflict`: it is about another secret than there is */
  rotateSecret(developer: Developer, clientId: string, order: SecretOrder): Promise<RotatedSecret>;
  /** @param current SHA-256 of the secret beside which the one before it counts @throws {ClientError} `conflict`, as `rotateSecret` */
  endPreviousSecret(developer: Developer, clientId: string, current: string | undefined): Promise<ClientRecord>;
  /** The first one first. */
  owners(account: Account, clientId: string): Promise<OwnerView[]>;
  /** Those that wait for an answer. */
  invitations(account: Account, clientId: string): Promise<OwnerInvitation[]>;
  /** @throws AccountError `invalid_input`, `too_many_attempts` */
  invite(developer: Developer, clientId: string, email: string): Promise<OwnerInvitation>;
  withdraw(developer: Developer, clientId: string, invitation: string): Promise<void>;
  /** @throws AccountError `link_invalid`: also when it is for another address, or who invited does not look after the application any more */
  describeInvitation(account: Account, token: string): Promise<{ client: ClientRecord; by: string }>;
  /** Uses the link up. @throws AccountError as `describeInvitation`; also when it is for another application @throws {ClientError} `too_many` */
  accept(developer: Developer, clientId: string, token: string): Promise<void>;
  /** Takes an owner away: another one, or whoever gives the order. @throws {ClientError} `last_owner` */
  removeOwner(developer: Developer, clientId: string, accountId: string): Promise<void>;
  /** With its consents, grants and tokens. */
  delete(developer: Developer, clientId: string): Promise<void>;
}

export interface AppCareOptions extends Pick<Config, "appsPerPerson"> {
  apps: Pick<AppOperations, "owned">;
  operations: Pick<ClientOperations, "rotateSecret" | "endPreviousSecret" | "delete">;
  clients: Pick<ClientStore, "find">;
  owners: ClientOwners;
  invitations: OwnerInvitations;
  accounts: Pick<AccountStore, "find">;
  told: OwnerNotices;
  audit: Pick<AuditLog, "record">;
}

export function createAppCareOperations(options: AppCareOptions): AppCareOperations {
  const { apps, operations, clients, owners, invitations, accounts, told, audit, appsPerPerson } = options;
  const { accountsOf, tell } = told;

  async function changeable(account: Account, clientId: string): Promise<ClientRecord> {
    const client = await apps.owned(account.id, clientId);
    if (client.suspendedAt !== undefined) throw new ClientError("suspended", "an operator has suspended this application");
    return client;
  }

  const record = ({ by }: Developer, what: string, clientId: string, detail: Record<string, string> = {}) =>
    audit.record({ event: `client.${what}`, outcome: "success", ...by, clientId, detail });

  async function opened(account: Account, token: string): Promise<{ client: ClientRecord; by: string }> {
    const invitation = await invitations.describe(token);
    if (invitation === undefined) return deadInvitation();
    if (invitation.email !== account.email || !account.emailVerified)
      throw new AccountError("link_invalid", text("app-care:invitation.another", { email: account.email }));
    const client = (await owners.has(invitation.clientId, invitation.by)) ? await clients.find(invitation.clientId) : undefined;
    const inviter = await accounts.find(invitation.by);
    if (client === undefined || client.suspendedAt !== undefined || inviter === undefined || !isUsable(inviter)) return deadInvitation();
    return { client, by: inviter.email };
  }

  return {
    async rotateSecret(developer, clientId, { overlap, secret, current }) {
      await changeable(developer.account, clientId);
      const rotated = await operations.rotateSecret(developer.by, clientId, { overlap, secret, expect: hasSecret(current) });
      if (!rotated.repeated) tell(await accountsOf(clientId), "secret_rotated", rotated.client, developer);
      return rotated;
    },

    async endPreviousSecret(developer, clientId, current) {
      await changeable(developer.account, clientId);
      const client = await operations.endPreviousSecret(developer.by, clientId, hasSecret(current));
      tell(await accountsOf(clientId), "previous_secret_ended", client, developer);
      return client;
    },

    async owners(account, clientId) {
      await apps.owned(account.id, clientId);
      const all = await owners.of(clientId);
      const views = all.map(async ({ accountId, since }): Promise<OwnerView | undefined> => {
        const owner = await accounts.find(accountId);
        return owner && { accountId, since, email: owner.email, ...(owner.name !== undefined && { name: owner.name }) };
      });
      return (await Promise.all(views)).filter((view) => view !== undefined);
    },

    async invitations(account, clientId) {
      await apps.owned(account.id, clientId);
      return invitations.pending(
        clientId,
        (await owners.of(clientId)).map(({ accountId }) => accountId),
      );
    },

    async invite(developer, clientId, email) {
      await changeable(developer.account, clientId);
      const known = (await accountsOf(clientId)).find((owner) => owner.email === normalizeEmail(email))?.email;
      if (known !== undefined) refuseFaults([{ field: "email", message: text("app-care:owners.already", { email: known }) }]);
      const invitation = await invitations.send(developer.account, clientId, email, developer.origin);
      record(developer, "owner_invited", clientId);
      return invitation;
    },

    async withdraw(developer, clientId, invitation) {
      await changeable(developer.account, clientId);
      if (await invitations.withdraw(clientId, invitation)) record(developer, "owner_invitation_withdrawn", clientId);
    },

    describeInvitation: opened,

    async accept(developer, clientId, token) {
      const { client } = await opened(developer.account, token);
      if (client.clientId !== clientId) return deadInvitation();
      const { id } = developer.account;
      // In one step: the link stays for whoever has to make room first.
      if (await owners.add(clientId, id, appsPerPerson, (tx) => invitations.take(token, tx))) {
        record(developer, "owner_added", clientId, { owner: id });
        tell(await accountsOf(clientId), "owner_joined", client, developer, developer.account);
      }
    },

    async removeOwner(developer, clientId, accountId) {
      const client = await changeable(developer.account, clientId);
      const before = await accountsOf(clientId);
      if (!(await owners.remove(clientId, accountId))) return;
      record(developer, "owner_removed", clientId, { owner: accountId });
      const whom = before.find(({ id }) => id === accountId);
      const others = before.filter(({ id }) => id !== accountId);
      if (accountId === developer.account.id) return tell(before, "owner_left", client, developer, whom);
      tell(others, "owner_removed", client, developer, whom);
      if (whom !== undefined) tell([whom], "removed_you", client, developer, whom);
    },

    async delete(developer, clientId) {
      const client = await changeable(developer.account, clientId);
      const all = await accountsOf(clientId);
      await operations.delete(developer.by, clientId);
      tell(all, "deleted", client, developer);
    },
  };
}

/** That no other secret was made since a page was shown: what is ordered there is about the one that there was. */
const hasSecret =
  (hash: string | undefined): Expectation<ClientRecord> =>
  ({ secretHash }) => {
    if (secretHash !== hash) throw new ClientError("conflict", "another secret was made meanwhile");
  };
