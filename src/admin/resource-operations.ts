/** What an operator does with resources: the APIs that tokens are for. */
import { ClientError } from "../clients/client-error.ts";
import type { Resource, ResourceInput, ResourceStore } from "../clients/resource-store.ts";
import type { AuditLog } from "../observability/audit-log.ts";
import { isManagementScope } from "./management-scopes.ts";
import type { Operator } from "./operator.ts";

export interface ResourceOperations {
  /** @throws {ClientError} `invalid_resource` naming every fault, `conflict` */
  create(by: Operator, audience: string, input: ResourceInput): Promise<Resource>;
  /** What is given replaces. @throws {ClientError} `not_found`, `invalid_resource` */
  update(by: Operator, audience: string, changes: ResourceInput): Promise<Resource>;
  /** @throws {ClientError} `not_found` */
  delete(by: Operator, audience: string): Promise<void>;
}

export interface ResourceOperationsOptions {
  resources: ResourceStore;
  audit: Pick<AuditLog, "record">;
}

export function createResourceOperations({ resources, audit }: ResourceOperationsOptions): ResourceOperations {
  const record = (by: Operator, what: string, audience: string): void =>
    audit.record({ event: `resource.${what}`, outcome: "success", ...by, detail: { audience } });

  return {
    async create(by, audience, input) {
      refuseManagementScopes(input);
      const resource = await resources.create(audience, input);
      record(by, "created", audience);
      return resource;
    },

    async update(by, audience, changes) {
      refuseManagementScopes(changes);
      const resource = await resources.update(audience, changes);
      record(by, "updated", audience);
      return resource;
    },

    async delete(by, audience) {
      if (!(await resources.delete(audience))) throw new ClientError("not_found", `there is no resource "${audience.slice(0, 200)}"`);
      record(by, "deleted", audience);
    },
  };
}

function refuseManagementScopes({ scopes = [] }: ResourceInput): void {
  const names = scopes.map((scope) => (typeof scope === "string" ? scope : scope.name)).filter(isManagementScope);
  if (names.length === 0) return;
  const message = `must not hold names that are kept for the management API: ${names.join(" ")}`;
  throw new ClientError("invalid_resource", `scopes ${message}`, { faults: [{ member: "scopes", message }] });
}
