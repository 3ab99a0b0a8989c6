/** The management API, joined: operations, access and pages. */
import type { Middleware } from "koa";
import { isUsable } from "../accounts/account.ts";
import { managementApi } from "../api/management-api.ts";
import { type ClientExtras, toEngine } from "../clients/engine-client-adapter.ts";
import { managementAudience } from "../clients/resource.ts";
import { splitScope } from "../clients/scopes.ts";
import type { Config } from "../config.ts";
import { createKeyRotation } from "../keys/key-rotation.ts";
import { keyPolicy } from "../keys/key-schedule.ts";
import type { Services } from "../open-services.ts";
import { createAuditOperations } from "../operations/audit-operations.ts";
import { createIdempotentRequests } from "../operations/idempotent-requests.ts";
import { createKeyOperations } from "../operations/key-operations.ts";
import { createProviderOperations } from "../operations/provider-operations.ts";
import { createRegistrationTokenOperations } from "../operations/registration-token-operations.ts";
import { createResourceOperations } from "../operations/resource-operations.ts";
import { createRoleOperations } from "../operations/role-operations.ts";
import { deriveKeys, type Secrets } from "../secrets.ts";
import { proofReplays } from "../storage/proof-replays.ts";
import { createSealer } from "../storage/seal.ts";
import { longestTokenLife } from "../tokens/longest-token-life.ts";
import type { Engine } from "./engine.ts";
import type { Host } from "./host.ts";
import { peopleOperations } from "./management-people.ts";

export function createManagement(config: Config, secrets: Secrets, services: Services, host: Host, engine: Engine): Middleware {
  const { issuer } = config;
  const { database, feed, records, keys, clients, resources, audit, people, identityProviders, registrationTokens } = services;
  const audience = managementAudience(issuer);
  const policy = keyPolicy(config);
  const rotation = createKeyRotation({
    database,
    feed,
    sealer: createSealer(deriveKeys(secrets, "grantor/signing-keys")),
    policy,
    longestToken: (tx) => longestTokenLife(tx, config),
  });

  const roles = createRoleOperations({
    roles: people.roles,
    accounts: people.accounts,
    audit,
    knownScopes: async () => resources.knownScopes(),
  });

  return managementApi({
    issuer,
    audience,
    render: host.render,
    openAccessToken: (token) => engine.openAccessToken(token),
    async scopesOf(clientId, accountId) {
      const client = await clients.find(clientId);
      if (client === undefined || client.suspendedAt !== undefined) return undefined;
      if (accountId !== undefined) {
        const account = await people.accounts.find(accountId);
        if (account === undefined || !isUsable(account)) return undefined;
      }
      const extras = toEngine(client) as unknown as ClientExtras;
      return splitScope((await engine.scopesAt(audience, extras, { accountId, clientAlone: accountId === undefined }))?.scope);
    },
    proofNonceKey: deriveKeys(secrets, "grantor/api-proof-nonces")[0] as Buffer,
    replays: proofReplays(records),
    cursorKeys: deriveKeys(secrets, "grantor/api-cursors"),
    idempotent: createIdempotentRequests(database.prisma, createSealer(deriveKeys(secrets, "grantor/api-answers"))),
    now: Date.now,
    operations: {
      resources: createResourceOperations({ resources, audit }),
      ...peopleOperations(config, services, engine, roles),
      roles,
      identityProviders: createProviderOperations({ providers: identityProviders, audit }),
      registrationTokens: createRegistrationTokenOperations({ tokens: registrationTokens, audit }),
      keys: createKeyOperations({ list: () => keys.list(), policy, rotation: async () => rotation, audit: async () => audit }),
      audit: createAuditOperations({ pool: database.pool, sealer: services.auditSealer, keys: services.checkpointKeys, audit }),
    },
  });
}
