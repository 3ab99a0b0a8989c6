/** What may happen once happens once, whatever the timing, through two servers on the same stores (issue 2, requirement 6). */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Agent } from "../support/agent.ts";
import { proofKey, withNonce } from "../support/dpop.ts";
import {
  authorizationUrl,
  authorize,
  introspect,
  type Person,
  type Pkce,
  pkce,
  post,
  redeem,
  refresh,
  type SeededClient,
  signIn,
  type Tokens,
} from "../support/grantor.ts";
import { type Instances, startInstances } from "../support/instances.ts";
import { type Stores, stores } from "../support/stores.ts";

const RACES = 25;
const PARALLEL = 50;
const DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code";

interface Answer {
  status: number;
  location: string | undefined;
  text: string;
}

describe.each(stores)("two servers on $name", ({ open }) => {
  let backing: Stores;
  let instances: Instances;
  let person: Person;
  let client: SeededClient;
  let agent: Agent;
  beforeAll(async () => {
    backing = await open();
    instances = await startInstances(backing, 2);
    const { grantor } = instances;
    [person, client] = [await grantor.person(), await grantor.client()];
    ({ agent } = await signIn(grantor, client, person));
  });
  afterAll(async () => {
    await instances?.[Symbol.asyncDispose]();
    await backing?.close();
  });

  /** The same request many times at once, through both servers. */
  async function race(ask: (grantor: { url: string }) => Promise<Response>, times = PARALLEL): Promise<Answer[]> {
    const { urls } = instances;
    const answers = await Promise.all(
      Array.from({ length: times }, async (_, i) => {
        const response = await ask({ url: urls[i % urls.length] as string });
        return { status: response.status, location: response.headers.get("Location") ?? undefined, text: await response.text() };
      }),
    );
    for (const { status, text } of answers) expect(status, text).toBeLessThan(500);
    return answers;
  }

  const succeeded = (answers: readonly Answer[]) => answers.filter(({ status }) => status === 200);

  async function code(by = client): Promise<{ code: string; proof: Pkce }> {
    const proof = pkce();
    const { url } = await agent.open(authorizationUrl(instances.grantor.url, by, proof));
    return { code: new URL(url).searchParams.get("code") as string, proof };
  }

  test("a code is redeemed once, and what it gave ends with its replays", async () => {
    for (let i = 0; i < RACES; i++) {
      const { code: once, proof } = await code();
      const answers = await race((at) => redeem(at, client, once, proof));
      const [winner, ...more] = succeeded(answers);
      expect(more).toEqual([]);
      for (const { status, text } of answers) if (status !== 200) expect(JSON.parse(text)).toMatchObject({ error: "invalid_grant" });
      const tokens = JSON.parse(winner?.text as string) as Tokens;
      for (const url of instances.urls) expect(await introspect({ url }, client, tokens.access_token)).toEqual({ active: false });
    }
  });

  test("a refresh token gives one answer, the same to all that ask within the grace", async () => {
    for (let i = 0; i < RACES; i++) {
      const { code: once, proof } = await code();
      const first = (await (await redeem(instances.grantor, client, once, proof)).json()) as Tokens;
      const answers = await race((at) => refresh(at, client, first.refresh_token as string));
      expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: PARALLEL }, () => 200));
      const given = new Set(answers.map(({ text }) => text));
      expect(given.size).toBe(1);
      const next = JSON.parse([...given][0] as string) as Tokens;
      expect(await introspect(instances.grantor, client, next.access_token)).toMatchObject({ active: true });
      if (i % 5 === 0) expect((await refresh(instances.grantor, client, next.refresh_token as string)).status).toBe(200);
    }
  });

  test("a pushed request starts one authorization", async () => {
    for (let i = 0; i < RACES; i++) {
      const parameters = Object.fromEntries(new URL(authorizationUrl(instances.grantor.url, client, pkce())).searchParams);
      const pushed = await post(`${instances.grantor.url}/oauth/par`, client, parameters);
      const { request_uri } = (await pushed.json()) as { request_uri: string };
      const query = new URLSearchParams({ client_id: client.client_id, request_uri });
      const answers = await race(({ url }) => agent.request(`${url}/oauth/authorize?${query}`));
      expect(answers.filter(({ location }) => location?.includes("code="))).toHaveLength(1);
      for (const { status, location, text } of answers) {
        if (location?.includes("code=")) continue;
        expect(`${status} ${location} ${text}`).toMatch(/request_uri|invalid_request/);
      }
    }
  });

  test("a DPoP proof is used once, at whichever endpoint, and either server knows the other's nonces", async () => {
    const key = await proofKey();
    const service = await instances.grantor.client({ type: "service" });
    const [token, userinfo] = [`${instances.grantor.url}/oauth/token`, `${instances.grantor.url}/oauth/userinfo`];
    const ask = ({ url }: { url: string }, DPoP: string) =>
      post(`${url}/oauth/token`, service, { grant_type: "client_credentials" }, { DPoP });
    const fresh = async (known?: string) =>
      (await withNonce(async (nonce) => ask(instances.grantor, await key.prove("POST", token, { nonce })), known)).nonce;
    let nonce = await fresh();
    const { code: once, proof } = await code();
    const redeemed = await post(
      token,
      client,
      { grant_type: "authorization_code", code: once, redirect_uri: client.redirect_uri, code_verifier: proof.verifier },
      { DPoP: await key.prove("POST", token, { nonce }) },
    );
    const { access_token: accessToken } = (await redeemed.json()) as Tokens;
    for (const url of instances.urls) expect((await ask({ url }, await key.prove("POST", token, { nonce }))).status).toBe(200);
    for (let i = 0; i < RACES; i++) {
      nonce = await fresh(nonce);
      const atToken = await key.prove("POST", token, { nonce });
      const atUserinfo = await key.prove("GET", userinfo, { nonce, accessToken });
      const presented = { DPoP: atUserinfo, Authorization: `DPoP ${accessToken}` };
      for (const [answers, refused] of [
        [await race((at) => ask(at, atToken)), 400],
        [await race(({ url }) => fetch(`${url}/oauth/userinfo`, { headers: presented })), 401],
      ] as const) {
        expect(succeeded(answers)).toHaveLength(1);
        for (const { status, text } of answers)
          if (status !== 200)
            expect([status, JSON.parse(text)]).toEqual([refused, expect.objectContaining({ error: "invalid_dpop_proof" })]);
      }
    }
  });

  test("a device code is exchanged once, also by a device that polls all the time", async () => {
    const device = await instances.grantor.client({ type: "device" });
    for (let i = 0; i < RACES; i++) {
      const begun = await post(`${instances.grantor.url}/oauth/device`, device, { scope: "openid" });
      const { device_code, verification_uri_complete } = (await begun.json()) as { device_code: string; verification_uri_complete: string };
      const poll = ({ url }: { url: string }) => post(`${url}/oauth/token`, device, { grant_type: DEVICE_GRANT, device_code });
      const early: Answer[] = [];
      let approved = false;
      const impatient = (async () => {
        while (!approved) early.push(...(await race(poll, 2)));
      })();
      let page = await agent.open(verification_uri_complete);
      page = await agent.submit(page, { confirm: "yes" });
      page = await agent.submit(page, { decision: "allow" }, page.forms.length - 1);
      expect(page.text).toContain("Device connected");
      const late = race(poll, PARALLEL);
      approved = true;
      await impatient;
      const answers = [...early, ...(await late)];
      expect(succeeded(answers)).toHaveLength(1);
      const words = new Set(answers.filter(({ status }) => status !== 200).map(({ text }) => JSON.parse(text).error));
      for (const word of words) expect(["authorization_pending", "invalid_grant", "slow_down"]).toContain(word);
      const tokens = JSON.parse(succeeded(answers)[0]?.text as string) as Tokens;
      expect(await introspect(instances.grantor, { ...client }, tokens.access_token)).toEqual({ active: false }); // another client's
      expect((await refresh(instances.grantor, device, tokens.refresh_token as string)).status).toBe(200);
    }
  });
});

