/** SECRET_KEY is replaced as docs/operating.md says, one server after the other: nobody notices, at no moment. */
import { randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import { Agent, type Page } from "../support/agent.ts";
import { grantorJson } from "../support/command-line.ts";
import { authorizationUrl, pkce, post, redeem, refresh, type SeededClient, signIn, type Tokens, userinfo } from "../support/grantor.ts";
import { startInstances } from "../support/instances.ts";
import { TEST_SECRET_KEY } from "../support/secret-key.ts";
import type { TestServer } from "../support/server.ts";
import { stores } from "../support/stores.ts";

const DEVICE_CODE_GRANT = "urn:ietf:params:oauth:grant-type:device_code";

interface Authorization {
  device_code: string;
  user_code: string;
}

describe.each(stores)("a new SECRET_KEY, on $name", ({ open }) => {
  test("signs nobody out and breaks nothing that is under way", async () => {
    await using backing = await open();
    await using instances = await startInstances(backing, 2, { REFRESH_GRACE: "300" });
    const { grantor, others } = instances;
    const [first, second] = [grantor.server, others[0] as TestServer];
    const client = await grantor.client({ metadata: { scope: "openid" } });
    const device = await grantor.client({ type: "device" });
    const person = await grantor.person();
    const stranger = await grantor.person();

    const [old, next] = [TEST_SECRET_KEY, randomBytes(32).toString("base64url")];
    const start = await signIn(grantor, client, person);
    const forgotten = await signIn(grantor, client, stranger);
    let refreshToken = start.tokens.refresh_token as string;

    for (const secret of [`${old},${next}`, `${next},${old}`, next]) {
      const flows = await Promise.all([first, second].map((server) => begin(server, device)));
      const agent = new Agent();
      const half = await agent.open(authorizationUrl(grantor.url, client, pkce()));
      const used = refreshToken;
      const answer = await tokensOf(refresh(second, client, used));

      await restartWith(first, secret);
      // One server has the new value, the other not yet.
      expect(await tokensOf(refresh(first, client, used))).toEqual(answer);
      refreshToken = (await tokensOf(refresh(first, client, answer.refresh_token as string))).refresh_token as string;
      refreshToken = (await tokensOf(refresh(second, client, refreshToken))).refresh_token as string;
      await signInSilently(start.agent);
      expect(await finish(agent, half)).toBe("code");
      const mixed = await begin(first, device);
      await approve(start.agent, flows[1] as Authorization);
      await tokensOf(poll(second, flows[1] as Authorization));

      await restartWith(second, secret);
      for (const each of [flows[0] as Authorization, mixed]) {
        await approve(start.agent, each);
        await tokensOf(poll(second, each));
      }
      const tokens = await signInSilently(start.agent);
      expect((await userinfo(second, tokens.access_token)).status).toBe(200);
    }

    // Whoever was not here while both secrets were in use signs in again; their refresh token goes on, and their account can be looked after.
    const page = await forgotten.agent.open(authorizationUrl(grantor.url, client, pkce()));
    expect(page).toMatchObject({ status: 200, text: expect.stringContaining('name="password"') });
    await tokensOf(refresh(second, client, forgotten.tokens.refresh_token as string));
    await grantorJson(first.env, ["account", "disable", stranger.email]);
    for (const server of [first, second]) expect(server.logs()).not.toMatch(/"level":"(error|fatal)"/);

    async function signInSilently(browser: Agent): Promise<Tokens> {
      const proof = pkce();
      const { url } = await browser.open(authorizationUrl(grantor.url, client, proof));
      return tokensOf(redeem(second, client, new URL(url).searchParams.get("code") as string, proof));
    }

    async function finish(browser: Agent, form: Page): Promise<string | undefined> {
      let at = await browser.proceed(await browser.submit(form, { email: person.email, password: person.password }));
      if (at.text.includes('name="decision"')) at = await browser.submit(at, { decision: "allow" }, at.forms.length - 1);
      return [...new URL(at.url).searchParams.keys()].find((name) => name === "code");
    }

    async function approve(browser: Agent, { user_code }: Authorization): Promise<void> {
      const shown = await browser.submit(await browser.open(`${grantor.url}/device`), { user_code });
      let at = await browser.submit(shown, { confirm: "yes" });
      if (at.text.includes('name="decision"')) at = await browser.submit(at, { decision: "allow" }, at.forms.length - 1);
      expect(at.text).toContain("Device connected");
    }

    function poll({ url }: TestServer, { device_code }: Authorization): Promise<Response> {
      return post(`${url}/oauth/token`, device, { grant_type: DEVICE_CODE_GRANT, device_code });
    }
  });
});

async function begin({ url }: TestServer, device: SeededClient): Promise<Authorization> {
  const response = await post(`${url}/oauth/device`, device, { scope: "openid" });
  expect(response.status).toBe(200);
  return (await response.json()) as Authorization;
}

async function tokensOf(answer: Promise<Response>): Promise<Tokens> {
  const response = await answer;
  const body = (await response.json()) as Tokens;
  expect({ status: response.status, body }).toMatchObject({ status: 200 });
  return body;
}

async function restartWith(server: TestServer, secret: string): Promise<void> {
  server.env.SECRET_KEY = secret;
  await server.restart();
}
