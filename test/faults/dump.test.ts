/** Whoever reads Redis or the database in the middle of everything finds nothing that opens anything (design, decision 5). */
import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Redis } from "ioredis";
import pg from "pg";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadConfig } from "../../src/config.ts";
import { PreparedKeygrip } from "../../src/http/cookies.ts";
import { deriveKeys, loadSecrets } from "../../src/secrets.ts";
import { connectRedis } from "../../src/storage/redis-client.ts";
import { Agent } from "../support/agent.ts";
import {
  answerOf,
  authorizationUrl,
  authorize,
  type Grantor,
  introspect,
  type Pkce,
  pkce,
  post,
  refresh,
  type SeededClient,
  signIn,
  startGrantor,
  type Tokens,
  userinfo,
} from "../support/grantor.ts";
import { allKeys } from "../support/redis-watch.ts";
import { type Stores, stores } from "../support/stores.ts";
import { waitFor } from "../support/wait-for.ts";

const DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code";
const REQUEST_URI = "urn:ietf:params:oauth:request_uri:";
/** What is shorter is a word, a number or part of a date. */
const SHORTEST = 8;
const AT_ONCE = 10;

describe.each(stores)("a dump of $name", ({ open }) => {
  let backing: Stores;
  let grantor: Grantor;
  let live: Live;
  /** Every value, as it is stored. */
  let dump: string[];
  let candidates: string[];
  let keygrip: PreparedKeygrip;
  beforeAll(async () => {
    backing = await open();
    grantor = await startGrantor(backing, { REGISTRATION: "token", TRUST_PROXY: "127.0.0.1,::1" });
    live = await makeEverything(grantor);
    dump = [...(await dumpDatabase(backing.databaseUrl)), ...(await dumpRedis(backing.redisUrl))];
    candidates = [...new Set(dump.flatMap(partsOf))].filter((part) => part.length >= SHORTEST && !isPlain(part));
    const config = loadConfig(grantor.server.env);
    keygrip = new PreparedKeygrip(deriveKeys(await loadSecrets(config, grantor.server.env), "grantor/cookies"));
  });
  afterAll(async () => {
    await grantor?.[Symbol.asyncDispose]();
    await backing?.close();
  });

  test("holds no live credential", () => {
    expect(candidates.length).toBeGreaterThan(100);
    const all = dump.join("\n");
    for (const [what, secret] of Object.entries(live.secrets)) {
      for (const form of [
        secret,
        encodeURIComponent(secret),
        JSON.stringify(secret).slice(1, -1),
        Buffer.from(secret).toString("base64url"),
      ]) {
        expect(all.includes(form), `${what} is in the dump`).toBe(false);
      }
    }
  });

  test("everything that it is about is live", async () => {
    const { secrets, client, device } = live;
    expect((await userinfo(grantor, secrets.accessToken)).status).toBe(200);
    expect(await introspect(grantor, client, secrets.refreshToken)).toMatchObject({ active: true });
    const waiting = await post(`${grantor.url}/oauth/token`, device, { grant_type: DEVICE_GRANT, device_code: secrets.deviceCode });
    expect(await waiting.json()).toMatchObject({ error: "authorization_pending" });
    expect((await account(secrets.session)).headers.get("Location")).toBeNull();
    expect((await interaction(secrets.interaction)).status).toBe(200);
    expect((await grantor.services.registrationTokens.find("InitialAccessToken", secrets.initialAccessToken))?.payload).toBeDefined();
    expect((await fetch(`${grantor.url}/verify-email?token=${secrets.verificationLink}`)).status).toBe(200);
  });

  /** With a signature that only the server could make, so that nothing but the id itself is in question. */
  const cookie = (name: string, value: string, signed = true) =>
    signed ? `${name}=${value}; ${name}.sig=${keygrip.sign(`${name}=${value}`)}` : `${name}=${value}`;
  const get = (path: string, Cookie = "") =>
    fetch(`${grantor.url}${path}`, { redirect: "manual", headers: { Accept: "text/html", ...(Cookie && { Cookie }) } });
  const account = (session: string, signed = true) => get("/account", cookie("grantor_session", session, signed));
  /** To sign in: nobody is. */
  const isAsked = (answer: Response) => answer.headers.get("Location")?.startsWith("/sign-in?") === true;
  const interaction = (uid: string) => get(`/interaction/${encodeURIComponent(uid)}`, cookie("grantor_interaction", uid));

  /** Uses every value of the dump, and every part of it. */
  async function tryAll(accepts: (candidate: string) => Promise<boolean>): Promise<void> {
    const accepted: string[] = [];
    for (let i = 0; i < candidates.length; i += AT_ONCE) {
      const batch = candidates.slice(i, i + AT_ONCE);
      const answers = await Promise.all(batch.map(accepts));
      accepted.push(...batch.filter((_, at) => answers[at]));
    }
    expect(accepted).toEqual([]);
  }

  test("no value of it is an access or refresh token", async () => {
    const { client } = live;
    await tryAll(async (value) => {
      if (isHeaderSafe(value) && (await userinfo(grantor, value)).status !== 401) return true;
      if ((await introspect(grantor, client, value)).active !== false) return true;
      return (await answerOf(refresh(grantor, client, value))).body.error !== "invalid_grant";
    });
  });

  test("no value of it is a code or a device code", async () => {
    const { client, device, proof } = live;
    await tryAll(async (value) => {
      const redeemed = { grant_type: "authorization_code", redirect_uri: client.redirect_uri, code_verifier: proof.verifier };
      const redemption = await answerOf(post(`${grantor.url}/oauth/token`, client, { ...redeemed, code: value }));
      if (redemption.body.error !== "invalid_grant") return true;
      const poll = await answerOf(post(`${grantor.url}/oauth/token`, device, { grant_type: DEVICE_GRANT, device_code: value }));
      return poll.body.error !== "invalid_grant";
    });
  });

  test("no value of it is a session or an interaction, whatever the signature", async () => {
    await tryAll(async (value) => {
      if (!isCookieSafe(value)) return false;
      for (const signed of [true, false]) if (!isAsked(await account(value, signed))) return true;
      const resumed = await get(`/oauth/authorize/${encodeURIComponent(value)}`, cookie("grantor_resume", value));
      return resumed.status !== 400 || (await interaction(value)).status !== 400;
    });
    // And a real id without the server's signature is nothing either.
    for (const name of ["grantor_session", "grantor_session.sig"]) {
      const forged = name.endsWith(".sig") ? `; ${name}=${randomBytes(32).toString("base64url")}` : "";
      const answer = await get("/account", cookie("grantor_session", live.secrets.session, false) + forged);
      expect(isAsked(answer)).toBe(true);
    }
  });

  test("no value of it is a pushed request or a user code", async () => {
    const { client, agent } = live;
    let guesses = 0;
    const type = async (userCode: string) => {
      const device = new Agent();
      const [form] = (await device.open(`${grantor.url}/device`)).forms;
      guesses += 1; // each from a network of its own: the throttle would hide what is tested here
      const headers = { "X-Forwarded-For": `198.${guesses >> 8}.${guesses & 255}.1` };
      const body = new URLSearchParams({ ...form?.fields, user_code: userCode });
      const page = await device.open(`${grantor.url}/device`, { method: "POST", headers, body });
      expect(page.status).toBe(200);
      return page.text;
    };
    await tryAll(async (value) => {
      for (const uri of [value, `${REQUEST_URI}${value}`]) {
        const query = new URLSearchParams({ client_id: client.client_id, request_uri: uri });
        const answer = await agent.request(`${grantor.url}/oauth/authorize?${query}`);
        if (answer.status !== 400 && !/error=/.test(answer.headers.get("Location") ?? "")) return true;
      }
      return (await type(value)).includes('name="confirm"');
    });
    expect(await type(live.secrets.userCode)).toContain('name="confirm"');
  });

  test("no value of it is a client secret, a registration token or a link", async () => {
    const { service, registered } = live;
    await tryAll(async (value) => {
      const machine = await post(
        `${grantor.url}/oauth/token`,
        { ...service, client_secret: encodeURIComponent(value) },
        { grant_type: "client_credentials" },
      );
      if (machine.status !== 401) return true;
      if (isHeaderSafe(value)) {
        const headers = { Authorization: `Bearer ${value}`, "Content-Type": "application/json" };
        const body = JSON.stringify({ redirect_uris: ["https://app.example/cb"] });
        if ((await fetch(`${grantor.url}/oauth/register`, { method: "POST", headers, body })).status !== 401) return true;
        if ((await fetch(`${grantor.url}/oauth/register/${registered}`, { headers })).status !== 401) return true;
      }
      for (const page of ["verify-email", "bootstrap"])
        if ((await get(`/${page}?token=${encodeURIComponent(value)}`)).status !== 400) return true;
      return false;
    });
  });

  test("what it was about is still live after all these tries", async () => {
    expect((await userinfo(grantor, live.secrets.accessToken)).status).toBe(200);
    expect((await account(live.secrets.session)).headers.get("Location")).toBeNull();
    expect((await refresh(grantor, live.client, live.secrets.refreshToken)).status).toBe(200);
  });
});

