/** `/apps`: the applications of whoever is signed in, and whether they may register another one. */
import type Router from "@koa/router";
import { text } from "../i18n/messages.ts";
import { appView, type Frame } from "./frame.ts";

export function addListPages(router: Router, frame: Frame): void {
  router.get("/apps", async (ctx) => {
    const session = await frame.signedIn(ctx, "/apps");
    if (session === undefined) return;
    const { account } = session;
    const after = typeof ctx.query.after === "string" ? ctx.query.after : undefined;
    const [{ clients, next }, refusal] = await Promise.all([frame.apps.list(account.id, after), frame.apps.refusalFor(account)]);
    frame.render(ctx, "apps/list", {
      ...frame.page(ctx, session),
      apps: clients.map(appView),
      create: refusal === undefined ? "/apps/new" : undefined,
      mayNot: refusal && text(`apps:may_not.${refusal}`),
      older: next && `/apps?after=${encodeURIComponent(next)}`,
      inspector: "/apps/inspector",
    });
  });
}
