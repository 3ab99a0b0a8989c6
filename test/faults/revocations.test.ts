/**
 * What was acknowledged as ended stays ended, whatever becomes of Redis afterwards (design, decision 9): by introspection, by use and by its bit.
 * Here is one event for each way in which something ends (a token by itself, a grant, a session, all that is tied to a person or an application);
 * test/flows/endings.test.ts has all events, which end things in these ways.
 */
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { Agent } from "../support/agent.ts";
import { type Gate, gateToPostgres } from "../support/gate.ts";
import {
  authorizationUrl,
  authorize,
  type Grantor,
  introspect,
  type Person,
  pkce,
  post,
  redeem,
  refresh,
  type SeededClient,
  signIn,
  type Tokens,
  userinfo,
} from "../support/grantor.ts";
import { type Instances, startInstances } from "../support/instances.ts";
import { isRevoked, NoStatusList } from "../support/landscape.ts";
import { databasesOn } from "../support/postgres.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { startCluster, startSentinel, type Topology } from "../support/redis-topologies.ts";
import { TEST_SECRET_KEY } from "../support/secret-key.ts";
import { waitFor } from "../support/wait-for.ts";

/** Milliseconds in which the servers are well again once Redis is. */
const RECOVERY = 10_000;

/** Something that was given, each way of ending it, and whether any of it is still of use. */
interface Ending {
  readonly name: string;
  end(): Promise<void>;
  /** What still works; nothing, once it was ended. */
  uses(at: { url: string }): Promise<string[]>;
}

async function prepareEndings(grantor: Grantor): Promise<{ endings: Ending[]; untouched: () => Promise<string[]> }> {
  const { url } = grantor;
  const person = await grantor.person();
  const fresh = async (who: Person = person) => {
    const client = await grantor.client();
    return { client, ...(await signIn(grantor, client, who)) };
  };
  const tokensUsed = async (at: { url: string }, client: SeededClient, tokens: Tokens) => {
    const used: string[] = [];
    if ((await userinfo(at, tokens.access_token)).status === 200) used.push("userinfo");
    if ((await introspect(at, client, tokens.access_token)).active) used.push("introspection");
    if (tokens.refresh_token !== undefined && (await introspect(at, client, tokens.refresh_token)).active) used.push("refresh token");
    if (await isListedAsValid(at, tokens.access_token)) used.push("status list");
    return used;
  };
  const revoke = async (client: SeededClient, token: string) =>
    expect((await post(`${url}/oauth/revoke`, client, { token })).status).toBe(200);
  /** What whoever has copied the session cookie sees. */
  const sessionUsed = async (at: { url: string }, cookie: string) => {
    const thief = new Agent();
    thief.setCookie("grantor_session", cookie.split(" ")[0] as string);
    thief.setCookie("grantor_session.sig", cookie.split(" ")[1] as string);
    return (await thief.request(`${at.url}/account`)).status === 200 ? ["session"] : [];
  };
  const sessionOf = (agent: Agent) => {
    const cookies = agent.cookiesFor(`${url}/`);
    return `${cookies.grantor_session} ${cookies["grantor_session.sig"]}`;
  };

  const [access, family, consent, replayed, reused, untouched] = [
    await fresh(),
    await fresh(),
    await fresh(),
    await fresh(),
    await fresh(),
    await fresh(),
  ];
  const signedOut = await fresh();
  const signedOutSession = sessionOf(signedOut.agent);
  const disabled = await fresh(await grantor.person());
  const disabledSession = sessionOf(disabled.agent);
  const removed = await fresh();
  const beside = await fresh();
  const offline = { agent: beside.agent, parameters: { scope: "openid offline_access", prompt: "consent" } };
  const lasting = await signIn(grantor, beside.client, person, offline);
  const service = await grantor.client({ type: "service" });
  const own = (await (await post(`${url}/oauth/token`, service, { grant_type: "client_credentials" })).json()) as Tokens;
  const second = (await (await refresh(grantor, reused.client, reused.tokens.refresh_token as string)).json()) as Tokens;
  const third = (await (await refresh(grantor, reused.client, second.refresh_token as string)).json()) as Tokens;

  const endings: Ending[] = [
    {
      name: "a revoked access token",
      end: () => revoke(access.client, access.tokens.access_token),
      uses: async (at) => (await tokensUsed(at, access.client, access.tokens)).filter((use) => use !== "refresh token"),
    },
    {
      name: "a revoked refresh token",
      end: () => revoke(family.client, family.tokens.refresh_token as string),
      uses: (at) => tokensUsed(at, family.client, family.tokens),
    },
    {
      name: "a withdrawn consent",
      async end() {
        const page = await consent.agent.open(`${url}/account/applications`);
        const form = page.forms.findIndex(({ fields }) => fields.client_id === consent.client.client_id);
        expect((await consent.agent.submit(page, {}, form)).status).toBe(200);
      },
      uses: (at) => tokensUsed(at, consent.client, consent.tokens),
    },
    {
      name: "a replayed code",
      end: async () => expect((await redeem(grantor, replayed.client, replayed.code, replayed.proof)).status).toBe(400),
      uses: (at) => tokensUsed(at, replayed.client, replayed.tokens),
    },
    {
      name: "a reused refresh token",
      end: async () => expect((await refresh(grantor, reused.client, reused.tokens.refresh_token as string)).status).toBe(400),
      uses: (at) => tokensUsed(at, reused.client, third),
    },
    {
      name: "a session that was signed out",
      async end() {
        const page = await signedOut.agent.open(`${url}/oauth/logout`);
        expect((await signedOut.agent.submit(page, { logout: "yes" })).status).toBe(200);
      },
      uses: async (at) => [...(await sessionUsed(at, signedOutSession)), ...(await tokensUsed(at, signedOut.client, signedOut.tokens))],
    },
    {
      name: "what was bound to a session, beside offline access",
      async end() {
        const page = await beside.agent.open(`${url}/oauth/logout`);
        expect((await beside.agent.submit(page, { logout: "yes" })).status).toBe(200);
        expect((await introspect(grantor, beside.client, lasting.tokens.access_token)).active).toBe(true);
      },
      uses: (at) => tokensUsed(at, beside.client, beside.tokens),
    },
    {
      name: "everything of a person",
      end: () => grantor.services.endings.endAccount(disabled.tokens.id_token === undefined ? "" : subjectOf(disabled.tokens.id_token)),
      uses: async (at) => [...(await sessionUsed(at, disabledSession)), ...(await tokensUsed(at, disabled.client, disabled.tokens))],
    },
    {
      name: "everything of an application",
      end: () => grantor.services.endings.endClient(removed.client.client_id),
      uses: (at) => tokensUsed(at, removed.client, removed.tokens),
    },
    {
      name: "an application's own token",
      end: () => grantor.services.endings.endClient(service.client_id),
      uses: (at) => tokensUsed(at, service, own),
    },
  ];
  return { endings, untouched: () => tokensUsed(grantor, untouched.client, untouched.tokens) };
}

