/** The engine with the clients' store behind it, on a port of its own: what the contract tests of dynamic registration ask over HTTP. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import Provider from "oidc-provider";
import { pino } from "pino";
import { afterAll, afterEach, beforeAll, beforeEach } from "vitest";
import { type ClientStore, createClientStore } from "../../src/clients/client-store.ts";
import { createClientAdapters, isClientModel } from "../../src/clients/engine-client-adapter.ts";
import { registrationConfig } from "../../src/clients/registration.ts";
import { createRegistrationRequests } from "../../src/clients/registration-requests.ts";
import { createRegistrationTokens, type RegistrationTokens } from "../../src/clients/registration-tokens.ts";
import { createSoftwareStatements } from "../../src/clients/software-statements.ts";
import type { StatementIssuer } from "../../src/clients/statement-issuers.ts";
import { TOKEN_EXCHANGE_GRANT } from "../../src/clients/token-exchange-policy.ts";
import { handleErrors } from "../../src/http/errors.ts";
import { createGuardedFetch } from "../../src/http/fetch-guard.ts";
import { requestContext } from "../../src/http/request-context.ts";
import { generateSigningJwk } from "../../src/keys/algorithms.ts";
import { ENGINE_ROUTES } from "../../src/oidc/paths.ts";
import { registrationRequests } from "../../src/oidc/registration-requests.ts";
import { type ChangeFeed, openChangeFeed } from "../../src/storage/change-feed.ts";
import type { Database } from "../../src/storage/database.ts";
import { testDatabase } from "./test-database.ts";

export type Json = Record<string, unknown>;

export const WEB = { client_name: "Web", redirect_uris: ["https://app.example/cb"], grant_types: ["authorization_code", "refresh_token"] };
export const SERVICE = { grant_types: ["client_credentials"] };

const log = pino({ level: "silent" });
const KNOWN_SCOPES = new Set(["openid", "profile", "email", "address", "phone", "offline_access", "roles", "api:read"]);

/** Introspection looks for a token; there is none. */
const NO_TOKENS = { find: async () => undefined };

interface Answer {
  status: number;
  body: Json;
}

export interface RegistrationEngine {
  /** One for all tests of the file; without clients, tokens and accounts when a test begins. */
  readonly database: Database;
  readonly clients: ClientStore;
  readonly tokens: RegistrationTokens;
  readonly provider: Provider;
  /** Milliseconds since 1970: what the stores take for the time. */
  now: number;
  /** Where the engine fetches what applications name, from the next start on. */
  guardedFetch: typeof fetch;
  /** Where the keys of issuers of software statements come from. */
  keysFetch: typeof fetch;
  /**
   * In place of the one that was started before.
   * @param issuers who may sign software statements @param required nobody registers without one
   */
  start(registration: "open" | "token" | "closed", issuers?: StatementIssuer[], required?: boolean): Promise<void>;
  call(method: string, path: string, token?: string, body?: unknown): Promise<Answer>;
  register(body: unknown, token?: string): Promise<Answer>;
  /** @param registered what registration answered */
  manage(method: string, registered: Json, body?: unknown): Promise<Answer>;
  /** Whether the engine lets the client in: it answers `unauthorized_client` or tells of the token, but not `invalid_client`. */
  authenticates(clientId: unknown, secret: unknown): Promise<boolean>;
}

