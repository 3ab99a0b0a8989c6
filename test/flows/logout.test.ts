/** OpenID Connect RP-Initiated Logout and Back-Channel Logout: leaving, and who hears of it. */
import { createRemoteJWKSet, decodeJwt, jwtVerify } from "jose";
import { afterAll, expect, it } from "vitest";
import { Agent, type Page } from "../support/agent.ts";
import { describeFlows } from "../support/flows.ts";
import {
  authorizationUrl,
  introspect,
  type Person,
  pkce,
  refresh,
  type SeededClient,
  signIn,
  type Tokens,
  userinfo,
} from "../support/grantor.ts";
import { type LogoutListener, listenForLogout } from "../support/logout-listener.ts";
import { waitFor } from "../support/wait-for.ts";

const BACK = "https://app.example/signed-out";

const signOutAt = async (agent: Agent, url: string, form: Record<string, string> = { logout: "yes" }): Promise<Page> => {
  const page = await agent.open(url);
  expect([page.status, page.text.includes('name="logout"')]).toEqual([200, true]);
  return agent.submit(page, form);
};

describeFlows("logout", (flow) => {
  const logoutUrl = (parameters: Record<string, string> = {}) => `${flow.grantor.url}/oauth/logout?${new URLSearchParams(parameters)}`;
  const works = async (tokens: Tokens) => (await userinfo(flow.grantor, tokens.access_token)).status === 200;
  const signedIn = async (agent: Agent) => {
    const client = await flow.grantor.client({ firstParty: true });
    const page = await agent.open(authorizationUrl(flow.grantor.url, client, pkce(), { prompt: "none" }));
    return new URL(page.url).searchParams.has("code");
  };
  const setUp = async (): Promise<{ client: SeededClient; person: Person; agent: Agent; tokens: Tokens }> => {
    const client = await flow.grantor.client({ metadata: { post_logout_redirect_uris: [BACK] } });
    const person = await flow.grantor.person();
    return { client, person, ...(await signIn(flow.grantor, client, person)) };
  };

  it("asks first, and then ends the session and what hangs on it", async () => {
    const { client, person, agent, tokens } = await setUp();
    const page = await agent.open(logoutUrl({ id_token_hint: tokens.id_token as string, post_logout_redirect_uri: BACK, state: "s 1&2" }));
    expect(page.text).toContain("Test application");
    expect(page.text).toContain(person.email);
    expect(await works(tokens)).toBe(true); // nothing has happened yet
    const end = await agent.submit(page, { logout: "yes" });
    expect(end.url).toBe(`${BACK}?${new URLSearchParams({ state: "s 1&2" })}`);
    expect(await works(tokens)).toBe(false);
    expect((await refresh(flow.grantor, client, tokens.refresh_token as string)).status).toBe(400);
    expect(await introspect(flow.grantor, client, tokens.refresh_token as string)).toEqual({ active: false });
    expect(await signedIn(agent)).toBe(false);
  });

  it("ends at a page of its own without an address to go back to", async () => {
    const { agent, tokens } = await setUp();
    const end = await signOutAt(agent, logoutUrl());
    expect([end.url, end.status]).toEqual([`${flow.grantor.url}/oauth/logout/success`, 200]);
    expect(end.text).toContain("signed out");
    expect(await works(tokens)).toBe(false);
  });

  it("goes back by client_id alone too", async () => {
    const { agent, client } = await setUp();
    const end = await signOutAt(agent, logoutUrl({ client_id: client.client_id, post_logout_redirect_uri: BACK }));
    expect(end.url).toBe(BACK);
  });

  it("stays signed in when the person thinks better of it", async () => {
    const { agent, client, tokens } = await setUp();
    const end = await signOutAt(agent, logoutUrl({ client_id: client.client_id }), {});
    expect(end.status).toBe(200);
    expect(await signedIn(agent)).toBe(true);
    // The application that asked is left all the same: it has signed the person out on its side.
    expect(await works(tokens)).toBe(false);
  });

  it("never goes to an address that is not registered", async () => {
    const { agent, client, tokens } = await setUp();
    const hint = tokens.id_token as string;
    for (const address of [
      "https://evil.example/",
      `${BACK}/`,
      `${BACK}?x=1`,
      "//evil.example",
      "javascript:alert(1)",
      "https://app.example/callback",
    ]) {
      for (const who of [{ id_token_hint: hint }, { client_id: client.client_id }]) {
        const page = await agent.open(logoutUrl({ ...who, post_logout_redirect_uri: address } as Record<string, string>));
        expect([address, page.status, page.text.includes("invalid_request")]).toEqual([address, 400, true]);
      }
      // Without a client nothing says whose address it could be.
      const page = await signOutAt(agent, logoutUrl({ post_logout_redirect_uri: address }), { logout: "yes" });
      expect(page.url).toBe(`${flow.grantor.url}/oauth/logout/success`);
    }
  });

  it("refuses hints that are forged, foreign or malformed, and takes an expired one", async () => {
    const { agent, client, tokens } = await setUp();
    const hint = tokens.id_token as string;
    const other = await setUp();
    const [header, , signature] = hint.split(".");
    const forged = `${header}.${Buffer.from(JSON.stringify({ ...decodeJwt(hint), sub: other.person.id })).toString("base64url")}.${signature}`;
    for (const wrong of [forged, "a.b.c", "x", "..", tokens.access_token, `${hint}x`]) {
      const page = await agent.open(logoutUrl({ id_token_hint: wrong, post_logout_redirect_uri: BACK }));
      expect([wrong.slice(0, 6), page.status]).toEqual([wrong.slice(0, 6), 400]);
    }
    const mismatch = await agent.open(logoutUrl({ id_token_hint: hint, client_id: other.client.client_id }));
    expect(mismatch.status).toBe(400);
    const unknown = await agent.open(logoutUrl({ client_id: "nobody" }));
    expect([unknown.status, unknown.text.includes("invalid_client")]).toEqual([400, true]);
    expect(await works(tokens)).toBe(true);
    await flow.later(7_200, async () => {
      const end = await signOutAt(agent, logoutUrl({ id_token_hint: hint, client_id: client.client_id, post_logout_redirect_uri: BACK }));
      expect(end.url).toBe(BACK);
    });
  });

  it("does nothing for a form that is not its own", async () => {
    const { agent, tokens } = await setUp();
    const page = await agent.open(logoutUrl());
    for (const xsrf of ["", "0".repeat(48), "x"]) {
      const refused = await agent.submit(page, { logout: "yes", xsrf });
      expect(refused.status).toBe(400);
    }
    const another = new Agent();
    const foreign = await another.submit(page, { logout: "yes" }); // another browser's form
    expect(foreign.status).toBe(400);
    expect(await works(tokens)).toBe(true);
  });

  it("has nothing to ask of somebody who is not signed in", async () => {
    const client = await flow.grantor.client({ metadata: { post_logout_redirect_uris: [BACK] } });
    const agent = new Agent();
    const page = await agent.open(logoutUrl({ client_id: client.client_id, post_logout_redirect_uri: BACK, state: "1" }));
    expect(page.status).toBe(200);
    expect((await agent.submit(page, {})).url).toBe(`${BACK}?state=1`);
  });

  it("leaves other browsers of the person signed in", async () => {
    const { client, person, agent, tokens } = await setUp();
    const laptop = await signIn(flow.grantor, client, person);
    await signOutAt(agent, logoutUrl());
    expect(await works(tokens)).toBe(false);
    expect(await works(laptop.tokens)).toBe(true);
    expect(await signedIn(laptop.agent)).toBe(true);
  });

  it("takes a request by POST as well", async () => {
    const { agent, tokens } = await setUp();
    const body = new URLSearchParams({ id_token_hint: tokens.id_token as string, post_logout_redirect_uri: BACK });
    const page = await agent.open(`${flow.grantor.url}/oauth/logout`, { method: "POST", body });
    expect((await agent.submit(page, { logout: "yes" })).url).toBe(BACK);
  });

  it("calls nobody at a private address", async () => {
    const listener = await listenForLogout();
    const client = await flow.grantor.client({ metadata: { backchannel_logout_uri: `http://localhost:${listener.port}/bcl` } });
    const { agent, tokens } = await signIn(flow.grantor, client, await flow.grantor.person());
    await signOutAt(agent, logoutUrl());
    expect(await works(tokens)).toBe(false);
    expect(listener.received).toEqual([]);
    listener.close();
  });
});

