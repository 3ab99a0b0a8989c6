/** OIDC Core §3.1.2: when a person is asked to sign in and to agree, and when not. */
import { decodeJwt } from "jose";
import { expect, it } from "vitest";
import { Agent, type Page } from "../support/agent.ts";
import { describeFlows } from "../support/flows.ts";
import {
  authorizationUrl,
  authorize,
  type Person,
  pkce,
  redeem,
  refresh,
  type SeededClient,
  signIn,
  userinfo,
} from "../support/grantor.ts";

const asks = (page: Page): "sign-in" | "consent" | "nothing" =>
  page.text.includes('name="password"') ? "sign-in" : page.text.includes('name="decision"') ? "consent" : "nothing";

describeFlows("sign-in and consent", (flow) => {
  const url = (client: SeededClient, parameters: Record<string, string> = {}) =>
    authorizationUrl(flow.grantor.url, client, pkce(), parameters);
  const answer = (page: Page) => {
    const parameters = new URL(page.url).searchParams;
    expect([parameters.get("state"), parameters.get("iss")]).toEqual(["the-state", flow.grantor.url]);
    return parameters.get("error") ?? (parameters.has("code") ? "code" : "neither");
  };
  const login = async (agent: Agent, page: Page, person: Person) =>
    agent.proceed(await agent.submit(page, { email: person.email, password: person.password }));
  const decide = (agent: Agent, page: Page, decision: string) => agent.submit(page, { decision }, page.forms.length - 1);
  /** A browser in which a person has signed in, at an application that nobody else uses. */
  const browserOf = async (person: Person) => {
    const agent = new Agent();
    await authorize(agent, url(await flow.grantor.client({ firstParty: true })), person);
    return agent;
  };

  it("remembers an answer for this person and this application, in every browser", async () => {
    const [client, other] = [await flow.grantor.client(), await flow.grantor.client()];
    const [person, somebody] = [await flow.grantor.person(), await flow.grantor.person()];
    const agent = new Agent();
    const signIn = await agent.open(url(client));
    expect(asks(signIn)).toBe("sign-in");
    const consent = await login(agent, signIn, person);
    expect(asks(consent)).toBe("consent");
    expect(answer(await decide(agent, consent, "allow"))).toBe("code");
    expect(answer(await agent.open(url(client)))).toBe("code");
    expect(answer(await (await browserOf(person)).open(url(client)))).toBe("code");
    expect(asks(await agent.open(url(other)))).toBe("consent");
    expect(asks(await (await browserOf(somebody)).open(url(client)))).toBe("consent");
  });

  it("asks again when more is wanted, names what, and not for less", async () => {
    const audience = "https://more.example";
    await flow.grantor.resource(audience, {
      name: "More",
      scopes: [
        { name: "more:read", description: "Read more" },
        { name: "more:write", description: "Write more" },
      ],
    });
    const client = await flow.grantor.client({ metadata: { scope: "openid profile email more:read more:write" } });
    const person = await flow.grantor.person();
    const agent = await browserOf(person);
    await authorize(agent, url(client, { scope: "openid email" }), person);
    const more = await agent.open(url(client, { scope: "openid email profile" }));
    expect(asks(more)).toBe("consent");
    expect(more.text).toContain("See your name");
    expect(answer(await decide(agent, more, "deny"))).toBe("access_denied");
    expect(asks(await agent.open(url(client, { scope: "openid email profile" })))).toBe("consent"); // a no is not remembered
    expect(answer(await agent.open(url(client, { scope: "openid email" })))).toBe("code"); // nor does it take back the yes
    expect(answer(await agent.open(url(client, { scope: "openid" })))).toBe("code");

    const at = { scope: "openid more:read", resource: audience };
    const resource = await agent.open(url(client, at));
    expect(resource.text).toContain("Read more");
    expect(resource.text).not.toContain("Write more");
    expect(answer(await decide(agent, resource, "allow"))).toBe("code");
    expect(answer(await agent.open(url(client, at)))).toBe("code");
    expect(asks(await agent.open(url(client, { ...at, scope: "openid more:read more:write" })))).toBe("consent");
    const elsewhere = await browserOf(person);
    expect(answer(await elsewhere.open(url(client, at)))).toBe("code");
    expect(asks(await elsewhere.open(url(client, { ...at, scope: "openid more:write" })))).toBe("consent");
  });

  it("says who asks, for what, for whom and how to take it back", async () => {
    const client = await flow.grantor.client({
      metadata: {
        client_name: "Photo <b>Prints</b>",
        client_uri: "https://prints.example/",
        policy_uri: "https://prints.example/privacy",
        scope: "openid email",
      },
    });
    const person = await flow.grantor.person();
    const page = await (await browserOf(person)).open(url(client, { scope: "openid email" }));
    for (const words of [
      "Photo &#60;b&#62;Prints&#60;/b&#62;",
      "https://prints.example/",
      "https://prints.example/privacy",
      person.email,
      "app.example",
      "/account",
      "See your e-mail address",
    ]) {
      expect(page.text).toContain(words);
    }
    expect(page.text).not.toContain("<b>Prints</b>");
    expect(page.headers.get("Content-Security-Policy")).not.toContain("form-action");
  });

  it("is skipped for first-party applications alone", async () => {
    const person = await flow.grantor.person();
    const client = await flow.grantor.client({ firstParty: true });
    const agent = new Agent();
    const end = await login(agent, await agent.open(url(client, { scope: "openid email" })), person);
    expect(answer(end)).toBe("code");
    expect(answer(await agent.open(url(client, { scope: "openid email profile" })))).toBe("code");
    expect(asks(await agent.open(url(client, { prompt: "consent" })))).toBe("consent");
    const { tokens } = await signIn(flow.grantor, client, person, { agent, parameters: { scope: "openid email profile" } });
    expect(await (await userinfo(flow.grantor, tokens.access_token)).json()).toMatchObject({ email: person.email, name: "Ada Lovelace" });
  });

  it("asks for native applications every time, first-party or not", async () => {
    const person = await flow.grantor.person();
    for (const firstParty of [true, false]) {
      const client = await flow.grantor.client({ type: "native", firstParty, metadata: { redirect_uris: ["com.example.app:/cb"] } });
      const agent = await browserOf(person);
      for (let round = 0; round < 2; round++) {
        const page = await agent.open(url(client));
        expect(asks(page)).toBe("consent");
        expect(answer(await decide(agent, page, "allow"))).toBe("code");
      }
      expect(answer(await agent.open(url(client, { prompt: "none" })))).toMatch(/^(interaction|consent)_required$/);
    }
  });

  it("answers prompt=none without asking anything", async () => {
    const client = await flow.grantor.client();
    const person = await flow.grantor.person();
    expect(answer(await new Agent().open(url(client, { prompt: "none" })))).toBe("login_required");
    const agent = await browserOf(person);
    expect(answer(await agent.open(url(client, { prompt: "none" })))).toBe("consent_required");
    const { tokens } = await signIn(flow.grantor, client, person, { agent });
    expect(answer(await agent.open(url(client, { prompt: "none" })))).toBe("code");
    expect(answer(await agent.open(url(client, { prompt: "none", scope: "openid email" })))).toBe("consent_required");
    expect(answer(await agent.open(url(client, { prompt: "none", max_age: "0" })))).toBe("login_required");
    const hint = tokens.id_token as string;
    expect(answer(await agent.open(url(client, { prompt: "none", id_token_hint: hint })))).toBe("code");
    const stranger = await browserOf(await flow.grantor.person());
    expect(answer(await stranger.open(url(client, { prompt: "none", id_token_hint: hint })))).toBe("login_required");
  });

  it("signs in again for prompt=login, and may be somebody else", async () => {
    const client = await flow.grantor.client();
    const [person, other] = [await flow.grantor.person(), await flow.grantor.person()];
    const first = await signIn(flow.grantor, client, person);
    const page = await first.agent.open(url(client, { prompt: "login" }));
    expect(asks(page)).toBe("sign-in");
    expect(answer(await login(first.agent, page, person))).toBe("code"); // consented before
    expect((await userinfo(flow.grantor, first.tokens.access_token)).status).toBe(200);
    const second = await signIn(flow.grantor, client, other, { agent: first.agent, parameters: { prompt: "login" } });
    expect(decodeJwt(second.tokens.id_token as string).sub).toBe(other.id);
    const now = await signIn(flow.grantor, client, person, { agent: first.agent });
    expect(decodeJwt(now.tokens.id_token as string).sub).toBe(other.id); // the browser is theirs now
  });

  it("lets somebody else sign in from the consent page", async () => {
    const client = await flow.grantor.client();
    const [person, other] = [await flow.grantor.person(), await flow.grantor.person()];
    const agent = await browserOf(person);
    const consent = await agent.open(url(client));
    const change = consent.forms.findIndex(({ action }) => action.endsWith("/switch-account"));
    const page = await agent.submit(consent, {}, change);
    expect(asks(page)).toBe("sign-in");
    const again = await login(agent, page, other);
    expect(again.text).toContain(other.email);
    expect(answer(await decide(agent, again, "allow"))).toBe("code");
    const { tokens } = await signIn(flow.grantor, client, other, { agent });
    expect(decodeJwt(tokens.id_token as string).sub).toBe(other.id);
  });

  it("asks consent for prompt=consent, and both for both", async () => {
    const client = await flow.grantor.client();
    const person = await flow.grantor.person();
    const { agent } = await signIn(flow.grantor, client, person);
    expect(asks(await agent.open(url(client, { prompt: "consent" })))).toBe("consent");
    const both = await agent.open(url(client, { prompt: "login consent" }));
    expect(asks(both)).toBe("sign-in");
    expect(asks(await login(agent, both, person))).toBe("consent");
  });

  it("keeps to max_age, and tells when the person signed in", async () => {
    const client = await flow.grantor.client();
    const person = await flow.grantor.person();
    const { agent } = await signIn(flow.grantor, client, person);
    expect(answer(await agent.open(url(client, { max_age: "60" })))).toBe("code");
    const fresh = await signIn(flow.grantor, client, person, { agent, parameters: { max_age: "60" } });
    const { auth_time, iat } = decodeJwt(fresh.tokens.id_token as string) as { auth_time: number; iat: number };
    expect(iat - auth_time).toBeLessThan(60);
    await flow.later(61, async () => {
      expect(asks(await agent.open(url(client, { max_age: "60" })))).toBe("sign-in");
      const again = await signIn(flow.grantor, client, person, { agent, parameters: { max_age: "60" } });
      expect(Number(decodeJwt(again.tokens.id_token as string).auth_time)).toBeGreaterThanOrEqual(auth_time + 60);
    });
    const strict = await flow.grantor.client({ firstParty: true, metadata: { default_max_age: 30 } });
    expect(answer(await authorize(agent, url(strict), person))).toBe("code");
    await flow.later(200, async () => expect(asks(await agent.open(url(strict)))).toBe("sign-in"));
  });

  it("returns to the application when the person will not sign in, or will not agree", async () => {
    const client = await flow.grantor.client();
    const person = await flow.grantor.person();
    const agent = new Agent();
    const page = await agent.open(url(client));
    const cancel = page.forms.findIndex(({ action }) => action.endsWith("/cancel"));
    expect(answer(await agent.submit(page, {}, cancel))).toBe("access_denied");
    const browser = await browserOf(person);
    expect(answer(await decide(browser, await browser.open(url(client)), "deny"))).toBe("access_denied");
    expect(asks(await browser.open(url(client)))).toBe("consent");
  });

  it("fills in who is expected", async () => {
    const client = await flow.grantor.client();
    const page = await new Agent().open(url(client, { login_hint: "ada@example.org" }));
    expect(page.forms.find(({ fields }) => "email" in fields)?.fields.email).toBe("ada@example.org");
    const strange = await new Agent().open(url(client, { login_hint: '"><script>alert(1)</script>@' }));
    expect(strange.text).not.toContain("<script>alert");
  });

  it("gives offline_access only with consent asked for, and then it outlives the session", async () => {
    const client = await flow.grantor.client({ metadata: { scope: "openid offline_access" } });
    const person = await flow.grantor.person();
    const without = await signIn(flow.grantor, client, person, { parameters: { scope: "openid offline_access" } });
    expect(without.tokens.scope).toBe("openid");
    const page = await without.agent.open(url(client, { scope: "openid offline_access", prompt: "consent" }));
    expect(page.text).toContain("while you are away");
    const withIt = await signIn(flow.grantor, client, person, { parameters: { scope: "openid offline_access", prompt: "consent" } });
    expect(withIt.tokens.scope).toBe("openid offline_access");
    const out = await withIt.agent.open(`${flow.grantor.url}/oauth/logout`);
    await withIt.agent.submit(out, { logout: "yes" });
    expect((await refresh(flow.grantor, client, withIt.tokens.refresh_token as string)).status).toBe(200);
    expect((await refresh(flow.grantor, client, without.tokens.refresh_token as string)).status).toBe(200); // another browser
  });

  it("lets a client off PKCE only by an operator, and then a nonce has to stand in", async () => {
    const client = await flow.grantor.client({ requirePkce: false });
    const person = await flow.grantor.person();
    const agent = await browserOf(person);
    const bare = (parameters: Record<string, string>) => {
      const query = {
        client_id: client.client_id,
        redirect_uri: client.redirect_uri,
        response_type: "code",
        state: "the-state",
        ...parameters,
      };
      return `${flow.grantor.url}/oauth/authorize?${new URLSearchParams(query)}`;
    };
    expect(answer(await agent.open(bare({ scope: "openid" })))).toBe("invalid_request");
    expect(answer(await agent.open(bare({ scope: "email", nonce: "n-1" })))).toBe("invalid_request");
    expect(answer(await agent.open(bare({ scope: "openid", nonce: "" })))).toBe("invalid_request");
    expect(
      answer(await agent.open(bare({ scope: "openid", nonce: "n-1", code_challenge: "x".repeat(43), code_challenge_method: "plain" }))),
    ).toBe("invalid_request");
    const end = await authorize(agent, bare({ scope: "openid", nonce: "n-1" }), person);
    const code = new URL(end.url).searchParams.get("code") as string;
    const parameters = { grant_type: "authorization_code", code, redirect_uri: client.redirect_uri };
    const basic = Buffer.from(`${client.client_id}:${client.client_secret}`).toString("base64");
    const response = await fetch(`${flow.grantor.url}/oauth/token`, {
      method: "POST",
      headers: { Authorization: `Basic ${basic}` },
      body: new URLSearchParams(parameters),
    });
    expect(decodeJwt(((await response.json()) as { id_token: string }).id_token).nonce).toBe("n-1");
    // A challenge that was given counts, and a verifier without one is an attack (OAuth 2.1 §4.1.3).
    const proof = pkce();
    const challenged = await agent.open(bare({ scope: "openid", code_challenge: proof.challenge, code_challenge_method: "S256" }));
    const guarded = new URL(challenged.url).searchParams.get("code") as string;
    expect((await redeem(flow.grantor, client, guarded, pkce())).status).toBe(400);
    expect((await redeem(flow.grantor, client, guarded, proof)).status).toBe(200);
    const plain = await agent.open(bare({ scope: "openid", nonce: "n-2" }));
    const downgraded = await redeem(flow.grantor, client, new URL(plain.url).searchParams.get("code") as string, proof);
    expect(downgraded.status).toBe(400);
    await expect(flow.grantor.client({ type: "spa", requirePkce: false })).rejects.toThrow("require_pkce");
  });

  it("is taken back on the account's page: tokens end, and the next time asks", async () => {
    const client = await flow.grantor.client();
    const other = await flow.grantor.client();
    const person = await flow.grantor.person();
    const { agent, tokens } = await signIn(flow.grantor, client, person);
    const laptop = await signIn(flow.grantor, client, person);
    const kept = await signIn(flow.grantor, other, person, { agent });
    const page = await agent.open(`${flow.grantor.url}/account/applications`);
    const form = page.forms.findIndex(({ fields }) => fields.client_id === client.client_id);
    await agent.submit(page, {}, form);
    for (const each of [tokens, laptop.tokens]) {
      expect((await userinfo(flow.grantor, each.access_token)).status).toBe(401);
      expect((await refresh(flow.grantor, client, each.refresh_token as string)).status).toBe(400);
    }
    expect((await userinfo(flow.grantor, kept.tokens.access_token)).status).toBe(200);
    expect(asks(await agent.open(url(client)))).toBe("consent");
    expect(asks(await laptop.agent.open(url(client)))).toBe("consent");
  });

  it("speaks the language that is asked for, all the way, in the colour of the application", async () => {
    const logo_uri = "https://app.example/logo.png";
    const client = await flow.grantor.client({ brandColor: "#0B6E4F", metadata: { logo_uri } });
    const person = await flow.grantor.person();
    const agent = new Agent();
    const speaks = (page: Page) => /<html lang="(\w+)"/.exec(page.text)?.[1];
    const login1 = await agent.open(url(client, { ui_locales: "xx fr" }));
    const asked = await login(agent, login1, person);
    for (const page of [login1, asked]) {
      expect(speaks(page)).toBe("fr");
      expect(page.text).toContain("/assets/accent-0b6e4f.css?v=");
      expect(page.text).toContain(`<img src="/logos/${client.client_id}`);
    }
    expect(login1.text).toMatch(/href="\/sign-up\?interaction=[^"]+ui_locales=fr"/);
    const refused = await agent.open(url(client, { ui_locales: "fr", redirect_uri: "https://evil.example/" }));
    expect([refused.status, speaks(refused)]).toEqual([400, "fr"]);

    const account = await agent.open(`${flow.grantor.url}/sign-in?return_to=/account/applications&ui_locales=ja`);
    expect([new URL(account.url).pathname, speaks(account)]).toEqual(["/account/applications", "ja"]);
    const signOut = await agent.open(`${flow.grantor.url}/oauth/logout?ui_locales=es`);
    expect(speaks(signOut)).toBe("es");
    expect(speaks(await agent.submit(signOut, { logout: "yes" }))).toBe("es");
    const device = await agent.open(`${flow.grantor.url}/device?ui_locales=ar`);
    expect(speaks(await agent.submit(device, { user_code: "BBBB-BBBB" }))).toBe("ar");
  });

  it("keeps two tabs apart", async () => {
    const [one, two] = [await flow.grantor.client(), await flow.grantor.client()];
    const person = await flow.grantor.person();
    const agent = new Agent();
    const first = await agent.open(url(one, { state: "the-state" }));
    const second = await agent.open(url(two));
    const afterSecond = await login(agent, second, person);
    const afterFirst = await login(agent, first, person);
    expect([asks(afterFirst), asks(afterSecond)]).toEqual(["consent", "consent"]);
    expect(answer(await decide(agent, afterSecond, "allow"))).toBe("code");
    expect(answer(await decide(agent, afterFirst, "allow"))).toBe("code");
  });
});
