/**
 * Health: is the process alive, and should a load balancer send it requests. Which checks there are is app.ts's to say.
 */
import type { Context, Next } from "koa";

/** Resolves when the thing works, throws (or rejects) when it does not; the reason goes to the log, not to the caller. */
export type HealthCheck = () => unknown;

export interface Readiness {
  ready: boolean;
  draining: boolean;
  /** Every check by name. */
  checks: Record<string, "up" | "down">;
}

export interface HealthOptions {
  /** Milliseconds after which a check that has not answered counts as down; 1000. */
  timeout?: number;
  /** Milliseconds for which an answer is used again, so that probes cost the stores nothing; 1000. */
  cacheFor?: number;
  /** Told when a check changes its state. */
  onChange?: (name: string, state: "up" | "down", reason?: unknown) => void;
  /** Milliseconds on a clock that only moves forward. */
  now?: () => number;
}

/** The registry of checks of one process. */
export class Health {
  readonly #checks = new Map<string, HealthCheck>();
  readonly #states = new Map<string, "up" | "down">();
  readonly #timeout: number;
  readonly #cacheFor: number;
  readonly #onChange: NonNullable<HealthOptions["onChange"]>;
  readonly #now: () => number;
  #draining = false;
  #running: Promise<void> | undefined;
  #checkedAt = Number.NEGATIVE_INFINITY;

  constructor(options: HealthOptions = {}) {
    this.#timeout = options.timeout ?? 1000;
    this.#cacheFor = options.cacheFor ?? 1000;
    this.#onChange = options.onChange ?? (() => {});
    this.#now = options.now ?? (() => performance.now());
  }

  /** Adds a check; readiness depends on all of them. */
  register(name: string, check: HealthCheck): void {
    this.#checks.set(name, check);
    this.#checkedAt = Number.NEGATIVE_INFINITY;
  }

  /** From now on the process is not ready, whatever its checks say; it goes on to serve what reaches it. */
  drain(): void {
    this.#draining = true;
  }

  /** Runs the checks, unless they ran a moment ago; callers at the same time share one run. Never rejects. */
  async readiness(): Promise<Readiness> {
    if (this.#now() - this.#checkedAt >= this.#cacheFor) {
      this.#running ??= this.#runAll().finally(() => {
        this.#running = undefined;
      });
      await this.#running;
    }
    const checks = Object.fromEntries([...this.#checks.keys()].map((name) => [name, this.#states.get(name) ?? "down"] as const));
    const ready = !this.#draining && Object.values(checks).every((state) => state === "up");
    return { ready, draining: this.#draining, checks };
  }

  async #runAll(): Promise<void> {
    await Promise.all([...this.#checks].map(([name, check]) => this.#run(name, check)));
    this.#checkedAt = this.#now();
  }

  async #run(name: string, check: HealthCheck): Promise<void> {
    let state: "up" | "down" = "up";
    let reason: unknown;
    let timer: NodeJS.Timeout | undefined;
    try {
      const late = new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new Error(`no answer within ${this.#timeout} ms`)), this.#timeout);
      });
      await Promise.race([Promise.resolve().then(check), late]);
    } catch (error) {
      state = "down";
      reason = error;
    } finally {
      clearTimeout(timer);
    }
    if (this.#states.get(name) === state) return;
    this.#states.set(name, state);
    this.#onChange(name, state, reason);
  }
}

/** Koa middleware that answers `/health/live` (200 while the process runs) and `/health/ready` (200, or 503 while it should get no requests). */
export function healthRoutes(health: Health): (ctx: Context, next: Next) => Promise<void> {
  return async (ctx, next) => {
    const live = ctx.path === "/health/live";
    if (!live && ctx.path !== "/health/ready") return next();
    ctx.state.route = ctx.path;
    if (ctx.method !== "GET" && ctx.method !== "HEAD") {
      ctx.status = 405;
      ctx.set("Allow", "GET, HEAD");
      return;
    }
    ctx.set("Cache-Control", "no-store");
    if (live) {
      ctx.body = { status: "live" };
      return;
    }
    const { ready, draining, checks } = await health.readiness();
    ctx.status = ready ? 200 : 503;
    ctx.body = { status: ready ? "ready" : draining ? "draining" : "unavailable", checks };
  };
}
