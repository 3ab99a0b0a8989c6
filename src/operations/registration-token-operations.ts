/** What an operator does with initial access tokens, which let an application register itself. */
import { ClientError } from "../clients/client-error.ts";
import type { InitialAccessToken, InitialAccessTokenOrder, ListedToken, RegistrationTokens } from "../clients/registration-tokens.ts";
import type { AuditLog } from "../observability/audit-log.ts";
import type { Expectation } from "../storage/expectation.ts";
import type { Operator } from "./operator.ts";

export interface RegistrationTokenOperations {
  /** @throws {ClientError} naming every fault */
  create(by: Operator, order: InitialAccessTokenOrder): Promise<InitialAccessToken>;
  /** The newest first. */
  list(): Promise<ListedToken[]>;
  /** @throws {ClientError} `not_found` */
  get(id: string): Promise<ListedToken>;
  /** Who registered with it stays registered. @throws {ClientError} `not_found` */
  delete(by: Operator, id: string, expect?: Expectation<ListedToken>): Promise<void>;
}

export function createRegistrationTokenOperations(options: {
  tokens: Pick<RegistrationTokens, "createInitial" | "listInitial" | "findInitial" | "deleteInitial">;
  audit: Pick<AuditLog, "record">;
}): RegistrationTokenOperations {
  const { tokens, audit } = options;
  const notFound = (id: string) => new ClientError("not_found", `there is no registration token "${id.slice(0, 100)}"`);
  return {
    async create(by, order) {
      const { scopes, redirectHosts, expires, uses } = order;
      const token = await tokens.createInitial(order);
      const detail = {
        id: token.id,
        ...(expires !== undefined && { expires }),
        ...(uses !== undefined && { uses }),
        ...(scopes && { scopes: scopes.join(" ") }),
        ...(redirectHosts && { redirect_hosts: redirectHosts.join(" ") }),
      };
      audit.record({ event: "registration_token.created", outcome: "success", ...by, detail });
      return token;
    },
    list: () => tokens.listInitial(),
    async get(id) {
      const token = await tokens.findInitial(id);
      if (token === undefined) throw notFound(id);
      return token;
    },
    async delete(by, id, expect) {
      if (!(await tokens.deleteInitial(id, expect))) throw notFound(id);
      audit.record({ event: "registration_token.deleted", outcome: "success", ...by, detail: { id } });
    },
  };
}