const listeners: LogoutListener[] = [];

describeFlows(
  "back-channel logout",
  (flow) => {
    const listener = () => listeners.at(-1) as LogoutListener;
    afterAll(() => listener().close());
    const application = (path: string, metadata: Record<string, unknown> = {}) =>
      flow.grantor.client({ metadata: { backchannel_logout_uri: `http://localhost:${listener().port}${path}`, ...metadata } });
    const received = (path: string) => listener().received.filter((each) => each.path === path);

    it("tells every application that the browser was signed in to, with a token that they can verify", async () => {
      const [first, second, bystander] = [
        await application("/first", { backchannel_logout_session_required: true }),
        await application("/second"),
        await application("/none"),
      ];
      const person = await flow.grantor.person();
      const one = await signIn(flow.grantor, first, person);
      const { agent } = one;
      await signIn(flow.grantor, second, person, { agent });
      await signIn(flow.grantor, bystander, person); // in another browser
      await signOutAt(agent, `${flow.grantor.url}/oauth/logout`);
      await waitFor("both to be told", () => received("/first").length === 1 && received("/second").length === 1);
      expect(received("/none")).toEqual([]);

      const keys = createRemoteJWKSet(new URL(`${flow.grantor.url}/.well-known/jwks.json`));
      const [told] = received("/first");
      expect(told?.type).toContain("application/x-www-form-urlencoded");
      const { payload } = await jwtVerify(told?.token ?? "", keys, {
        issuer: flow.grantor.url,
        audience: first.client_id,
        typ: "logout+jwt",
        algorithms: ["RS256"],
      });
      expect(payload).toMatchObject({ sub: person.id, events: { "http://schemas.openid.net/event/backchannel-logout": {} } });
      expect(payload.sid).toBe(decodeJwt(one.tokens.id_token as string).sid);
      expect(payload.sid).toBeTruthy();
      expect(payload).toHaveProperty("jti");
      expect(payload).toHaveProperty("iat");
      expect(payload).not.toHaveProperty("nonce");
      const second_ = await jwtVerify(received("/second")[0]?.token ?? "", keys, { audience: second.client_id });
      expect(second_.payload.sub).toBe(person.id);
    });

    it("signs out although an application fails, hangs or sends it elsewhere", async () => {
      const person = await flow.grantor.person();
      for (const [status, delay] of [
        [500, 0],
        [307, 0],
        [200, undefined],
      ] as const) {
        Object.assign(listener(), { status, delay });
        const path = `/trouble-${status}-${delay}`;
        const { agent, tokens } = await signIn(flow.grantor, await application(path), person);
        const started = Date.now();
        const end = await signOutAt(agent, `${flow.grantor.url}/oauth/logout`);
        expect(end.status).toBe(200);
        expect(Date.now() - started).toBeLessThan(15_000);
        expect((await userinfo(flow.grantor, tokens.access_token)).status).toBe(401);
        expect(received(path)).toHaveLength(1);
        expect(received("/redirected")).toEqual([]);
      }
      Object.assign(listener(), { status: 200, delay: 0 });
      await waitFor("the log to tell", () => flow.grantor.server.logs().split("back-channel logout failed").length === 4);
    });
  },
  {
    env: async () => {
      const listener = await listenForLogout();
      listeners.push(listener);
      return { FETCH_ALLOW: `localhost:${listener.port}` };
    },
  },
);