const subjectOf = (idToken: string): string => JSON.parse(Buffer.from(idToken.split(".")[1] as string, "base64url").toString()).sub;

const ALL = ["userinfo", "introspection", "refresh token", "status list"];

/** A list that Redis has lost says nothing. */
async function isListedAsValid(at: { url: string }, token: string): Promise<boolean> {
  try {
    return !(await isRevoked(at, token));
  } catch (error) {
    if (error instanceof NoStatusList && error.status === 503) return false;
    throw error;
  }
}

async function expectReady(urls: readonly string[]): Promise<void> {
  for (const url of urls)
    await waitFor("the server to be ready", async () => (await fetch(`${url}/health/ready`)).status === 200, RECOVERY);
}

async function expectEnded(endings: readonly Ending[], urls: readonly string[]): Promise<void> {
  for (const { name, uses } of endings) for (const url of urls) expect(await uses({ url }), name).toEqual([]);
}

describe("Redis that loses what it had", () => {
  let redis: TestRedis;
  let control: Redis;
  let gate: Gate;
  let instances: Instances;
  const databases = databasesOn(inject("postgresUrl"));
  beforeAll(async () => {
    redis = await startRedis();
    control = new Redis({ path: redis.url.slice("unix://".length), retryStrategy: () => 50 });
    control.on("error", () => {});
    const behind = await gateToPostgres(await databases.fresh());
    gate = behind.gate;
    const env = { DATABASE_URL: behind.url, SECRET_KEY: TEST_SECRET_KEY, REDIS_URL: redis.url };
    const backing = { databaseUrl: behind.url, redisUrl: redis.url, env, close: async () => {}, [Symbol.asyncDispose]: async () => {} };
    instances = await startInstances(backing, 2);
  });
  afterAll(async () => {
    await instances?.[Symbol.asyncDispose]();
    await gate?.[Symbol.asyncDispose]();
    control?.disconnect();
    await redis?.stop();
    await databases.dropAll();
  });

  test("what was ended stays ended when Redis comes back with what it had before", async () => {
    const { endings, untouched } = await prepareEndings(instances.grantor);
    await control.save();
    for (const { name, uses } of endings) expect(await uses(instances.grantor), name).not.toEqual([]);
    for (const { end } of endings) await end();
    await expectEnded(endings, instances.urls);

    await redis.kill();
    await redis.start(); // reads what was saved
    await expectReady(instances.urls);
    await expectEnded(endings, instances.urls);
    expect(await untouched()).toEqual(ALL);
    // Also for a server that starts only now.
    await instances.grantor.server.restart();
    await expectEnded(endings, instances.urls);
  });

  test("a server that starts on a Redis from before tells it what was ended", async () => {
    const { endings, untouched } = await prepareEndings(instances.grantor);
    await control.save();
    for (const { end } of endings) await end();
    await instances.others[0]?.stop();
    await instances.grantor.server.stop();
    await redis.kill();
    await redis.start();
    await instances.grantor.server.start();
    await instances.others[0]?.start();
    await expectEnded(endings, instances.urls);
    expect(await untouched()).toEqual(ALL);
  });

  test("an emptied Redis brings nothing back, and people sign in again", async () => {
    const { endings, untouched } = await prepareEndings(instances.grantor);
    for (const { end } of endings) await end();
    await control.flushall();
    await expectEnded(endings, instances.urls);
    expect(await untouched()).toEqual([]);
    const [client, person] = [await instances.grantor.client(), await instances.grantor.person()];
    // The status list is lost as well: a server that has just looked at it hears so from its next token, which is refused with 503.
    const { tokens } = await waitFor("people to sign in", () => signIn(instances.grantor, client, person));
    expect((await userinfo(instances.grantor, tokens.access_token)).status).toBe(200);
  });

  test("nothing is acknowledged as ended before PostgreSQL has it", async () => {
    const { grantor } = instances;
    const client = await grantor.client();
    const person = await grantor.person();
    const { agent, tokens, code, proof } = await signIn(grantor, client, person);
    const logout = await agent.open(`${grantor.url}/oauth/logout`);
    await gate.close();
    for (const token of [tokens.access_token, tokens.refresh_token as string]) {
      const answer = await post(`${grantor.url}/oauth/revoke`, client, { token });
      expect(answer.status).toBe(503);
      expect(answer.headers.get("Retry-After")).toMatch(/^\d+$/);
    }
    expect((await agent.submit(logout, { logout: "yes" })).status).toBe(503);
    expect((await redeem(grantor, client, code, proof)).status).toBe(503);
    await gate.open();
    await expectReady(instances.urls);
    expect((await post(`${grantor.url}/oauth/revoke`, client, { token: tokens.refresh_token as string })).status).toBe(200);
    expect(await introspect(grantor, client, tokens.access_token)).toEqual({ active: false });
  });
});

