import type { Context } from "koa";
import type { KoaContextWithOIDC, Provider } from "oidc-provider";

export interface RegistrationEvent {
  readonly event: "client.registered" | "client.updated" | "client.deleted";
  readonly outcome: "success";
  readonly clientId: string;
  /** Who did it: the application itself, once there is one. */
  readonly actor?: string;
  readonly detail: Readonly<Record<string, string>>;
}

/** Tells what applications do with their registrations (RFC 7591, RFC 7592). */
export function reportRegistrations(provider: Provider, record: (ctx: Context, event: RegistrationEvent) => void): void {
  const told = (ctx: KoaContextWithOIDC, event: RegistrationEvent) => record(ctx as unknown as Context, event);
  provider.on("registration_create.success", (ctx, { clientId, clientName }) =>
    told(ctx, {
      event: "client.registered",
      outcome: "success",
      clientId,
      detail: {
        by: ctx.oidc.entities.InitialAccessToken === undefined ? "registration" : "initial_access_token",
        ...(clientName !== undefined && { name: clientName }),
      },
    }),
  );
  const byItself =
    (event: RegistrationEvent["event"]) =>
    (ctx: KoaContextWithOIDC, { clientId }: { clientId: string }) =>
      told(ctx, { event, outcome: "success", clientId, actor: clientId, detail: { by: "registration_access_token" } });
  provider.on("registration_update.success", byItself("client.updated"));
  provider.on("registration_delete.success", byItself("client.deleted"));
}
