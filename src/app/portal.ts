/** The developers' portal, joined. */
import type Router from "@koa/router";
import type { Account } from "../accounts/account.ts";
import { appPages } from "../app-pages/app-pages.ts";
import { createShownOnce } from "../app-pages/shown-once.ts";
import { createTimedSeal } from "../app-pages/timed-seal.ts";
import type { Config } from "../config.ts";
import type { ReadOwnSession } from "../interactions/own-session.ts";
import type { Services } from "../open-services.ts";
import { createAppCareOperations } from "../operations/app-care-operations.ts";
import { createAppOperations } from "../operations/app-operations.ts";
import { createClientOperations } from "../operations/client-operations.ts";
import { createTokenInspector } from "../operations/inspect-token.ts";
import { createOwnerNotices } from "../operations/owner-notices.ts";
import { createTrials } from "../operations/trials.ts";
import { deriveKeys, type Secrets } from "../secrets.ts";
import { firstComers } from "../storage/first-comers.ts";
import { createSealer } from "../storage/seal.ts";
import type { Engine } from "./engine.ts";
import type { Host } from "./host.ts";

export interface Portal {
  readonly pages: Router;
  /** Whether it is of use to them. */
  isDeveloper(account: Account): Promise<boolean>;
}

export function createPortal(
  config: Config,
  secrets: Secrets,
  services: Services,
  host: Host,
  engine: Pick<Engine, "handle" | "trialRequests">,
  ownSession: ReadOwnSession,
): Portal {
  const { people, clients, clientOwners, resources, audit } = services;
  const { issuer, https, loopback, developers, appsPerPerson, recentSignIn, accessTokenTtl, refreshTokenTtl } = config;
  const sealed = createTimedSeal(createSealer(deriveKeys(secrets, "grantor/portal")));
  const told = createOwnerNotices({ owners: clientOwners, accounts: people.accounts, notices: people.applicationNotices });
  const apps = createAppOperations({
    clients,
    owners: clientOwners,
    resources: () => resources.all(),
    told,
    audit,
    developers,
    appsPerPerson,
    loopback,
  });
  const care = createAppCareOperations({
    apps,
    operations: createClientOperations({ clients, audit, knownScopes: async () => resources.knownScopes() }),
    clients,
    owners: clientOwners,
    invitations: people.ownerInvitations,
    accounts: people.accounts,
    told,
    audit,
    appsPerPerson,
  });
  const { states, ask } = engine.trialRequests;
  const runs = createTrials({
    issuer,
    states,
    records: services.records,
    sealer: createSealer(deriveKeys(secrets, "grantor/trials")),
    ask: (clientId, request) => ask(engine.handle, clientId, request),
  });
  const inspect = createTokenInspector({
    database: services.database,
    issuer,
    secretOf: async (audience) => resources.hmacKeyFor(audience)?.export(),
  });
  const pages = appPages({
    wizard: { issuer, sealed },
    overview: { issuer, accounts: people.accounts },
    lifetimes: { accessTokenTtl, refreshTokenTtl },
    owners: { https, care, outbox: loopback ? people.mailer.outbox : undefined },
    secret: { care, sealed },
    trials: { https, runs, resources, inspect },
    failures: { failures: services.clientFailures },
    delete: { care },
    frame: {
      render: host.render,
      verifyForm: host.forms.verifyForm,
      ownSession,
      apps,
      shownOnce: createShownOnce({ https, sealed, shown: firstComers(services.records, "secret shown") }),
      recentSignIn,
      facts: host.facts,
    },
    quickStarts: { issuer, resources },
  });
  return { pages, isDeveloper: apps.isWelcome };
}
