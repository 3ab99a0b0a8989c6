import { generateKeyPairSync } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { SignJWT } from "jose";
import Provider from "oidc-provider";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type ClientStore, createClientStore } from "../../src/clients/client-store.ts";
import { createClientUse } from "../../src/clients/client-use.ts";
import { type ClientAdapters, clientExtras, createClientAdapters, isClientModel } from "../../src/clients/engine-client-adapter.ts";
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
import { testDatabase } from "../support/test-database.ts";

const log = pino({ level: "silent" });
const KNOWN_SCOPES = new Set(["openid", "profile", "email", "address", "phone", "offline_access", "roles", "api:read"]);
const WEB = { client_name: "Web", redirect_uris: ["https://app.example/cb"], grant_types: ["authorization_code", "refresh_token"] };
const SERVICE = { grant_types: ["client_credentials"] };
const jwks = { keys: [await generateSigningJwk("RS256")] };

/** Introspection looks for a token; there is none. */
const NO_TOKENS = { find: async () => undefined };

type Json = Record<string, unknown>;

let database: Database;
let feed: ChangeFeed;
let clients: ClientStore;
let tokens: RegistrationTokens;
let now: number;
let adapters: ClientAdapters;
let provider: Provider;
let server: Server;
let base: string;
/** Where the engine fetches what applications name. */
let guardedFetch: typeof fetch;
/** Where the keys of issuers of software statements come from. */
let keysFetch: typeof fetch;

/** @param issuers who may sign software statements @param required nobody registers without one */
async function start(registration: "open" | "token" | "closed", issuers: StatementIssuer[] = [], required = false): Promise<void> {
  adapters = createClientAdapters(clients, tokens);
  const { features, ...registered } = registrationConfig({ registration }, adapters, () => KNOWN_SCOPES);
  provider = new Provider("http://localhost", {
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
    fetch: guardedFetch,
    routes: { registration: ENGINE_ROUTES.registration },
    scopes: [...KNOWN_SCOPES].filter((scope) => scope !== "api:read"),
    clientAuthMethods: ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"],
    jwks,
  } as never);
  adapters.extend(provider);
  const statements = createSoftwareStatements({ issuers, audiences: ["http://localhost"], fetchFrom: () => keysFetch, now: () => now });
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
  server = createServer(provider.callback());
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function call(method: string, path: string, token?: string, body?: unknown): Promise<{ status: number; body: Json }> {
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
}

const register = (body: unknown, token?: string) => call("POST", ENGINE_ROUTES.registration, token, body);
const manage = (method: string, { client_id, registration_access_token }: Json, body?: unknown) =>
  call(method, `${ENGINE_ROUTES.registration}/${client_id}`, registration_access_token as string, body);

/** Whether the engine lets the client in: it answers `unauthorized_client` or tells of the token, but not `invalid_client`. */
async function authenticates(clientId: unknown, secret: unknown): Promise<boolean> {
  const response = await fetch(`${base}/token/introspection`, {
    method: "POST",
    headers: { authorization: `Basic ${Buffer.from(`${clientId}:${secret}`).toString("base64")}` },
    body: new URLSearchParams({ token: "x" }),
  });
  const { error } = (await response.json()) as Json;
  if (error !== undefined && error !== "invalid_client") throw new Error(String(error));
  return error === undefined;
}

beforeEach(async () => {
  guardedFetch = createGuardedFetch([]);
  keysFetch = () => Promise.reject(new TypeError("fetch failed"));
  database = await testDatabase();
  feed = await openChangeFeed(database, log);
  now = Date.now();
  clients = createClientStore(database.prisma, feed, () => now);
  tokens = createRegistrationTokens(database.prisma, () => now);
});

afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await feed.close();
  await database.close();
});

