/** What the audit log hears of the engine's requests, beside what pages and operations tell by themselves. */
import type { Context, Middleware } from "koa";
import type { KoaContextWithOIDC, Provider } from "oidc-provider";
import type { AuditEvent } from "../observability/audit-log.ts";

export interface SecurityEventsOptions {
  record(ctx: Context, event: AuditEvent): void;
  /** For what strangers can repeat at will. */
  tally(ctx: Context, event: AuditEvent): void;
}

/** Where a client shows who it is. */
const CLIENT_ENDPOINTS = ["grant", "introspection", "revocation", "pushed_authorization_request", "device_authorization"];
const REGISTRATION_ENDPOINTS = ["registration_create", "registration_read", "registration_update", "registration_delete"];

export function reportSecurityEvents(provider: Provider, { record, tally }: SecurityEventsOptions): void {
  const on = (name: string, hear: (ctx: KoaContextWithOIDC, error: { error?: string }) => void) =>
    provider.on(name as "grant.error", hear as unknown as () => void);

  for (const endpoint of CLIENT_ENDPOINTS)
    on(`${endpoint}.error`, (ctx, { error }) => {
      if (error !== "invalid_client") return;
      // The id of a client that does not exist is whatever a stranger typed.
      const clientId = ctx.oidc.client?.clientId;
      tally(contextOf(ctx), { event: "client.authentication_failed", outcome: "failure", clientId, detail: { endpoint } });
    });
  for (const endpoint of REGISTRATION_ENDPOINTS)
    on(`${endpoint}.error`, (ctx, { error = "" }) => {
      const { clientId } = ctx.oidc.client ?? {};
      tally(contextOf(ctx), { event: "client.registration_refused", outcome: "failure", clientId, detail: { endpoint, error } });
    });
  on("end_session.success", (ctx) => {
    const { session, params } = ctx.oidc;
    const accountId = session?.accountId;
    if (accountId === undefined || params?.logout === undefined) return;
    record(contextOf(ctx), { event: "sign_out", outcome: "success", actor: accountId, accountId, clientId: ctx.oidc.client?.clientId });
  });
}

const REVOCABLE = { RefreshToken: "refresh token", AccessToken: "access token", ClientCredentials: "access token" } as const;

/** Tells of every token that its client has ended (RFC 7009), once that is settled. */
export function reportRevocations(record: SecurityEventsOptions["record"]): Middleware {
  return async (ctx, next) => {
    await next();
    const { route, entities, client } = (ctx.oidc ?? {}) as Partial<KoaContextWithOIDC["oidc"]>;
    if (route !== "revocation" || ctx.status !== 200) return;
    for (const [kind, name] of Object.entries(REVOCABLE)) {
      const token = entities?.[kind as keyof typeof REVOCABLE] as { clientId?: string; accountId?: string } | undefined;
      if (token === undefined || token.clientId !== client?.clientId) continue;
      const { clientId, accountId } = token;
      record(ctx, { event: "token.revoked", outcome: "success", actor: clientId, clientId, accountId, detail: { token: name } });
    }
  };
}

const contextOf = (ctx: KoaContextWithOIDC): Context => ctx as unknown as Context;
