/** What an operator sees of what people allowed applications, and takes back for them. */
import { AccountError } from "../accounts/account-error.ts";
import type { AccountStore } from "../accounts/account-store.ts";
import type { ConsentQuestion, ConsentStore, GivenConsent } from "../accounts/consent-store.ts";
import type { AuditLog } from "../observability/audit-log.ts";
import type { Expectation } from "../storage/expectation.ts";
import type { LiveGrant, LiveGrants } from "../storage/live-grants.ts";
import { finishing, type Operator } from "./operator.ts";

export type { LiveGrant };

export interface GrantOperations {
  /** In the order of accounts and clients. */
  list(question: ConsentQuestion): Promise<{ consents: GivenConsent[]; more: boolean }>;
  /** @throws {AccountError} `not_found` */
  get(accountId: string, clientId: string): Promise<GivenConsent>;
  /** With every code and token that came of it; the application asks the person anew. @throws {AccountError} `not_found` */
  end(by: Operator, accountId: string, clientId: string, expect?: Expectation<GivenConsent>): Promise<void>;
  /** What applications hold of an account, whether its person was asked or not. @throws {AccountError} `not_found`: there is no such account */
  live(accountId: string, page: { after?: string | undefined; limit: number }): ReturnType<LiveGrants["page"]>;
  /** @throws {AccountError} `not_found` */
  getLive(accountId: string, id: string): Promise<LiveGrant>;
  /** With every code and token that was issued under it. Consent stays, and with it the application may get another. @throws {AccountError} `not_found` */
  endLive(by: Operator, accountId: string, id: string, expect?: Expectation<LiveGrant>): Promise<void>;
}

export interface GrantOperationsOptions {
  accounts: Pick<AccountStore, "find">;
  consents: Pick<ConsentStore, "page" | "withdraw">;
  liveGrants: LiveGrants;
  endLiveGrant(id: string): Promise<void>;
  /** Ends the grants that a person has given to one application. */
  endConsent(accountId: string, clientId: string): Promise<void>;
  audit: Pick<AuditLog, "record">;
}

export function createGrantOperations(options: GrantOperationsOptions): GrantOperations {
  const { accounts, consents, liveGrants, endLiveGrant, endConsent, audit } = options;

  /** From the database: what a page shows and what is looked at before it goes are the same. */
  async function get(accountId: string, clientId: string): Promise<GivenConsent> {
    const [consent] = (await consents.page({ accountId, clientId, limit: 1 })).consents;
    if (consent === undefined) throw new AccountError("not_found", "This person has not allowed this application anything.");
    return consent;
  }

  async function getLive(accountId: string, id: string): Promise<LiveGrant> {
    const grant = await liveGrants.find(accountId, id);
    if (grant === undefined) throw new AccountError("not_found", "There is no such grant; it may have ended.");
    return grant;
  }

  return {
    list: (question) => consents.page(question),
    get,
    async end(by, accountId, clientId, expect) {
      const consent = await get(accountId, clientId);
      expect?.(consent);
      // What came of it ends first: should that fail, it is still there to be taken back. Then what came of it meanwhile.
      await endConsent(accountId, clientId);
      await consents.withdraw(accountId, clientId);
      await finishing("The consent is withdrawn", "tokens", () => endConsent(accountId, clientId));
      audit.record({ event: "consent.withdrawn", outcome: "success", ...by, accountId, clientId });
    },

    async live(accountId, page) {
      if ((await accounts.find(accountId)) === undefined) throw new AccountError("not_found", "There is no such account.");
      return liveGrants.page(accountId, page);
    },

    getLive,

    async endLive(by, accountId, id, expect) {
      const grant = await getLive(accountId, id);
      expect?.(grant);
      await endLiveGrant(id);
      audit.record({ event: "grant.ended", outcome: "success", ...by, accountId, clientId: grant.clientId });
    },
  };
}
