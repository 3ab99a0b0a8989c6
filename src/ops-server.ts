/**
 * What operators' tools ask on OPS_PORT: metrics and health. Never on the public port. With several workers the primary answers for all of them:
 * each is asked over its channel, and what they count is added up.
 */
import cluster, { type Worker } from "node:cluster";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { AggregatorRegistry, type MetricObject, type Registry } from "prom-client";
import type { Config } from "./config.ts";
import type { Health } from "./observability/health.ts";

/** Milliseconds for all headers, and for a whole request; Prometheus gives up after 10 s by default. */
const REQUEST_LIMIT = 5_000;
/** Milliseconds in which a worker answers; one that does not is left out. */
const WORKER_LIMIT = 3_000;

export interface OpsSource {
  /** In the text format that Prometheus reads. */
  metrics(): Promise<string>;
  readiness(): Promise<{ ready: boolean; status: string; checks?: Readonly<Record<string, string>> }>;
}

export interface OpsServer {
  readonly port: number;
  close(): Promise<void>;
}

/** @throws {Error} with the words that say what to set; undefined without OPS_PORT */
export async function startOpsServer(
  { opsPort, opsHost }: Pick<Config, "opsPort" | "opsHost">,
  source: OpsSource,
): Promise<OpsServer | undefined> {
  if (opsPort === undefined) return undefined;
  const server = createServer({ headersTimeout: REQUEST_LIMIT, requestTimeout: REQUEST_LIMIT }, (request, response) => {
    answer(request, response, source).catch(() => response.destroy());
  });
  await listen(server, opsPort, opsHost);
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(request: IncomingMessage, response: ServerResponse, source: OpsSource): Promise<void> {
  const { method = "", url = "/" } = request;
  const [path] = url.split("?", 1);
  const send = (status: number, type: string, body: string, headers: Record<string, string> = {}): void => {
    response.writeHead(status, {
      "Content-Type": `${type}; charset=utf-8`,
      "Content-Length": Buffer.byteLength(body),
      "Cache-Control": "no-store",
      "X-Content-Type-Options": "nosniff",
      ...headers,
    });
    response.end(method === "HEAD" ? undefined : body);
  };
  if (path !== "/metrics" && path !== "/health/live" && path !== "/health/ready")
    return send(404, "text/plain", "Here are /metrics, /health/live and /health/ready.\n");
  if (method !== "GET" && method !== "HEAD") return send(405, "text/plain", "GET or HEAD.\n", { Allow: "GET, HEAD" });
  if (path === "/metrics") return send(200, "text/plain; version=0.0.4", await source.metrics());
  if (path === "/health/live") return send(200, "application/json", JSON.stringify({ status: "live" }));
  const { ready, ...body } = await source.readiness();
  return send(ready ? 200 : 503, "application/json", JSON.stringify(body));
}

function listen(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", ({ code }: NodeJS.ErrnoException) => {
      const words =
        code === "EADDRINUSE"
          ? `Port ${port} is in use: stop what listens there, or set OPS_PORT to another one.`
          : code === "EACCES"
            ? `This user may not listen on port ${port}: set OPS_PORT to one above 1023.`
            : `Metrics cannot be served at ${host}, port ${port} (${code}): check OPS_HOST and OPS_PORT.`;
      reject(new Error(words));
    });
    server.listen({ port, host }, resolve);
  });
}

/** One process: what it has counted itself. */
export const ownSource = (registry: Registry, health: Health): OpsSource => ({
  metrics: () => registry.metrics(),
  async readiness() {
    const { ready, draining, checks } = await health.readiness();
    return { ready, status: ready ? "ready" : draining ? "draining" : "unavailable", checks };
  },
});

const QUESTION = "grantor/ops";

interface Question {
  readonly type: typeof QUESTION;
  readonly id: number;
}

interface WorkerAnswer extends Question {
  readonly metrics: MetricObject[];
  readonly ready: boolean;
}

/** In a worker: answers what the primary asks. @returns how to stop that */
export function answerPrimary(registry: Registry, health: Health): () => void {
  const listener = async (message: Question): Promise<void> => {
    if (message?.type !== QUESTION) return;
    const [metrics, { ready }] = await Promise.all([registry.getMetricsAsJSON(), health.readiness()]);
    cluster.worker?.send({ ...message, metrics, ready } as object, undefined, undefined, () => {}); // a primary that is gone asks no more
  };
  process.on("message", listener);
  return () => void process.off("message", listener);
}

/** In the primary: all workers together. @param own what the primary counts by itself */
export function workersSource(own: Registry): OpsSource {
  let questions = 0;
  const workers = () => Object.values(cluster.workers ?? {}).filter((worker): worker is Worker => worker?.isConnected() === true);

  async function askAll(): Promise<WorkerAnswer[]> {
    questions += 1;
    const question: Question = { type: QUESTION, id: questions };
    const answers = await Promise.all(workers().map((worker) => ask(worker, question)));
    return answers.filter((each) => each !== undefined);
  }

  return {
    async metrics() {
      const answers = await askAll();
      return AggregatorRegistry.aggregate([...answers.map(({ metrics }) => metrics), await own.getMetricsAsJSON()]).metrics();
    },
    async readiness() {
      const ready = (await askAll()).some((worker) => worker.ready);
      return { ready, status: ready ? "ready" : "unavailable" };
    },
  };
}

function ask(worker: Worker, question: Question): Promise<WorkerAnswer | undefined> {
  return new Promise((resolve) => {
    const settle = (answer?: WorkerAnswer): void => {
      clearTimeout(limit);
      worker.off("message", listen).off("exit", leave);
      resolve(answer);
    };
    const listen = (message: WorkerAnswer) => {
      if (message?.type === QUESTION && message.id === question.id) settle(message);
    };
    const leave = () => settle();
    const limit = setTimeout(leave, WORKER_LIMIT);
    worker.on("message", listen).on("exit", leave);
    worker.send(question, (error) => {
      if (error !== null) leave();
    });
  });
}