describe("open registration", () => {
  beforeEach(() => start("open"));

  test("answers 201 with everything that was registered and a secret that works, kept as a hash", async () => {
    const { status, body } = await register({ ...WEB, scope: "openid api:read", software_id: "s", color: "red" });
    expect(status).toBe(201);
    expect(body).toMatchObject({
      ...WEB,
      scope: "openid api:read",
      software_id: "s",
      client_secret_expires_at: 0,
      client_id_issued_at: expect.any(Number),
    });
    for (const member of ["color", "grantor_scopes", "require_pkce", "first_party", "management_scopes"])
      expect(body).not.toHaveProperty(member);
    expect(await authenticates(body.client_id, body.client_secret)).toBe(true);
    expect(await authenticates(body.client_id, "wrong")).toBe(false);
    const dump = JSON.stringify([await database.prisma.client.findMany(), await database.prisma.registrationToken.findMany()]);
    for (const secret of [body.client_secret, body.registration_access_token]) expect(dump).not.toContain(secret);
    const stored = await clients.find(String(body.client_id));
    expect(stored).toMatchObject({ createdBy: "registration", metadata: { scope: "openid api:read" } });
    expect(stored?.metadata).not.toHaveProperty("client_secret");
  });

  test("takes nothing from an application that only an operator may say", async () => {
    const operator = {
      require_pkce: false,
      first_party: true,
      verified: true,
      management_scopes: ["admin"],
      grantor_scopes: ["admin"],
      token_exchange: { audiences: ["https://api.example"], scopes: {}, impersonation: true },
    };
    const asked = await register({ ...WEB, grant_types: [...WEB.grant_types, TOKEN_EXCHANGE_GRANT] });
    expect(asked).toMatchObject({ status: 400, body: { error: "invalid_client_metadata" } });
    const { body } = await register({ ...WEB, ...operator, client_id: "mine", client_secret: "mine" });
    expect(body.client_id).not.toBe("mine");
    expect(body.client_secret).not.toBe("mine");
    const client = await provider.Client.find(String(body.client_id));
    expect(clientExtras(client as object)).toMatchObject({
      require_pkce: true,
      first_party: false,
      verified: false,
      management_scopes: [],
    });
    expect(clientExtras(client as object).grantor_scopes).toBeUndefined();
    expect(clientExtras(client as object).token_exchange).toBeUndefined();
    expect(client?.grantTypeAllowed(TOKEN_EXCHANGE_GRANT)).toBe(false);
    const updated = await manage("PUT", body, { client_id: body.client_id, ...WEB, ...operator });
    expect(updated.status).toBe(200);
    expect(await clients.find(String(body.client_id))).toMatchObject({
      requirePkce: true,
      firstParty: false,
      verified: false,
      managementScopes: [],
    });
  });

  test("keeps what the operator decided when the application updates itself", async () => {
    const { body } = await register(WEB);
    await clients.update(String(body.client_id), { requirePkce: false, metadata: { scope: "openid secret:scope" } });
    const updated = await manage("PUT", body, { client_id: body.client_id, ...WEB, client_name: "New", scope: "openid secret:scope" });
    expect(updated).toMatchObject({ status: 200, body: { client_name: "New", scope: "openid secret:scope" } });
    expect(await clients.find(String(body.client_id))).toMatchObject({ requirePkce: false });
    for (const scope of ["openid other:scope", "openid secret:scope api:read"]) {
      const wider = await manage("PUT", updated.body, { client_id: body.client_id, ...WEB, scope });
      expect(wider).toMatchObject({ status: 400, body: { error: "invalid_client_metadata" } });
    }
  });

  test.each([
    { firstParty: true },
    { verified: true },
    { managementScopes: ["m"] },
    { tokenExchange: { audiences: ["https://api.example"], scopes: {}, impersonation: false } },
  ])("changes nothing that people or tokens depend on while an operator vouches for it: %j", async (settings) => {
    const { body: registered } = await register({ ...WEB, scope: "openid api:read" });
    const { client_id } = registered;
    await clients.update(String(client_id), settings);
    const { body } = await manage("GET", registered);
    const changes = {
      client_name: "Your Bank",
      redirect_uris: ["https://evil.example/cb"],
      logo_uri: "https://evil.example/logo.png",
      token_endpoint_auth_method: "none",
      scope: "openid",
    };
    const { registration_access_token, registration_client_uri, client_id_issued_at, client_secret_expires_at, ...own } = body;
    for (const [member, value] of Object.entries(changes)) {
      const refused = await manage("PUT", registered, { ...own, [member]: value });
      expect(refused).toMatchObject({ status: 400, body: { error: "invalid_client_metadata" } });
      expect(refused.body.error_description).toContain(member);
    }
    const updated = await manage("PUT", registered, { ...own, contacts: ["team@app.example"], software_version: "2" });
    expect(updated).toMatchObject({ status: 200, body: { contacts: ["team@app.example"], client_name: "Web" } });
    expect(await clients.find(String(client_id))).toMatchObject(settings);
    expect((await manage("DELETE", updated.body)).status).toBe(204);
  });

  test("hears of no change that is none, when members have come since it was registered", async () => {
    const { body: registered } = await register(WEB);
    const id = String(registered.client_id);
    await database.pool.query(
      "UPDATE client SET verified = true, metadata = metadata - 'dpop_bound_access_tokens' - 'introspection_signed_response_alg' WHERE id = $1",
      [id],
    );
    await clients.update(id, { firstParty: true }); // and every process forgets what it had read
    const { body } = await manage("GET", registered);
    const { registration_access_token, registration_client_uri, client_id_issued_at, client_secret_expires_at, ...own } = body;
    const updated = await manage("PUT", registered, { ...own, software_version: "3" });
    expect(updated.status).toBe(200);
    expect((await manage("PUT", updated.body, { ...own, dpop_bound_access_tokens: true })).status).toBe(400);
  });

  test("comes to no scopes of a resource without a person, in no number of steps", async () => {
    const put = async (from: Json, metadata: Json) => {
      const { status, body } = await manage("PUT", from, { client_id: from.client_id, ...metadata });
      return { status, body: status === 200 ? body : from };
    };
    const alone = { ...WEB, grant_types: ["authorization_code", "client_credentials"] };
    const scope = "openid api:read";
    const { body: first } = await register({ ...WEB, scope });
    expect((await put(first, { ...alone, scope })).status).toBe(400);
    const without = await put(first, alone);
    expect(without.status).toBe(200);
    expect((await put(without.body, { ...alone, scope })).status).toBe(400);
    expect((await put(without.body, { ...WEB, scope })).status).toBe(400);

    const id = String(first.client_id);
    await clients.update(id, { metadata: { scope } });
    const given = await put(without.body, { ...alone, scope, client_name: "What an operator gave stays" });
    expect(given.status).toBe(200);
    const dropped = await put(given.body, { ...WEB, scope });
    expect(dropped.status).toBe(200);
    expect((await put(dropped.body, { ...alone, scope })).status).toBe(400);
  });

  test.each<[string, Json, string]>([
    ["invalid_redirect_uri", { ...WEB, redirect_uris: ["http://app.example/cb"] }, "redirect_uris[0]"],
    ["invalid_redirect_uri", { ...WEB, redirect_uris: [] }, "redirect_uris"],
    ["invalid_client_metadata", { ...WEB, grant_types: ["implicit"] }, "grant_types"],
    ["invalid_client_metadata", { ...WEB, scope: "openid clients:write" }, "clients:write"],
    ["invalid_client_metadata", { ...SERVICE, scope: "api:read" }, "scope"],
    ["invalid_client_metadata", { ...SERVICE, token_endpoint_auth_method: "none" }, "token_endpoint_auth_method"],
    ["invalid_client_metadata", { ...WEB, id_token_signed_response_alg: "HS256" }, "id_token_signed_response_alg"],
  ])("answers %s to %j", async (error, body, named) => {
    const answer = await register(body);
    expect(answer).toMatchObject({ status: 400, body: { error } });
    expect(answer.body.error_description).toContain(named);
    expect(await database.prisma.client.count()).toBe(0);
  });

  test("gives public clients no secret", async () => {
    const { status, body } = await register({ ...WEB, token_endpoint_auth_method: "none" });
    expect(status).toBe(201);
    for (const member of ["client_secret", "client_secret_expires_at"]) expect(body).not.toHaveProperty(member);
    expect((await clients.find(String(body.client_id)))?.secretHash).toBeUndefined();
  });
});

