/** Sessions (issue 4, requirement 5): how long they live, their ids, and several tabs at once. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { Agent } from "../support/agent.ts";
import { describeFlows } from "../support/flows.ts";
import { authorizationUrl, authorize, type Person, pkce, refresh, type SeededClient, signIn, userinfo } from "../support/grantor.ts";
import { type LogoutListener, listenForLogout } from "../support/logout-listener.ts";
import { managementApi } from "../support/management-api.ts";
import { mmdb } from "../support/mmdb.ts";
import { ORDERS, Tab } from "../support/tabs.ts";
import { tempDir } from "../support/temp-dir.ts";
import { waitFor } from "../support/wait-for.ts";

/** Passwords are slow to check: more than two tabs go through the orders in which most happens at once. */
const FOR_MANY = new Set(["at once, answers the other way round", "each as fast as it can"]);
const FIREFOX = { "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0" };

const PLACES = { "127.0.0.0/8": { city: { names: { en: "At home" } }, country: { names: { en: "Somewhere", de: "Irgendwo" } } } };

const listeners: LogoutListener[] = [];
const directory = tempDir("places");
afterAll(() => directory.remove());

describeFlows(
  "sessions",
  (flow) => {
    const listener = () => listeners.at(-1) as LogoutListener;
    afterAll(() => listener().close());
    const heard = (client: SeededClient) => listener().received.filter(({ path }) => path === `/${client.redirect_uri.split("/").at(-1)}`);
    let clients = 0;
    const application = (firstParty = true) => {
      const path = `app-${++clients}`;
      return flow.grantor.client({
        firstParty,
        metadata: {
          redirect_uris: [`https://app.example/${path}`],
          backchannel_logout_uri: `http://localhost:${listener().port}/${path}`,
        },
      });
    };
    const sessionsOf = async ({ id }: Person) => {
      const { records } = flow.grantor.services;
      const keys = (await records.tiedTo({ accountId: id })).map(({ key }) => key).filter((key) => key.startsWith("session:"));
      return (await Promise.all(keys.map((key) => records.read(key)))).filter((record) => record !== undefined);
    };

    describe("several tabs that sign in at once end in one session, which signs out of all of them", () => {
      const GIVEN: Record<string, { before?: Record<string, string>; prompt?: string; firstParty: boolean; tabs: number }> = {
        "two without a session": { firstParty: false, tabs: 2 },
        "two with a session": { before: {}, firstParty: false, tabs: 2 },
        "two with a session, by a new sign-in": { before: { keep: "yes" }, prompt: "login", firstParty: true, tabs: 2 },
        "five without a session": { firstParty: true, tabs: 5 },
        "five with a session, by a new sign-in": { before: {}, prompt: "login", firstParty: false, tabs: 5 },
      };
      const CASES = Object.entries(GIVEN).flatMap(([given, how]) =>
        Object.entries(ORDERS)
          .filter(([order]) => how.tabs === 2 || FOR_MANY.has(order))
          .map(([order, run]) => ({ given, how, order, run })),
      );

      it.each(CASES)("$given: $order", async ({ how, run }) => {
        const { url } = flow.grantor;
        const person = await flow.grantor.person();
        const browser = new Agent();
        const earlier = how.before && (await application());
        if (earlier) await signIn(flow.grantor, earlier, person, { agent: browser });
        const applications = await Promise.all(Array.from({ length: how.tabs }, () => application(how.firstParty)));
        const parameters = how.prompt === undefined ? {} : { prompt: how.prompt };
        const tabs = applications.map((client) => new Tab(browser, { url, client, person, parameters }));
        await run(tabs);
        const tokens = await Promise.all(tabs.map((tab) => tab.tokens()));
        expect(await sessionsOf(person)).toHaveLength(1);
        await browser.submit(await browser.open(`${url}/oauth/logout`), { logout: "yes" });
        const all = [...applications, ...(earlier ? [earlier] : [])];
        await waitFor("all applications to hear of it", () => all.every((client) => heard(client).length > 0));
        expect(all.map((client) => heard(client).length)).toEqual(all.map(() => 1));
        for (const { access_token } of tokens) expect((await userinfo(flow.grantor, access_token)).status).toBe(401);
        expect(await sessionsOf(person)).toEqual([]);
      });
    });

    const opens = async (browser: Agent, path = "/account") => (await browser.request(`${flow.grantor.url}${path}`)).status === 200;
    const cookie = (browser: Agent) => browser.cookiesFor(`${flow.grantor.url}/`).grantor_session as string;
    /** A browser with the session cookie that another one had. */
    const withCookies = (cookies: Record<string, string>) => {
      const agent = new Agent();
      for (const [name, value] of Object.entries(cookies)) agent.setCookie(name, value);
      return agent;
    };
    const signInAt = async (path: string, browser: Agent, person: Person, typed: Record<string, string> = {}) => {
      const page = await browser.open(`${flow.grantor.url}${path}`);
      return browser.submit(page, { email: person.email, password: person.password, ...typed });
    };

    it("last until the browser closes, or are kept when that is wanted; the choice is made anew at every sign-in", async () => {
      const person = await flow.grantor.person();
      const browser = new Agent();
      const closed = () => {
        const open = Object.entries(browser.cookiesFor(`${flow.grantor.url}/`)).filter(([name]) => browser.isKept(name));
        return withCookies(Object.fromEntries(open));
      };
      await signInAt("/sign-in", browser, person);
      expect([await opens(browser), await opens(closed())]).toEqual([true, false]);
      await signInAt("/sign-in?fresh=1", browser, person, { keep: "yes" });
      expect([await opens(browser), await opens(closed())]).toEqual([true, true]);
      await flow.later(2_500, async () => expect(await opens(browser)).toBe(true));
      await flow.later(5_000, async () => expect(await opens(browser)).toBe(false));
      await signInAt("/sign-in?fresh=1", browser, person);
      expect([await opens(browser), await opens(closed())]).toEqual([true, false]);
      await flow.later(1_100, async () => expect(await opens(browser)).toBe(false)); // nobody closed it, and nobody used it
    });

    it("have another id after every sign-in; what there was before opens nothing", async () => {
      const client = await application();
      const [one, other] = [await flow.grantor.person(), await flow.grantor.person()];
      const browser = new Agent();
      await browser.open(`${flow.grantor.url}/device`); // gives a session in which nobody has signed in
      const seen = [cookie(browser)];
      const before = () => withCookies(browser.cookiesFor(`${flow.grantor.url}/`));
      for (const who of [one, one, other]) {
        const earlier = before();
        await authorize(browser, authorizationUrl(flow.grantor.url, client, pkce(), { prompt: "login" }), who);
        expect(seen).not.toContain(cookie(browser));
        seen.push(cookie(browser));
        expect([await opens(browser), await opens(earlier)]).toEqual([true, false]);
      }
      // The first person's session ended properly, and their application has heard of it.
      await waitFor("the application to hear of it", () => heard(client).length === 1);
      expect([(await sessionsOf(one)).length, (await sessionsOf(other)).length]).toEqual([0, 1]);
    });

    it("are shown to their person, who ends one of them, or all others", async () => {
      const { url } = flow.grantor;
      const person = await flow.grantor.person();
      const client = await application(false);
      const [here, there, elsewhere] = [new Agent(), new Agent(), new Agent()];
      for (const browser of [here, there, elsewhere]) await signIn(flow.grantor, client, person, { agent: browser });
      const { tokens } = await signIn(flow.grantor, client, person, { agent: there });
      await flow.later(400, () => there.request(`${url}/account`, { headers: FIREFOX })); // noted a few minutes later
      const shown = await waitFor("what is noted to be there", async () => {
        const page = await here.open(`${url}/account/sessions`);
        return page.text.includes("Firefox on Linux") ? page : undefined;
      });
      expect(shown.text).toContain("<bdi>127.0.0.1</bdi> · <bdi>At home, Somewhere</bdi>");
      // Events are written behind the answer.
      await waitFor("the place beside an event", async () => {
        const german = await here.open(`${url}/account/events?ui_locales=de`);
        return german.text.includes("<bdi>127.0.0.1</bdi></span> <bdi>At home, Irgendwo</bdi>");
      });
      expect(shown.text).toContain("Test application");
      expect(shown.text.split(">this browser<").length).toBe(2);
      const ends = shown.forms.filter(({ fields }) => "session" in fields);
      expect(ends).toHaveLength(2);
      const told = heard(client).length;
      const firefox = shown.text.indexOf("Firefox on Linux");
      const chosen = shown.forms.find(({ fields }) => fields.session && shown.text.indexOf(fields.session) > firefox);
      const done = await here.submit(shown, {}, shown.forms.indexOf(chosen as never));
      expect(done.text).toContain("That browser is signed out.");
      expect([await opens(here), await opens(there), await opens(elsewhere)]).toEqual([true, false, true]);
      expect((await userinfo(flow.grantor, tokens.access_token)).status).toBe(401);
      expect((await refresh(flow.grantor, client, tokens.refresh_token as string)).status).toBe(400);
      expect(heard(client).length).toBe(told + 1);
      await here.submit(done, {}, done.forms.length - 1);
      expect([await opens(here), await opens(elsewhere)]).toEqual([true, false]);
      const { rows } = await flow.grantor.services.database.pool.query("SELECT 1 FROM account_session WHERE account_id = $1", [person.id]);
      expect(rows).toHaveLength(1);
    });

    it("end for their own person alone", async () => {
      const [person, stranger] = [await flow.grantor.person(), await flow.grantor.person()];
      const [own, foreign] = [new Agent(), new Agent()];
      await signInAt("/sign-in", own, person);
      await signInAt("/sign-in", foreign, stranger);
      const [session] = await flow.grantor.services.accountSessions.list(person.id);
      const page = await foreign.open(`${flow.grantor.url}/account/sessions`);
      const body = new URLSearchParams({ csrf: page.forms[0]?.fields.csrf ?? "", session: session?.id ?? "" });
      await foreign.open(`${flow.grantor.url}/account/sessions/end`, { method: "POST", body });
      await foreign.open(`${flow.grantor.url}/account/sessions/end-others`, { method: "POST", body });
      expect(await opens(own)).toBe(true);
    });

    it("say when an application was last used, to the hour", async () => {
      const person = await flow.grantor.person();
      const client = await application(false);
      const agent = new Agent();
      await signInAt("/sign-in", agent, person, { keep: "yes" });
      const { tokens } = await signIn(flow.grantor, client, person, { agent });
      const used = async () => (await flow.grantor.services.people.consents.list(person.id))[0]?.lastUsedAt?.getTime();
      const first = await waitFor("the use to be noted", used);
      expect(first % 3_600_000).toBe(0);
      await flow.later(3_700, async () => {
        await refresh(flow.grantor, client, tokens.refresh_token as string);
        await waitFor("the next use to be noted", async () => ((await used()) ?? 0) > first);
      });
    });

    it("one that is ended by the management API is told to its applications", async () => {
      const api = await managementApi(flow.grantor);
      const [person, client] = [await flow.grantor.person(), await application()];
      await signIn(flow.grantor, client, person);
      const [session] = (await api.call("GET", `/accounts/${person.id}/sessions`)).body.items;
      const path = `/accounts/${person.id}/sessions/${session.session_id}`;
      expect((await api.call("DELETE", path, { headers: { "If-Match": "*" } })).status).toBe(204);
      expect(heard(client)).toHaveLength(1);
      expect(await sessionsOf(person)).toEqual([]);
    });
  },
  {
    env: async () => {
      const listener = await listenForLogout();
      listeners.push(listener);
      const lives = { SESSION_TTL: "4000", BROWSER_SESSION_TTL: "1000", SESSION_MAX_AGE: "4500", REFRESH_TOKEN_TTL: "9000" };
      const places = join(directory.path, "places.mmdb");
      writeFileSync(places, mmdb(PLACES));
      return { FETCH_ALLOW: `localhost:${listener.port}`, GEOIP_FILE: places, ...lives };
    },
  },
);
