/**
 * Everything that hangs on one person's sign-ins, and on one application, set up once for each event that ends some of it: what of it is
 * alive is asked of any server, by introspection, by the status list and by use.
 */
import { getListFromStatusListJWT } from "@sd-jwt/jwt-status-list";
import { decodeJwt } from "jose";
import { Agent, type Page } from "./agent.ts";
import {
  authorizationUrl,
  authorize,
  type Grantor,
  type Person,
  pkce,
  post,
  redeem,
  refresh,
  type SeededClient,
  type Tokens,
} from "./grantor.ts";

const API = "https://api.example";
const STOCK = "https://stock.example";
const DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code";
const EXCHANGE = {
  grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
  subject_token_type: "urn:ietf:params:oauth:token-type:access_token",
};

/** What docs/revocation.md has a column for, in its order. */
export const COLUMNS = [
  "token",
  "sign-in",
  "refresh",
  "exchanged",
  "session",
  "other apps",
  "offline",
  "device",
  "elsewhere",
  "other sessions",
  "other people",
  "own",
] as const;
export type Column = (typeof COLUMNS)[number];

export type State = "alive" | "ended";

export interface Landscape {
  readonly person: Person;
  readonly stranger: Person;
  /** The application that events happen to. */
  readonly app: SeededClient;
  /** Has offline access in the same session. */
  readonly offlineApp: SeededClient;
  /** The browser that the sign-in happened in. */
  readonly browser: Agent;
  /** Another browser of the person. */
  readonly phone: Agent;
  /** Of the sign-in: its code with the proof, its first access token, the refresh token that was used, the one that is good. */
  readonly code: string;
  readonly proof: ReturnType<typeof pkce>;
  readonly accessToken: string;
  readonly usedRefreshToken: string;
  readonly refreshToken: string;
  /** An access token for a resource, for when only those are asked for. */
  readonly resourceToken: string;
  /** What every column is, asked of a server; refresh tokens are used up by it. "ended (…)" says what does not agree with the rest. */
  look(at: { url: string }): Promise<Record<Column, string>>;
}

/** The world in which landscapes lie: resources, and a resource server that introspects and exchanges tokens. */
export async function prepareWorld(grantor: Grantor): Promise<SeededClient> {
  await grantor.resource(API, { scopes: ["api:read"] });
  await grantor.resource(STOCK, { scopes: ["stock:read"] });
  const monitor = await grantor.client({
    type: "service",
    metadata: { scope: "stock:read" },
    tokenExchange: { audiences: [STOCK], scopes: { "api:read": ["stock:read"] }, impersonation: false },
  });
  for (const audience of [API, STOCK]) await grantor.services.resources.update(audience, { introspectors: [monitor.client_id] });
  return monitor;
}

export class NoStatusList extends Error {
  readonly status: number;
  constructor(status: number, body: string) {
    super(`status list: ${status} ${body}`);
    this.status = status;
  }
}

/** Whether the bit of an access token is set, in the list that a server gives out. @throws {NoStatusList} */
export async function isRevoked(at: { url: string }, token: string): Promise<boolean> {
  const { idx, uri } = (decodeJwt(token).status as { status_list: { idx: number; uri: string } }).status_list;
  const response = await fetch(at.url + new URL(uri).pathname);
  if (response.status !== 200) throw new NoStatusList(response.status, await response.text());
  const jwt = await response.text();
  if (newest.jwt !== jwt) newest = { jwt, list: getListFromStatusListJWT(jwt) };
  return newest.list?.getStatus(idx) === 1;
}

/** The library makes a million numbers of each list that it reads. */
let newest: { jwt: string; list?: ReturnType<typeof getListFromStatusListJWT> } = { jwt: "" };

async function introspected(at: { url: string }, as: SeededClient, token: string): Promise<boolean> {
  const response = await post(`${at.url}/oauth/introspect`, as, { token });
  if (response.status !== 200) throw new Error(`introspection: ${response.status} ${await response.text()}`);
  return ((await response.json()) as { active: boolean }).active;
}

