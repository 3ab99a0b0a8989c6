/** What an operator sees of what people allowed applications, and takes back for them. */
import { AccountError } from "../accounts/account-error.ts";
import type { ConsentQuestion, ConsentStore, GivenConsent } from "../accounts/consent-store.ts";
import type { AuditLog } from "../observability/audit-log.ts";
import type { Expectation } from "../storage/expectation.ts";
import { finishing, type Operator } from "./operator.ts";

export interface GrantOperations {
  /** In the order of accounts and clients. */
  list(question: ConsentQuestion): Promise<{ consents: GivenConsent[]; more: boolean }>;
  /** @throws {AccountError} `not_found` */
  get(accountId: string, clientId: string): Promise<GivenConsent>;
  /** With every code and token that came of it; the application asks the person anew. @throws {AccountError} `not_found` */
  end(by: Operator, accountId: string, clientId: string, expect?: Expectation<GivenConsent>): Promise<void>;
}

export interface GrantOperationsOptions {
  consents: Pick<ConsentStore, "page" | "withdraw">;
  /** Ends the grants that a person has given to one application. */
  endConsent(accountId: string, clientId: string): Promise<void>;
  audit: Pick<AuditLog, "record">;
}

export function createGrantOperations({ consents, endConsent, audit }: GrantOperationsOptions): GrantOperations {
  /** From the database: what a page shows and what is looked at before it goes are the same. */
  async function get(accountId: string, clientId: string): Promise<GivenConsent> {
    const [consent] = (await consents.page({ accountId, clientId, limit: 1 })).consents;
    if (consent === undefined) throw new AccountError("not_found", "This person has not allowed this application anything.");
    return consent;
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
  };
}
