/** `/apps/:client_id/delete`: the end of an application, asked for by one who looks after it. */
import type Router from "@koa/router";
import type { Context } from "koa";
import { text } from "../i18n/messages.ts";
import type { AppCareOperations } from "../operations/app-care-operations.ts";
import { type AppVisit, appPath, type Frame, nameOf, seeOther } from "./frame.ts";

export interface DeletePagesOptions {
  care: Pick<AppCareOperations, "delete">;
}

export function addDeletePages(router: Router, frame: Frame, { care }: DeletePagesOptions): void {
  router.get("/apps/:client_id/delete", async (ctx) => {
    const visit = await frame.recently(ctx, "delete");
    if (visit !== undefined) show(ctx, visit);
  });

  router.post("/apps/:client_id/delete", frame.verifyForm, async (ctx) => {
    const visit = await frame.recently(ctx, "delete");
    if (visit === undefined) return;
    const typed = ctx.state.form?.name ?? "";
    if (inOneSpelling(typed) !== inOneSpelling(nameOf(visit.client))) {
      ctx.status = 400;
      return show(ctx, visit, typed);
    }
    await care.delete(frame.developer(ctx, visit.session), visit.client.clientId);
    seeOther(ctx, "/apps?done=deleted");
  });

  function show(ctx: Context, visit: AppVisit, typed?: string): void {
    const errors =
      typed === undefined ? undefined : { fields: { name: text("app-care:delete.type_name", { name: nameOf(visit.client) }) } };
    const action = appPath(visit.client.clientId, "delete");
    frame.render(ctx, "apps/delete", { ...frame.appPage(ctx, "delete", visit), action, typed, errors });
  }
}

/** A keyboard may write one letter in two ways, and nobody sees how many spaces there are. */
const inOneSpelling = (name: string): string => name.normalize("NFKC").trim().replace(/\s+/g, " ");
