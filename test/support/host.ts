/** A small Koa application with the host's middleware, for tests of that middleware over real HTTP. */
import { createServer, type IncomingMessage, request } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import Koa, { type Middleware } from "koa";
import { type Assets, loadAssets } from "../../src/http/assets.ts";
import { PreparedKeygrip } from "../../src/http/cookies.ts";
import { handleErrors } from "../../src/http/errors.ts";
import { createForms, type Forms } from "../../src/http/forms.ts";
import type { Render } from "../../src/http/pages.ts";
import { pinIssuer } from "../../src/http/pin-issuer.ts";
import { type Brand, createRenderer } from "../../src/http/rendering.ts";
import { requestContext } from "../../src/http/request-context.ts";
import { securityHeaders } from "../../src/http/security-headers.ts";
import { createLogger } from "../../src/observability/logger.ts";

const views = fileURLToPath(new URL("../../views", import.meta.url));

export interface Answer {
  status: number;
  headers: IncomingMessage["headers"];
  text: string;
}

export interface Host {
  app: Koa;
  assets: Assets;
  forms: Forms;
  render: Render;
  port: number;
  url: string;
  /** The log's lines so far. */
  lines: Record<string, unknown>[];
  send(path: string, options?: { method?: string; headers?: Record<string, string>; body?: string | Buffer }): Promise<Answer>;
  close(): Promise<void>;
}

export interface HostOptions {
  issuer?: string;
  trustProxy?: readonly string[];
  brand?: Brand;
  /** The path of an image. */
  logo?: string;
  /** A directory with templates, and with `assets`. */
  overrides?: string;
  /** What comes after the host's own middleware. */
  routes: (host: { render: Render; forms: Forms; assets: Assets }) => Middleware[];
}

export async function startHost(options: HostOptions): Promise<Host> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const issuer = options.issuer ?? `http://127.0.0.1:${port}`;
  const https = issuer.startsWith("https:");

  const lines: Record<string, unknown>[] = [];
  const log = createLogger({ logLevel: "trace" }, { destination: { write: (line: string) => void lines.push(JSON.parse(line)) } });
  const app = new Koa();
  app.keys = new PreparedKeygrip([Buffer.alloc(32, 1)]) as unknown as string[];
  pinIssuer(app, issuer);
  const forms = createForms({ issuer, https, keys: [Buffer.alloc(32, 2)] });
  const assets = loadAssets([`${views}/assets`, ...(options.overrides === undefined ? [] : [`${options.overrides}/assets`])], options.logo);
  const render = createRenderer({
    views,
    issuer,
    overrides: options.overrides,
    brand: options.brand ?? { name: "Harbour" },
    assets,
    csrfToken: forms.token,
  });
  app.use(requestContext({ log, trustProxy: options.trustProxy ?? [] }));
  app.use(securityHeaders({ https }));
  app.use(handleErrors(render));
  app.use(assets.serve);
  for (const middleware of options.routes({ render, forms, assets })) app.use(middleware);
  server.on("request", app.callback());

  return {
    app,
    assets,
    forms,
    render,
    port,
    url: `http://127.0.0.1:${port}`,
    lines,
    send: (path, init = {}) =>
      new Promise((resolve, reject) => {
        const req = request({ host: "127.0.0.1", port, path, method: init.method ?? "GET", headers: init.headers ?? {} }, (res) => {
          const chunks: Buffer[] = [];
          res.on("data", (chunk: Buffer) => chunks.push(chunk));
          res.on("end", () => resolve({ status: res.statusCode ?? 0, headers: res.headers, text: Buffer.concat(chunks).toString() }));
          res.on("error", reject);
        });
        req.on("error", reject);
        req.end(init.body);
      }),
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}
