/** Initial access tokens (RFC 7591 §3): who registers with one, how often, and within which limits. */
import { beforeEach, describe, expect, test } from "vitest";
import { registrationEngine, SERVICE, WEB } from "../support/registration-engine.ts";

const engine = registrationEngine();
const { start, register, manage } = engine;

describe("registration with a token", () => {
  beforeEach(() => start("token"));

  test("is refused without one, or with a made-up or expired one", async () => {
    const { token } = await engine.tokens.createInitial({ expires: 60 });
    expect((await register(WEB)).status).toBe(401);
    expect((await register(WEB, "made-up")).status).toBe(401);
    expect((await register(WEB, token)).status).toBe(201);
    engine.now += 60_001;
    expect((await register(WEB, token)).status).toBe(401);
  });

  test("trusts whoever was given one with the scopes of resources", async () => {
    const { token } = await engine.tokens.createInitial();
    expect((await register({ ...SERVICE, scope: "api:read" }, token)).body).toMatchObject({
      scope: "api:read",
      response_types: [],
      redirect_uris: [],
    });
  });

  test("takes no more registrations than uses, however many come at once, and a failed one costs none", async () => {
    const { token } = await engine.tokens.createInitial({ uses: 3 });
    expect((await register({ redirect_uris: [] }, token)).status).toBe(400);
    const answers = await Promise.all(Array.from({ length: 20 }, () => register(WEB, token)));
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(3);
    for (const { status, body } of answers) if (status !== 201) expect([status, body.error]).toEqual([401, "invalid_token"]);
    expect(await engine.database.prisma.client.count()).toBe(3);
    expect((await register(WEB, token)).status).toBe(401);
  });

  test("an access token of a registration registers nobody", async () => {
    const { token } = await engine.tokens.createInitial();
    const { body } = await register(WEB, token);
    expect((await register(WEB, String(body.registration_access_token))).status).toBe(401);
    expect((await manage("GET", { ...body, registration_access_token: token })).status).toBe(401);
  });
});

describe("registration within the limits of an initial access token", () => {
  beforeEach(() => start("token"));
  const LIMITS = { scopes: ["openid", "profile"], redirectHosts: ["app.example", "*.app.example", "com.example.app:"] };

  test("takes what the token allows, at first and at every change", async () => {
    const { token } = await engine.tokens.createInitial(LIMITS);
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
    expect(await engine.clients.find(String(body.client_id))).toMatchObject({ registrationLimits: LIMITS });
  });

  test("is for all that the token allows when it names no scope", async () => {
    const { token } = await engine.tokens.createInitial(LIMITS);
    const { body } = await register(WEB, token);
    expect(body).toMatchObject({ scope: "openid profile" });
    const updated = await manage("PUT", body, { client_id: body.client_id, ...WEB, scope: null });
    expect(updated).toMatchObject({ status: 200, body: { scope: "openid profile" } });
  });

  test("takes native applications by their scheme, and keeps what an operator has added", async () => {
    const { token } = await engine.tokens.createInitial(LIMITS);
    const native = { application_type: "native", token_endpoint_auth_method: "none", scope: "openid" };
    expect((await register({ ...native, redirect_uris: ["com.example.app:/cb"] }, token)).status).toBe(201);
    // What has the name of a host is no such host.
    for (const uri of ["com.example.other:/cb", "app.example:/cb", "x.app.example:/cb", "https://com.example.app/cb"])
      expect((await register({ ...native, redirect_uris: [uri] }, token)).status, uri).toBe(400);
    const { body } = await register({ ...WEB, scope: "openid" }, token);
    const added = { redirect_uris: ["https://app.example/cb", "https://else.example/cb"], scope: "openid api:read" };
    await engine.clients.update(String(body.client_id), { metadata: added });
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
      await expect(engine.tokens.createInitial(order)).rejects.toMatchObject({ code: "invalid_client_metadata" });
    const { id } = await engine.tokens.createInitial({ redirectHosts: ["APP.example"], scopes: ["openid", "openid"], uses: 2 });
    expect(await engine.tokens.listInitial()).toMatchObject([
      { id, redirectHosts: ["app.example"], scopes: ["openid"], usesLeft: 2, usable: true },
    ]);
    const seen = await engine.tokens.findInitial(id);
    const changed = engine.tokens.deleteInitial(id, (before) => {
      expect(before).toEqual(seen);
      throw new Error("changed meanwhile");
    });
    await expect(changed).rejects.toThrow("changed meanwhile");
    expect(await engine.tokens.findInitial(id)).toEqual(seen);
    expect(await engine.tokens.deleteInitial(id)).toBe(true);
    expect(await engine.tokens.findInitial(id)).toBeUndefined();
  });
});