interface Live {
  readonly client: SeededClient;
  readonly device: SeededClient;
  readonly service: SeededClient;
  /** The id of a client that registered itself. */
  readonly registered: string;
  /** Of the code that nobody has redeemed. */
  readonly proof: Pkce;
  /** Signed in. */
  readonly agent: Agent;
  readonly secrets: Record<
    | "accessToken"
    | "refreshToken"
    | "usedRefreshToken"
    | "machineToken"
    | "code"
    | "usedCode"
    | "deviceCode"
    | "userCode"
    | "approvedDeviceCode"
    | "requestUri"
    | "session"
    | "sessionSignature"
    | "interaction"
    | "consentInteraction"
    | "clientSecret"
    | "initialAccessToken"
    | "registrationToken"
    | "registeredSecret"
    | "verificationLink"
    | "bootstrapLink"
    | "password",
    string
  >;
}

/** Something of everything, in the middle of its life. */
async function makeEverything(grantor: Grantor): Promise<Live> {
  const { url, services } = grantor;
  const [client, device, service] = [
    await grantor.client(),
    await grantor.client({ type: "device" }),
    await grantor.client({ type: "service" }),
  ];
  const person = await grantor.person();

  const used = await signIn(grantor, client, person, { parameters: { scope: "openid email" } });
  const next = (await (await refresh(grantor, client, used.tokens.refresh_token as string)).json()) as Tokens;
  const { agent } = used;

  const proof = pkce();
  const end = await authorize(agent, authorizationUrl(url, client, proof, { scope: "openid email" }), person);
  const machine = (await (await post(`${url}/oauth/token`, service, { grant_type: "client_credentials" })).json()) as Tokens;

  const begin = async () => (await (await post(`${url}/oauth/device`, device, { scope: "openid" })).json()) as Record<string, string>;
  const [pending, approved] = [await begin(), await begin()];
  let page = await agent.open(approved.verification_uri_complete as string);
  page = await agent.submit(page, { confirm: "yes" });
  page = await agent.submit(page, { decision: "allow" }, page.forms.length - 1);
  expect(page.status).toBe(200);

  const request = Object.fromEntries(new URL(authorizationUrl(url, client, pkce())).searchParams);
  const pushed = (await (await post(`${url}/oauth/par`, client, request)).json()) as { request_uri: string };

  const stranger = new Agent();
  const signInPage = await stranger.open(authorizationUrl(url, client, pkce()));
  const asked = await agent.open(authorizationUrl(url, await grantor.client(), pkce(), { scope: "openid profile" }));
  expect(asked.text).toContain('name="decision"');

  const initial = await services.registrationTokens.createInitial();
  const registration = await fetch(`${url}/oauth/register`, {
    method: "POST",
    headers: { Authorization: `Bearer ${initial.token}`, "Content-Type": "application/json" },
    body: JSON.stringify({ redirect_uris: ["https://app.example/cb"], client_name: "Registered" }),
  });
  const registered = (await registration.json()) as Record<string, string>;
  expect(registration.status).toBe(201);

  const newcomer = new Agent();
  const form = await newcomer.open(`${url}/sign-up`);
  await newcomer.submit(form, { email: "newcomer@example.org", password: "a long enough password", name: "New Comer" });
  const outbox = join(grantor.server.dataDir, "outbox");
  const mail = await waitFor("the mail", () => {
    const texts = readdirSync(outbox).map((file) => readFileSync(join(outbox, file), "utf8"));
    return texts.find((text) => text.includes("verify-email?token="));
  });
  const link = (text: string) => /token=([\w-]+)/.exec(text)?.[1] as string;

  return {
    client,
    device,
    service,
    registered: registered.client_id as string,
    proof,
    agent,
    secrets: {
      accessToken: next.access_token,
      refreshToken: next.refresh_token as string,
      usedRefreshToken: used.tokens.refresh_token as string,
      machineToken: machine.access_token,
      code: new URL(end.url).searchParams.get("code") as string,
      usedCode: used.code,
      deviceCode: pending.device_code as string,
      userCode: pending.user_code as string,
      approvedDeviceCode: approved.device_code as string,
      requestUri: pushed.request_uri.slice(REQUEST_URI.length),
      session: agent.cookiesFor(`${url}/`).grantor_session as string,
      sessionSignature: agent.cookiesFor(`${url}/`)["grantor_session.sig"] as string,
      interaction: new URL(signInPage.url).pathname.split("/").at(-1) as string,
      consentInteraction: new URL(asked.url).pathname.split("/").at(-1) as string,
      clientSecret: client.client_secret as string,
      initialAccessToken: initial.token,
      registrationToken: registered.registration_access_token as string,
      registeredSecret: registered.client_secret as string,
      verificationLink: link(mail),
      bootstrapLink: link(grantor.server.logs()),
      password: person.password,
    },
  };
}

