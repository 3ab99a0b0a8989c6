/** What an operator does with resources: the APIs that tokens are for. */
import { ClientError } from "../clients/client-error.ts";
import type { Resource } from "../clients/resource.ts";
import type { ResourceInput } from "../clients/resource-input.ts";
import type { ResourceStore, ResourceWithSecret } from "../clients/resource-store.ts";
import type { AuditLog } from "../observability/audit-log.ts";
import type { Expectation } from "../storage/expectation.ts";
import type { Operator } from "./operator.ts";

export interface ResourceOperations {
  /** @throws {ClientError} `not_found` */
  get(audience: string): Promise<Resource>;
  /** @throws {ClientError} `invalid_resource` naming every fault, `conflict` */
  create(by: Operator, audience: string, input: ResourceInput): Promise<ResourceWithSecret>;
  /** What is given replaces. @throws {ClientError} `not_found`, `invalid_resource` */
  update(by: Operator, audience: string, changes: ResourceInput, expect?: Expectation<Resource>): Promise<ResourceWithSecret>;
  /** Tokens under the old secret are none any more. @throws {ClientError} `not_found`, or its tokens are not signed with a secret */
  rotateSecret(by: Operator, audience: string): Promise<ResourceWithSecret>;
  /** @throws {ClientError} `not_found` */
  delete(by: Operator, audience: string, expect?: Expectation<Resource>): Promise<void>;
  /** In the order of audiences. `next` is the cursor of the following page. */
  list(page: { cursor?: string; limit?: number }): Promise<{ resources: Resource[]; next?: string }>;
}

export interface ResourceOperationsOptions {
  resources: ResourceStore;
  audit: Pick<AuditLog, "record">;
}

export function createResourceOperations({ resources, audit }: ResourceOperationsOptions): ResourceOperations {
  const record = (by: Operator, what: string, audience: string): void =>
    audit.record({ event: `resource.${what}`, outcome: "success", ...by, detail: { audience } });

  const notFound = (audience: string) => new ClientError("not_found", `there is no resource "${audience.slice(0, 200)}"`);

  return {
    async get(audience) {
      const resource = await resources.find(audience);
      if (resource === undefined) throw notFound(audience);
      return resource;
    },

    async create(by, audience, input) {
      const resource = await resources.create(audience, input);
      record(by, "created", audience);
      return resource;
    },

    list: (page) => resources.list(page),

    async update(by, audience, changes, expect) {
      const resource = await resources.update(audience, changes, expect);
      record(by, "updated", audience);
      return resource;
    },

    async rotateSecret(by, audience) {
      const resource = await resources.rotateSecret(audience);
      record(by, "secret_rotated", audience);
      return resource;
    },

    async delete(by, audience, expect) {
      if (!(await resources.delete(audience, expect))) throw notFound(audience);
      record(by, "deleted", audience);
    },
  };
}