describe("management of a registration", () => {
  let registered: Json;

  beforeEach(async () => {
    await start("open");
    registered = (await register({ ...WEB, scope: "openid api:read" })).body;
  });

  test("reads it without the secret", async () => {
    const { status, body } = await manage("GET", registered);
    const { client_secret: _, ...rest } = registered;
    expect(status).toBe(200);
    expect(body).toEqual(rest);
  });

  test("updates it, keeps the secret, and gives a new access token for the old", async () => {
    const { status, body } = await manage("PUT", registered, { client_id: registered.client_id, ...WEB, client_name: "New" });
    expect(status).toBe(200);
    expect(body).toMatchObject({ client_name: "New" });
    expect(body).not.toHaveProperty("scope"); // left out, so removed: RFC 7592 §2.2
    expect(body).not.toHaveProperty("client_secret");
    expect(await authenticates(registered.client_id, registered.client_secret)).toBe(true);
    expect((await manage("GET", registered)).status).toBe(401);
    expect((await manage("GET", body)).status).toBe(200);
  });

  test("has one access token, however many changes are made with it at once", async () => {
    const update = { client_id: registered.client_id, ...WEB };
    const changes = await Promise.all(Array.from({ length: 6 }, () => manage("PUT", registered, update)));
    const given = changes.filter(({ status }) => status === 200).map(({ body }) => body);
    expect(given.length).toBeGreaterThan(0);
    const statuses = await Promise.all([registered, ...given].map(async (body) => (await manage("GET", body)).status));
    expect(statuses.filter((status) => status === 200)).toHaveLength(1);
  });

  test("lets a secret be repeated when it is right", async () => {
    const { client_id: id, client_secret: secret } = registered;
    const update = { client_id: id, ...WEB, client_secret: secret };
    expect((await manage("PUT", registered, { ...update, client_secret: "wrong" })).status).toBe(400);
    const { status, body } = await manage("PUT", registered, update);
    expect(status).toBe(200);
    expect(body).not.toHaveProperty("client_secret");
    expect(await authenticates(id, secret)).toBe(true);
  });

  test("makes a secret when one becomes necessary, and drops it when it is no longer", async () => {
    const open = await manage("PUT", registered, { client_id: registered.client_id, ...WEB, token_endpoint_auth_method: "none" });
    expect(open.body).not.toHaveProperty("client_secret");
    expect((await clients.find(String(registered.client_id)))?.secretHash).toBeUndefined();
    const closed = await manage("PUT", open.body, { client_id: registered.client_id, ...WEB });
    expect(closed.body.client_secret).toMatch(/^[\w-]{43}$/);
    expect(closed.body.client_secret).not.toBe(registered.client_secret);
    expect(await authenticates(registered.client_id, closed.body.client_secret)).toBe(true);
    expect(await authenticates(registered.client_id, registered.client_secret)).toBe(false);
  });

  test("deletes it, ending its grants before the answer", async () => {
    const ended: string[] = [];
    clients.onEnd(async (id) => void ended.push(id));
    expect((await manage("DELETE", registered)).status).toBe(204);
    expect(ended).toContain(registered.client_id);
    expect(await database.prisma.registrationToken.count()).toBe(0);
    expect((await manage("GET", registered)).status).toBe(401);
  });

  test("is refused with another's token, or with the hash of one", async () => {
    const other = (await register(WEB)).body;
    expect((await manage("GET", { ...registered, registration_access_token: other.registration_access_token })).status).toBe(401);
    const [row] = await database.prisma.registrationToken.findMany({ where: { clientId: String(registered.client_id) } });
    expect((await manage("GET", { ...registered, registration_access_token: row?.hash })).status).toBe(401);
    expect((await manage("GET", registered)).status).toBe(200);
  });
});

