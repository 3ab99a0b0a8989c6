/** What people and applications hold survives restarts; while a store is away they hear 503, and afterwards all is well without a restart. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Agent, type Page } from "../support/agent.ts";
import { type Gate, gateToPostgres, startGate } from "../support/gate.ts";
import {
  authorizationUrl,
  type Grantor,
  introspect,
  type Person,
  pkce,
  post,
  refresh,
  type SeededClient,
  signIn,
  startGrantor,
  type Tokens,
  userinfo,
} from "../support/grantor.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { TEST_SECRET_KEY } from "../support/secret-key.ts";
import { waitFor } from "../support/wait-for.ts";

const BROWSERS = 50;
/** Of them, in a closed loop. */
const USERS = 8;
/** Milliseconds in which the server is well again once its stores are. */
const RECOVERY = 5_000;
/** Milliseconds for an answer while the database hangs, which nothing but time can tell from one that is slow. */
const PATIENCE = 20_000;

interface Browser {
  agent: Agent;
  tokens: Tokens;
  /** A consent page that nobody has answered. */
  open: Page;
}

describe.each([
  { name: "database alone", withRedis: false },
  { name: "PostgreSQL and Redis", withRedis: true },
])("on $name", ({ withRedis }) => {
  let postgres: TestPostgres;
  let redis: TestRedis | undefined;
  let gate: Gate;
  let redisGate: Gate | undefined;
  let grantor: Grantor;
  let person: Person;
  let client: SeededClient;
  let other: SeededClient;
  let browsers: Browser[];

  beforeAll(async () => {
    [postgres, redis] = await Promise.all([startPostgres(), withRedis ? startRedis({ appendOnly: true }) : undefined]);
    const behind = await gateToPostgres(await postgres.fresh());
    gate = behind.gate;
    redisGate = redis && (await startGate(redis.url.slice("unix://".length)));
    const redisUrl = redisGate && `redis://127.0.0.1:${redisGate.port}`;
    const env = { DATABASE_URL: behind.url, SECRET_KEY: TEST_SECRET_KEY, ...(redisUrl && { REDIS_URL: redisUrl }) };
    grantor = await startGrantor({
      databaseUrl: behind.url,
      redisUrl,
      env,
      close: async () => {},
      [Symbol.asyncDispose]: async () => {},
    });
    [person, client, other] = [await grantor.person(), await grantor.client(), await grantor.client()];
    browsers = [];
    while (browsers.length < BROWSERS) {
      const { agent, tokens } = await signIn(grantor, client, person);
      const open = await agent.open(authorizationUrl(grantor.url, other, pkce(), { scope: "openid profile", prompt: "consent" }));
      browsers.push({ agent, tokens, open });
    }
  });
  afterAll(async () => {
    await grantor?.[Symbol.asyncDispose]();
    await gate?.[Symbol.asyncDispose]();
    await redisGate?.[Symbol.asyncDispose]();
    await redis?.stop();
    await postgres?.stop();
  });

  const ready = async () => (await fetch(`${grantor.url}/health/ready`)).status === 200;

  async function expectAllAlive(): Promise<void> {
    await waitFor("the server to be ready", ready, RECOVERY);
    for (const browser of browsers) {
      const { agent, open } = browser;
      const silent = await agent.open(authorizationUrl(grantor.url, client, pkce()));
      expect(new URL(silent.url).searchParams.get("code"), silent.text).toBeTruthy();
      const refreshed = await refresh(grantor, client, browser.tokens.refresh_token as string);
      expect(refreshed.status).toBe(200);
      browser.tokens = (await refreshed.json()) as Tokens;
      expect((await userinfo(grantor, browser.tokens.access_token)).status).toBe(200);
      const page = await agent.open(open.url);
      expect(page.text, `${page.status}`).toContain('name="decision"');
    }
  }

  test("everything survives a restart of the server", async () => {
    expect(browsers.every(({ open }) => open.text.includes('name="decision"'))).toBe(true);
    await grantor.server.restart();
    await expectAllAlive();
  });

  test("everything survives a crash of the server", async () => {
    await grantor.server.kill();
    await grantor.server.start();
    await expectAllAlive();
  });

  test("everything survives a crash of PostgreSQL", async () => {
    await postgres.crash();
    await expectAllAlive();
  });

  if (withRedis)
    test("everything survives a restart and a crash of Redis", async () => {
      await redis?.restart();
      await expectAllAlive();
      await redis?.kill();
      await redis?.start();
      await expectAllAlive();
    });

  /** Requests of every kind. @returns those that were answered in another way than by 503 with Retry-After, or as if nothing were amiss */
  async function ask(): Promise<{ name: string; status: number; retryAfter: string | null; type: string | null }[]> {
    const { agent, tokens, open } = browsers[0] as Browser;
    const { url } = grantor;
    const json = { headers: { Accept: "application/json" } };
    const parameters = Object.fromEntries(new URL(authorizationUrl(url, client, pkce())).searchParams);
    const requests: Record<string, () => Promise<Response>> = {
      authorize: () => agent.request(authorizationUrl(url, client, pkce())),
      "authorize, not signed in": () => new Agent().request(authorizationUrl(url, client, pkce())),
      "sign-in page": () => agent.request(open.url),
      "sign-in": () =>
        agent.request(open.forms.at(-1)?.action as string, {
          method: "POST",
          body: new URLSearchParams({ ...open.forms.at(-1)?.fields, decision: "allow" }),
        }),
      account: () => agent.request(`${url}/account`),
      logout: () => agent.request(`${url}/oauth/logout`),
      userinfo: () => userinfo(grantor, tokens.access_token),
      introspection: () => post(`${url}/oauth/introspect`, client, { token: tokens.access_token }),
      "introspection of a refresh token": () => post(`${url}/oauth/introspect`, client, { token: tokens.refresh_token as string }),
      "unknown refresh token": () => refresh(grantor, client, "unknown"),
      "unknown code": () =>
        post(`${url}/oauth/token`, client, {
          grant_type: "authorization_code",
          code: "unknown",
          redirect_uri: client.redirect_uri,
          code_verifier: pkce().verifier,
        }),
      par: () => post(`${url}/oauth/par`, client, parameters),
      revocation: () => post(`${url}/oauth/revoke`, other, { token: "unknown" }),
      "sign-up": () => fetch(`${url}/sign-up`, json),
      registration: () =>
        fetch(`${url}/oauth/register`, {
          method: "POST",
          headers: { "Content-Type": "application/json", Authorization: "Bearer unknown" },
          body: "{}",
        }),
      device: () => agent.request(`${url}/device?user_code=BCDF-GHJK`),
      "unknown client": () => post(`${url}/oauth/token`, { ...client, client_id: pkce().challenge }, { grant_type: "client_credentials" }),
    };
    return Promise.all(
      Object.entries(requests).map(async ([name, request]) => {
        const answer = await request();
        await answer.text();
        return { name, status: answer.status, retryAfter: answer.headers.get("Retry-After"), type: answer.headers.get("Content-Type") };
      }),
    );
  }

  async function expectTrouble(always: readonly string[]): Promise<void> {
    const answers = await ask();
    for (const answer of answers) {
      expect([200, 201, 302, 303, 400, 401, 503], JSON.stringify(answer)).toContain(answer.status);
      if (answer.status === 503) expect(answer.retryAfter, JSON.stringify(answer)).toMatch(/^\d+$/);
      if (always.includes(answer.name)) expect(answer.status, answer.name).toBe(503);
    }
    expect((await fetch(`${grantor.url}/health/live`)).status).toBe(200);
    const { checks } = await waitFor("the server to notice", async () => {
      const answer = await fetch(`${grantor.url}/health/ready`);
      const body = (await answer.json()) as { checks: Record<string, string> };
      return answer.status === 503 && body;
    });
    expect(Object.values(checks)).toContain("down");
    for (const path of ["openid-configuration", "jwks.json"]) expect((await fetch(`${grantor.url}/.well-known/${path}`)).status).toBe(200);
  }

  const TOUCHES_RECORDS = [
    "authorize",
    "authorize, not signed in",
    "sign-in page",
    "sign-in",
    "account",
    "userinfo",
    "introspection",
    "unknown refresh token",
    "unknown code",
    "par",
  ];

  if (withRedis)
    test("without Redis they hear 503, and with it all is well again", async () => {
      await redis?.kill();
      await redisGate?.close();
      await expectTrouble(TOUCHES_RECORDS);
      await redis?.start();
      await redisGate?.open();
      await expectAllAlive();
    });

  if (withRedis)
    test("a Redis that hangs holds nobody for long", async () => {
      redisGate?.hang();
      const started = performance.now();
      await expectTrouble(TOUCHES_RECORDS);
      expect(performance.now() - started).toBeLessThan(PATIENCE);
      await redisGate?.open();
      await expectAllAlive();
    });

  test("without PostgreSQL they hear 503, and with it all is well again", async () => {
    await gate.close();
    const revoked = await post(`${grantor.url}/oauth/revoke`, client, { token: browsers[1]?.tokens.refresh_token as string });
    expect(revoked.status).toBe(503);
    expect(revoked.headers.get("Retry-After")).toMatch(/^\d+$/);
    await expectTrouble(withRedis ? ["unknown client"] : [...TOUCHES_RECORDS, "unknown client"]);
    await gate.open();
    if (!withRedis) expect(await introspect(grantor, client, browsers[1]?.tokens.refresh_token as string)).toMatchObject({ active: true });
    else browsers.splice(1, 1); // told to end, but not that it was: either may be
    await expectAllAlive();
  });

  test("a PostgreSQL that hangs holds nobody for long", async () => {
    gate.hang();
    const started = performance.now();
    await expectTrouble([]);
    expect(performance.now() - started).toBeLessThan(PATIENCE);
    await gate.open();
    await waitFor("the server to be ready", ready, 3 * RECOVERY);
    await expectAllAlive();
  });

  test("a store that crashes under load lets nobody wait, and all is well again", async () => {
    const service = await grantor.client({ type: "service" });
    let running = true;
    const statuses = new Map<number, number>();
    const users = browsers.slice(0, USERS).map(async ({ agent, tokens }) => {
      while (running) {
        const answers = await Promise.all([
          agent.request(authorizationUrl(grantor.url, client, pkce())),
          userinfo(grantor, tokens.access_token),
          post(`${grantor.url}/oauth/token`, service, { grant_type: "client_credentials" }),
        ]);
        for (const answer of answers) {
          await answer.text();
          statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
        }
      }
    });
    for (let crashes = 0; crashes < 3; crashes++) {
      await sleep(300);
      if (redis === undefined) await postgres.crash();
      else {
        await redis.kill();
        await sleep(300);
        await redis.start();
      }
    }
    running = false;
    const late = sleep(PATIENCE).then(() => "somebody waits");
    expect(await Promise.race([Promise.all(users).then(() => "all were answered"), late])).toBe("all were answered");
    for (const status of statuses.keys()) expect([200, 303, 503], JSON.stringify([...statuses])).toContain(status);
    expect(statuses.get(200)).toBeGreaterThan(0);
    await expectAllAlive();
  });

  test("open interactions are finished after all this", async () => {
    for (const { agent, open } of browsers) {
      const page = await agent.open(open.url);
      const end = await agent.submit(page, { decision: "allow" }, page.forms.length - 1);
      expect(new URL(end.url).searchParams.get("code"), end.text).toBeTruthy();
    }
  });
});
