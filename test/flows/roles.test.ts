/** What a person's roles open: the scopes of a resource that go by roles, in every grant, and the claim `roles`. */
import { decodeJwt } from "jose";
import { beforeAll, expect, it } from "vitest";
import { Agent } from "../support/agent.ts";
import { describeFlows } from "../support/flows.ts";
import {
  answerOf,
  authorizationUrl,
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

const ORDERS = "https://orders.example";
const STOCK = "https://stock.example";
const SCOPES = ["orders:read", "orders:write", "orders:refund"];
const ALL = `openid ${SCOPES.join(" ")}`;
const DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code";

describeFlows("roles", (flow) => {
  let shop: SeededClient;
  const roles = () => flow.grantor.services.people.roles;
  const scopeOf = (token: unknown) => decodeJwt(String(token)).scope ?? "";
  const atOrders = { parameters: { scope: ALL, resource: ORDERS } };
  const exchangedBy = (client: SeededClient, { access_token }: Tokens, scope?: string) =>
    answerOf(
      post(`${flow.grantor.url}/oauth/token`, client, {
        grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
        subject_token_type: "urn:ietf:params:oauth:token-type:access_token",
        subject_token: access_token,
        resource: ORDERS,
        ...(scope !== undefined && { scope }),
      }),
    );
  const refreshed = async ({ refresh_token }: Tokens, client = shop) =>
    (await answerOf(refresh(flow.grantor, client, refresh_token as string))).body;
  /** The server has heard of a change that this process made: it lets the account ask for no more than that. */
  const hears = (person: Person, scope: string) =>
    waitFor(
      "the server to know the role",
      async () => scopeOf((await signIn(flow.grantor, shop, person, atOrders)).tokens.access_token) === scope,
    );

  beforeAll(async () => {
    await flow.grantor.resource(ORDERS, { scopes: SCOPES, scopesByRole: true });
    await flow.grantor.resource(STOCK, { scopes: ["stock:read"] });
    shop = await flow.grantor.client({ firstParty: true, metadata: { scope: `${ALL} stock:read` } });
    await roles().create("seller", { permissions: ["orders:read", "orders:write"] });
    await roles().create("clerk", { permissions: ["orders:refund", "stock:read", "elsewhere:all"] });
  });

  it("open the scopes that they permit, and no others; what goes by no roles is everybody's", async () => {
    const cases: [string[], string][] = [
      [[], ""],
      [["seller"], "orders:read orders:write"],
      [["clerk"], "orders:refund"],
      [["seller", "clerk"], SCOPES.join(" ")],
      [["admin"], ""], // operating this server is no business of that API
    ];
    for (const [names, expected] of cases) {
      const person = await flow.grantor.person({ roles: names });
      const { tokens } = await signIn(flow.grantor, shop, person, atOrders);
      expect([names, scopeOf(tokens.access_token), tokens.scope]).toEqual([names, expected, expected]);
      expect(await introspect(flow.grantor, shop, tokens.access_token)).toMatchObject({ active: true, sub: person.id, aud: ORDERS });
      const elsewhere = await signIn(flow.grantor, shop, person, { parameters: { scope: "openid stock:read", resource: STOCK } });
      expect(scopeOf(elsewhere.tokens.access_token)).toBe("stock:read");
    }
  });

  it("decide what a person is asked to allow", async () => {
    const stranger = await flow.grantor.client({ metadata: { scope: ALL } });
    const person = await flow.grantor.person({ roles: ["seller"] });
    const agent = new Agent();
    const login = await agent.open(authorizationUrl(flow.grantor.url, stranger, pkce(), { scope: ALL, resource: ORDERS }));
    const consent = await agent.submit(login, { email: person.email, password: person.password });
    expect(SCOPES.map((scope) => consent.text.includes(scope))).toEqual([true, true, false]);
  });

  it("count anew at every refresh: for what was taken, changed, or given again", async () => {
    const person = await flow.grantor.person({ roles: ["seller"] });
    const first = await signIn(flow.grantor, shop, person, atOrders);
    await roles().take(person.id, "seller");
    await hears(person, "");
    const without = await refreshed(first.tokens);
    expect([scopeOf(without.access_token), without.scope]).toEqual(["", ""]);
    expect(await introspect(flow.grantor, shop, first.tokens.access_token)).toMatchObject({
      active: true,
      scope: "orders:read orders:write",
    });

    await roles().give(person.id, "seller");
    await hears(person, "orders:read orders:write");
    await roles().update("seller", { permissions: ["orders:read"] });
    await hears(person, "orders:read");
    expect(scopeOf((await refreshed(without as unknown as Tokens)).access_token)).toBe("orders:read");
    await roles().update("seller", { permissions: ["orders:read", "orders:write"] });
    await hears(person, "orders:read orders:write");
  });

  it("count for a device, and for what its token is exchanged for", async () => {
    const device = await flow.grantor.client({ type: "device", metadata: { scope: ALL } });
    const person = await flow.grantor.person({ roles: ["clerk"] });
    const begun = await answerOf(post(`${flow.grantor.url}/oauth/device`, device, { scope: ALL, resource: ORDERS }));
    const agent = new Agent();
    const shown = await agent.submit(await agent.open(`${flow.grantor.url}/device`), { user_code: String(begun.body.user_code) });
    const login = await agent.submit(shown, { confirm: "yes" });
    const consent = await agent.submit(login, { email: person.email, password: person.password });
    await agent.submit(consent, { decision: "allow" }, consent.forms.length - 1);
    const { body } = await answerOf(
      post(`${flow.grantor.url}/oauth/token`, device, { grant_type: DEVICE_CODE, device_code: String(begun.body.device_code) }),
    );
    expect([scopeOf(body.access_token), body.scope]).toEqual(["orders:refund", "orders:refund"]);

    const gateway = await flow.grantor.client({
      type: "service",
      metadata: { scope: SCOPES.join(" ") },
      tokenExchange: { audiences: [ORDERS], scopes: { "stock:read": SCOPES }, impersonation: false },
    });
    await flow.grantor.services.resources.update(STOCK, { introspectors: [gateway.client_id] });
    const { tokens } = await signIn(flow.grantor, shop, person, { parameters: { scope: "openid stock:read", resource: STOCK } });
    const exchange = (scope?: string) => exchangedBy(gateway, tokens, scope);
    await waitFor("the server to know the gateway", async () => (await exchange()).status === 200);
    expect((await exchange()).body.scope).toBe("orders:refund");
    expect(await exchange("orders:read")).toMatchObject({ status: 400, body: { error: "invalid_scope" } });
  });

  it("that come to demand a second factor give no more tokens to a sign-in that had none, nor does an application that does so", async () => {
    const app = await flow.grantor.client({ firstParty: true, metadata: { scope: `${ALL} stock:read` } });
    const gateway = await flow.grantor.client({
      type: "service",
      metadata: { scope: SCOPES.join(" ") },
      tokenExchange: { audiences: [ORDERS], scopes: { "stock:read": SCOPES }, impersonation: false },
    });
    await flow.grantor.services.resources.update(STOCK, { introspectors: [gateway.client_id] });
    const person = await flow.grantor.person({ roles: ["clerk"] });
    let { tokens } = await signIn(flow.grantor, app, person, { parameters: { scope: `${ALL} stock:read`, resource: STOCK } });
    await waitFor("the server to know the gateway", async () => (await exchangedBy(gateway, tokens)).status === 200);
    const refreshes = (expected: number) =>
      waitFor("the server to know the demand", async () => {
        const { status, body } = await answerOf(refresh(flow.grantor, app, tokens.refresh_token as string));
        if (status === 200) tokens = body as unknown as Tokens;
        else expect(body).toEqual({ error: "invalid_grant", error_description: expect.stringContaining("two are demanded by now") });
        return status === expected;
      });

    await refreshes(200);
    await roles().create("auditor", { permissions: ["orders:read"], requiresSecondFactor: true });
    await roles().give(person.id, "auditor");
    await refreshes(400);
    expect(await exchangedBy(gateway, tokens)).toMatchObject({ status: 400, body: { error: "invalid_request" } });
    await roles().take(person.id, "auditor");
    await refreshes(200); // the refusal has used nothing up
    await flow.grantor.services.clients.update(app.client_id, { requiresSecondFactor: true });
    await refreshes(400);
  });

  it("are nobody's where an application asks for itself: its registration decides", async () => {
    const robot = await flow.grantor.client({ type: "service", metadata: { scope: "orders:read" } });
    const asked = post(`${flow.grantor.url}/oauth/token`, robot, {
      grant_type: "client_credentials",
      resource: ORDERS,
      scope: SCOPES.join(" "),
    });
    expect(await answerOf(asked)).toMatchObject({ status: 200, body: { scope: "orders:read" } });
  });

  it("are told alike by the ID token, userinfo, the access token and introspection", async () => {
    const client = await flow.grantor.client({ metadata: { scope: "openid roles orders:read" } });
    const person = await flow.grantor.person({ roles: ["seller", "clerk"] });
    const { tokens } = await signIn(flow.grantor, client, person, { parameters: { scope: "openid roles" } });
    // Claims are in an ID token when userinfo cannot be asked for them (OIDC Core §5.4).
    const beside = await signIn(flow.grantor, client, person, { parameters: { scope: "openid roles orders:read", resource: ORDERS } });
    const told = async (own: Tokens, idToken: unknown) => [
      decodeJwt(String(idToken)).roles,
      decodeJwt(own.access_token).roles,
      (await answerOf(userinfo(flow.grantor, own.access_token))).body.roles,
      (await introspect(flow.grantor, client, own.access_token)).roles,
    ];
    const both = ["clerk", "seller"];
    expect(await told(tokens, beside.tokens.id_token)).toEqual([both, both, both, both]);
    await roles().remove("clerk");
    await hears(person, "orders:read orders:write");
    const latest = (await refreshed(tokens, client)) as unknown as Tokens;
    const one = ["seller"];
    expect(await told(latest, (await refreshed(beside.tokens, client)).id_token)).toEqual([one, one, one, one]);
  });
});
