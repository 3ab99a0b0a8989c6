/**
 * Deleting one's own account: asked for, it cannot be used any more at once; for a while its owner can call the deletion off; then it goes for
 * good, with everything that is tied to it. Its id is random and never given again.
 */
import { text } from "../i18n/messages.ts";
import type { Letterhead } from "../mail/letter.ts";
import type { Mailer } from "../mail/mailer.ts";
import type { PrismaClient } from "../storage/generated/client.ts";
import type { Account } from "./account.ts";
import { AccountError } from "./account-error.ts";
import { deletedMail } from "./account-mails.ts";
import type { AccountStore } from "./account-store.ts";
import { keepAnAdministrator } from "./roles.ts";
import { languageOfAccount, type Origin, type SecurityNotices } from "./security-notices.ts";

/** Accounts that one pass deletes. */
const BATCH = 100;

export interface Deletion {
  /**
   * Ends every session, grant and token of the account; nobody signs in to it from then on but to call it off.
   * @returns the account with its `deleteAt`; `undefined`: there is no delay, and it is gone
   * @throws AccountError `last_administrator`, `not_found`; the stores' own errors, and then nothing was changed
   */
  request(account: Account, origin: Origin): Promise<Account | undefined>;
  /** Calls it off: the account is as it was, without its sessions. @throws AccountError `not_found` when it was carried out meanwhile */
  undo(accountId: string, origin: Origin): Promise<Account>;
  /** Deletes the accounts whose time has come; safe in any number of processes at once. */
  carryOut(): Promise<void>;
}

/** @param delay seconds  @param now milliseconds since the epoch */
export function createDeletion(options: {
  prisma: PrismaClient;
  accounts: AccountStore;
  notices: SecurityNotices;
  mailer: Mailer;
  letterhead: Letterhead;
  delay: number;
  /** Ends every session, grant and token of an account. */
  endAccount(accountId: string): Promise<void>;
  /** Told after an account was deleted. */
  onDeleted(accountId: string): void;
  now?: () => number;
}): Deletion {
  const { prisma, accounts, notices, mailer, letterhead, delay, endAccount, onDeleted, now = Date.now } = options;

  async function mark(id: string, deleteAt: Date): Promise<void> {
    await prisma.$transaction(async (tx) => {
      await keepAnAdministrator(tx, id);
      const { count } = await tx.account.updateMany({ where: { id, deleteAt: null }, data: { deleteAt } });
      if (count === 0) throw new AccountError("not_found", text("deletion:gone"));
    });
    await accounts.changed(id);
  }

  /** @returns whether it was called off */
  async function clear(id: string): Promise<boolean> {
    const { count } = await prisma.account.updateMany({ where: { id, deleteAt: { not: null } }, data: { deleteAt: null } });
    await accounts.changed(id);
    return count > 0;
  }

  async function remove(id: string): Promise<void> {
    const account = await accounts.find(id);
    await endAccount(id);
    // Whoever calls it off at this moment comes before this or too late.
    const { count } = await prisma.account.deleteMany({ where: { id, deleteAt: { lte: new Date(now()) } } });
    await accounts.changed(id);
    if (count === 0 || account === undefined) return;
    onDeleted(id);
    mailer.send(deletedMail(letterhead, account.email, languageOfAccount(account)));
  }

  return {
    async request({ id }, origin) {
      await mark(id, new Date(now() + delay * 1000));
      try {
        if (delay === 0) return await remove(id).then(() => undefined);
        await endAccount(id);
      } catch (error) {
        await clear(id);
        throw error;
      }
      const account = await accounts.get(id);
      notices.tell(account, "deletion_requested", origin);
      return account;
    },
    async undo(accountId, origin) {
      if (!(await clear(accountId))) throw new AccountError("not_found", text("deletion:gone"));
      const account = await accounts.get(accountId);
      notices.tell(account, "deletion_undone", origin);
      return account;
    },
    async carryOut() {
      const due = await prisma.account.findMany({
        where: { deleteAt: { lte: new Date(now()) } },
        select: { id: true },
        orderBy: { deleteAt: "asc" },
        take: BATCH,
      });
      for (const { id } of due) await remove(id);
    },
  };
}
