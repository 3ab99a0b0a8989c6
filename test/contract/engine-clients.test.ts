/** Every kind of client that we make, as the engine finds it. */
import { expect, test } from "vitest";
import { clientExtras } from "../../src/clients/engine-client-adapter.ts";
import { registrationEngine } from "../support/registration-engine.ts";

const engine = registrationEngine();
const { start } = engine;

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
    const { client, secret } = await engine.clients.create({
      type,
      metadata: { ...metadata, scope: "openid api:read", id_token_signed_response_alg: "RS256" },
    });
    const found = await engine.provider.Client.find(client.clientId);
    expect(found?.scope).toBe("openid");
    expect(clientExtras(found as object).grantor_scopes).toEqual(["openid", "api:read"]);
    if (secret !== undefined) {
      expect(await found?.compareClientSecret(secret)).toBe(true);
      expect(await found?.compareClientSecret(String(found.clientSecret))).toBe(false);
    }
  }
  const without = await engine.clients.create({ type: "service", metadata: {} });
  expect((await engine.provider.Client.find(without.client.clientId))?.scope).toBeUndefined();
  const resourceOnly = await engine.clients.create({ type: "service", metadata: { scope: "api:read" } });
  expect((await engine.provider.Client.find(resourceOnly.client.clientId))?.scope).toBe("phone");
});
