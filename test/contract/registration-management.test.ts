/** Applications that read, change and delete their own registration (RFC 7592), and what of it they cannot change. */
import { beforeEach, describe, expect, test } from "vitest";
import { type Json, registrationEngine, WEB } from "../support/registration-engine.ts";

const engine = registrationEngine();
const { start, register, manage, authenticates } = engine;

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
    // The engine's clock dates the answer, the store's the record: a second may begin between them.
    expect(body).toEqual({ ...rest, client_id_issued_at: expect.any(Number) });
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
    expect((await engine.clients.find(String(registered.client_id)))?.secretHash).toBeUndefined();
    const closed = await manage("PUT", open.body, { client_id: registered.client_id, ...WEB });
    expect(closed.body.client_secret).toMatch(/^[\w-]{43}$/);
    expect(closed.body.client_secret).not.toBe(registered.client_secret);
    expect(await authenticates(registered.client_id, closed.body.client_secret)).toBe(true);
    expect(await authenticates(registered.client_id, registered.client_secret)).toBe(false);
  });

  test("deletes it, ending its grants before the answer", async () => {
    const ended: string[] = [];
    engine.clients.onEnd(async (id) => void ended.push(id));
    expect((await manage("DELETE", registered)).status).toBe(204);
    expect(ended).toContain(registered.client_id);
    expect(await engine.database.prisma.registrationToken.count()).toBe(0);
    expect((await manage("GET", registered)).status).toBe(401);
  });

  test("is refused with another's token, or with the hash of one", async () => {
    const other = (await register(WEB)).body;
    expect((await manage("GET", { ...registered, registration_access_token: other.registration_access_token })).status).toBe(401);
    const [row] = await engine.database.prisma.registrationToken.findMany({ where: { clientId: String(registered.client_id) } });
    expect((await manage("GET", { ...registered, registration_access_token: row?.hash })).status).toBe(401);
    expect((await manage("GET", registered)).status).toBe(200);
  });
});

describe("what an operator has decided of a registration", () => {
  beforeEach(() => start("open"));

  test("keeps what the operator decided when the application updates itself", async () => {
    const { body } = await register(WEB);
    await engine.clients.update(String(body.client_id), { requirePkce: false, metadata: { scope: "openid secret:scope" } });
    const updated = await manage("PUT", body, { client_id: body.client_id, ...WEB, client_name: "New", scope: "openid secret:scope" });
    expect(updated).toMatchObject({ status: 200, body: { client_name: "New", scope: "openid secret:scope" } });
    expect(await engine.clients.find(String(body.client_id))).toMatchObject({ requirePkce: false });
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
    await engine.clients.update(String(client_id), settings);
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
    expect(await engine.clients.find(String(client_id))).toMatchObject(settings);
    expect((await manage("DELETE", updated.body)).status).toBe(204);
  });

  test("hears of no change that is none, when members have come since it was registered", async () => {
    const { body: registered } = await register(WEB);
    const id = String(registered.client_id);
    await engine.database.pool.query(
      "UPDATE client SET verified = true, metadata = metadata - 'dpop_bound_access_tokens' - 'introspection_signed_response_alg' WHERE id = $1",
      [id],
    );
    await engine.clients.update(id, { firstParty: true }); // and every process forgets what it had read
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
    await engine.clients.update(id, { metadata: { scope } });
    const given = await put(without.body, { ...alone, scope, client_name: "What an operator gave stays" });
    expect(given.status).toBe(200);
    const dropped = await put(given.body, { ...WEB, scope });
    expect(dropped.status).toBe(200);
    expect((await put(dropped.body, { ...alone, scope })).status).toBe(400);
  });
});
