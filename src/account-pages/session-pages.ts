/** `/account/sessions`: in which browsers a person is signed in, and signing out there. */
import type Router from "@koa/router";
import type { AccountSession, AccountSessions } from "../accounts/account-sessions.ts";
import type { PlaceOf } from "../accounts/places.ts";
import type { ClientStore } from "../clients/client-store.ts";
import { languageOf } from "../http/language.ts";
import type { Language } from "../i18n/languages.ts";
import { OWN_CLIENT_ID } from "../interactions/own-pages.ts";
import type { Frame } from "./frame.ts";

export interface SessionPagesOptions {
  sessions: Pick<AccountSessions, "list">;
  clients: Pick<ClientStore, "find">;
  placeOf: PlaceOf;
  /** Ends a session, with what hangs on it, and tells its applications. */
  endSession(uid: string): Promise<void>;
}

export function addSessionPages(router: Router, frame: Frame, { sessions, clients, placeOf, endSession }: SessionPagesOptions): void {
  router.get("/account/sessions", async (ctx) => {
    const session = await frame.signedIn(ctx, "sessions");
    if (session === undefined) return;
    const all = await sessions.list(session.account.id);
    const language = languageOf(ctx);
    const shown = await Promise.all(all.map(async (each) => ({ ...(await view(each, language)), current: each.uid === session.uid })));
    frame.render(ctx, "account/sessions", {
      ...frame.page(ctx, "sessions", session),
      action: "/account/sessions/end",
      endOthers: "/account/sessions/end-others",
      signOut: "/sign-out",
      sessions: [...shown.filter(({ current }) => current), ...shown.filter(({ current }) => !current)],
    });
  });

  // Whoever is signed in may do this at any time: it takes nothing from anybody but whoever should not be there.
  router.post("/account/sessions/end", frame.verifyForm, async (ctx) => {
    const session = await frame.signedIn(ctx, "sessions");
    if (session === undefined) return;
    const ended = (await sessions.list(session.account.id)).find(({ id, uid }) => id === ctx.state.form?.session && uid !== session.uid);
    if (ended !== undefined) {
      await endSession(ended.uid);
      frame.report(ctx, session, { event: "session.ended" });
    }
    frame.done(ctx, "sessions", "session_ended");
  });

  router.post("/account/sessions/end-others", frame.verifyForm, async (ctx) => {
    const session = await frame.signedIn(ctx, "sessions");
    if (session === undefined) return;
    const others = (await sessions.list(session.account.id)).filter(({ uid }) => uid !== session.uid);
    await Promise.all(others.map(({ uid }) => endSession(uid)));
    frame.report(ctx, session, { event: "sessions.ended", detail: { count: others.length } });
    frame.done(ctx, "sessions", "sessions_ended");
  });

  async function view({ id, device, address, lastUsedAt, signedInAt, kept, clients: ids }: AccountSession, language: Language) {
    const known = await Promise.all(ids.filter((each) => each !== OWN_CLIENT_ID).map((each) => clients.find(each)));
    const applications = known.flatMap((client) => (client === undefined ? [] : [client.metadata.client_name ?? client.clientId]));
    const place = address && placeOf(address, language);
    return { id, device, address, place, lastUsedAt, signedInAt: new Date(signedInAt * 1000), kept, applications };
  }
}
