/** `/logos/:client_id`: the logos of applications, for our own pages. */
import Router from "@koa/router";
import type { Context } from "koa";
import type { ClientStore } from "./client-store.ts";
import { initialOf } from "./logo-initial.ts";
import { LOGOS_PATH, type Logos, logoPathOf } from "./logos.ts";

/** What a picture may do that is opened by itself: be seen. */
const PICTURE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox";
/** Seconds. Its address changes with the address that the application names. */
const LOGO_AGE = 86_400;
/** Of what stands in for a logo that cannot be had. */
const STAND_IN_AGE = 300;

export function logoRoutes({ clients, logos }: { clients: Pick<ClientStore, "find">; logos: Logos }): Router {
  const router = new Router();
  router.get(`${LOGOS_PATH}/:clientId`, async (ctx) => {
    const client = await clients.find(ctx.params.clientId as string);
    if (client === undefined || client.suspendedAt !== undefined || logoPathOf(client) === undefined) return;
    const logo = await logos.of(client);
    ctx.set("Content-Security-Policy", PICTURE_POLICY);
    ctx.set("Cross-Origin-Resource-Policy", "same-origin");
    if (logo === undefined) {
      answer(ctx, STAND_IN_AGE, "image/svg+xml", initialOf(client.metadata.client_name ?? client.clientId));
      return;
    }
    ctx.set("ETag", `"${logo.hash}"`);
    answer(ctx, LOGO_AGE, logo.type, logo.body);
  });
  return router;
}

function answer(ctx: Context, age: number, type: string, body: Buffer | string): void {
  ctx.set("Cache-Control", `public, max-age=${age}`);
  ctx.status = 200;
  if (ctx.fresh) {
    ctx.status = 304;
    return;
  }
  ctx.type = type;
  ctx.body = body;
}