describe("registration with a token", () => {
  beforeEach(() => start("token"));

  test("is refused without one, or with a made-up or expired one", async () => {
    const { token } = await tokens.createInitial({ expires: 60 });
    expect((await register(WEB)).status).toBe(401);
    expect((await register(WEB, "made-up")).status).toBe(401);
    expect((await register(WEB, token)).status).toBe(201);
    now += 60_001;
    expect((await register(WEB, token)).status).toBe(401);
  });

  test("trusts whoever was given one with the scopes of resources", async () => {
    const { token } = await tokens.createInitial();
    expect((await register({ ...SERVICE, scope: "api:read" }, token)).body).toMatchObject({
      scope: "api:read",
      response_types: [],
      redirect_uris: [],
    });
  });

  test("takes no more registrations than uses, however many come at once, and a failed one costs none", async () => {
    const { token } = await tokens.createInitial({ uses: 3 });
    expect((await register({ redirect_uris: [] }, token)).status).toBe(400);
    const answers = await Promise.all(Array.from({ length: 20 }, () => register(WEB, token)));
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(3);
    for (const { status, body } of answers) if (status !== 201) expect([status, body.error]).toEqual([401, "invalid_token"]);
    expect(await database.prisma.client.count()).toBe(3);
    expect((await register(WEB, token)).status).toBe(401);
  });

  test("an access token of a registration registers nobody", async () => {
    const { token } = await tokens.createInitial();
    const { body } = await register(WEB, token);
    expect((await register(WEB, String(body.registration_access_token))).status).toBe(401);
    expect((await manage("GET", { ...body, registration_access_token: token })).status).toBe(401);
  });
});

