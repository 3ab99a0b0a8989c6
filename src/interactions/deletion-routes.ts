/** `/interaction/:uid/deletion`: whoever signs in to an account that is going to be deleted calls that off, or leaves it so. */
import Router from "@koa/router";
import type { Context, Middleware } from "koa";
import { accountErrors } from "../accounts/account-errors-middleware.ts";
import type { Deletion } from "../accounts/deletion.ts";
import { HttpProblem } from "../http/errors.ts";
import { languageOf } from "../http/language.ts";
import type { Render } from "../http/rendering.ts";
import { text } from "../i18n/messages.ts";
import { deletionStepOf, type SignIns } from "./sign-in.ts";
import { type Steps, seeOther } from "./steps.ts";

export interface DeletionRoutesOptions {
  render: Render;
  verifyForm: Middleware;
  steps: Steps;
  signIns: Pick<SignIns, "doomed" | "resume">;
  deletion: Pick<Deletion, "undo">;
  /** Told after the deletion was called off. */
  onUndone(ctx: Context, accountId: string): void;
}

export function deletionRoutes({ render, verifyForm, steps, signIns, deletion, onUndone }: DeletionRoutesOptions): Router {
  const router = new Router();
  router.use(accountErrors());

  router.get("/interaction/:uid/deletion", async (ctx) => {
    const interaction = await steps.open(ctx);
    const doomed = await signIns.doomed(interaction);
    if (doomed?.account.deleteAt === undefined) return seeOther(ctx, `/interaction/${interaction.uid}`);
    const { email, deleteAt } = doomed.account;
    render(ctx, "deletion-pending", { action: deletionStepOf(interaction), email, deleteAt });
  });

  router.post("/interaction/:uid/deletion", verifyForm, async (ctx) => {
    const interaction = await steps.open(ctx);
    const doomed = await signIns.doomed(interaction);
    if (doomed === undefined) return seeOther(ctx, `/interaction/${interaction.uid}`);
    const { deletion: answer } = ctx.state.form ?? {};
    if (answer === "leave") return steps.finish(ctx, { error: "access_denied", error_description: "the End-User did not sign in" });
    if (answer !== "undo") throw new HttpProblem(400, "invalid_request", text("errors:interaction.unfitting"));
    const account = await deletion.undo(doomed.account.id, { address: ctx.state.client.address, language: languageOf(ctx) });
    onUndone(ctx, account.id);
    seeOther(ctx, await signIns.resume(ctx, interaction, { ...doomed, account }));
  });

  return router;
}
