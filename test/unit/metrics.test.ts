/** Metrics: labels that are ours, values that are read when asked; and that dashboard, alerts and page name what there is. */
import { readdirSync, readFileSync } from "node:fs";
import { AggregatorRegistry } from "prom-client";
import { afterEach, describe, expect, test } from "vitest";
import { createMetrics } from "../../src/observability/metrics.ts";
import { type OpsServer, type OpsSource, startOpsServer } from "../../src/ops-server.ts";
import { freePort } from "../support/ports.ts";

const make = () => createMetrics({ version: "1.2.3" });
const lines = async (metrics: ReturnType<typeof make>, name: string) =>
  (await metrics.registry.metrics()).split("\n").filter((line) => line.startsWith(name));

describe("labels", () => {
  test("of methods, routes, error codes and grant types are known ones, or `other`", async () => {
    const metrics = make();
    for (const method of ["GET", "PROPFIND", "x".repeat(1000)])
      metrics.requestAnswered({ method, route: method === "GET" ? "/interaction/:uid" : undefined, status: 200, seconds: 0.002 });
    metrics.requestAnswered({ method: "GET", route: 'a"}\nevil 1', status: 404, seconds: 1 });
    expect(await lines(metrics, "grantor_http_requests_total")).toEqual([
      'grantor_http_requests_total{method="GET",route="/interaction/:uid",status="200"} 1',
      'grantor_http_requests_total{method="other",route="other",status="200"} 2',
      'grantor_http_requests_total{method="GET",route="other",status="404"} 1',
    ]);
    for (const error of ["invalid_grant", "evil", undefined, { toString: () => "x" }]) metrics.refused("token", error);
    expect(await lines(metrics, "grantor_requests_refused_total")).toEqual([
      'grantor_requests_refused_total{endpoint="token",error="invalid_grant"} 1',
      'grantor_requests_refused_total{endpoint="token",error="other"} 3',
    ]);
    metrics.tokenIssued("urn:ietf:params:oauth:grant-type:device_code", "access_token");
    for (const grantType of ["evil", undefined, ["a", "b"], "__proto__", "constructor"]) metrics.tokenIssued(grantType, "access_token");
    expect(await lines(metrics, "grantor_tokens_issued_total")).toEqual([
      'grantor_tokens_issued_total{grant_type="device_code",kind="access_token"} 1',
      'grantor_tokens_issued_total{grant_type="other",kind="access_token"} 5',
    ]);
  });

  test("are no more than a hundred of a kind, whatever comes", async () => {
    const metrics = make();
    for (let i = 0; i < 1000; i++) metrics.throttled(`kind-${i}`);
    const counted = await lines(metrics, "grantor_throttled_total");
    expect(counted).toHaveLength(101);
    expect(counted).toContain('grantor_throttled_total{kind="other"} 900');
  });
});

test("events of the audit log become sign-ins, consents and registrations, without who it was", async () => {
  const metrics = make();
  metrics.eventRecorded({ event: "sign_in", outcome: "success", detail: { outcome: "success", amr: "pwd otp mfa" } });
  metrics.eventRecorded({ event: "sign_in", outcome: "failure", detail: { outcome: "wrong_password" } });
  metrics.eventRecorded({ event: "consent", outcome: "failure" });
  metrics.eventRecorded({ event: "client.created", outcome: "success", detail: { client_id: "evil" } });
  expect(await lines(metrics, "grantor_sign_ins_total")).toEqual([
    'grantor_sign_ins_total{outcome="success",method="pwd+otp+mfa"} 1',
    'grantor_sign_ins_total{outcome="wrong_password",method="none"} 1',
  ]);
  expect(await lines(metrics, "grantor_consent_decisions_total")).toEqual(['grantor_consent_decisions_total{decision="denied"} 1']);
  expect(await lines(metrics, "grantor_registrations_total")).toEqual(['grantor_registrations_total{kind="client"} 1']);
  expect(await metrics.registry.metrics()).not.toContain("evil");
});

test("a value that cannot be read is left out, and the others are told", async () => {
  const metrics = make();
  let away = true;
  const read = async () => {
    if (away) throw new Error("the database is away");
    return [{ value: 7 }];
  };
  metrics.observe({ name: "lists", help: "Lists", together: "max", read });
  metrics.observe({ name: "waiting", help: "Waiting", together: "sum", read: () => [{ value: 3 }] });
  expect(await lines(metrics, "grantor_lists")).toEqual([]);
  expect(await lines(metrics, "grantor_waiting")).toEqual(["grantor_waiting 3"]);
  away = false;
  expect(await lines(metrics, "grantor_lists")).toEqual(["grantor_lists 7"]);
});

