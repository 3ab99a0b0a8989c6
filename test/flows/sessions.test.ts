/** Sessions (issue 4, requirement 5): how long they live, their ids, and several tabs at once. */
import { afterAll, describe, expect, it } from "vitest";
import { Agent } from "../support/agent.ts";
import { describeFlows } from "../support/flows.ts";
import { authorizationUrl, authorize, type Person, pkce, refresh, type SeededClient, signIn, userinfo } from "../support/grantor.ts";
import { type LogoutListener, listenForLogout } from "../support/logout-listener.ts";
import { ORDERS, Tab } from "../support/tabs.ts";
import { waitFor } from "../support/wait-for.ts";

const listeners: LogoutListener[] = [];

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
        "two without a session": { firstParty: true, tabs: 2 },
        "two without a session, with consent": { firstParty: false, tabs: 2 },
        "five without a session": { firstParty: false, tabs: 5 },
        "two with a session": { before: {}, firstParty: false, tabs: 2 },
        "two with a session, by a new sign-in": { before: { keep: "yes" }, prompt: "login", firstParty: true, tabs: 2 },
        "five with a session, by a new sign-in": { before: {}, prompt: "login", firstParty: false, tabs: 5 },
      };
      const CASES = Object.entries(GIVEN).flatMap(([given, how]) =>
        Object.entries(ORDERS).map(([order, run]) => ({ given, how, order, run })),
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
  },
  {
    env: async () => {
      const listener = await listenForLogout();
      listeners.push(listener);
      return { FETCH_ALLOW: `localhost:${listener.port}` };
    },
  },
);