describe("registration within the limits of an initial access token", () => {
  beforeEach(() => start("token"));
  const LIMITS = { scopes: ["openid", "profile"], redirectHosts: ["app.example", "*.app.example", "com.example.app:"] };

  test("takes what the token allows, at first and at every change", async () => {
    const { token } = await tokens.createInitial(LIMITS);
    const redirect_uris = ["https://app.example/cb", "https://a.b.app.example:8443/cb"];
    const { status, body } = await register({ ...WEB, redirect_uris, scope: "openid" }, token);
    expect(status).toBe(201);
    const beyond = [
      [{ redirect_uris: ["https://app.example.evil.example/cb"] }, "invalid_redirect_uri"],
      [{ redirect_uris: ["https://app.example/cb", "https://evilapp.example/cb"] }, "invalid_redirect_uri"],
      [{ redirect_uris: ["http://localhost/cb"] }, "invalid_redirect_uri"],
      [{ post_logout_redirect_uris: ["https://evil.example/"] }, "invalid_client_metadata"],
      [{ scope: "openid email" }, "invalid_client_metadata"],
      [{ scope: "openid api:read" }, "invalid_client_metadata"],
    ] as const;
    for (const [change, error] of beyond) {
      const metadata = { ...WEB, scope: "openid", ...change };
      expect(await register(metadata, token)).toMatchObject({ status: 400, body: { error } });
      expect(await manage("PUT", body, { client_id: body.client_id, ...metadata })).toMatchObject({ status: 400, body: { error } });
    }
    const own = { client_id: body.client_id, ...WEB, scope: "openid profile" };
    expect((await manage("PUT", body, own)).status).toBe(200);
    expect(await clients.find(String(body.client_id))).toMatchObject({ registrationLimits: LIMITS });
  });

  test("is for all that the token allows when it names no scope", async () => {
    const { token } = await tokens.createInitial(LIMITS);
    const { body } = await register(WEB, token);
    expect(body).toMatchObject({ scope: "openid profile" });
    const updated = await manage("PUT", body, { client_id: body.client_id, ...WEB, scope: null });
    expect(updated).toMatchObject({ status: 200, body: { scope: "openid profile" } });
  });

  test("takes native applications by their scheme, and keeps what an operator has added", async () => {
    const { token } = await tokens.createInitial(LIMITS);
    const native = { application_type: "native", token_endpoint_auth_method: "none", scope: "openid" };
    expect((await register({ ...native, redirect_uris: ["com.example.app:/cb"] }, token)).status).toBe(201);
    // What has the name of a host is no such host.
    for (const uri of ["com.example.other:/cb", "app.example:/cb", "x.app.example:/cb", "https://com.example.app/cb"])
      expect((await register({ ...native, redirect_uris: [uri] }, token)).status, uri).toBe(400);
    const { body } = await register({ ...WEB, scope: "openid" }, token);
    const added = { redirect_uris: ["https://app.example/cb", "https://else.example/cb"], scope: "openid api:read" };
    await clients.update(String(body.client_id), { metadata: added });
    expect((await manage("PUT", body, { client_id: body.client_id, ...WEB, ...added })).status).toBe(200);
  });

  test("is limited by limits that make sense", async () => {
    for (const order of [
      { scopes: [] },
      { scopes: ["a b"] },
      { scopes: ["grantor:clients:write"] },
      { redirectHosts: [] },
      { redirectHosts: ["https://app.example"] },
      { redirectHosts: ["app.example:8443"] },
      { redirectHosts: ["*"] },
      { redirectHosts: ["*.example.app:"] },
      { redirectHosts: ["*.*.example"] },
      { uses: 0 },
      { uses: 1.5 },
      { expires: Number.MAX_SAFE_INTEGER },
    ])
      await expect(tokens.createInitial(order)).rejects.toMatchObject({ code: "invalid_client_metadata" });
    const { id } = await tokens.createInitial({ redirectHosts: ["APP.example"], scopes: ["openid", "openid"], uses: 2 });
    expect(await tokens.listInitial()).toMatchObject([
      { id, redirectHosts: ["app.example"], scopes: ["openid"], usesLeft: 2, usable: true },
    ]);
    expect(await tokens.deleteInitial(id)).toBe(true);
  });
});

