/** What an operator does with initial access tokens, which let an application register itself. */
import { ClientError } from "../clients/client-error.ts";
import type { InitialAccessToken, ListedToken, RegistrationTokens } from "../clients/registration-tokens.ts";
import type { AuditLog } from "../observability/audit-log.ts";
import type { Operator } from "./operator.ts";

export interface RegistrationTokenOperations {
  /** @param order.expires seconds from now; absent: never @throws {ClientError} */
  create(by: Operator, order: { expires?: number; uses?: number }): Promise<InitialAccessToken>;
  /** The newest first. */
  list(): Promise<ListedToken[]>;
  /** Who registered with it stays registered. @throws {ClientError} `not_found` */
  delete(by: Operator, id: string): Promise<void>;
}

export function createRegistrationTokenOperations(options: {
  tokens: Pick<RegistrationTokens, "createInitial" | "listInitial" | "deleteInitial">;
  audit: Pick<AuditLog, "record">;
}): RegistrationTokenOperations {
  const { tokens, audit } = options;
  return {
    async create(by, order) {
      const token = await tokens.createInitial(order);
      audit.record({ event: "registration_token.created", outcome: "success", ...by, detail: { ...order } });
      return token;
    },
    list: () => tokens.listInitial(),
    async delete(by, id) {
      if (!(await tokens.deleteInitial(id))) throw new ClientError("not_found", `there is no registration token "${id.slice(0, 100)}"`);
      audit.record({ event: "registration_token.deleted", outcome: "success", ...by, detail: { id } });
    },
  };
}
