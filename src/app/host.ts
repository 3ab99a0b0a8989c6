/** What every answer needs, whoever gives it: the request's context, headers, errors, forms, pages, health. */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Context, Middleware } from "koa";
import type { Config } from "../config.ts";
import { loadAssets } from "../http/assets.ts";
import { PreparedKeygrip } from "../http/cookies.ts";
import { handleErrors } from "../http/errors.ts";
import { createForms, type Forms } from "../http/forms.ts";
import { keepLanguage } from "../http/language.ts";
import { createRenderer, type Render } from "../http/rendering.ts";
import { requestContext } from "../http/request-context.ts";
import { securityHeaders } from "../http/security-headers.ts";
import { Health } from "../observability/health.ts";
import type { Logger } from "../observability/logger.ts";
import type { Services } from "../open-services.ts";
import { deriveKeys, type Secrets } from "../secrets.ts";

const VIEWS = fileURLToPath(new URL("../../views/", import.meta.url));

export interface Host {
  readonly cookieKeys: PreparedKeygrip;
  readonly assets: ReturnType<typeof loadAssets>;
  readonly forms: Forms;
  readonly render: Render;
  readonly health: Health;
  /** Comes first, on the engine's application and on ours. */
  readonly middleware: readonly Middleware[];
  /** Of a request, for the audit. */
  facts(ctx: Context): { address: string; requestId: string };
}

export function createHost(config: Config, secrets: Secrets, services: Services, log: Logger): Host {
  const { issuer, https } = config;
  const cookieKeys = new PreparedKeygrip(deriveKeys(secrets, "grantor/cookies"));
  const assets = loadAssets(
    [VIEWS, ...(config.viewsDir === undefined ? [] : [config.viewsDir])].map((views) => join(views, "assets")),
    config.brand.logo,
  );
  const forms = createForms({ issuer, https, keys: deriveKeys(secrets, "grantor/forms") });
  const render = createRenderer({ views: VIEWS, overrides: config.viewsDir, issuer, brand: config.brand, assets, csrfToken: forms.token });
  const health = new Health({
    onChange: (name, state, reason) => log[state === "up" ? "info" : "error"]({ err: reason }, `${name} is ${state}`),
  });
  health.register("database", () => services.database.pool.query("SELECT 1"));
  health.register("sessions", () => services.records.ping());

  const middleware = [
    requestContext({ log, trustProxy: config.trustProxy, onAnswered: services.metrics.requestAnswered }),
    securityHeaders({ https }),
    handleErrors(render),
    keepLanguage(issuer),
  ];
  const facts = (ctx: Context) => ({ address: ctx.state.client.address, requestId: ctx.state.requestId });
  return { cookieKeys, assets, forms, render, health, middleware, facts };
}
