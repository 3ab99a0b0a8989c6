/** What an operator does with the providers at which people can sign in. */
import type { IdentityProvider } from "../federation/provider.ts";
import type { ProviderChanges, ProviderStore } from "../federation/provider-store.ts";
import type { AuditLog } from "../observability/audit-log.ts";
import type { Expectation } from "../storage/expectation.ts";
import type { Operator } from "./operator.ts";

export interface ProviderOperations {
  /** @throws {FederationError} `invalid_provider` naming every fault, `provider_exists` */
  create(by: Operator, input: Readonly<Record<string, unknown>>): Promise<IdentityProvider>;
  /** What is given replaces, at once. @throws {FederationError} `not_found`, `invalid_provider`, `in_configuration`, `changed_meanwhile` */
  update(by: Operator, id: string, changes: ProviderChanges, expect?: Expectation<IdentityProvider>): Promise<IdentityProvider>;
  /** Nobody signs in with it any more; who is signed in stays so. @throws {FederationError} `not_found`, `in_configuration` */
  delete(by: Operator, id: string, expect?: Expectation<IdentityProvider>): Promise<IdentityProvider>;
  /** Configuration first, then by id. */
  list(): Promise<readonly IdentityProvider[]>;
  /** @throws {FederationError} `not_found` */
  get(id: string): Promise<IdentityProvider>;
}

export interface ProviderOperationsOptions {
  providers: ProviderStore;
  audit: Pick<AuditLog, "record">;
}

export function createProviderOperations({ providers, audit }: ProviderOperationsOptions): ProviderOperations {
  const recorded = (by: Operator, what: string, { id, issuer }: IdentityProvider, changed?: string): void =>
    audit.record({ event: `provider.${what}`, outcome: "success", ...by, detail: { provider: id, issuer, ...(changed && { changed }) } });

  return {
    async create(by, input) {
      const provider = await providers.create(input);
      recorded(by, "created", provider);
      return provider;
    },
    list: () => providers.list(),
    get: (id) => providers.get(id),
    async update(by, id, changes, expect) {
      const provider = await providers.update(id, changes, expect);
      recorded(by, "updated", provider, Object.keys(changes).join(" "));
      return provider;
    },
    async delete(by, id, expect) {
      const provider = await providers.delete(id, expect);
      recorded(by, "deleted", provider);
      return provider;
    },
  };
}