describe.each([
  { name: "Sentinel", start: startSentinel },
  { name: "Cluster", start: startCluster },
])("a failover of $name that loses the newest writes", ({ start }) => {
  let topology: Topology;
  let instances: Instances;
  const databases = databasesOn(inject("postgresUrl"));
  beforeAll(async () => {
    const databaseUrl = await databases.fresh();
    topology = await start();
    const env = { DATABASE_URL: databaseUrl, SECRET_KEY: TEST_SECRET_KEY, REDIS_URL: topology.url };
    const backing = { databaseUrl, redisUrl: topology.url, env, close: async () => {}, [Symbol.asyncDispose]: async () => {} };
    instances = await startInstances(backing, 2);
  });
  afterAll(async () => {
    await instances?.[Symbol.asyncDispose]();
    await topology?.stop();
    await databases.dropAll();
  });

  test("brings nothing back that was ended, and the servers go on by themselves", async () => {
    const { grantor, urls } = instances;
    const { endings, untouched } = await prepareEndings(grantor);
    await topology.nodes[0]?.client.wait(1, 5_000);
    await topology.cutOff();
    for (const { end } of endings) await end();
    await topology.failOver();
    await expectReady(urls);
    await waitFor("both servers to answer", async () => (await untouched()).length === ALL.length, RECOVERY);
    await waitFor(
      "nothing to be unavailable",
      async () => {
        await expectEnded(endings, urls);
        return true;
      },
      RECOVERY,
    );
    await expectEnded(endings, urls);
    for (const url of urls) {
      const client = await grantor.client();
      const proof = pkce();
      const end = await authorize(new Agent(), authorizationUrl(grantor.url, client, proof), await grantor.person());
      const code = new URL(end.url).searchParams.get("code") as string;
      expect((await redeem({ url }, client, code, proof)).status).toBe(200);
    }
  });
});
