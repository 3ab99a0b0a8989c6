/** A running Grantor with people and applications in it, for flow tests: everything after the seeds happens over HTTP. */
import { createHash, randomBytes } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { NewClient } from "../../src/clients/client-store.ts";
import type { ResourceInput } from "../../src/clients/resource-input.ts";
import { loadConfig } from "../../src/config.ts";
import { createLogger } from "../../src/observability/logger.ts";
import { openServices, type Services } from "../../src/open-services.ts";
import { loadSecrets } from "../../src/secrets.ts";
import { createTransfer } from "../../src/transfer/transfer.ts";
import { Agent, type Page } from "./agent.ts";
import { ANSWERING, keepInStep } from "./in-step.ts";
import { noteSecret } from "./secrets-watch.ts";
import { startServer, type TestServer } from "./server.ts";
import type { Stores } from "./stores.ts";

const PASSWORD = "correct horse battery staple";

export interface SeededClient {
  client_id: string;
  client_secret?: string;
  redirect_uri: string;
}

export interface Person {
  id: string;
  email: string;
  password: string;
}

export interface Grantor {
  readonly url: string;
  readonly server: TestServer;
  /** Of the same stores: for seeds, and to look into them. What they change, the server has heard of. */
  readonly services: Services;
  /** Resolves once they have heard what the server has changed so far. */
  inStep(): Promise<void>;
  person(options?: { roles?: string[]; name?: string }): Promise<Person>;
  client(options?: Partial<NewClient>): Promise<SeededClient>;
  resource(audience: string, input: ResourceInput): Promise<void>;
  /** What it keeps for others to read: the audit log, an export, and its mails. */
  kept(): Promise<{ audit: string; exported: string; mails: string }>;
  [Symbol.asyncDispose](): Promise<void>;
}

const REDIRECT_URI = "https://app.example/callback";

export interface GrantorOptions {
  nodeArgs?: readonly string[];
  /** `false`: the server is nothing but the program, as whoever measures it wants it. */
  answering?: false;
}

export async function startGrantor(stores: Stores, env: Record<string, string> = {}, options: GrantorOptions = {}): Promise<Grantor> {
  const { nodeArgs = [], answering = true } = options;
  const server = await startServer({ env: { ...stores.env, ...env }, nodeArgs: [...nodeArgs, ...(answering ? ANSWERING : [])] });
  const config = loadConfig(server.env);
  const secrets = await loadSecrets(config, server.env);
  const services = await openServices(config, secrets, createLogger({ logLevel: "silent" }));
  const inStep = answering ? keepInStep(services.feed, config.workers) : async () => {};
  return {
    url: server.url,
    server,
    services,
    inStep,
    async person({ roles = [], name = "Ada Lovelace" } = {}) {
      const email = `person-${randomBytes(6).toString("hex")}@example.org`;
      const passwordHash = await services.people.passwords.hash(PASSWORD);
      const { id } = await services.people.accounts.create({ email, emailVerified: true, name, roles, passwordHash });
      noteSecret(PASSWORD, "password");
      return { id, email, password: PASSWORD };
    },
    async client(options = {}) {
      const { metadata, ...rest } = options;
      const type = rest.type ?? "web";
      const redirects = type === "service" || type === "device" ? {} : { redirect_uris: [REDIRECT_URI] };
      const { client, secret } = await services.clients.create({
        type,
        ...rest,
        metadata: { client_name: "Test application", ...redirects, ...metadata },
      });
      noteSecret(secret, "client_secret");
      const redirect_uri = client.metadata.redirect_uris[0] ?? REDIRECT_URI;
      return { client_id: client.clientId, redirect_uri, ...(secret !== undefined && { client_secret: secret }) };
    },
    async resource(audience, input) {
      await services.resources.create(audience, input);
    },
    async kept() {
      const { rows } = await services.database.pool.query(
        "SELECT event, actor, account_id, client_id, request_id, detail FROM audit_event",
      );
      const { database, feed, endings } = services;
      const lines: string[] = [];
      const transfer = createTransfer({ config, secrets, database, feed, endings: async () => endings, tellOwner: async () => {} });
      await transfer.export({}, async (written) => void lines.push(written));
      const outbox = join(server.dataDir, "outbox");
      const mails = existsSync(outbox) ? readdirSync(outbox).map((file) => readFileSync(join(outbox, file), "utf8")) : [];
      return { audit: JSON.stringify(rows), exported: lines.join(""), mails: mails.join("\n") };
    },
    async [Symbol.asyncDispose]() {
      await services.close();
      await server[Symbol.asyncDispose]();
    },
  };
}