/** For the tests of the file or of the `describe` that calls it, which start it. */
export function registrationEngine(): RegistrationEngine {
  const unset = undefined as never;
  let feed: ChangeFeed;
  let jwks: { keys: object[] };
  let server: Server | undefined;
  let base: string;

  async function stop(): Promise<void> {
    server?.closeAllConnections();
    await new Promise((resolve) => (server === undefined ? resolve(undefined) : server.close(resolve)));
    server = undefined;
  }

  const engine: { -readonly [Member in keyof RegistrationEngine]: RegistrationEngine[Member] } = {
    database: unset,
    clients: unset,
    tokens: unset,
    provider: unset,
    now: 0,
    guardedFetch: unset,
    keysFetch: unset,

    async start(registration, issuers = [], required = false) {
      await stop();
      const { clients, tokens } = engine;
      const adapters = createClientAdapters(clients, tokens);
      const { features, ...registered } = registrationConfig({ registration }, adapters, () => KNOWN_SCOPES);
      const provider = new Provider("http://localhost", {
        adapter: ((name: string) => (isClientModel(name) ? adapters.adapter(name) : NO_TOKENS)) as never,
        features: {
          ...features,
          devInteractions: { enabled: false },
          clientCredentials: { enabled: true },
          deviceFlow: { enabled: true },
          introspection: { enabled: true, allowedPolicy: () => false },
          backchannelLogout: { enabled: true },
        },
        ...registered,
        fetch: engine.guardedFetch,
        routes: { registration: ENGINE_ROUTES.registration },
        scopes: [...KNOWN_SCOPES].filter((scope) => scope !== "api:read"),
        clientAuthMethods: ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"],
        jwks,
      } as never);
      adapters.extend(provider);
      const statements = createSoftwareStatements({
        issuers,
        audiences: ["http://localhost"],
        fetchFrom: () => engine.keysFetch,
        now: () => engine.now,
      });
      const requests = createRegistrationRequests({
        clients,
        tokens,
        tokenRequired: registration === "token",
        statements,
        statementRequired: required,
      });
      for (const middleware of [requestContext({ log, trustProxy: [] }), handleErrors(() => {})]) provider.use(middleware as never);
      provider.use(registrationRequests({ admit: async () => {}, ...requests }) as never);
      provider.registerGrantType(TOKEN_EXCHANGE_GRANT, () => {});
      engine.provider = provider;
      const listening = createServer(provider.callback());
      server = listening;
      await new Promise<void>((resolve) => listening.listen(0, "127.0.0.1", resolve));
      base = `http://127.0.0.1:${(listening.address() as AddressInfo).port}`;
    },

    async call(method, path, token, body) {
      const response = await fetch(base + path, {
        method,
        headers: {
          ...(token !== undefined && { authorization: `Bearer ${token}` }),
          ...(body !== undefined && { "content-type": "application/json" }),
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      const text = await response.text();
      return { status: response.status, body: text.startsWith("{") ? JSON.parse(text) : {} };
    },

    register: (body, token) => engine.call("POST", ENGINE_ROUTES.registration, token, body),

    manage: (method, { client_id, registration_access_token }, body) =>
      engine.call(method, `${ENGINE_ROUTES.registration}/${client_id}`, registration_access_token as string, body),

    async authenticates(clientId, secret) {
      const response = await fetch(`${base}/token/introspection`, {
        method: "POST",
        headers: { authorization: `Basic ${Buffer.from(`${clientId}:${secret}`).toString("base64")}` },
        body: new URLSearchParams({ token: "x" }),
      });
      const { error } = (await response.json()) as Json;
      if (error !== undefined && error !== "invalid_client") throw new Error(String(error));
      return error === undefined;
    },
  };

  beforeAll(async () => {
    jwks = { keys: [await generateSigningJwk("RS256")] };
    engine.database = await testDatabase();
    feed = await openChangeFeed(engine.database, log);
  });

  beforeEach(async () => {
    engine.guardedFetch = createGuardedFetch([]);
    engine.keysFetch = () => Promise.reject(new TypeError("fetch failed"));
    engine.now = Date.now();
    const { prisma } = engine.database;
    await prisma.$transaction([prisma.registrationToken.deleteMany(), prisma.client.deleteMany(), prisma.account.deleteMany()]);
    engine.clients = createClientStore(prisma, feed, () => engine.now);
    engine.tokens = createRegistrationTokens(prisma, () => engine.now);
  });

  afterEach(async () => {
    await stop();
    engine.clients.close();
  });

  afterAll(async () => {
    await feed.close();
    await engine.database.close();
  });

  return engine;
}