describe("registration with a software statement", () => {
  const ISSUER = "https://issuer.example";
  const signer = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const issuers = [{ issuer: ISSUER, jwks: { keys: [{ ...signer.publicKey.export({ format: "jwk" }) }] } }];
  const sign = (claims: Json) => new SignJWT({ iss: ISSUER, ...claims }).setProtectedHeader({ alg: "ES256" }).sign(signer.privateKey);

  test("says what the statement says, whatever the application says, then and later", async () => {
    await start("open", issuers);
    const statement = await sign({ client_name: "Stated", software_id: "s-1", scope: "openid", verified: true, first_party: true });
    const { status, body } = await register({ ...WEB, client_name: "Said", scope: "openid email", software_statement: statement });
    expect([status, body]).toEqual([201, expect.objectContaining({ client_name: "Stated", software_id: "s-1", scope: "openid" })]);
    expect(body.software_statement).toBe(statement); // RFC 7591 §3.2.1: unmodified
    expect(await clients.find(String(body.client_id))).toMatchObject({ verified: false, firstParty: false, softwareStatement: statement });
    expect((await manage("GET", body)).body).toMatchObject({ software_statement: statement, client_name: "Stated" });

    const contradicting = {
      client_id: body.client_id,
      ...WEB,
      client_name: "Your Bank",
      scope: "openid email",
      client_uri: "https://app.example/",
    };
    for (const software_statement of [undefined, null, statement]) {
      const updated = await manage("PUT", body, { ...contradicting, software_statement });
      expect(updated).toMatchObject({ status: 200, body: { client_name: "Stated", scope: "openid", client_uri: "https://app.example/" } });
      expect(updated.body.software_statement).toBe(statement);
      Object.assign(body, updated.body);
    }
    const newer = await sign({ client_name: "Stated anew" });
    const renewed = await manage("PUT", body, { ...contradicting, software_statement: newer });
    expect(renewed).toMatchObject({ status: 200, body: { client_name: "Stated anew", scope: "openid email", software_statement: newer } });
  });

  test("is refused with the error that says why, once it is known who asks", async () => {
    await start("token", issuers);
    const { token } = await tokens.createInitial();
    const refused = async (software_statement: unknown) => (await register({ ...WEB, software_statement }, token)).body.error;
    expect(await refused("nonsense")).toBe("invalid_software_statement");
    expect(await refused(7)).toBe("invalid_software_statement");
    expect(await refused(await sign({ exp: 1 }))).toBe("invalid_software_statement");
    expect(await refused(await sign({ iss: "https://else.example" }))).toBe("unapproved_software_statement");
    expect(await refused(await sign({ redirect_uris: ["http://evil.example/"] }))).toBe("invalid_redirect_uri");
    expect(await refused(await sign({ grant_types: ["implicit"] }))).toBe("invalid_client_metadata");
    expect((await register({ ...WEB, software_statement: "nonsense" })).status).toBe(401);
    const { body } = await register({ ...WEB, software_statement: await sign({}) }, token);
    const update = { client_id: body.client_id, ...WEB, software_statement: await sign({ iss: "https://else.example" }) };
    expect((await manage("PUT", body, update)).body.error).toBe("unapproved_software_statement");
    expect((await manage("PUT", { ...body, registration_access_token: "made-up" }, update)).status).toBe(401);
  });

  test("keeps to the limits of the initial access token, whatever the statement says", async () => {
    await start("token", issuers);
    const { token } = await tokens.createInitial({ redirectHosts: ["app.example"] });
    const software_statement = await sign({ redirect_uris: ["https://else.example/cb"] });
    expect((await register({ ...WEB, software_statement }, token)).body.error).toBe("invalid_redirect_uri");
  });

  test("may be needed", async () => {
    await start("open", issuers, true);
    for (const software_statement of [undefined, null, ""])
      expect((await register({ ...WEB, software_statement })).body.error).toBe("invalid_client_metadata");
    expect((await register({ ...WEB, software_statement: await sign({}) })).status).toBe(201);
  });

  test("waits for keys that cannot be had now, which nobody without a token has fetched", async () => {
    let fetches = 0;
    keysFetch = () => {
      fetches += 1;
      return Promise.reject(new TypeError("fetch failed"));
    };
    await start("token", [{ issuer: ISSUER, jwksUri: "https://issuer.example/jwks" }]);
    const metadata = { ...WEB, software_statement: await sign({}) };
    expect((await register(metadata)).status).toBe(401);
    expect((await register(metadata, "made-up")).status).toBe(401);
    const { token } = await tokens.createInitial();
    const { body } = await register(WEB, token);
    const update = { client_id: body.client_id, ...metadata };
    expect((await manage("PUT", { ...body, registration_access_token: token }, update)).status).toBe(401);
    expect(fetches).toBe(0);
    expect((await manage("PUT", body, update)).status).toBe(503);
    expect(await register(metadata, token)).toMatchObject({ status: 503, body: { error: "temporarily_unavailable" } });
  });
});

