/** `/account/data`: everything that is stored about a person, as a file. */
import type Router from "@koa/router";
import type { AccountData } from "../accounts/account-data.ts";
import type { AuditTrail } from "../observability/audit-trail.ts";
import { actorFor, addressFor } from "./event-words.ts";
import type { Frame } from "./frame.ts";

/** The newest ones; years of signing in every day. */
const MOST_EVENTS = 10_000;

export interface DataPagesOptions {
  data: AccountData;
  trail: AuditTrail;
}

export function addDataPages(router: Router, frame: Frame, { data, trail }: DataPagesOptions): void {
  router.get("/account/data", async (ctx) => {
    const session = await frame.recently(ctx, "data");
    if (session !== undefined) frame.render(ctx, "account/data", { ...frame.page(ctx, "data", session), action: "/account/data" });
  });

  // A post, so that no page and no preview of a link fetches it.
  router.post("/account/data", frame.verifyForm, async (ctx) => {
    const session = await frame.recently(ctx, "data");
    if (session === undefined) return;
    const { account } = session;
    const [stored, { events }] = await Promise.all([data.of(account), trail.search({ accountId: account.id }, { limit: MOST_EVENTS })]);
    const security_events = events.map((past) => {
      const { at, event, outcome, clientId, detail } = past;
      return { at, event, outcome, address: addressFor(past), detail, by: actorFor(past), client_id: clientId };
    });
    frame.report(ctx, session, { event: "data.downloaded" });
    ctx.type = "application/json; charset=utf-8";
    ctx.attachment("my-account.json");
    ctx.body = `${JSON.stringify({ ...stored, security_events }, undefined, 2)}\n`;
  });
}
