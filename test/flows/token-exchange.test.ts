/** RFC 8693: tokens in exchange for those of people. What must not grow, who may ask, and what ends the new token. */
import { StatusList } from "@sd-jwt/jwt-status-list";
import { createRemoteJWKSet, decodeJwt, jwtVerify } from "jose";
import * as oauth from "oauth4webapi";
import * as openid from "openid-client";
import { beforeAll, expect, it } from "vitest";
import type { TokenExchangePolicy } from "../../src/clients/token-exchange-policy.ts";
import { Agent } from "../support/agent.ts";
import { proofKey, withNonce } from "../support/dpop.ts";
import { describeFlows } from "../support/flows.ts";
import {
  answerOf,
  authorizationUrl,
  authorize,
  introspect,
  type Person,
  pkce,
  post,
  refresh,
  type SeededClient,
  signIn,
  type Tokens,
  userinfo,
} from "../support/grantor.ts";
import { waitFor } from "../support/wait-for.ts";

const GRANT = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token";
const JWT = "urn:ietf:params:oauth:token-type:jwt";

/** An API that people's applications call, and two behind it. */
const ORDERS = "https://orders.example";
const STOCK = "https://stock.example";
const LEDGER = "https://ledger.example";

interface Exchanged extends Tokens {
  issued_token_type: string;
}

