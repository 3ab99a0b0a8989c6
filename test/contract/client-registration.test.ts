/** Applications that register themselves with nobody's leave (RFC 7591): what they may say, what they get, how long it stays. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { pino } from "pino";
import { beforeEach, describe, expect, test } from "vitest";
import { createClientUse } from "../../src/clients/client-use.ts";
import { clientExtras } from "../../src/clients/engine-client-adapter.ts";
import { TOKEN_EXCHANGE_GRANT } from "../../src/clients/token-exchange-policy.ts";
import { type Json, registrationEngine, SERVICE, WEB } from "../support/registration-engine.ts";

const engine = registrationEngine();
const { start, call, register, manage, authenticates } = engine;

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
    const dump = JSON.stringify([
      await engine.database.prisma.client.findMany(),
      await engine.database.prisma.registrationToken.findMany(),
    ]);
    for (const secret of [body.client_secret, body.registration_access_token]) expect(dump).not.toContain(secret);
    const stored = await engine.clients.find(String(body.client_id));
    expect(stored).toMatchObject({ createdBy: "registration", metadata: { scope: "openid api:read" } });
    expect(stored?.metadata).not.toHaveProperty("client_secret");
  });

  test("is dated once, however long it takes to be stored", async () => {
    engine.now += 2_500;
    const { body } = await register(WEB);
    expect((await manage("GET", body)).body.client_id_issued_at).toBe(body.client_id_issued_at);
    expect(Math.floor(((await engine.clients.find(String(body.client_id)))?.createdAt.getTime() ?? 0) / 1000)).toBe(
      body.client_id_issued_at,
    );
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
    const client = await engine.provider.Client.find(String(body.client_id));
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
    expect(await engine.clients.find(String(body.client_id))).toMatchObject({
      requirePkce: true,
      firstParty: false,
      verified: false,
      managementScopes: [],
    });
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
    expect(await engine.database.prisma.client.count()).toBe(0);
  });

  test("gives public clients no secret", async () => {
    const { status, body } = await register({ ...WEB, token_endpoint_auth_method: "none" });
    expect(status).toBe(201);
    for (const member of ["client_secret", "client_secret_expires_at"]) expect(body).not.toHaveProperty(member);
    expect((await engine.clients.find(String(body.client_id)))?.secretHash).toBeUndefined();
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
  engine.guardedFetch = (async (url: string) => {
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
  const { clients } = engine;
  const { prisma } = engine.database;
  const log = pino({ level: "silent" });
  const use = createClientUse({ prisma, clients, onRemoved: (id) => void removed.push(id), log, now: () => engine.now });
  const ids = await Promise.all([0, 1, 2, 3].map(async () => String((await register(WEB)).body.client_id)));
  const [unused, used, verified, owned] = ids as [string, string, string, string];
  const { client: own } = await engine.clients.create({ type: "web", metadata: WEB });
  await engine.database.prisma.account.create({ data: { id: "ada", email: "ada@example.org" } });
  await engine.database.prisma.clientOwner.create({ data: { clientId: owned, accountId: "ada" } });
  await engine.clients.update(verified, { verified: true });
  use.used(used);
  use.used("unknown");
  await use.close();
  engine.now += 29 * 86_400_000;
  await use.removeUnused();
  expect(removed).toEqual([]);
  engine.now += 2 * 86_400_000;
  await Promise.all([use.removeUnused(), use.removeUnused()]);
  expect(removed).toEqual([unused]);
  expect((await engine.database.prisma.client.findMany()).map(({ id }) => id).toSorted()).toEqual(
    [used, verified, owned, own.clientId].toSorted(),
  );
  const noted = async () => (await engine.database.prisma.client.findUniqueOrThrow({ where: { id: used } })).lastUsedAt?.getTime();
  expect(await noted()).toBe(engine.now - 31 * 86_400_000);
  use.used(used);
  await use.close();
  expect(await noted()).toBe(engine.now);
});

test("closed registration is neither there nor announced", async () => {
  await start("closed");
  expect((await register(WEB)).status).toBe(404);
  expect((await call("GET", "/.well-known/openid-configuration")).body).not.toHaveProperty("registration_endpoint");
});