describe.each(stores)("two servers without a grace, on $name", ({ open }) => {
  test("a refresh token is used at most once, and its family ends", async () => {
    const backing = await open();
    const instances = await startInstances(backing, 2, { REFRESH_GRACE: "0" });
    try {
      const { grantor, urls } = instances;
      const [person, client] = [await grantor.person(), await grantor.client()];
      let { agent, tokens } = await signIn(grantor, client, person);
      for (let i = 0; i < RACES; i++) {
        const token = tokens.refresh_token as string;
        const answers = await Promise.all(
          Array.from({ length: PARALLEL }, (_, at) => refresh({ url: urls[at % 2] as string }, client, token)),
        );
        const bodies = await Promise.all(answers.map(async (answer) => [answer.status, await answer.json()] as const));
        for (const [status, body] of bodies) expect([200, 400], JSON.stringify(body) + grantor.server.logs()).toContain(status);
        const given = bodies.filter(([status]) => status === 200).map(([, body]) => body as Tokens);
        expect(given).toHaveLength(1);
        expect((await refresh(grantor, client, given[0]?.refresh_token as string)).status).toBe(400);
        const proof = pkce();
        const end = await authorize(agent, authorizationUrl(grantor.url, client, proof), person);
        const redeemed = await redeem(grantor, client, new URL(end.url).searchParams.get("code") as string, proof);
        tokens = (await redeemed.json()) as Tokens;
      }
    } finally {
      await instances[Symbol.asyncDispose]();
      await backing.close();
    }
  });
});