test("a sector identifier is compared with what lies there when it is registered, and fetched from nowhere that only this server reaches", async () => {
  const hidden = createServer((_request, response) => response.end(JSON.stringify(WEB.redirect_uris)));
  let connections = 0;
  hidden.on("connection", () => {
    connections += 1;
  });
  await new Promise<void>((resolve) => hidden.listen(0, resolve));
  const { port } = hidden.address() as AddressInfo;
  await start("open");
  for (const host of ["127.0.0.1", "localhost", "[::1]", "2130706433", "0x7f.1", "[::ffff:7f00:1]", "169.254.169.254", "10.0.0.1"]) {
    const answer = await register({ ...WEB, sector_identifier_uri: `https://${host}:${port}/` });
    expect([host, answer.status, answer.body.error]).toEqual([host, 400, "invalid_client_metadata"]);
  }
  expect((await register({ ...WEB, sector_identifier_uri: `http://localhost:${port}/` })).body.error).toBe("invalid_client_metadata");
  expect(connections).toBe(0);
  hidden.close();

  let there: unknown = ["https://app.example/cb", "https://app.example/other"];
  const asked: string[] = [];
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  guardedFetch = (async (url: string) => {
    asked.push(url);
    return Response.json(there);
  }) as never;
  await start("open");
  const sector_identifier_uri = "https://app.example/sector";
  const { status, body } = await register({ ...WEB, sector_identifier_uri });
  expect([status, body]).toEqual([201, expect.objectContaining({ sector_identifier_uri })]);
  expect((await manage("GET", body)).body).toMatchObject({ sector_identifier_uri });
  expect(asked).toEqual([sector_identifier_uri]);
  there = ["https://app.example/other"];
  expect((await register({ ...WEB, sector_identifier_uri })).status).toBe(400);
  expect((await manage("PUT", body, { client_id: body.client_id, ...WEB, sector_identifier_uri })).status).toBe(400);
});

