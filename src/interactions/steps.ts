/** What every step of an interaction begins and ends with. */
import type { Context } from "koa";
import { errors, type Provider } from "oidc-provider";
import { HttpProblem } from "../http/errors.ts";
import { useUiLocales } from "../http/language.ts";
import { text } from "../i18n/messages.ts";
import type { NamedClient } from "./client-view.ts";

export type Interaction = Awaited<ReturnType<Provider["interactionDetails"]>>;
export type StepResult = Parameters<Provider["interactionResult"]>[2];

export interface Steps {
  /** The interaction that the address names. @throws HttpProblem when this browser is not in it */
  open(ctx: Context): Promise<Interaction>;
  /** @throws HttpProblem when there is none any more */
  clientOf(interaction: Interaction): Promise<NamedClient>;
  /** Gives the engine a step's result. @returns where the browser goes on */
  settle(ctx: Context, result: StepResult): Promise<string>;
  /** As `settle`, and sends the browser there. */
  finish(ctx: Context, result: StepResult): Promise<void>;
}

/** @param provider the engine of this moment */
export function createSteps(provider: () => Provider): Steps {
  const settle = (ctx: Context, result: StepResult): Promise<string> =>
    provider().interactionResult(ctx.req, ctx.res, result, { mergeWithLastSubmission: true });

  return {
    async open(ctx) {
      try {
        const interaction = await provider().interactionDetails(ctx.req, ctx.res);
        // The cookie says which interaction this browser is in; the address must agree, or another tab's link was followed.
        if (interaction.uid !== ctx.params.uid) throw new errors.SessionNotFound("interaction and address differ");
        useUiLocales(ctx, interaction.params.ui_locales);
        return interaction;
      } catch (cause) {
        if (!(cause instanceof errors.SessionNotFound)) throw cause;
        throw new HttpProblem(400, "interaction_expired", text("errors:interaction.expired"), {
          title: text("errors:interaction.title"),
          advice: text("errors:interaction.advice"),
          cause,
        });
      }
    },
    async clientOf(interaction) {
      const client = await provider().Client.find(interaction.params.client_id as string);
      if (client !== undefined) return client as unknown as NamedClient;
      throw new HttpProblem(400, "invalid_client", text("errors:client_gone"));
    },
    settle,
    async finish(ctx, result) {
      seeOther(ctx, await settle(ctx, result));
    },
  };
}

export function seeOther(ctx: Context, location: string): void {
  ctx.redirect(location);
  ctx.status = 303;
}