export interface Pkce {
  verifier: string;
  challenge: string;
}

export function pkce(): Pkce {
  const verifier = randomBytes(32).toString("base64url");
  return { verifier, challenge: createHash("sha256").update(verifier).digest("base64url") };
}

export function authorizationUrl(issuer: string, client: SeededClient, proof: Pkce, parameters: Record<string, string> = {}): string {
  const query = new URLSearchParams({
    client_id: client.client_id,
    redirect_uri: client.redirect_uri,
    response_type: "code",
    scope: "openid",
    state: "the-state",
    code_challenge: proof.challenge,
    code_challenge_method: "S256",
    ...parameters,
  });
  return `${issuer}/oauth/authorize?${query}`;
}

/** Opens an authorization URL and goes through sign-in and consent, whatever is asked. @returns the page that it ends at */
export async function authorize(agent: Agent, url: string, person: Person, decision = "allow"): Promise<Page> {
  let page = await agent.open(url);
  for (let steps = 0; page.status === 200 && steps < 4; steps++) {
    const consentForm = page.forms.findIndex(({ fields }) => !("email" in fields) && page.text.includes('name="decision"'));
    if (page.text.includes('name="password"'))
      page = await agent.proceed(await agent.submit(page, { email: person.email, password: person.password }));
    else if (consentForm !== -1) page = await agent.submit(page, { decision }, page.forms.length - 1);
    else break;
  }
  return page;
}

export interface Tokens {
  access_token: string;
  refresh_token?: string;
  id_token?: string;
  scope?: string;
  expires_in: number;
  token_type: string;
}

/** A form post to an endpoint, with the client's authentication; pairs where a parameter is given twice. */
export async function post(
  url: string,
  client: SeededClient,
  parameters: Record<string, string> | [string, string][],
  headers: Record<string, string> = {},
): Promise<Response> {
  const body = new URLSearchParams(parameters);
  const basic =
    client.client_secret === undefined ? undefined : Buffer.from(`${client.client_id}:${client.client_secret}`).toString("base64");
  if (basic === undefined) body.set("client_id", client.client_id);
  return fetch(url, {
    method: "POST",
    body,
    headers: { Accept: "application/json", ...headers, ...(basic && { Authorization: `Basic ${basic}` }) },
  });
}

/** Signs a person in at a client and redeems the code. */
export async function signIn(
  grantor: Pick<Grantor, "url">,
  client: SeededClient,
  person: Person,
  options: { agent?: Agent; parameters?: Record<string, string> } = {},
): Promise<{ agent: Agent; code: string; proof: Pkce; tokens: Tokens }> {
  const { agent = new Agent(), parameters = {} } = options;
  const proof = pkce();
  const end = await authorize(agent, authorizationUrl(grantor.url, client, proof, parameters), person);
  const code = new URL(end.url).searchParams.get("code");
  if (code === null) throw new Error(`no code at ${end.url}: ${end.status}\n${end.text}`);
  const response = await redeem(grantor, client, code, proof);
  if (response.status !== 200) throw new Error(`token endpoint: ${response.status} ${await response.text()}`);
  return { agent, code, proof, tokens: (await response.json()) as Tokens };
}

/** An answer as tests compare it: its status, and what its JSON says. */
export async function answerOf(response: Response | Promise<Response>): Promise<{ status: number; body: Record<string, unknown> }> {
  const { status } = await response;
  const text = await (await response).text();
  return { status, body: text === "" ? {} : (JSON.parse(text) as Record<string, unknown>) };
}

export const redeem = (grantor: Pick<Grantor, "url">, client: SeededClient, code: string, proof: Pkce): Promise<Response> =>
  post(`${grantor.url}/oauth/token`, client, {
    grant_type: "authorization_code",
    code,
    redirect_uri: client.redirect_uri,
    code_verifier: proof.verifier,
  });

export const refresh = (
  grantor: Pick<Grantor, "url">,
  client: SeededClient,
  refreshToken: string,
  parameters: Record<string, string> = {},
): Promise<Response> =>
  post(`${grantor.url}/oauth/token`, client, { grant_type: "refresh_token", refresh_token: refreshToken, ...parameters });

export const introspect = async (grantor: Pick<Grantor, "url">, client: SeededClient, token: string): Promise<Record<string, unknown>> =>
  (await (await post(`${grantor.url}/oauth/introspect`, client, { token })).json()) as Record<string, unknown>;

export const userinfo = (grantor: Pick<Grantor, "url">, accessToken: string): Promise<Response> =>
  fetch(`${grantor.url}/oauth/userinfo`, { headers: { Authorization: `Bearer ${accessToken}` } });
