/** Cookies, forms and steps that are forged, foreign, stale or over. */
import { expect, it } from "vitest";
import { Agent, type Page } from "../support/agent.ts";
import { describeFlows } from "../support/flows.ts";
import { authorizationUrl, authorize, type Person, pkce } from "../support/grantor.ts";
import { expectErrorPage, isSound, rawTo, TRACE } from "../support/soundness.ts";

describeFlows("stale steps", (flow) => {
  const endpoint = (path: string) => `${flow.grantor.url}${path}`;
  const raw = rawTo(flow);
  const login = (agent: Agent, page: Page, person: Person) => agent.submit(page, { email: person.email, password: person.password });

  it("treats junk cookies as none", async () => {
    const client = await flow.grantor.client({ firstParty: true });
    const names = ["grantor_session", "grantor_session.sig", "grantor_interaction", "grantor_resume", "grantor_csrf", "grantor_device"];
    for (const value of [
      "",
      "x",
      "x".repeat(3000),
      "%00",
      "%ff%fe",
      "%",
      "null",
      "{}",
      '"',
      "a=b",
      "a b",
      "\u00ff",
      "'; DROP TABLE account; --",
    ]) {
      const cookie = names.map((name) => `${name}=${value}`).join("; ");
      for (const path of [
        "/",
        "/account",
        "/sign-in",
        "/device",
        "/oauth/logout",
        "/interaction/abc",
        "/sign-up",
        new URL(authorizationUrl(flow.grantor.url, client, pkce())).href.slice(flow.grantor.url.length),
      ]) {
        const answer = await raw("GET", path, { Cookie: cookie, Accept: "text/html" });
        expect([value.slice(0, 9), path.slice(0, 20), isSound(answer)]).toEqual([value.slice(0, 9), path.slice(0, 20), true]);
        expect([path, answer.headers.includes("code=")]).toEqual([path, false]);
      }
    }
  });

  it("believes a session cookie only with its signature", async () => {
    const client = await flow.grantor.client({ firstParty: true });
    const agent = new Agent();
    await authorize(agent, authorizationUrl(flow.grantor.url, client, pkce()), await flow.grantor.person());
    const cookies = agent.cookiesFor(endpoint("/"));
    const session = cookies.grantor_session as string;
    const signature = cookies["grantor_session.sig"] as string;
    const other = (value: string) => `${value.startsWith("A") ? "B" : "A"}${value.slice(1)}`;
    const isSignedIn = async (jar: Record<string, string>) => {
      const thief = new Agent();
      for (const [name, value] of Object.entries(jar)) thief.setCookie(name, value);
      const page = await thief.open(authorizationUrl(flow.grantor.url, client, pkce(), { prompt: "none" }));
      return new URL(page.url).searchParams.has("code");
    };
    expect(await isSignedIn({ grantor_session: session, "grantor_session.sig": signature })).toBe(true);
    expect(await isSignedIn({ grantor_session: session })).toBe(false);
    expect(await isSignedIn({ grantor_session: session, "grantor_session.sig": other(signature) })).toBe(false);
    expect(await isSignedIn({ grantor_session: other(session), "grantor_session.sig": signature })).toBe(false);
  });

  it("refuses steps that are over, expired, or another browser's", async () => {
    const client = await flow.grantor.client();
    const person = await flow.grantor.person();
    const agent = new Agent();
    const page = await agent.open(authorizationUrl(flow.grantor.url, client, pkce()));
    const stranger = new Agent();
    await expectErrorPage(flow, await stranger.open(page.url), 400, "no longer open");
    const own = await stranger.open(authorizationUrl(flow.grantor.url, client, pkce()));
    await expectErrorPage(flow, await stranger.open(page.url), 400, "no longer open"); // a browser with an interaction of its own
    const crossed = { ...own, forms: [{ action: page.forms[0]?.action as string, fields: own.forms[0]?.fields ?? {} }] };
    await expectErrorPage(flow, await login(stranger, crossed, person), 400, "no longer open");

    await flow.later(3_700, async () => {
      await expectErrorPage(flow, await agent.open(page.url), 400, "no longer open");
      await expectErrorPage(flow, await login(agent, page, person), 400, "no longer open");
    });
    const consent = await login(agent, page, person);
    await expectErrorPage(flow, await login(agent, page, person), 400, "no longer open"); // the back button
    const end = await agent.submit(consent, { decision: "allow" }, consent.forms.length - 1);
    expect(new URL(end.url).searchParams.get("code")).toBeTruthy();
    await expectErrorPage(flow, await agent.submit(consent, { decision: "allow" }, consent.forms.length - 1), 400, "no longer open");
    for (const uid of ["x", "constructor", "%00", "%ff", "..", "%2e%2e", "x".repeat(3000), "a b", "%F0%9F%92%A5"]) {
      const answer = await raw("GET", `/interaction/${uid.replace(" ", "%20")}`, { Accept: "text/html" });
      expect([uid.slice(0, 12), [400, 404, 414].includes(answer.status), TRACE.test(answer.body)]).toEqual([uid.slice(0, 12), true, false]);
      const resumed = await raw("GET", `/oauth/authorize/${uid.replace(" ", "%20")}`, { Accept: "text/html" });
      expect([uid.slice(0, 12), isSound(resumed), resumed.headers.includes("Location")]).toEqual([uid.slice(0, 12), true, false]);
    }
    const decided = await new Agent().open(authorizationUrl(flow.grantor.url, client, pkce()));
    expect(decided.status).toBe(200);
  });

  it("signs nobody in with a password that was changed while they signed in", async () => {
    const { accounts, passwords } = flow.grantor.services.people;
    const hash = await passwords.hash("another long enough password");
    const client = await flow.grantor.client({ firstParty: true });
    const asking = await flow.grantor.client();
    for (const change of [true, false]) {
      const person = await flow.grantor.person();
      const agent = new Agent();
      const page = await agent.open(authorizationUrl(flow.grantor.url, client, pkce()));
      const body = new URLSearchParams({ ...page.forms[0]?.fields, email: person.email, password: person.password });
      const signedIn = await agent.request(page.forms[0]?.action as string, { method: "POST", body });
      expect(signedIn.status).toBe(303);
      // As if all that they have had been ended between the check of the password and this step.
      if (change) await accounts.update(person.id, { passwordHash: hash });
      const end = await agent.open(new URL(signedIn.headers.get("Location") ?? "", flow.grantor.url).href);
      expect([change, new URL(end.url).searchParams.has("code")]).toEqual([change, !change]);
      const again = await agent.open(authorizationUrl(flow.grantor.url, client, pkce(), { prompt: "none" }));
      expect([change, new URL(again.url).searchParams.get("error")]).toEqual([change, change ? "login_required" : null]);
      if (change) await expectErrorPage(flow, end, 400, "interaction session not found");
    }
    // Nor does one who is asked for consent next.
    const other = await flow.grantor.person();
    const browser = new Agent();
    const begun = await browser.open(authorizationUrl(flow.grantor.url, asking, pkce()));
    const body = new URLSearchParams({ ...begun.forms[0]?.fields, email: other.email, password: other.password });
    const shown = await browser.request(begun.forms[0]?.action as string, { method: "POST", body });
    await accounts.update(other.id, { passwordHash: hash });
    const page = await browser.open(new URL(shown.headers.get("Location") ?? "", flow.grantor.url).href);
    await expectErrorPage(flow, page, 400, "interaction session not found");
    // Whoever changes it themselves, in another tab, goes on where they are.
    const person = await flow.grantor.person();
    const agent = new Agent();
    const consent = await login(agent, await agent.open(authorizationUrl(flow.grantor.url, await flow.grantor.client(), pkce())), person);
    await accounts.update(person.id, { passwordHash: hash });
    const end = await agent.submit(consent, { decision: "allow" }, consent.forms.length - 1);
    expect(new URL(end.url).searchParams.has("code")).toBe(true);
  });

  it("refuses forms that are stale or come from elsewhere, and changes nothing", async () => {
    const client = await flow.grantor.client();
    const person = await flow.grantor.person();
    const agent = new Agent();
    const page = await agent.open(authorizationUrl(flow.grantor.url, client, pkce()));
    const typed = { email: person.email, password: person.password };
    const other = await new Agent().open(authorizationUrl(flow.grantor.url, client, pkce()));
    for (const csrf of ["", "x", other.forms[0]?.fields.csrf as string, "\u0000"]) {
      const refused = await agent.submit(page, { ...typed, csrf });
      expect([csrf.slice(0, 6), [400, 403].includes(refused.status)]).toEqual([csrf.slice(0, 6), true]);
    }
    await expectErrorPage(flow, await agent.submit(page, { ...typed, csrf: "x" }), 403, "out of date");
    const body = new URLSearchParams({ ...page.forms[0]?.fields, ...typed });
    const action = page.forms[0]?.action as string;
    for (const headers of [
      { Origin: "https://evil.example" },
      { "Sec-Fetch-Site": "cross-site" },
      { "Sec-Fetch-Site": "same-site" },
    ] as Record<string, string>[]) {
      const refused = await agent.request(action, { method: "POST", body, headers });
      expect(refused.status).toBe(403);
    }
    const cookieless = await fetch(action, { method: "POST", body, redirect: "manual" });
    expect(cookieless.status).toBe(403);
    expect((await agent.open(page.url)).text).toContain('name="password"'); // still to sign in
    expect((await login(agent, page, person)).text).toContain('name="decision"');
    for (const decision of ["", "yes", "ALLOW", "allow deny", "\u0000"]) {
      const consent = await agent.open(authorizationUrl(flow.grantor.url, client, pkce()));
      const answer = await agent.submit(consent, { decision }, consent.forms.length - 1);
      expect([decision, answer.status]).toEqual([decision, 400]);
    }
  });
});
