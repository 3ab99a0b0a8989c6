/**
 * The composition root: joins services, engine, pages and host into one request handler. It and `app/` alone know every room.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { openPlaces } from "./accounts/places.ts";
import { createEngine } from "./app/engine.ts";
import { observeServices } from "./app/gauges.ts";
import { createHost } from "./app/host.ts";
import { createSite } from "./app/site.ts";
import type { Config } from "./config.ts";
import type { Health } from "./observability/health.ts";
import type { Logger } from "./observability/logger.ts";
import { isEnginePath } from "./oidc/paths.ts";
import type { Services } from "./open-services.ts";
import type { Secrets } from "./secrets.ts";

export interface App {
  handle(request: IncomingMessage, response: ServerResponse): void;
  readonly health: Health;
}

export async function createApp(config: Config, secrets: Secrets, services: Services, log: Logger): Promise<App> {
  const host = createHost(config, secrets, services, log);
  const engine = createEngine(config, secrets, services, host, log);
  const placeOf = await openPlaces(config.geoipFile, log);
  observeServices(services);
  const site = createSite(config, secrets, services, host, engine, placeOf, log);

  const resting = await services.passkeys.countElsewhere();
  if (resting > 0) {
    const message = "passkeys were made for another host name than ISSUER has: they do not work until it has that one again";
    log.warn({ passkeys: resting, host: new URL(config.issuer).hostname }, message);
  }

  return {
    health: host.health,
    handle(request, response) {
      const target = targetOf(request.url ?? "/");
      if (target === undefined) return refuseTarget(response);
      request.url = target;
      if (isEnginePath(target.split("?", 1)[0] as string)) engine.handle(request, response);
      else site(request, response);
    },
  };
}

/** Path and query of a request target, which may also be a whole URL (RFC 9112 §3.2); `undefined` for what is neither. */
function targetOf(target: string): string | undefined {
  if (target.startsWith("/") || target === "*") return target;
  if (!URL.canParse(target)) return undefined;
  const { pathname, search } = new URL(target);
  return pathname + search;
}

/** Koa cannot even begin a request to such a target. */
function refuseTarget(response: ServerResponse): void {
  const body = JSON.stringify({ error: "invalid_request", error_description: "The request's target is no path and no URL." });
  const headers = { "Content-Type": "application/json; charset=utf-8", "Content-Length": body.length, "Cache-Control": "no-store" };
  response.writeHead(400, { ...headers, Connection: "close" }).end(body);
}
