/** `/apps/:client_id/secret`: since when it counts, another one beside it for a while, and the end of the one before. */
import type Router from "@koa/router";
import type { Context } from "koa";
import { livePreviousSecret } from "../clients/client-secrets.ts";
import type { AppCareModels } from "../http/app-care-models.ts";
import { text } from "../i18n/messages.ts";
import type { AppCareOperations } from "../operations/app-care-operations.ts";
import { type AppVisit, appPath, type Frame, seeOther } from "./frame.ts";

/** Seconds for which the present secret may go on working. */
const OVERLAPS = ["0", "86400", "604800"] as const;

export interface SecretPagesOptions {
  care: Pick<AppCareOperations, "rotateSecret" | "endPreviousSecret">;
}

/** @param now milliseconds since the epoch */
export function addSecretPages(router: Router, frame: Frame, { care }: SecretPagesOptions, now: () => number = Date.now): void {
  router.get("/apps/:client_id/secret", async (ctx) => {
    const visit = await frame.visit(ctx, "secret");
    if (visit === undefined) return;
    const { session, client } = visit;
    show(ctx, visit, { secret: await frame.shownOnce.take(ctx, session.account.id, client.clientId) });
  });

  router.post("/apps/:client_id/secret", frame.verifyForm, async (ctx) => {
    const visit = await frame.recently(ctx, "secret");
    if (visit === undefined) return;
    const overlap = OVERLAPS.find((each) => each === ctx.state.form?.overlap);
    if (overlap === undefined) {
      ctx.status = 400;
      return show(ctx, visit, { errors: { fields: { overlap: text("app-care:secret.choose") } } });
    }
    const { clientId } = visit.client;
    const { secret } = await care.rotateSecret(frame.developer(ctx, visit.session), clientId, Number(overlap));
    frame.shownOnce.keep(ctx, visit.session.account.id, clientId, secret);
    seeOther(ctx, appPath(clientId, "secret"));
  });

  router.post("/apps/:client_id/secret/end", frame.verifyForm, async (ctx) => {
    const visit = await frame.recently(ctx, "secret");
    if (visit === undefined) return;
    await care.endPreviousSecret(frame.developer(ctx, visit.session), visit.client.clientId);
    frame.done(ctx, "secret", visit.client.clientId, "previous_secret_ended");
  });

  function show(ctx: Context, visit: AppVisit, facts: Partial<AppCareModels["apps/secret"]>): void {
    const action = appPath(visit.client.clientId, "secret");
    frame.render(ctx, "apps/secret", {
      ...frame.appPage(ctx, "secret", visit),
      action,
      end: `${action}/end`,
      since: visit.client.secretCreatedAt,
      previousUntil: livePreviousSecret(visit.client, now())?.until,
      overlaps: OVERLAPS,
      ...facts,
    });
  }
}