describeFlows("token exchange", (flow) => {
  const TO_STOCK: TokenExchangePolicy = { audiences: [STOCK], scopes: { "orders:read": ["stock:read"] }, impersonation: false };
  /** The application that the person uses; the servers of the three APIs, which are clients too. */
  let shop: SeededClient;
  let orders: SeededClient;
  let stock: SeededClient;
  let ledger: SeededClient;
  /** Further servers of the first API and one of the second: with a wider policy, without the scopes, to be changed, in a circle. */
  let double: SeededClient;
  let unregistered: SeededClient;
  let passing: SeededClient;
  let circling: SeededClient;
  let ada: Person;

  const service = (scope: string, tokenExchange?: TokenExchangePolicy) =>
    flow.grantor.client({ type: "service", metadata: { scope }, ...(tokenExchange && { tokenExchange }) });

  beforeAll(async () => {
    shop = await flow.grantor.client({ metadata: { scope: "openid offline_access orders:read orders:write" } });
    orders = await service("stock:read stock:write", TO_STOCK);
    stock = await service("ledger:write", {
      audiences: [LEDGER],
      scopes: { "stock:read": ["ledger:write"], "stock:write": ["ledger:write"] },
      impersonation: false,
    });
    ledger = await service("openid");
    double = await service("stock:read", { ...TO_STOCK, impersonation: true });
    unregistered = await service("openid", TO_STOCK);
    passing = await service("stock:read", TO_STOCK);
    circling = await service("stock:read", { audiences: [STOCK], scopes: {}, impersonation: false });
    await flow.grantor.resource(ORDERS, {
      scopes: ["orders:read", "orders:write"],
      introspectors: [orders, double, unregistered, passing].map(({ client_id }) => client_id),
      accessTokenTtl: 600,
    });
    await flow.grantor.resource(STOCK, {
      scopes: ["stock:read", "stock:write"],
      introspectors: [stock.client_id, circling.client_id],
      includeRoles: true,
      accessTokenTtl: 3600,
    });
    await flow.grantor.resource(LEDGER, { scopes: ["ledger:write"], introspectors: [ledger.client_id], signingAlg: "ES256" });
    ada = await flow.grantor.person({ roles: ["buyer"] });
  });

  /** A token of the person for the first API. */
  const subject = async (parameters: Record<string, string> = {}, person = ada) =>
    (await signIn(flow.grantor, shop, person, { parameters: { scope: "openid orders:read", resource: ORDERS, ...parameters } })).tokens;
  const exchange = (client: SeededClient, parameters: Record<string, string>, headers: Record<string, string> = {}) =>
    post(
      `${flow.grantor.url}/oauth/token`,
      client,
      { grant_type: GRANT, subject_token_type: ACCESS_TOKEN, resource: STOCK, ...parameters },
      headers,
    );
  const exchanged = async (client: SeededClient, parameters: Record<string, string>) => {
    const answer = await answerOf(exchange(client, parameters));
    expect(answer).toMatchObject({ status: 200 });
    return answer.body as unknown as Exchanged;
  };
  const refused = async (client: SeededClient, parameters: Record<string, string>) => {
    const { status, body } = await answerOf(exchange(client, parameters));
    expect(body.error_description).toMatch(/\w/);
    expect(body).not.toHaveProperty("access_token");
    return [status, body.error];
  };
  /** Whether a token is alive: introspection and the status list say the same. */
  const isActive = async (client: SeededClient, { access_token }: Tokens) => {
    const { active } = await introspect(flow.grantor, client, access_token);
    const { idx, uri } = (decodeJwt(access_token).status as { status_list: { idx: number; uri: string } }).status_list;
    const { lst } = decodeJwt(await (await fetch(uri)).text()).status_list as { lst: string };
    expect(StatusList.decompressStatusList(lst, 1).getStatus(idx)).toBe(active === true ? 0 : 1);
    return active;
  };

  it("gives the server of an API a token for the next one, in the person's name, that says who acts", async () => {
    const { access_token } = await subject();
    const before = decodeJwt(access_token);
    const response = await exchange(orders, { subject_token: access_token });
    expect(response.headers.get("Cache-Control")).toBe("no-store");
    const answer = (await response.json()) as Exchanged;
    expect(answer).toEqual({
      access_token: expect.any(String),
      issued_token_type: ACCESS_TOKEN,
      token_type: "Bearer",
      expires_in: expect.any(Number),
      scope: "stock:read",
    });
    const { payload } = await jwtVerify(answer.access_token, createRemoteJWKSet(new URL(`${flow.grantor.url}/.well-known/jwks.json`)), {
      issuer: flow.grantor.url,
      audience: STOCK,
      typ: "at+jwt",
    });
    expect(payload).toMatchObject({
      sub: ada.id,
      client_id: orders.client_id,
      act: { sub: orders.client_id },
      auth_time: before.auth_time,
      acr: before.acr,
      roles: ["buyer"],
      scope: "stock:read",
    });
    expect(payload.jti).not.toBe(before.jti);
    expect(payload.exp).toBeLessThanOrEqual(before.exp as number); // the resource would allow an hour
    expect(answer.expires_in).toBeLessThanOrEqual(600);
    const seen = await introspect(flow.grantor, stock, answer.access_token);
    expect(seen).toMatchObject({ active: true, sub: ada.id, aud: STOCK, act: { sub: orders.client_id }, client_id: orders.client_id });
    expect(await isActive(orders, answer)).toBe(true);
    expect(await introspect(flow.grantor, shop, answer.access_token)).toEqual({ active: false }); // it is none of its own
    expect((await userinfo(flow.grantor, answer.access_token)).status).toBe(401);
    // The one that was exchanged goes on as it was.
    expect(await introspect(flow.grantor, orders, access_token)).toMatchObject({ active: true, client_id: shop.client_id });
  });

  it("goes on from server to server, and keeps who acted before", async () => {
    const { access_token } = await subject();
    const first = await exchanged(orders, { subject_token: access_token, subject_token_type: JWT, audience: STOCK });
    const second = await exchanged(stock, { subject_token: first.access_token, resource: LEDGER });
    const claims = decodeJwt(second.access_token);
    expect(claims).toMatchObject({ sub: ada.id, aud: LEDGER, client_id: stock.client_id, scope: "ledger:write" });
    expect(claims.act).toEqual({ sub: stock.client_id, act: { sub: orders.client_id } });
    expect(claims.exp).toBeLessThanOrEqual(decodeJwt(first.access_token).exp as number);
    expect(await introspect(flow.grantor, ledger, second.access_token)).toMatchObject({ active: true, act: claims.act });
  });

  it("ends a chain after five actors", async () => {
    let { access_token } = await exchanged(orders, { subject_token: (await subject()).access_token });
    for (let actors = 2; actors <= 5; actors++) ({ access_token } = await exchanged(circling, { subject_token: access_token }));
    expect(await refused(circling, { subject_token: access_token })).toEqual([400, "invalid_request"]);
  });

  it("lets nothing grow: scope, audience, life", async () => {
    const { access_token } = await subject();
    expect(await refused(orders, { subject_token: access_token, scope: "stock:write" })).toEqual([400, "invalid_scope"]);
    expect(await refused(orders, { subject_token: access_token, scope: "stock:read stock:write" })).toEqual([400, "invalid_scope"]);
    expect(await refused(orders, { subject_token: access_token, scope: "openid" })).toEqual([400, "invalid_scope"]);
    for (const resource of [LEDGER, ORDERS, flow.grantor.url, `${flow.grantor.url}/api/v1`, "https://nobody.example", "nonsense"])
      expect(await refused(orders, { subject_token: access_token, resource })).toEqual([400, "invalid_target"]);
    expect(await refused(orders, { subject_token: access_token, audience: LEDGER })).toEqual([400, "invalid_target"]);
    const twice = await answerOf(
      post(`${flow.grantor.url}/oauth/token`, orders, [
        ["grant_type", GRANT],
        ["subject_token", access_token],
        ["subject_token_type", ACCESS_TOKEN],
        ["resource", STOCK],
        ["resource", LEDGER],
      ]),
    );
    expect(twice).toMatchObject({ status: 400, body: { error: "invalid_target" } });
    // A scope of the subject that stands for nothing at the target, and one that the client is not registered for.
    const writing = await subject({ scope: "openid orders:write" });
    expect(await refused(orders, { subject_token: writing.access_token })).toEqual([400, "invalid_scope"]);
    expect(await refused(unregistered, { subject_token: access_token })).toEqual([400, "invalid_target"]);
    await flow.later(601, async () => {
      expect(await refused(orders, { subject_token: access_token })).toEqual([400, "invalid_request"]);
    });
  });

  it("is for confidential clients with a policy alone, which no application gives itself", async () => {
    const { access_token } = await subject();
    expect(await refused(shop, { subject_token: access_token })).toEqual([400, "unauthorized_client"]);
    const spa = await flow.grantor.client({ type: "spa" });
    expect(await refused(spa, { subject_token: access_token })).toEqual([400, "unauthorized_client"]);
    await expect(flow.grantor.client({ type: "spa", tokenExchange: TO_STOCK })).rejects.toThrow("token_exchange");
    await exchanged(passing, { subject_token: access_token });
    await flow.grantor.services.clients.update(passing.client_id, { tokenExchange: null });
    const isRefused = async () => (await answerOf(exchange(passing, { subject_token: access_token }))).body.error === "unauthorized_client";
    await waitFor("the policy to be gone", isRefused);
    expect((await exchange({ ...orders, client_secret: "wrong-secret-altogether" }, { subject_token: access_token })).status).toBe(401);
    const metadata = await (await fetch(`${flow.grantor.url}/.well-known/openid-configuration`)).json();
    expect(metadata).toMatchObject({ grant_types_supported: expect.arrayContaining([GRANT]) });
  });

  it("takes only living access tokens of people, that were issued or sent to the client", async () => {
    const tokens = await subject();
    const own = (await (await post(`${flow.grantor.url}/oauth/token`, orders, { grant_type: "client_credentials" })).json()) as Tokens;
    const forShop = (await signIn(flow.grantor, shop, ada)).tokens;
    const [head, , tail] = tokens.access_token.split(".") as [string, string, string];
    const forged = Buffer.from(JSON.stringify({ ...decodeJwt(tokens.access_token), sub: "somebody-else" })).toString("base64url");
    const wrong: Record<string, string>[] = [
      {},
      { subject_token: "" },
      { subject_token: "a.b.c" },
      { subject_token: decodeJwt(tokens.access_token).jti as string },
      { subject_token: tokens.refresh_token as string },
      { subject_token: tokens.id_token ?? "none" },
      { subject_token: `${head}.${forged}.${tail}` },
      { subject_token: own.access_token },
      { subject_token: forShop.access_token }, // for the issuer, and another client's
      { subject_token: tokens.access_token, subject_token_type: "urn:ietf:params:oauth:token-type:refresh_token" },
      { subject_token: tokens.access_token, subject_token_type: "" },
      { subject_token: tokens.access_token, requested_token_type: "urn:ietf:params:oauth:token-type:refresh_token" },
      { subject_token: tokens.access_token, actor_token_type: ACCESS_TOKEN },
      { subject_token: tokens.access_token, actor_token: own.access_token },
      { subject_token: tokens.access_token, actor_token: tokens.access_token, actor_token_type: ACCESS_TOKEN },
      { subject_token: tokens.access_token, actor_token: "x", actor_token_type: ACCESS_TOKEN },
      { subject_token: tokens.access_token, resource: "" },
    ];
    for (const parameters of wrong)
      expect([parameters, ...(await refused(orders, parameters))]).toEqual([parameters, 400, "invalid_request"]);
    expect(await refused(stock, { subject_token: tokens.access_token, resource: LEDGER })).toEqual([400, "invalid_request"]);
    // An application may exchange what was issued to itself, whatever that is for.
    const web = await flow.grantor.client({
      metadata: { scope: "openid orders:read stock:read" },
      tokenExchange: { audiences: [STOCK], scopes: { openid: ["stock:read"] }, impersonation: false },
    });
    const mine = (await signIn(flow.grantor, web, ada)).tokens;
    expect(await exchanged(web, { subject_token: mine.access_token, requested_token_type: ACCESS_TOKEN })).toMatchObject({
      scope: "stock:read",
    });
  });

  it("names the actor unless the policy lets it impersonate, and always where an actor token is given", async () => {
    const { access_token } = await subject();
    expect(decodeJwt((await exchanged(double, { subject_token: access_token })).access_token)).not.toHaveProperty("act");
    for (const client of [double, orders]) {
      const own = (await (await post(`${flow.grantor.url}/oauth/token`, client, { grant_type: "client_credentials" })).json()) as Tokens;
      const parameters = { subject_token: access_token, actor_token: own.access_token, actor_token_type: JWT };
      expect(decodeJwt((await exchanged(client, parameters)).access_token).act).toEqual({ sub: client.client_id });
    }
  });

  it("ends with the grant, the session, the person and the client; the subject token may end alone", async () => {
    const revoke = (client: SeededClient, token: string) => post(`${flow.grantor.url}/oauth/revoke`, client, { token });
    const both = async () => {
      const person = await flow.grantor.person();
      const tokens = await subject({}, person);
      const first = await exchanged(orders, { subject_token: tokens.access_token });
      const second = await exchanged(stock, { subject_token: first.access_token, resource: LEDGER });
      const alive = async () => [await isActive(stock, first), await isActive(ledger, second)];
      expect(await alive()).toEqual([true, true]);
      return { person, tokens, first, second, alive };
    };

    const token = await both();
    await revoke(shop, token.tokens.access_token);
    expect(await refused(orders, { subject_token: token.tokens.access_token })).toEqual([400, "invalid_request"]);
    expect(await token.alive()).toEqual([true, true]);
    await revoke(shop, token.first.access_token); // not its own: nothing happens
    await revoke(orders, token.first.access_token);
    expect(await token.alive()).toEqual([false, true]);
    expect((await refresh(flow.grantor, shop, token.tokens.refresh_token as string)).status).toBe(200);

    const grant = await both();
    await revoke(shop, grant.tokens.refresh_token as string);
    expect(await grant.alive()).toEqual([false, false]);
    expect(await refused(orders, { subject_token: grant.tokens.access_token })).toEqual([400, "invalid_request"]);

    const person = await both();
    await flow.grantor.services.endings.endAccount(person.person.id);
    expect(await person.alive()).toEqual([false, false]);

    const client = await both();
    const theirs = await exchanged(double, { subject_token: client.tokens.access_token });
    await flow.grantor.services.clients.delete(double.client_id);
    expect(await isActive(stock, theirs)).toBe(false);
    expect(await client.alive()).toEqual([true, true]); // the grant was never that client's
  });

  it("ends with the person's session, where the subject token does", async () => {
    const { agent, tokens } = await signIn(flow.grantor, shop, ada, { parameters: { scope: "openid orders:read", resource: ORDERS } });
    const answer = await exchanged(orders, { subject_token: tokens.access_token });
    const page = await agent.open(`${flow.grantor.url}/oauth/logout`);
    await agent.proceed(await agent.submit(page, { logout: "yes" }));
    expect(await isActive(stock, answer)).toBe(false);
  });

  it("wants proof of the key that the subject token is bound to", async () => {
    const [key, other] = [await proofKey(), await proofKey()];
    const web = await flow.grantor.client({
      metadata: { scope: "openid orders:read stock:read", dpop_bound_access_tokens: true },
      tokenExchange: TO_STOCK,
    });
    const endpoint = `${flow.grantor.url}/oauth/token`;
    const bound = await boundSignIn();
    expect(bound.token_type).toBe("DPoP");
    const ask = async (by: typeof key) =>
      (
        await withNonce(async (nonce) =>
          exchange(web, { subject_token: bound.access_token }, { DPoP: await by.prove("POST", endpoint, { nonce }) }),
        )
      ).response;
    const answer = await answerOf(ask(key));
    expect(answer).toMatchObject({ status: 200, body: { token_type: "DPoP", issued_token_type: ACCESS_TOKEN } });
    expect(decodeJwt(answer.body.access_token as string).cnf).toEqual({ jkt: key.jkt });
    expect(await answerOf(ask(other))).toMatchObject({ status: 400, body: { error: "invalid_request" } });
    expect(await answerOf(exchange(web, { subject_token: bound.access_token }))).toMatchObject({ status: 400 });
    // Whom it was sent to does not have the key.
    expect(await refused(orders, { subject_token: bound.access_token })).toEqual([400, "invalid_request"]);

    async function boundSignIn(): Promise<Tokens> {
      const pair = pkce();
      const url = authorizationUrl(flow.grantor.url, web, pair, { scope: "openid orders:read", resource: ORDERS });
      const code = new URL((await authorize(new Agent(), url, ada)).url).searchParams.get("code") as string;
      const parameters = { grant_type: "authorization_code", code, redirect_uri: web.redirect_uri, code_verifier: pair.verifier };
      const redeem = async (nonce?: string) => post(endpoint, web, parameters, { DPoP: await key.prove("POST", endpoint, { nonce }) });
      return (await (await withNonce(redeem)).response.json()) as Tokens;
    }
  });

  it("is what openid-client and oauth4webapi ask for", async () => {
    const { access_token } = await subject();
    const parameters = { subject_token: access_token, subject_token_type: ACCESS_TOKEN, resource: STOCK };
    const config = await openid.discovery(
      new URL(flow.grantor.url),
      orders.client_id,
      {},
      openid.ClientSecretBasic(orders.client_secret as string),
      { execute: [openid.allowInsecureRequests] },
    );
    const answer = await openid.genericGrantRequest(config, GRANT, parameters);
    expect(answer).toMatchObject({ issued_token_type: ACCESS_TOKEN, scope: "stock:read", token_type: "bearer" });

    const server = config.serverMetadata() as oauth.AuthorizationServer;
    const client: oauth.Client = { client_id: orders.client_id };
    const response = await oauth.genericTokenEndpointRequest(
      server,
      client,
      oauth.ClientSecretBasic(orders.client_secret as string),
      GRANT,
      parameters,
      { [oauth.allowInsecureRequests]: true },
    );
    const result = await oauth.processGenericTokenEndpointResponse(server, client, response);
    expect(result).toMatchObject({ issued_token_type: ACCESS_TOKEN, scope: "stock:read" });
  });

  it("leaves a record of every exchange, and of every one that was refused", async () => {
    const { access_token } = await subject();
    await exchanged(orders, { subject_token: access_token });
    await refused(orders, { subject_token: access_token, resource: LEDGER });
    const { pool } = flow.grantor.services.database;
    await waitFor("both records", async () => {
      const { rows } = await pool.query(
        "SELECT * FROM audit_event WHERE event = 'token.exchanged' AND client_id = $1 ORDER BY id DESC LIMIT 2",
        [orders.client_id],
      );
      const [last, before] = rows;
      return last?.detail.error === "invalid_target" && last.outcome === "failure" && before?.outcome === "success";
    });
  });
});