export async function settle(grantor: Grantor, monitor: SeededClient): Promise<Landscape> {
  const { url } = grantor;
  const [person, stranger] = await Promise.all([grantor.person(), grantor.person()]);
  const app = await grantor.client({
    metadata: { scope: "openid api:read", grant_types: ["authorization_code", "refresh_token", "client_credentials"] },
  });
  const firstParty = (scope: string) => grantor.client({ firstParty: true, metadata: { scope } });
  const [otherApp, offlineApp] = [await firstParty("openid api:read"), await firstParty("openid api:read offline_access")];
  const deviceApp = await grantor.client({ type: "device", metadata: { scope: "openid api:read" } });

  const signIn = async (agent: Agent, client: SeededClient, who: Person, parameters: Record<string, string> = {}) => {
    const proof = pkce();
    const asked = { scope: "openid api:read", resource: API, ...parameters };
    const { url: end, status, text } = await authorize(agent, authorizationUrl(url, client, proof, asked), who);
    const code = new URL(end).searchParams.get("code");
    if (code === null) throw new Error(`no code at ${end}: ${status}\n${text}`);
    return { code, proof, ...(await tokensOf(redeem(grantor, client, code, proof))) };
  };
  const both = (target: string) => `${target}&${new URLSearchParams({ resource: API })}`;

  // The sign-in: a token for userinfo by the code, one for the API by the refresh token.
  const [browser, phone] = [new Agent(), new Agent()];
  const proof = pkce();
  const start = both(authorizationUrl(url, app, proof, { scope: "openid api:read", resource: url }));
  const code = new URL((await authorize(browser, start, person)).url).searchParams.get("code") ?? "";
  const first = await tokensOf(redeem(grantor, app, code, proof));
  const second = await tokensOf(refresh(grantor, app, first.refresh_token, { resource: API }));
  const exchanged = await tokensOf(
    post(`${url}/oauth/token`, monitor, { ...EXCHANGE, subject_token: second.access_token, audience: STOCK, scope: "stock:read" }),
  );

  const [elsewhere, strangers, own] = await Promise.all([
    signIn(phone, app, person),
    signIn(new Agent(), app, stranger),
    tokensOf(post(`${url}/oauth/token`, app, { grant_type: "client_credentials", scope: "api:read", resource: API })),
  ]);
  const other = await signIn(browser, otherApp, person);
  const bound = await signIn(browser, offlineApp, person);
  const offline = await signIn(browser, offlineApp, person, { scope: "openid api:read offline_access", prompt: "consent" });
  const device = await connectDevice(url, deviceApp, browser, person);

  /** Alive, or ended; what is one by the record and the other by the bit is neither. */
  const access = async (at: { url: string }, token: string): Promise<string> => {
    const forUserinfo = decodeJwt(token).aud === url;
    const works = forUserinfo
      ? (await fetch(`${at.url}/oauth/userinfo`, { headers: { Authorization: `Bearer ${token}` } })).status === 200
      : await introspected(at, monitor, token);
    const revoked = await isRevoked(at, token);
    if (works === revoked) return works ? "alive (but its bit is set)" : "ended (but its bit is not set)";
    return works ? "alive" : "ended";
  };
  const family = async (at: { url: string }, client: SeededClient, token: string): Promise<string> => {
    const { status } = await refresh(at, client, token);
    if (status === 200) return "alive";
    return status < 500 ? "ended" : `error (${status})`;
  };
  /** Under the id that it had, or under one that it has got since; whose the browser is by then says the page. */
  const session = async (at: { url: string }, agents: readonly Agent[]): Promise<string> => {
    const pages = await Promise.all(agents.map(async (agent) => (await agent.request(`${at.url}/account`)).text()));
    return pages.some((page) => page.includes(person.email)) ? "alive" : "ended";
  };
  const [browsers, phones] = [
    [browser, copyOf(browser, url)],
    [phone, copyOf(phone, url)],
  ];

  return {
    person,
    stranger,
    app,
    offlineApp,
    browser,
    phone,
    code,
    proof,
    accessToken: first.access_token,
    usedRefreshToken: first.refresh_token,
    refreshToken: second.refresh_token,
    resourceToken: second.access_token,
    async look(at) {
      const seen: Record<Column, Promise<string>[]> = {
        token: [access(at, first.access_token)],
        "sign-in": [access(at, second.access_token)],
        refresh: [],
        exchanged: [access(at, exchanged.access_token)],
        session: [session(at, browsers)],
        "other apps": [access(at, other.access_token), access(at, bound.access_token)],
        offline: [access(at, offline.access_token)],
        device: [access(at, device.access_token)],
        elsewhere: [access(at, elsewhere.access_token)],
        "other sessions": [session(at, phones)],
        "other people": [access(at, strangers.access_token)],
        own: [access(at, own.access_token)],
      };
      await Promise.all(Object.values(seen).flat());
      seen.refresh.push(family(at, app, second.refresh_token));
      seen["other apps"].push(family(at, otherApp, other.refresh_token), family(at, offlineApp, bound.refresh_token));
      seen.offline.push(family(at, offlineApp, offline.refresh_token));
      seen.device.push(family(at, deviceApp, device.refresh_token));
      seen.elsewhere.push(family(at, app, elsewhere.refresh_token));
      seen["other people"].push(family(at, app, strangers.refresh_token));
      const answers = await Promise.all(
        COLUMNS.map(async (column) => [column, [...new Set(await Promise.all(seen[column]))].join(" and ")] as const),
      );
      return Object.fromEntries(answers) as Record<Column, string>;
    },
  };
}

type WithRefresh = Tokens & { refresh_token: string };

async function tokensOf(response: Promise<Response>): Promise<WithRefresh> {
  const answer = await response;
  if (answer.status !== 200) throw new Error(`token endpoint: ${answer.status} ${await answer.text()}`);
  return (await answer.json()) as WithRefresh;
}

async function connectDevice(url: string, client: SeededClient, agent: Agent, person: Person): Promise<WithRefresh> {
  const begun = await post(`${url}/oauth/device`, client, { scope: "openid api:read", resource: API });
  const { user_code, device_code } = (await begun.json()) as { user_code: string; device_code: string };
  const confirmed = await agent.submit(await agent.open(`${url}/device`), { user_code });
  let page: Page = await agent.submit(confirmed, { confirm: "yes" });
  if (page.text.includes('name="password"')) page = await agent.submit(page, { email: person.email, password: person.password });
  if (page.text.includes('name="decision"')) page = await agent.submit(page, { decision: "allow" }, page.forms.length - 1);
  return tokensOf(post(`${url}/oauth/token`, client, { grant_type: DEVICE_GRANT, device_code }));
}

function copyOf(agent: Agent, url: string): Agent {
  const copy = new Agent();
  for (const [name, value] of Object.entries(agent.cookiesFor(`${url}/`))) copy.setCookie(name, value);
  return copy;
}
