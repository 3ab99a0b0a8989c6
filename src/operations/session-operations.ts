/** What an operator sees of where somebody is signed in, and ends. */
import { AccountError } from "../accounts/account-error.ts";
import type { AccountSession, AccountSessions } from "../accounts/account-sessions.ts";
import type { AccountStore } from "../accounts/account-store.ts";
import type { AuditLog } from "../observability/audit-log.ts";
import type { Expectation } from "../storage/expectation.ts";
import type { Operator } from "./operator.ts";

export interface SessionOperations {
  /** The sessions of an account that live. @throws {AccountError} `not_found`: there is no such account */
  list(accountId: string): Promise<AccountSession[]>;
  /** @param sessionId its `id`, which opens nothing @throws {AccountError} `not_found` */
  get(accountId: string, sessionId: string): Promise<AccountSession>;
  /** With what applications got in it, unless that survives sign-out; they are told. @throws {AccountError} `not_found` */
  end(by: Operator, accountId: string, sessionId: string, expect?: Expectation<AccountSession>): Promise<void>;
}

export interface SessionOperationsOptions {
  accounts: Pick<AccountStore, "find">;
  sessions: Pick<AccountSessions, "list">;
  /** Ends it and tells its applications. */
  endSession(uid: string): Promise<void>;
  audit: Pick<AuditLog, "record">;
}

export function createSessionOperations({ accounts, sessions, endSession, audit }: SessionOperationsOptions): SessionOperations {
  async function list(accountId: string): Promise<AccountSession[]> {
    if ((await accounts.find(accountId)) === undefined) throw new AccountError("not_found", "There is no such account.");
    return sessions.list(accountId);
  }

  async function get(accountId: string, sessionId: string): Promise<AccountSession> {
    const session = (await list(accountId)).find(({ id }) => id === sessionId);
    if (session === undefined) throw new AccountError("not_found", "There is no such session; it may have ended.");
    return session;
  }

  return {
    list,
    get,
    async end(by, accountId, sessionId, expect) {
      const session = await get(accountId, sessionId);
      expect?.(session);
      await endSession(session.uid);
      audit.record({ event: "session.ended", outcome: "success", ...by, accountId });
    },
  };
}