test("a registration of a stranger that nobody has used for thirty days goes, and no other does", async () => {
  await start("open");
  const removed: string[] = [];
  const use = createClientUse({ prisma: database.prisma, clients, onRemoved: (id) => void removed.push(id), log, now: () => now });
  const ids = await Promise.all([0, 1, 2, 3].map(async () => String((await register(WEB)).body.client_id)));
  const [unused, used, verified, owned] = ids as [string, string, string, string];
  const { client: own } = await clients.create({ type: "web", metadata: WEB });
  await database.prisma.account.create({ data: { id: "ada", email: "ada@example.org" } });
  await database.prisma.clientOwner.create({ data: { clientId: owned, accountId: "ada" } });
  await clients.update(verified, { verified: true });
  use.used(used);
  use.used("unknown");
  await use.close();
  now += 29 * 86_400_000;
  await use.removeUnused();
  expect(removed).toEqual([]);
  now += 2 * 86_400_000;
  await Promise.all([use.removeUnused(), use.removeUnused()]);
  expect(removed).toEqual([unused]);
  expect((await database.prisma.client.findMany()).map(({ id }) => id).toSorted()).toEqual(
    [used, verified, owned, own.clientId].toSorted(),
  );
  const noted = async () => (await database.prisma.client.findUniqueOrThrow({ where: { id: used } })).lastUsedAt?.getTime();
  expect(await noted()).toBe(now - 31 * 86_400_000);
  use.used(used);
  await use.close();
  expect(await noted()).toBe(now);
});

test("closed registration is neither there nor announced", async () => {
  await start("closed");
  expect((await register(WEB)).status).toBe(404);
  expect((await call("GET", "/.well-known/openid-configuration")).body).not.toHaveProperty("registration_endpoint");
});

test("the engine takes every kind of client that we make, and the scopes that it is limited to", async () => {
  await start("closed");
  const redirects = { redirect_uris: ["https://app.example/cb"] };
  for (const [type, metadata] of [
    ["web", redirects],
    ["spa", redirects],
    ["native", { redirect_uris: ["http://127.0.0.1/cb", "com.example.app:/cb"] }],
    ["service", {}],
    ["device", {}],
  ] as const) {
    const { client, secret } = await clients.create({
      type,
      metadata: { ...metadata, scope: "openid api:read", id_token_signed_response_alg: "RS256" },
    });
    const engine = await provider.Client.find(client.clientId);
    expect(engine?.scope).toBe("openid");
    expect(clientExtras(engine as object).grantor_scopes).toEqual(["openid", "api:read"]);
    if (secret !== undefined) {
      expect(await engine?.compareClientSecret(secret)).toBe(true);
      expect(await engine?.compareClientSecret(String(engine.clientSecret))).toBe(false);
    }
  }
  const without = await clients.create({ type: "service", metadata: {} });
  expect((await provider.Client.find(without.client.clientId))?.scope).toBeUndefined();
  const resourceOnly = await clients.create({ type: "service", metadata: { scope: "api:read" } });
  expect((await provider.Client.find(resourceOnly.client.clientId))?.scope).toBe("phone");
});