test("of several processes counts are added up, and of what all of them see one counts", async () => {
  const workers = [make(), make()];
  for (const worker of workers) {
    worker.requestAnswered({ method: "GET", route: "/", status: 200, seconds: 0.002 });
    worker.observe({ name: "waiting", help: "Waiting", together: "sum", read: () => [{ value: 2 }] });
    worker.observe({ name: "lists", help: "Lists", together: "max", read: () => [{ value: 5 }] });
  }
  const parts = JSON.parse(JSON.stringify(await Promise.all(workers.map(({ registry }) => registry.getMetricsAsJSON())))); // as IPC carries it
  const text = await AggregatorRegistry.aggregate(parts).metrics();
  for (const line of [
    'grantor_http_requests_total{method="GET",route="/",status="200"} 2',
    'grantor_http_request_duration_seconds_count{method="GET",route="/"} 2',
    "grantor_waiting 4",
    "grantor_lists 5",
    `grantor_build_info{version="1.2.3",node="${process.versions.node}"} 1`,
  ])
    expect(text).toContain(`${line}\n`);
});

describe("the server of OPS_PORT", () => {
  let server: OpsServer | undefined;
  afterEach(() => server?.close());
  const source: OpsSource = {
    metrics: async () => "grantor_build_info 1\n",
    readiness: async () => ({ ready: false, status: "draining", checks: { database: "up" } }),
  };

  test("is not there without the setting", async () => {
    expect(await startOpsServer({ opsPort: undefined, opsHost: "127.0.0.1" }, source)).toBeUndefined();
  });

  test("says so when the port is taken", async () => {
    server = await startOpsServer({ opsPort: await freePort(), opsHost: "127.0.0.1" }, source);
    const again = startOpsServer({ opsPort: server?.port, opsHost: "127.0.0.1" }, source);
    await expect(again).rejects.toThrow(`Port ${server?.port} is in use: stop what listens there, or set OPS_PORT to another one.`);
    await expect(startOpsServer({ opsPort: server?.port, opsHost: "192.0.2.1" }, source)).rejects.toThrow("check OPS_HOST and OPS_PORT");
  });

  test("is not ready while the process is not", async () => {
    server = await startOpsServer({ opsPort: 0, opsHost: "127.0.0.1" }, source);
    const answer = await fetch(`http://127.0.0.1:${server?.port}/health/ready`);
    expect([answer.status, await answer.json()]).toEqual([503, { status: "draining", checks: { database: "up" } }]);
  });
});

describe("dashboard, alerts and page", () => {
  const docs = (name: string) => readFileSync(new URL(`../../docs/${name}`, import.meta.url), "utf8");
  const metrics = make();
  metrics.watchProcess();
  /** What gauges.ts and cluster.ts add. */
  const named = readdirSync(new URL("../../src/", import.meta.url), { recursive: true, encoding: "utf8" })
    .filter((file) => /^(?:app\/|cluster)[\w/.-]*\.ts$/.test(file))
    .flatMap((file) => [
      ...readFileSync(new URL(`../../src/${file}`, import.meta.url), "utf8").matchAll(/name: "((?:grantor_)?[a-z_]+)",\s+help:/g),
    ])
    .map(([, name = ""]) => (name.startsWith("grantor_") ? name : `grantor_${name}`));
  const registered = async () => (await metrics.registry.getMetricsAsJSON()).map(({ name }) => name);
  const mentioned = (text: string) => new Set([...text.matchAll(/\b((?:grantor|nodejs|process)_[a-z\d_]+)/g)].map(([, name = ""]) => name));
  const base = (name: string) => name.replace(/_(?:bucket|sum|count)$/, "");

  test.each(["grafana-dashboard.json", "alerts.yaml", "metrics.md"])("%s names what there is", async (file) => {
    const known = new Set([...(await registered()), ...named]);
    expect([...mentioned(docs(file))].filter((name) => !known.has(name) && !known.has(base(name)))).toEqual([]);
  });

  test("page and dashboard leave out nothing of ours", async () => {
    const ours = [...(await registered()).filter((name) => name.startsWith("grantor_")), ...named];
    expect(ours.length).toBeGreaterThan(20);
    for (const file of ["metrics.md", "grafana-dashboard.json"]) {
      const there = new Set([...mentioned(docs(file))].map(base));
      expect(ours.filter((name) => !there.has(base(name)))).toEqual([]);
    }
  });

  test("the dashboard can be imported anywhere: data source and job are variables", () => {
    const { templating, panels } = JSON.parse(docs("grafana-dashboard.json"));
    expect(templating.list.map(({ name }: { name: string }) => name)).toEqual(["datasource", "job"]);
    const targets = panels.flatMap(({ targets = [] }: { targets?: { expr: string; datasource: { uid: string } }[] }) => targets);
    expect(targets.length).toBeGreaterThan(25);
    for (const { expr, datasource } of targets) {
      expect(datasource.uid).toBe(`\${datasource}`);
      expect(expr).toContain('job=~"$job"');
    }
  });
});
