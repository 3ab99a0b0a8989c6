/**
 * `/apps/:client_id/secret`: since when it counts, another one beside it for a while, and the end of the one before. The other one is made with the page
 * and lies in its forms, sealed, beside what it replaces: a form that is sent twice makes one, and one that is about a secret of yesterday none.
 */
import type Router from "@koa/router";
import type { Context } from "koa";
import { ClientError } from "../clients/client-error.ts";
import { generateSecret, livePreviousSecret } from "../clients/client-secrets.ts";
import type { AppCareModels } from "../http/app-care-models.ts";
import { text } from "../i18n/messages.ts";
import type { AppCareOperations } from "../operations/app-care-operations.ts";
import { type AppVisit, appPath, type Frame, seeOther } from "./frame.ts";
import { FORM_LIFE } from "./shown-once.ts";
import type { Timed, TimedSeal } from "./timed-seal.ts";

/** Seconds for which the present secret may go on working. */
const OVERLAPS = ["0", "86400", "604800"] as const;

export interface SecretPagesOptions {
  care: Pick<AppCareOperations, "rotateSecret" | "endPreviousSecret">;
  sealed: TimedSeal;
}

/** What the page's forms are about. */
interface SecretForm extends Timed {
  /** The new one. */
  readonly secret: string;
  /** SHA-256 of the one that counted when the page was shown. */
  readonly current?: string;
}

/** @param now milliseconds since the epoch */
export function addSecretPages(router: Router, frame: Frame, { care, sealed }: SecretPagesOptions, now: () => number = Date.now): void {
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
    const { id } = visit.session.account;
    await unlessStale(ctx, visit, async ({ secret, current }) => {
      const order = { overlap: Number(overlap), secret, current };
      const { repeated } = await care.rotateSecret(frame.developer(ctx, visit.session), clientId, order);
      if (repeated) await frame.shownOnce.keepUnlessShown(ctx, id, clientId, secret);
      else frame.shownOnce.keep(ctx, id, clientId, secret);
      seeOther(ctx, appPath(clientId, "secret"));
    });
  });

  router.post("/apps/:client_id/secret/end", frame.verifyForm, async (ctx) => {
    const visit = await frame.recently(ctx, "secret");
    if (visit === undefined) return;
    const { clientId } = visit.client;
    await unlessStale(ctx, visit, async ({ current }) => {
      await care.endPreviousSecret(frame.developer(ctx, visit.session), clientId, current);
      frame.done(ctx, "secret", clientId, "previous_secret_ended");
    });
  });

  async function unlessStale(ctx: Context, visit: AppVisit, order: (form: SecretForm) => Promise<void>): Promise<void> {
    const form = sealed.open<SecretForm>(ctx.state.form?.about ?? "", contextOf(visit));
    try {
      if (form !== undefined) return await order(form);
    } catch (error) {
      if (!(error instanceof ClientError) || error.code !== "conflict") throw error;
    }
    ctx.status = 409;
    const client = await frame.apps.owned(visit.session.account.id, visit.client.clientId);
    show(ctx, { ...visit, client }, { errors: { form: text("app-care:secret.stale") } });
  }

  function show(ctx: Context, visit: AppVisit, facts: Partial<AppCareModels["apps/secret"]>): void {
    const { client } = visit;
    const action = appPath(client.clientId, "secret");
    const form = { secret: generateSecret(), current: client.secretHash, until: now() + FORM_LIFE };
    frame.render(ctx, "apps/secret", {
      ...frame.appPage(ctx, "secret", visit),
      action,
      hidden: { about: sealed.seal(form, contextOf(visit)) },
      end: `${action}/end`,
      since: client.secretCreatedAt,
      previousUntil: livePreviousSecret(client, now())?.until,
      overlaps: OVERLAPS,
      ...facts,
    });
  }
}

const contextOf = ({ session, client }: AppVisit): string => `secret form ${session.account.id} ${client.clientId}`;
