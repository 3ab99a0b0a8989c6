/** The developers' portal, joined. */
import type Router from "@koa/router";
import type { Account } from "../accounts/account.ts";
import { appPages } from "../app-pages/app-pages.ts";
import { createShownOnce } from "../app-pages/shown-once.ts";
import type { Config } from "../config.ts";
import type { ReadOwnSession } from "../interactions/own-session.ts";
import type { Services } from "../open-services.ts";
import { createAppCareOperations } from "../operations/app-care-operations.ts";
import { createAppOperations } from "../operations/app-operations.ts";
import { createClientOperations } from "../operations/client-operations.ts";
import { deriveKeys, type Secrets } from "../secrets.ts";
import { createSealer } from "../storage/seal.ts";
import type { Host } from "./host.ts";

export interface Portal {
  readonly pages: Router;
  /** Whether it is of use to them. */
  isDeveloper(account: Account): Promise<boolean>;
}

export function createPortal(config: Config, secrets: Secrets, services: Services, host: Host, ownSession: ReadOwnSession): Portal {
  const { people, clients, clientOwners, resources, audit } = services;
  const { issuer, https, loopback, developers, appsPerPerson, recentSignIn, accessTokenTtl, refreshTokenTtl } = config;
  const { seal, open } = createSealer(deriveKeys(secrets, "grantor/portal"));
  const apps = createAppOperations({
    clients,
    owners: clientOwners,
    resources: () => resources.all(),
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
    notices: people.applicationNotices,
    audit,
  });
  const pages = appPages({
    wizard: { seal, open },
    overview: { issuer, accounts: people.accounts },
    lifetimes: { accessTokenTtl, refreshTokenTtl },
    owners: { https, care, outbox: loopback ? people.mailer.outbox : undefined },
    secret: { care },
    failures: { failures: services.clientFailures },
    delete: { care },
    frame: {
      render: host.render,
      verifyForm: host.forms.verifyForm,
      ownSession,
      apps,
      shownOnce: createShownOnce({ https, seal, open }),
      recentSignIn,
      facts: host.facts,
    },
    quickStarts: { issuer, resources },
  });
  return { pages, isDeveloper: apps.isWelcome };
}
