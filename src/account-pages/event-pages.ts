/** `/account/events`: what happened to the account lately, in words. */
import type Router from "@koa/router";
import type { PlaceOf } from "../accounts/places.ts";
import type { ClientStore } from "../clients/client-store.ts";
import { languageOf } from "../http/language.ts";
import type { SecurityEventView } from "../http/pages.ts";
import type { Language } from "../i18n/languages.ts";
import type { AuditTrail, PastEvent } from "../observability/audit-trail.ts";
import { addressFor, factorsOf, SECURITY_EVENTS, wordsFor } from "./event-words.ts";
import type { Frame } from "./frame.ts";

const DAYS = 90;
const DAY_MS = 86_400_000;
const PAGE = 30;

export interface EventPagesOptions {
  trail: AuditTrail;
  clients: Pick<ClientStore, "find">;
  placeOf: PlaceOf;
}

export function addEventPages(router: Router, frame: Frame, { trail, clients, placeOf }: EventPagesOptions): void {
  router.get("/account/events", async (ctx) => {
    const session = await frame.signedIn(ctx, "events");
    if (session === undefined) return;
    const { before } = ctx.query;
    const cursor = typeof before === "string" ? before : undefined;
    const since = new Date(Date.now() - DAYS * DAY_MS);
    const { events, next } = await trail.search({ accountId: session.account.id, since, events: SECURITY_EVENTS }, { limit: PAGE, cursor });
    const language = languageOf(ctx);
    frame.render(ctx, "account/events", {
      ...frame.page(ctx, "events", session),
      days: DAYS,
      events: await Promise.all(events.map((event) => view(event, language))),
      newest: cursor === undefined ? undefined : "/account/events",
      older: next && `/account/events?before=${next}`,
    });
  });

  async function view(event: PastEvent, language: Language): Promise<SecurityEventView> {
    const { at, clientId, outcome } = event;
    const address = addressFor(event);
    const place = address && placeOf(address, language);
    const client = clientId && (await nameOf(clientId));
    return { at, what: wordsFor(event), by: factorsOf(event), client, address, place, failed: outcome === "failure" };
  }

  /** None for our own pages, which are no application to anybody. */
  const nameOf = async (clientId: string): Promise<string | undefined> => (await clients.find(clientId))?.metadata.client_name;
}
