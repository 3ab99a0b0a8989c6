/**
 * `npm run demo`: the server with an account and an application in it, an example relying party and an example resource server, all in this
 * one process, so that nothing is left behind however it ends. For one's own machine alone. RP_PORT and API_PORT move the examples.
 */
import { once } from "node:events";
import type { Server } from "node:http";
import type Koa from "koa";
import { ConfigError, loadConfig, readEnvironment } from "../src/config.ts";
import { createLogger } from "../src/observability/logger.ts";
import { openServices } from "../src/open-services.ts";
import { loadSecrets } from "../src/secrets.ts";
import { serve } from "../src/server.ts";
import { type DemoAddresses, type DemoSeeds, seedDemo } from "./demo-seeds.ts";
import { createRelyingParty } from "./relying-party/app.ts";
import { createResourceServer } from "./resource-server/app.ts";

const stopping = new AbortController();
for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, () => stopping.abort());

try {
  await runDemo(readEnvironment(), stopping.signal);
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}

/** Until the signal aborts. */
async function runDemo(given: NodeJS.ProcessEnv, signal: AbortSignal): Promise<void> {
  const { RP_PORT = "3001", API_PORT = "3002" } = given;
  const addresses = { app: `http://localhost:${RP_PORT}`, api: `http://localhost:${API_PORT}` };
  // The server tells the relying party of sign-outs: on this machine, which it would otherwise refuse to reach.
  const allowed = [given.FETCH_ALLOW, `localhost:${RP_PORT}`].filter(Boolean).join(",");
  const env = { LOG_LEVEL: "warn", ...given, FETCH_ALLOW: allowed };
  const config = loadConfig(env);
  // Its login is printed, and its account administers the server.
  if (!config.loopback) throw new ConfigError(["ISSUER: unset it, or set a loopback address: the demo is for your own machine alone"]);
  const secrets = await loadSecrets(config, env);
  const log = createLogger(config);
  const { issuer } = config;

  const services = await openServices(config, secrets, log);
  const examples: Server[] = [];
  try {
    const seeds = await seedDemo(services, config, addresses);
    examples.push(
      await listen(createRelyingParty({ url: addresses.app, issuer, ...seeds.client, api: addresses.api }), "RP_PORT", RP_PORT),
    );
    examples.push(await listen(createResourceServer({ issuer, audience: addresses.api }), "API_PORT", API_PORT));
    await serve(config, secrets, log, signal, () => process.stdout.write(greeting(issuer, addresses, seeds)));
  } finally {
    for (const example of examples) example.close();
    for (const example of examples) example.closeAllConnections();
    await services.close();
    log.flush();
  }
}

async function listen(app: Koa, variable: string, port: string): Promise<Server> {
  const server = app.listen(Number(port), "127.0.0.1");
  await once(server, "listening").catch((error: NodeJS.ErrnoException) => {
    throw error.code === "EADDRINUSE"
      ? new Error(`Port ${port} is in use. Stop what listens there, or set ${variable} to another one.`)
      : error;
  });
  return server;
}

function greeting(issuer: string, { app, api }: DemoAddresses, { login }: DemoSeeds): string {
  return `
  Open the example application and sign in:

    Example application      ${app}
      E-mail address         ${login.email}
      Password               ${login.password}

    Grantor                  ${issuer}
    Example resource server  ${api}

  Ctrl-C ends all three.

`;
}
