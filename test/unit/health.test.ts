import { afterEach, describe, expect, test } from "vitest";
import { Health, healthRoutes } from "../../src/observability/health.ts";
import { type Host, startHost } from "../support/host.ts";

let host: Host | undefined;
afterEach(() => host?.close());

async function serve(health: Health): Promise<Host> {
  host = await startHost({ routes: () => [healthRoutes(health)] });
  return host;
}

describe("readiness", () => {
  test("is 200 with every check up, 503 with one down, and says which", async () => {
    let redis: "up" | "down" = "up";
    let now = 0;
    const changes: string[] = [];
    const health = new Health({ now: () => now, onChange: (name, state) => changes.push(`${name} ${state}`) });
    health.register("database", async () => {});
    health.register("redis", () => {
      if (redis === "down") throw new Error("secret address");
    });
    const { send } = await serve(health);
    const up = await send("/health/ready");
    expect([up.status, JSON.parse(up.text)]).toEqual([200, { status: "ready", checks: { database: "up", redis: "up" } }]);
    expect(up.headers["cache-control"]).toBe("no-store");

    redis = "down";
    expect((await send("/health/ready")).status).toBe(200);
    now += 1000;
    const down = await send("/health/ready");
    expect([down.status, JSON.parse(down.text)]).toEqual([503, { status: "unavailable", checks: { database: "up", redis: "down" } }]);
    expect((await send("/health/live")).status).toBe(200);
    expect(changes.toSorted()).toEqual(["database up", "redis down", "redis up"]);
  });

  test("a check that hangs is down after its time", async () => {
    const health = new Health({ timeout: 20 });
    health.register("stuck", () => new Promise(() => {}));
    expect(await health.readiness()).toEqual({ ready: false, draining: false, checks: { stuck: "down" } });
  });

  test("many probes at once run the checks once", async () => {
    let runs = 0;
    const health = new Health();
    health.register("counted", async () => {
      runs++;
    });
    await Promise.all(Array.from({ length: 20 }, () => health.readiness()));
    expect(runs).toBe(1);
  });

  test("is gone while draining, at once; the process is still alive", async () => {
    const health = new Health();
    health.register("database", () => {});
    const { send } = await serve(health);
    expect((await send("/health/ready")).status).toBe(200);
    health.drain();
    const answer = await send("/health/ready");
    expect([answer.status, JSON.parse(answer.text).status]).toEqual([503, "draining"]);
    expect((await send("/health/live")).status).toBe(200);
    expect((await send("/health/live", { method: "POST" })).status).toBe(405);
    expect((await send("/health/other")).status).toBe(404);
  });
});
