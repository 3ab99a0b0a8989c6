/** What is measured: Grantor on its stores, and the bare engine. Each is a process of its own, prepared with signed-in browsers and tokens. */
import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { Agent } from "../test/support/agent.ts";
import { authorizationUrl, pkce, post, type SeededClient, signIn, startGrantor, type Tokens } from "../test/support/grantor.ts";
import { freePort } from "../test/support/ports.ts";
import { startPostgres } from "../test/support/postgres.ts";
import { startRedis } from "../test/support/redis.ts";
import { TEST_SECRET_KEY } from "../test/support/secret-key.ts";
import { Gauges } from "./gauges.ts";
import type { Prepared } from "./scenarios.ts";

export interface Target {
  name: string;
  scenarios: readonly string[];
  prepared: Prepared;
  gauges: Gauges;
  close(): Promise<void>;
}

const ALL = ["code flow", "refresh", "client credentials", "introspection", "userinfo", "jwks"] as const;

export async function grantorTarget(store: "redis" | "database", users: number): Promise<Target> {
  const postgres = await startPostgres();
  const databaseUrl = await postgres.fresh();
  const redis = store === "redis" ? await startRedis() : undefined;
  const env = { DATABASE_URL: databaseUrl, SECRET_KEY: TEST_SECRET_KEY, LOG_LEVEL: "warn", ...(redis && { REDIS_URL: redis.url }) };
  const backing = { databaseUrl, redisUrl: redis?.url, env, close: async () => {}, [Symbol.asyncDispose]: async () => {} };
  const grantor = await startGrantor(backing, {}, { nodeArgs: nodeArgs(), answering: false });
  const web = await grantor.client();
  const service = await grantor.client({ type: "service" });
  const prepared = await prepare(grantor.url, web, service, users, async () =>
    signIn(grantor, web, await grantor.person(), { parameters: { scope: "openid email" } }),
  );
  const gauges = await Gauges.open(grantor.server.process.pid, { redisUrl: redis?.url, databaseUrl });
  return {
    name: store === "redis" ? "Grantor on Redis" : "Grantor on PostgreSQL alone",
    scenarios: ALL,
    prepared,
    gauges,
    async close() {
      await gauges.close();
      await grantor[Symbol.asyncDispose]();
      await redis?.stop();
      await postgres.stop();
    },
  };
}

export async function bareEngineTarget(users: number): Promise<Target> {
  const port = await freePort();
  const child = fork(fileURLToPath(new URL("bare-engine.ts", import.meta.url)), {
    env: { ...process.env, PORT: String(port) },
    stdio: ["ignore", "ignore", "inherit", "ipc"],
    execArgv: nodeArgs(),
  });
  await once(child, "message");
  const url = `http://localhost:${port}`;
  const client = (id: string): SeededClient => ({
    client_id: id,
    client_secret: `${id}-secret`,
    redirect_uri: "https://app.example/callback",
  });
  const web = client("web");
  const prepared = await prepare(url, web, client("service"), users, async () => {
    const agent = new Agent();
    const proof = pkce();
    const engineUrl = authorizationUrl(url, web, proof, { scope: "openid email" }).replace("/oauth/authorize", "/auth");
    const end = await agent.open(engineUrl);
    const code = new URL(end.url).searchParams.get("code") as string;
    const parameters = { grant_type: "authorization_code", code, redirect_uri: web.redirect_uri, code_verifier: proof.verifier };
    return { agent, tokens: (await (await post(`${url}/token`, web, parameters)).json()) as Tokens };
  });
  const gauges = await Gauges.open(child.pid as number);
  return {
    name: "bare engine, in memory",
    scenarios: ["code flow", "refresh", "client credentials", "jwks"],
    prepared: { ...prepared, paths: { authorize: "/auth", token: "/token", jwks: "/jwks" } },
    gauges,
    async close() {
      await gauges.close();
      child.kill();
      await once(child, "exit");
    },
  };
}

/** For profiles: BENCH_NODE_ARGS="--cpu-prof --cpu-prof-dir=/tmp/profiles". */
const nodeArgs = (): string[] => (process.env.BENCH_NODE_ARGS ?? "").split(" ").filter(Boolean);

async function prepare(
  url: string,
  web: SeededClient,
  service: SeededClient,
  users: number,
  signInOnce: () => Promise<{ agent: Agent; tokens: Tokens }>,
): Promise<Prepared> {
  const signedIn: { agent: Agent; tokens: Tokens }[] = [];
  for (let i = 0; i < users; i++) signedIn.push(await signInOnce());
  return {
    url,
    paths: { authorize: "/oauth/authorize", token: "/oauth/token", jwks: "/.well-known/jwks.json" },
    web: { id: web.client_id, secret: web.client_secret ?? "", redirectUri: web.redirect_uri },
    service: { id: service.client_id, secret: service.client_secret ?? "" },
    cookies: signedIn.map(({ agent }) =>
      Object.entries(agent.cookiesFor(`${url}/`))
        .map(([name, value]) => `${name}=${value}`)
        .join("; "),
    ),
    refreshTokens: signedIn.map(({ tokens }) => tokens.refresh_token ?? ""),
    accessToken: signedIn[0]?.tokens.access_token ?? "",
  };
}
