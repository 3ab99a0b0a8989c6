/** What the management API orders about people and applications: operations on the services that a running server has. */
import type { ManagementOperations } from "../api/management-api.ts";
import type { Config } from "../config.ts";
import { rpIdOf } from "../factors/second-factors.ts";
import { createLinking } from "../federation/linking.ts";
import type { Services } from "../open-services.ts";
import { createAccountOperations } from "../operations/account-operations.ts";
import { createClientOperations } from "../operations/client-operations.ts";
import { createGrantOperations } from "../operations/grant-operations.ts";
import type { RoleOperations } from "../operations/role-operations.ts";
import { createSessionOperations } from "../operations/session-operations.ts";
import { createWayInOperations } from "../operations/way-in-operations.ts";
import { liveGrants } from "../storage/live-grants.ts";
import type { Engine } from "./engine.ts";

export function peopleOperations(
  config: Config,
  services: Services,
  engine: Pick<Engine, "tellOfEnd">,
  roles: RoleOperations,
): Pick<ManagementOperations, "accounts" | "clients" | "grants" | "sessions"> {
  const { database, people, clients, resources, endings, audit, secondFactors, accountSessions } = services;
  const { accounts } = people;
  const endAccount = (accountId: string) => endings.endAccount(accountId);
  const linking = createLinking({
    prisma: database.prisma,
    accounts,
    signUp: config.signUp,
    rpId: rpIdOf(config.issuer),
    endAccount,
  });
  return {
    accounts: {
      accounts,
      roles,
      owners: services.clientOwners,
      operations: createAccountOperations({
        accounts,
        roles: people.roles,
        passwords: people.passwords,
        passwordPolicy: people.passwordPolicy,
        signUp: people.signUp,
        mailVerification: (accountId) => people.verification.resend(accountId),
        endAccount,
        audit,
      }),
      waysIn: createWayInOperations({
        accounts,
        factors: secondFactors.factors,
        linking,
        passwordReset: people.passwordReset,
        tellOwner: async (account, change) => people.notices.tell(account, change, {}),
        audit,
      }),
    },
    clients: { clients, operations: createClientOperations({ clients, audit, knownScopes: async () => resources.knownScopes() }) },
    grants: createGrantOperations({
      accounts,
      consents: people.consents,
      liveGrants: liveGrants(services.records, services.recordSealer),
      endLiveGrant: (id) => endings.endLiveGrant(id),
      endConsent: (accountId, clientId) => endings.endConsent(accountId, clientId),
      audit,
    }),
    sessions: createSessionOperations({
      accounts,
      sessions: accountSessions,
      async endSession(uid) {
        const ended = await endings.endSession(uid);
        if (ended !== undefined) await engine.tellOfEnd(ended);
      },
      audit,
    }),
  };
}
