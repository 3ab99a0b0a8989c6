/** RFC 8628: a device without a browser, and a person who lets it in with one. */
import * as oidc from "openid-client";
import { expect, it } from "vitest";
import { Agent, type Page } from "../support/agent.ts";
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

const GRANT = "urn:ietf:params:oauth:grant-type:device_code";

interface Authorization {
  device_code: string;
  user_code: string;
  verification_uri: string;
  verification_uri_complete: string;
  expires_in: number;
}

describeFlows("device flow", (flow) => {
  const begin = async (client: SeededClient, parameters: Record<string, string> = {}): Promise<Authorization> => {
    const response = await post(`${flow.grantor.url}/oauth/device`, client, { scope: "openid email", ...parameters });
    expect(response.status).toBe(200);
    return (await response.json()) as Authorization;
  };
  const poll = (client: SeededClient, { device_code }: Authorization) =>
    post(`${flow.grantor.url}/oauth/token`, client, { grant_type: GRANT, device_code });

  /** Types the code and confirms that it is the one on the device. @returns the page that comes next: sign-in or consent */
  async function confirm(agent: Agent, userCode: string): Promise<Page> {
    const input = await agent.open(`${flow.grantor.url}/device`);
    expect(input.status).toBe(200);
    const shown = await agent.submit(input, { user_code: userCode });
    expect(shown.text).toContain('name="confirm"');
    return agent.submit(shown, { confirm: "yes" });
  }

  async function decide(agent: Agent, page: Page, person: Person, decision: string): Promise<Page> {
    let at = page;
    if (at.text.includes('name="password"')) at = await agent.submit(at, { email: person.email, password: person.password });
    expect(at.text).toContain('name="decision"');
    return agent.submit(at, { decision }, at.forms.length - 1);
  }

  async function approve(agent: Agent, authorization: Authorization, person: Person): Promise<void> {
    const done = await decide(agent, await confirm(agent, authorization.user_code), person, "allow");
    expect(done.status).toBe(200);
    expect(done.text).toContain("Device connected");
  }

  async function connect(client: SeededClient, person: Person, agent = new Agent()): Promise<Tokens> {
    const authorization = await begin(client);
    await approve(agent, authorization, person);
    const response = await poll(client, authorization);
    expect(response.status).toBe(200);
    return (await response.json()) as Tokens;
  }

  const pending = { status: 400, body: { error: "authorization_pending" } };

  it("gives tokens once a person has typed the code and agreed", async () => {
    const client = await flow.grantor.client({ type: "device" });
    const person = await flow.grantor.person();
    const authorization = await begin(client);
    expect(authorization).toMatchObject({
      verification_uri: `${flow.grantor.url}/device`,
      verification_uri_complete: `${flow.grantor.url}/device?user_code=${authorization.user_code}`,
      expires_in: 600,
    });
    expect(authorization.user_code).toMatch(/^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$/);
    expect(await answerOf(poll(client, authorization))).toMatchObject(pending);

    const agent = new Agent();
    const page = await confirm(agent, authorization.user_code.toLowerCase().replace("-", " "));
    expect(await answerOf(poll(client, authorization))).toMatchObject(pending);
    await decide(agent, page, person, "allow");
    const tokens = (await (await poll(client, authorization)).json()) as Tokens;
    expect(tokens).toMatchObject({ token_type: "Bearer", expires_in: 900, scope: "openid email" });
    expect(await (await userinfo(flow.grantor, tokens.access_token)).json()).toMatchObject({ sub: person.id, email: person.email });
    expect(await answerOf(poll(client, authorization))).toMatchObject({ status: 400, body: { error: "invalid_grant" } });
    expect((await userinfo(flow.grantor, tokens.access_token)).status).toBe(200); // a device may well poll twice at once
    const late = await flow.later(60, () => answerOf(poll(client, authorization)));
    expect(late).toMatchObject({ status: 400, body: { error: "invalid_grant" } });
    expect((await userinfo(flow.grantor, tokens.access_token)).status).toBe(401); // but nobody uses a code a minute later by mistake
  });

  it("is understood by openid-client", async () => {
    const seeded = await flow.grantor.client({ type: "device" });
    const config = await oidc.discovery(new URL(flow.grantor.url), seeded.client_id, undefined, oidc.None(), {
      execute: [oidc.allowInsecureRequests],
    });
    const authorization = await oidc.initiateDeviceAuthorization(config, { scope: "openid" });
    const person = await flow.grantor.person();
    await approve(new Agent(), authorization as Authorization, person);
    const tokens = await oidc.pollDeviceAuthorizationGrant(config, { ...authorization, interval: 1 });
    expect(tokens.claims()?.sub).toBe(person.id);
    const next = await oidc.refreshTokenGrant(config, tokens.refresh_token as string);
    expect(await oidc.fetchUserInfo(config, next.access_token, person.id)).toEqual({ sub: person.id });
  });

  it("takes the code out of the complete address, without JavaScript too", async () => {
    const client = await flow.grantor.client({ type: "device" });
    const authorization = await begin(client);
    const agent = new Agent();
    const posting = await agent.open(authorization.verification_uri_complete);
    expect(posting.text).toMatch(/<button [^>]*>Continue<\/button>/); // without scripts
    const shown = await agent.submit(posting, {});
    expect(shown.text).toContain(authorization.user_code);
    const page = await agent.submit(shown, { confirm: "yes" });
    await decide(agent, page, await flow.grantor.person(), "allow");
    expect((await poll(client, authorization)).status).toBe(200);
  });

  it("tells the device when the person says no, at the code or at consent", async () => {
    const client = await flow.grantor.client({ type: "device" });
    const person = await flow.grantor.person();
    const denied = await begin(client);
    const agent = new Agent();
    const end = await decide(agent, await confirm(agent, denied.user_code), person, "deny");
    expect(end.text).toContain("Device not connected");
    expect(await answerOf(poll(client, denied))).toMatchObject({ status: 400, body: { error: "access_denied" } });

    const aborted = await begin(client);
    const input = await agent.open(`${flow.grantor.url}/device`);
    const shown = await agent.submit(input, { user_code: aborted.user_code });
    expect((await agent.submit(shown, { abort: "yes" })).text).toContain("Device not connected");
    expect(await answerOf(poll(client, aborted))).toMatchObject({ status: 400, body: { error: "access_denied" } });
    const again = await agent.submit(await agent.open(`${flow.grantor.url}/device`), { user_code: aborted.user_code });
    expect(again.text).toContain("has been used already");

    const cancelled = await begin(client);
    const stranger = new Agent();
    const login = await confirm(stranger, cancelled.user_code);
    const cancel = login.forms.findIndex(({ action }) => action.endsWith("/cancel"));
    expect((await stranger.submit(login, {}, cancel)).text).toContain("Device not connected");
    expect(await answerOf(poll(client, cancelled))).toMatchObject({ status: 400, body: { error: "access_denied" } });
  });

  it("expires", async () => {
    const client = await flow.grantor.client({ type: "device" });
    const authorization = await begin(client);
    const approved = await begin(client);
    await approve(new Agent(), approved, await flow.grantor.person());
    await flow.later(601, async () => {
      expect(await answerOf(poll(client, authorization))).toMatchObject({ status: 400, body: { error: "expired_token" } });
      expect(await answerOf(poll(client, approved))).toMatchObject({ status: 400, body: { error: "expired_token" } });
      const agent = new Agent();
      const page = await agent.submit(await agent.open(`${flow.grantor.url}/device`), { user_code: authorization.user_code });
      expect(page.text).toContain("This code has expired");
    });
  });

  it("answers wrong codes in words, and keeps the form", async () => {
    const agent = new Agent();
    const input = await agent.open(`${flow.grantor.url}/device`);
    for (const [typed, words] of [
      ["", "Enter the code"],
      ["BBBB-BBBB", "There is no such code"],
      ["<script>alert(1)</script>", "There is no such code"],
      ["\u202E💥", "There is no such code"],
      ["x".repeat(5000), "There is no such code"],
    ] as const) {
      const page = await agent.submit(await agent.open(`${flow.grantor.url}/device`), { user_code: typed });
      expect(page.status).toBe(200);
      expect(page.text).toContain(words);
      expect(page.text).not.toContain("<script>alert");
      expect(page.text).toContain('name="user_code"');
    }
    const forged = await agent.submit(input, { user_code: "BBBB-BBBB", xsrf: "0".repeat(48) });
    expect(forged.text).toContain('name="user_code"');
    expect(forged.text).not.toContain("There is no such code");
  });

  it("gives a form that works to a browser that lost its cookies", async () => {
    const client = await flow.grantor.client({ type: "device" });
    const authorization = await begin(client);
    const agent = new Agent();
    const body = new URLSearchParams({ user_code: authorization.user_code, xsrf: "0".repeat(48) });
    const page = await agent.open(`${flow.grantor.url}/device`, { method: "POST", body });
    expect([page.status, page.text.includes('name="user_code"')]).toEqual([400, true]);
    const shown = await agent.submit(page, { user_code: authorization.user_code });
    expect(shown.text).toContain('name="confirm"');
    const resumed = await new Agent().open(`${flow.grantor.url}/device/nothing-here`);
    expect([resumed.status, resumed.text.includes('name="user_code"')]).toEqual([400, true]);
  });

  it("gives one of many polls the tokens", async () => {
    const client = await flow.grantor.client({ type: "device" });
    const authorization = await begin(client);
    await approve(new Agent(), authorization, await flow.grantor.person());
    const answers = await Promise.all(Array.from({ length: 12 }, () => answerOf(poll(client, authorization))));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(answers.filter(({ body }) => body.error === "invalid_grant")).toHaveLength(11);
  });

  it("refuses other clients and clients without the grant", async () => {
    const client = await flow.grantor.client({ type: "device" });
    const other = await flow.grantor.client({ type: "device" });
    const web = await flow.grantor.client();
    const authorization = await begin(client);
    await approve(new Agent(), authorization, await flow.grantor.person());
    expect(await answerOf(poll(other, authorization))).toMatchObject({ status: 400, body: { error: "invalid_grant" } });
    expect(await answerOf(poll(web, authorization))).toMatchObject({ status: 400, body: { error: "unauthorized_client" } });
    const refused = await answerOf(post(`${flow.grantor.url}/oauth/device`, web, { scope: "openid" }));
    expect(refused).toMatchObject({ status: 400, body: { error: "unauthorized_client" } });
    expect(await answerOf(post(`${flow.grantor.url}/oauth/device`, { ...client, client_id: "nobody" }, {}))).toMatchObject({
      status: 401,
      body: { error: "invalid_client" },
    });
    expect((await poll(client, authorization)).status).toBe(200);
  });

  it("asks on every device, first-party or remembered", async () => {
    const client = await flow.grantor.client({ type: "device", firstParty: true });
    const person = await flow.grantor.person();
    const agent = new Agent();
    for (let round = 0; round < 2; round++) {
      const authorization = await begin(client);
      const page = await confirm(agent, authorization.user_code);
      await decide(agent, page, person, "allow"); // which expects to be asked
    }
  });

  /** A television that a person also signs in to with a browser. */
  const both = () =>
    flow.grantor.client({
      type: "web",
      metadata: { grant_types: ["authorization_code", "refresh_token", GRANT], scope: "openid email offline_access" },
    });
  const signOut = async (agent: Agent) => agent.submit(await agent.open(`${flow.grantor.url}/oauth/logout`), { logout: "yes" });
  const isAlive = async (client: SeededClient, tokens: Tokens) => {
    const alive = (await userinfo(flow.grantor, tokens.access_token)).status === 200;
    expect((await introspect(flow.grantor, client, tokens.access_token)).active).toBe(alive);
    expect((await introspect(flow.grantor, client, tokens.refresh_token as string)).active).toBe(alive);
    return alive;
  };

  it("keeps a device signed in when the browser that approved it signs out", async () => {
    const client = await both();
    const person = await flow.grantor.person();
    const browser = await signIn(flow.grantor, client, person);
    const device = await connect(client, person, browser.agent);
    expect(await isAlive(client, browser.tokens)).toBe(true);
    await signOut(browser.agent);
    expect(await isAlive(client, browser.tokens)).toBe(false);
    expect(await isAlive(client, device)).toBe(true);
    const refreshed = await refresh(flow.grantor, client, device.refresh_token as string);
    expect(refreshed.status).toBe(200);
  });

  it("leaves the browser's own tokens at the same client alone, whichever came first", async () => {
    const client = await both();
    const person = await flow.grantor.person();
    const agent = new Agent();
    const first = await connect(client, person, agent);
    const browser = await signIn(flow.grantor, client, person, { agent });
    const second = await connect(client, person, agent);
    for (const tokens of [first, browser.tokens, second]) expect(await isAlive(client, tokens)).toBe(true);
    await post(`${flow.grantor.url}/oauth/revoke`, client, { token: second.refresh_token as string });
    expect(await isAlive(client, second)).toBe(false);
    expect(await isAlive(client, first)).toBe(true);
    expect(await isAlive(client, browser.tokens)).toBe(true);
    const silent = await agent.open(authorizationUrl(flow.grantor.url, client, pkce(), { prompt: "none" }));
    expect(new URL(silent.url).searchParams.get("code")).toBeTruthy();
    expect(await isAlive(client, browser.tokens)).toBe(true);
    await signOut(agent);
    expect(await isAlive(client, browser.tokens)).toBe(false);
    expect(await isAlive(client, first)).toBe(true);
  });

  it("carries a resource from the request to the token", async () => {
    const audience = "https://api.example/screens";
    await flow.grantor.resource(audience, {
      name: "Screens",
      scopes: [{ name: "screens:show", description: "Show things on your screens" }],
    });
    const client = await flow.grantor.client({ type: "device", metadata: { scope: "openid screens:show" } });
    const authorization = await begin(client, { scope: "openid screens:show", resource: audience });
    const agent = new Agent();
    const login = await confirm(agent, authorization.user_code);
    const person = await flow.grantor.person();
    const consent = await agent.submit(login, { email: person.email, password: person.password });
    expect(consent.text).toContain("Show things on your screens");
    await agent.submit(consent, { decision: "allow" }, consent.forms.length - 1);
    const tokens = (await (await poll(client, authorization)).json()) as Tokens;
    expect(tokens.scope).toBe("screens:show");
    const payload = JSON.parse(Buffer.from(tokens.access_token.split(".")[1] ?? "", "base64url").toString());
    expect(payload).toMatchObject({ aud: audience, sub: person.id, scope: "screens:show" });
    expect(payload).toHaveProperty("auth_time");
    const refused = await answerOf(
      post(`${flow.grantor.url}/oauth/device`, client, { scope: "openid", resource: "https://nobody.example" }),
    );
    expect(refused).toMatchObject({ status: 400, body: { error: "invalid_target" } });
  });
});

describeFlows("guessing at the codes of devices", (flow) => {
  it("ends for an address, while right codes cost nothing", async () => {
    const client = await flow.grantor.client({ type: "device" });
    const { user_code } = (await (await post(`${flow.grantor.url}/oauth/device`, client, { scope: "openid" })).json()) as Authorization;
    const agent = new Agent();
    const type = async (code: string) => agent.submit(await agent.open(`${flow.grantor.url}/device`), { user_code: code });
    for (let tries = 0; tries < 35; tries++) expect((await type(user_code)).text).toContain('name="confirm"');
    for (let guesses = 0; guesses < 30; guesses++) expect((await type("BBBB-BBBB")).text).toContain("There is no such code");
    const refused = await type("BBBB-BBBB");
    expect([refused.status, refused.text.includes("There were too many tries")]).toEqual([429, true]);
    expect(Number(refused.headers.get("Retry-After"))).toBeGreaterThan(0);
    expect((await type(user_code)).status).toBe(429);
  });
});