async function dumpDatabase(url: string): Promise<string[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const { rows: tables } = await client.query<{ name: string }>(
    "SELECT quote_ident(tablename) AS name FROM pg_tables WHERE schemaname = 'public'",
  );
  const values: string[] = [];
  for (const { name } of tables) {
    const { rows } = await client.query<{ row: Record<string, unknown> }>(`SELECT to_jsonb(t) AS row FROM ${name} AS t`);
    for (const { row } of rows)
      for (const value of Object.values(row)) values.push(typeof value === "string" ? value : JSON.stringify(value));
  }
  await client.end();
  return values;
}

async function dumpRedis(url: string | undefined): Promise<string[]> {
  if (url === undefined) return [];
  const redis = connectRedis(url, pino({ level: "silent" })) as Redis;
  const values: string[] = [];
  for (const key of await allKeys(redis)) {
    const type = await redis.type(key);
    values.push(key);
    if (type === "string") values.push((await redis.get(key)) as string);
    else if (type === "zset") values.push(...(await redis.zrange(key, "0", "-1")));
    else throw new Error(`${key} is a ${type}: dump that too`);
  }
  redis.disconnect();
  return values;
}

/** The value itself, what remains without a record's marker, and whatever stands between punctuation. Of bits, such as a status list's, what is text. */
function partsOf(value: string): string[] {
  if (value.includes("\0")) return (value.match(/[\x20-\x7e]+/g) ?? []).flatMap(partsOf);
  const unmarked = /^\d{10}\{/.test(value) ? value.slice(10) : value;
  return [value, unmarked, ...unmarked.split(/[\s"'{}[\],:]+/), ...unmarked.split(/[\s"'{}[\],:.;=$/]+/)];
}

/** Words, dates and addresses, of which there are many and which nobody takes for a credential. */
const isPlain = (part: string): boolean => /^(?:[a-z]+(?:[_ .-][a-z]+)*|[\d.:TZ+-]+|https?:.*|.*@example\.org)$/.test(part);

const isHeaderSafe = (value: string): boolean => /^[\x21-\x7e]+$/.test(value);
const isCookieSafe = (value: string): boolean => /^[\w.~:/+=$*!-]+$/.test(value);
