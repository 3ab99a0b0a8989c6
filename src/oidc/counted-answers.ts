import type { Context, Middleware } from "koa";
import { ENGINE_ROUTES } from "./paths.ts";

export interface AnswerCounts {
  tokenIssued(grantType: unknown, kind: "access_token" | "refresh_token" | "id_token"): void;
  refused(endpoint: string, error: unknown): void;
}

const KINDS = ["access_token", "refresh_token", "id_token"] as const;

/** What the engine answers to programs, as it goes out: what a commit refuses at last is refused, and what it issues has been issued. */
export function countAnswers(counts: AnswerCounts): Middleware {
  return async (ctx, next) => {
    await next();
    const body = ctx.body as Record<string, unknown> | undefined;
    if (typeof body !== "object" || body === null) return;
    if (ctx.status >= 400) {
      // The authorization endpoint answers browsers, by redirects and pages: the engine tells of those.
      const endpoint = endpointOf(ctx);
      if (typeof body.error === "string" && endpoint !== "authorization") counts.refused(endpoint, body.error);
    } else if (ctx.path === ENGINE_ROUTES.token && ctx.method === "POST") {
      const grantType = (ctx.oidc as { params?: { grant_type?: unknown } } | undefined)?.params?.grant_type;
      for (const kind of KINDS) if (typeof body[kind] === "string") counts.tokenIssued(grantType, kind);
    }
  };
}

/** The names that metadata has for endpoints; of what begins with a path of theirs too. */
function endpointOf({ path }: Context): string {
  const found = Object.entries(ENGINE_ROUTES).find(([, route]) => path === route || path.startsWith(`${route}/`));
  return found?.[0] ?? "other";
}
